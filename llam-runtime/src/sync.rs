//! The atomics that the lock-free parts are written against.
//!
//! `wait`, `inbox`, `fresh`, `sleep` and `spin` take every atomic from here. The model-checking
//! crate (`tests/models`) includes the same files beside a `sync` module that names
//! loom's types instead, so that loom explores the real code.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

use std::time::Duration;

use crate::errno;

/// Pauses before the thread gives its CPU up: the holder of a lock runs on another one.
const PAUSES: u32 = 64;
/// Times the CPU is offered to others before the thread sleeps: a holder of lower priority may
/// need it.
const OFFERS: u32 = 64;

/// What a thread does that has looked `attempts` times for something that another thread is about
/// to do. `errno` stays as it was.
#[cold]
pub(crate) fn give_way(attempts: u32) {
    if attempts < PAUSES {
        std::hint::spin_loop();
    } else if attempts < PAUSES + OFFERS {
        errno::preserve(std::thread::yield_now);
    } else {
        errno::preserve(|| std::thread::sleep(Duration::from_micros(50)));
    }
}
