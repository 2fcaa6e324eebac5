//! Preemption at safepoints: `abi.md` 5.13.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use llam_sys::*;

fn opts(mode: u32) -> llam_runtime_opts_t {
    let mut opts = runtime_opts();
    opts.deterministic = 1;
    opts.preempt_mode = mode;
    opts
}

#[test]
fn the_effective_values_are_reported() {
    for (mode, period, reported) in [
        (LLAM_PREEMPT_OFF, 9, 0),
        (LLAM_PREEMPT_COOPERATIVE, 9, 9),
        (LLAM_PREEMPT_AUTO, 9, 9),
        (LLAM_PREEMPT_STRICT, 9, 1),
        (LLAM_PREEMPT_AUTO, 0, 1),
        (LLAM_PREEMPT_AUTO, 4096, 4096),
        (LLAM_PREEMPT_AUTO, 4097, 4096),
        (LLAM_PREEMPT_AUTO, u32::MAX, 4096),
    ] {
        let mut opts = opts(mode);
        opts.preempt_poll_period = period;
        opts.preempt_quantum_ns = 123_456;
        let _live = live_with(&opts);
        let stats = stats();
        assert_eq!(stats.preempt_mode, mode);
        assert_eq!(
            stats.preempt_poll_period, reported,
            "mode {mode}, period {period}"
        );
        assert_eq!(stats.preempt_quantum_ns, 123_456);
    }
}

#[test]
fn profiles_have_their_default_periods() {
    for (profile, period) in [(0, 1), (1, 4), (2, 1), (3, 4)] {
        let mut opts = runtime_opts();
        opts.profile = profile;
        let _live = live_with(&opts);
        assert_eq!(stats().preempt_poll_period, period, "profile {profile}");
    }
}

#[test]
fn forced_yields_count_safepoints_of_each_task() {
    for mode in [LLAM_PREEMPT_OFF, LLAM_PREEMPT_COOPERATIVE] {
        let mut opts = opts(mode);
        opts.forced_yield_every = 2;
        let live = live_with(&opts);
        for _ in 0..2 {
            spawn(|| {
                for _ in 0..10 {
                    unsafe { llam_task_safepoint() };
                }
            });
        }
        live.run();
        assert_eq!(stats().yields, 10, "mode {mode}");
        assert_eq!(stats().preempt_yields, 0, "mode {mode}");
    }
}

#[test]
fn forced_yields_spare_tasks_without_preemption() {
    let mut opts = opts(LLAM_PREEMPT_OFF);
    opts.forced_yield_every = 1;
    let live = live_with(&opts);
    let mut no_preempt = spawn_opts();
    no_preempt.flags = LLAM_SPAWN_F_NO_PREEMPT;
    spawn_with(&no_preempt, || {
        for _ in 0..10 {
            unsafe { llam_task_safepoint() };
        }
    });
    live.run();
    assert_eq!(stats().yields, 0);
    spawn_with(&no_preempt, || unsafe { llam_yield() });
    live.run();
    assert_eq!(stats().yields, 1, "explicit yields are honoured");
}

/// Spins over safepoints for 20 ms.
fn spin() {
    let until = after_ms(20);
    while unsafe { llam_now_ns() } < until {
        unsafe { llam_task_safepoint() };
    }
}

#[test]
fn strict_yields_over_budget() {
    let live = live_with(&opts(LLAM_PREEMPT_STRICT));
    spawn(spin);
    spawn(spin);
    live.run();
    assert!(stats().preempt_yields > 0);
    assert!(stats().yields >= stats().preempt_yields);
}

#[test]
fn off_and_cooperative_never_yield_for_the_budget() {
    for mode in [LLAM_PREEMPT_OFF, LLAM_PREEMPT_COOPERATIVE] {
        let live = live_with(&opts(mode));
        spawn(spin);
        spawn(spin);
        live.run();
        assert_eq!(
            (stats().preempt_yields, stats().yields),
            (0, 0),
            "mode {mode}"
        );
    }
}

/// One task spins over safepoints until another, on the same worker, has run.
fn spinner_is_preempted(mode: u32, wake: fn(Arc<AtomicBool>)) {
    let live = live_with(&opts(mode));
    let flag = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&flag);
    spawn(move || wake(theirs));
    spawn(move || {
        let give_up = soon();
        while !flag.load(Ordering::Acquire) {
            unsafe { llam_task_safepoint() };
            assert!(unsafe { llam_now_ns() } < give_up, "starved in mode {mode}");
        }
    });
    live.run();
}

#[test]
fn a_spinner_does_not_starve_a_runnable_task() {
    for mode in [LLAM_PREEMPT_AUTO, LLAM_PREEMPT_STRICT] {
        spinner_is_preempted(mode, |flag| {
            for _ in 0..5 {
                unsafe { llam_yield() };
            }
            flag.store(true, Ordering::Release);
        });
    }
}

#[test]
fn a_spinner_does_not_starve_a_timer() {
    for mode in [LLAM_PREEMPT_AUTO, LLAM_PREEMPT_STRICT] {
        spinner_is_preempted(mode, |flag| {
            ok!(unsafe { llam_sleep_ns(2 * MS) });
            flag.store(true, Ordering::Release);
        });
    }
}

#[test]
fn a_spinner_does_not_starve_io() {
    for mode in [LLAM_PREEMPT_AUTO, LLAM_PREEMPT_STRICT] {
        spinner_is_preempted(mode, |flag| {
            let (a, b) = common::io::pair();
            let writer = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(5));
                b.put(b"x");
                b
            });
            let mut byte = [0_u8; 1];
            assert_eq!(
                ok!(unsafe { llam_read(a.raw(), byte.as_mut_ptr().cast(), 1) }),
                1
            );
            flag.store(true, Ordering::Release);
            drop(writer.join());
        });
    }
}

#[test]
fn the_poll_macros_pass_safepoints() {
    let mut opts = opts(LLAM_PREEMPT_OFF);
    opts.forced_yield_every = 1;
    let live = live_with(&opts);
    spawn(|| {
        llam_preempt_poll();
        for counter in 0..10 {
            llam_preempt_poll_every(counter, 5);
        }
        llam_preempt_poll_every(3, 0);
        llam_preempt_poll_every(3, 1);
    });
    live.run();
    assert_eq!(stats().yields, 1 + 2 + 1 + 1);
    llam_preempt_poll();
    llam_preempt_poll_every(0, 0);
}

#[test]
fn latency_tasks_do_not_starve_batch_tasks() {
    let live = live_with(&opts(LLAM_PREEMPT_AUTO));
    let done = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let done = Arc::clone(&done);
        let mut opts = spawn_opts();
        opts.task_class = LLAM_TASK_CLASS_LATENCY;
        spawn_with(&opts, move || {
            let give_up = soon();
            while !done.load(Ordering::Acquire) {
                unsafe { llam_yield() };
                assert!(unsafe { llam_now_ns() } < give_up, "the batch task starves");
            }
        });
    }
    let mut opts = spawn_opts();
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    spawn_with(&opts, move || done.store(true, Ordering::Release));
    live.run();
}
