//! Spawning, joining, yielding, values per task.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use llam::{TaskBatch, TaskLocalKey};

use super::{Clock, sum_below};

pub(super) const BATCH: u64 = 1_000;
pub(super) const CROWD: u64 = 1_000;

pub(super) fn spawn_join(operations: u64, _: Clock) -> llam::Result<Duration> {
    let start = Instant::now();
    let mut sum = 0;
    for number in 0..operations {
        sum += llam::try_spawn(move || number)?.join()?;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Ok(elapsed)
}

pub(super) fn spawn_join_batch(operations: u64, _: Clock) -> llam::Result<Duration> {
    let start = Instant::now();
    let mut sum = 0;
    for first in (0..operations).step_by(BATCH as usize) {
        let mut batch = TaskBatch::with_capacity(BATCH as usize);
        for number in first..first + BATCH {
            batch.spawn(move || number)?;
        }
        sum += batch.join()?.into_iter().sum::<u64>();
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Ok(elapsed)
}

pub(super) fn yield_between_two(operations: u64, _: Clock) -> llam::Result<Duration> {
    yield_among(2, operations)
}

pub(super) fn yield_in_a_crowd(operations: u64, _: Clock) -> llam::Result<Duration> {
    yield_among(CROWD, operations)
}

/// `tasks` tasks that do nothing but yield. They begin together, so on one worker nobody can be a
/// round ahead of anybody.
fn yield_among(tasks: u64, operations: u64) -> llam::Result<Duration> {
    let rounds = operations / tasks;
    let turns = Arc::new(AtomicU64::new(0));
    let running = Arc::new(AtomicU64::new(0));
    let is_open = Arc::new(AtomicBool::new(false));
    let mut batch = TaskBatch::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let (turns, running, is_open) = (turns.clone(), running.clone(), is_open.clone());
        batch.spawn(move || {
            running.fetch_add(1, Ordering::Relaxed);
            while !is_open.load(Ordering::Relaxed) {
                llam::task::yield_now();
            }
            let mut in_turn = 0;
            for round in 0..rounds {
                let turn = turns.load(Ordering::Relaxed);
                turns.store(turn + 1, Ordering::Relaxed);
                in_turn += u64::from((round * tasks..(round + 1) * tasks).contains(&turn));
                llam::task::yield_now();
            }
            in_turn
        })?;
    }
    while running.load(Ordering::Relaxed) < tasks {
        llam::task::yield_now();
    }
    let start = Instant::now();
    is_open.store(true, Ordering::Relaxed);
    let in_turn: u64 = batch.join()?.into_iter().sum();
    let elapsed = start.elapsed();
    assert_eq!(in_turn, operations, "every task has one turn in each round");
    Ok(elapsed)
}

pub(super) fn task_local_get(operations: u64, _: Clock) -> llam::Result<Duration> {
    let key = TaskLocalKey::new()?;
    let other = TaskLocalKey::new()?;
    other.set(0_u64)?;
    key.set(1_u64)?;
    let start = Instant::now();
    let mut sum = 0;
    for _ in 0..operations {
        sum += black_box(&key).with_ref(|value| value.copied().unwrap_or(0))?;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, operations, "the value is there each time");
    Ok(elapsed)
}
