//! Time limits and sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use llam::TaskBatch;
use llam::channel;

use super::Clock;

pub(super) const SLEEPERS: u64 = 1_000;
const LIMIT: Duration = Duration::from_secs(3600);
const SLEEP: Duration = Duration::from_millis(1);

/// Every receive arms a timer, parks, and is ended by a value.
pub(super) fn timeout_cancelled(operations: u64, _: Clock) -> llam::Result<Duration> {
    let (sender, receiver) = channel::bounded::<u64>(1)?;
    let producer = llam::try_spawn(move || -> llam::Result<()> {
        for number in 0..operations {
            sender.send(number)?;
            llam::task::yield_now();
        }
        Ok(())
    })?;
    let start = Instant::now();
    for expected in 0..operations {
        let number = llam::time::timeout(LIMIT, || receiver.recv())??;
        assert_eq!(number, expected, "a value out of order");
    }
    let elapsed = start.elapsed();
    producer.join()??;
    Ok(elapsed)
}

/// Tasks that sleep at the same time, each a little later than the one before it.
pub(super) fn sleep_in_a_crowd(operations: u64, clock: Clock) -> llam::Result<Duration> {
    let slept = Arc::new(AtomicU64::new(0));
    let mut batch = TaskBatch::with_capacity(SLEEPERS as usize);
    let start = Instant::now();
    for _ in 0..SLEEPERS {
        let slept = slept.clone();
        batch.spawn(move || -> llam::Result<u64> {
            let mut whole = 0;
            for _ in 0..operations / SLEEPERS {
                let began = Instant::now();
                llam::time::sleep(SLEEP)?;
                whole += u64::from(began.elapsed() >= SLEEP);
                slept.fetch_add(1, Ordering::Relaxed);
            }
            Ok(whole)
        })?;
    }
    while slept.load(Ordering::Relaxed) < operations {
        clock.pass(SLEEP)?;
        llam::task::yield_now();
    }
    let mut whole = 0;
    for result in batch.join()? {
        whole += result?;
    }
    let elapsed = start.elapsed();
    assert_eq!(whole, operations, "nobody wakes early");
    Ok(elapsed)
}
