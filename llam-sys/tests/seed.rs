//! `LLAM_SEED`: a deterministic runtime shuffles its run order, the same way each time.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::sync::{Arc, Mutex};

use common::*;
use llam_sys::*;

/// The order in which six tasks get through three yields each, under a seed.
fn order(seed: Option<&str>) -> Vec<usize> {
    let _serial = serial();
    // SAFETY: the suite's lock is held, and nobody else reads the environment meanwhile.
    unsafe {
        match seed {
            Some(seed) => std::env::set_var("LLAM_SEED", seed),
            None => std::env::remove_var("LLAM_SEED"),
        }
    }
    let mut opts = runtime_opts();
    opts.deterministic = 1;
    ok!(unsafe { llam_runtime_init_ex(&opts, LLAM_RUNTIME_OPTS_CURRENT_SIZE) });
    // SAFETY: as above.
    unsafe { std::env::remove_var("LLAM_SEED") };
    let seen = Arc::new(Mutex::new(Vec::new()));
    for number in 0..6 {
        let seen = Arc::clone(&seen);
        spawn(move || {
            for _ in 0..3 {
                seen.lock().expect("no panic").push(number);
                unsafe { llam_yield() };
            }
        });
    }
    ok!(unsafe { llam_run() });
    unsafe { llam_runtime_shutdown() };
    Arc::try_unwrap(seen)
        .expect("every task has ended")
        .into_inner()
        .expect("no panic")
}

#[test]
fn without_a_seed_the_order_is_first_in_first_out() {
    assert_eq!(order(None), [0, 1, 2, 3, 4, 5].repeat(3));
}

#[test]
fn a_seed_shuffles_and_repeats() {
    let orders: Vec<_> = ["1", "2", "3"].map(|seed| order(Some(seed))).into();
    for (seed, first) in ["1", "2", "3"].into_iter().zip(&orders) {
        assert_eq!(&order(Some(seed)), first, "seed {seed}");
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]
        );
    }
    assert!(
        orders
            .iter()
            .any(|order| *order != [0, 1, 2, 3, 4, 5].repeat(3)),
        "three seeds, and no order but the plain one: {orders:?}"
    );
}
