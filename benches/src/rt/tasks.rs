//! Rows about tasks: spawn, join, yield, sleep.
//!
//! Each runs in a task of the runtime that is measured, and fails when what it did is not what it
//! should have done.

use super::Timed;
use llam::TaskBatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const BATCH: u64 = 10_000;
const CROWD: usize = 10_000;
const SLEEPERS_LONGEST_MS: u64 = 10;

fn failed(error: llam::JoinError) -> llam::Error {
    llam::Error::from(error)
}

pub(super) fn spawn_join(operations: u64) -> llam::Result<Timed> {
    let start = Instant::now();
    let mut sum = 0_u64;
    for number in 0..operations {
        sum += llam::try_spawn(move || number)?.join().map_err(failed)?;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Ok(Timed {
        operations,
        elapsed,
    })
}

pub(super) fn spawn_join_batch(operations: u64) -> llam::Result<Timed> {
    let start = Instant::now();
    let mut sum = 0_u64;
    let mut next = 0;
    while next < operations {
        let end = (next + BATCH).min(operations);
        let mut batch = TaskBatch::with_capacity((end - next) as usize);
        for number in next..end {
            batch.spawn(move || number)?;
        }
        sum += batch.join().map_err(failed)?.iter().sum::<u64>();
        next = end;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Ok(Timed {
        operations,
        elapsed,
    })
}

fn sum_below(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

pub(super) fn yield_between_two(operations: u64) -> llam::Result<Timed> {
    yield_among(2, operations)
}

pub(super) fn yield_round_robin(operations: u64) -> llam::Result<Timed> {
    yield_among(CROWD, operations)
}

/// `tasks` tasks that do nothing but yield. The clock starts when all of them run.
fn yield_among(tasks: usize, operations: u64) -> llam::Result<Timed> {
    let rounds = (operations / tasks as u64).max(1);
    let running = Arc::new(AtomicUsize::new(0));
    let is_open = Arc::new(AtomicBool::new(false));
    let mut batch = TaskBatch::with_capacity(tasks);
    for _ in 0..tasks {
        let (running, is_open) = (running.clone(), is_open.clone());
        batch.spawn(move || {
            running.fetch_add(1, Ordering::Relaxed);
            while !is_open.load(Ordering::Relaxed) {
                llam::task::yield_now();
            }
            for _ in 0..rounds {
                llam::task::yield_now();
            }
            rounds
        })?;
    }
    while running.load(Ordering::Relaxed) < tasks {
        llam::task::yield_now();
    }
    let start = Instant::now();
    is_open.store(true, Ordering::Relaxed);
    let done: u64 = batch.join().map_err(failed)?.into_iter().sum();
    let elapsed = start.elapsed();
    assert_eq!(done, rounds * tasks as u64, "every task has yielded");
    Ok(Timed {
        operations: done,
        elapsed,
    })
}

/// The longest sleeper sets a floor of 10 ms for the whole: 100 ns for each of 100,000.
pub(super) fn sleep_fan_out(operations: u64) -> llam::Result<Timed> {
    let start = Instant::now();
    let mut batch = TaskBatch::with_capacity(operations as usize);
    for number in 0..operations {
        batch.spawn(move || {
            let time = Duration::from_millis(1 + number % SLEEPERS_LONGEST_MS);
            let began = Instant::now();
            llam::time::sleep(time).is_ok() && began.elapsed() >= time
        })?;
    }
    let slept = batch.join().map_err(failed)?;
    let elapsed = start.elapsed();
    assert!(
        slept.into_iter().all(|as_long_as_asked| as_long_as_asked),
        "nobody wakes early"
    );
    Ok(Timed {
        operations,
        elapsed,
    })
}
