//! Another Rust static library that a C program links beside the engine. Uses the standard library
//! in earnest: threads, maps, thread-locals, caught panics, output.
//!
//! `rustc --edition 2021 -O --crate-type staticlib neighbour.rs`

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Write;
use std::panic;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Sums 0 to `threads * 100 - 1` on that many threads.
#[no_mangle]
pub extern "C" fn neighbour_sum(threads: u32) -> u64 {
    let seen = Arc::new(Mutex::new(HashMap::new()));
    let (sender, receiver) = mpsc::channel();
    let workers: Vec<_> = (0..threads)
        .map(|index| {
            let (seen, sender) = (Arc::clone(&seen), sender.clone());
            thread::spawn(move || {
                for number in u64::from(index) * 100..u64::from(index + 1) * 100 {
                    seen.lock().unwrap().insert(number, index);
                    sender.send(number).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let sum = receiver.iter().sum();
    for worker in workers {
        worker.join().unwrap();
    }
    let seen = seen.lock().unwrap();
    if seen.len() == threads as usize * 100 {
        sum
    } else {
        0
    }
}

/// Panics inside and catches it: 1 when the panic arrived as itself, 0 when not.
#[no_mangle]
pub extern "C" fn neighbour_panic() -> i32 {
    let quiet = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let caught = panic::catch_unwind(|| {
        let empty: Vec<u32> = Vec::new();
        panic!("{} of the neighbour", empty.len());
    });
    panic::set_hook(quiet);
    match caught {
        Err(payload) => i32::from(payload.downcast_ref::<String>().map(String::as_str)
            == Some("0 of the neighbour")),
        Ok(()) => 0,
    }
}

/// How often this thread has called it.
#[no_mangle]
pub extern "C" fn neighbour_calls() -> u32 {
    CALLS.with(|calls| {
        calls.set(calls.get() + 1);
        calls.get()
    })
}

/// Prints a line by way of Rust's standard output.
#[no_mangle]
pub extern "C" fn neighbour_greet(number: u32) {
    println!("neighbour {number}");
    let _ = std::io::stdout().flush();
}
