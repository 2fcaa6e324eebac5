//! Row about memory: what a parked task keeps resident. Called by `main`, in a task of a process of its
//! own.

use rival_common::rt::{PARK_LIMIT, PARK_LOOK, growth_per_task, resident_bytes};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tokio::sync::Notify;

/// The tasks wait for a notice: tokio's channels have one receiver, and this is what its users let many
/// tasks wait for.
pub(crate) async fn park(tasks: u32) -> f64 {
    let before = resident_bytes();
    let parked = Arc::new(AtomicU32::new(0));
    let notice = Arc::new(Notify::new());
    let mut batch = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let (notice, parked) = (notice.clone(), parked.clone());
        batch.push(tokio::spawn(async move {
            // From here on it is among those who are woken.
            let noticed = notice.notified();
            parked.fetch_add(1, Ordering::Relaxed);
            noticed.await;
            true
        }));
    }
    let end = Instant::now() + PARK_LIMIT;
    while parked.load(Ordering::Relaxed) < tasks {
        assert!(Instant::now() < end, "not all tasks park in time");
        tokio::time::sleep(PARK_LOOK).await;
    }
    let each = growth_per_task(before, tasks);
    notice.notify_waiters();
    for task in batch {
        assert!(task.await.expect("it ends"), "every task is woken");
    }
    each
}
