//! Row about memory: what a parked coroutine keeps resident. Called by `main`, in a coroutine of a process
//! of its own.

use may::coroutine::sleep;
use may::go;
use may::sync::mpmc;
use rival_common::rt::{PARK_LIMIT, PARK_LOOK, growth_per_task, resident_bytes};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

pub(crate) fn park(tasks: u32) -> f64 {
    let before = resident_bytes();
    let parked = Arc::new(AtomicU32::new(0));
    let (sender, receiver) = mpmc::channel::<()>();
    let mut batch = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let (receiver, parked) = (receiver.clone(), parked.clone());
        batch.push(go!(move || {
            parked.fetch_add(1, Ordering::Relaxed);
            receiver.recv().is_err()
        }));
    }
    let end = Instant::now() + PARK_LIMIT;
    while parked.load(Ordering::Relaxed) < tasks {
        assert!(Instant::now() < end, "not all tasks park in time");
        sleep(PARK_LOOK);
    }
    let each = growth_per_task(before, tasks);
    drop(sender);
    for coroutine in batch {
        let is_closed = coroutine.join().expect("it ends");
        assert!(is_closed, "every task waits until the channel is closed");
    }
    each
}
