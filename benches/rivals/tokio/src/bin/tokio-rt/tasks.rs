//! Rows about tasks: spawn, join, yield, sleep. Each fails when what it did is not what it should have
//! done. Called by `main`, in a task.

use crate::choice::Yield;
use rival_common::rt::{BATCH, Timed, sleep_time, sum_below};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) async fn spawn_join(operations: u64) -> Timed {
    let start = Instant::now();
    let mut sum = 0;
    for number in 0..operations {
        sum += tokio::spawn(async move { number }).await.expect("it ends");
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Timed {
        operations,
        elapsed,
    }
}

pub(crate) async fn spawn_join_batch(operations: u64) -> Timed {
    let start = Instant::now();
    let mut sum = 0;
    let mut next = 0;
    while next < operations {
        let end = (next + BATCH).min(operations);
        let mut batch = Vec::with_capacity((end - next) as usize);
        for number in next..end {
            batch.push(tokio::spawn(async move { number }));
        }
        for task in batch {
            sum += task.await.expect("it ends");
        }
        next = end;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Timed {
        operations,
        elapsed,
    }
}

/// `tasks` tasks that do nothing but yield. The clock starts when all of them run.
pub(crate) async fn yield_among<Y: Yield>(tasks: usize, operations: u64) -> Timed {
    let rounds = (operations / tasks as u64).max(1);
    let running = Arc::new(AtomicUsize::new(0));
    let is_open = Arc::new(AtomicBool::new(false));
    let mut batch = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        let (running, is_open) = (running.clone(), is_open.clone());
        batch.push(tokio::spawn(async move {
            running.fetch_add(1, Ordering::Relaxed);
            while !is_open.load(Ordering::Relaxed) {
                Y::yield_now().await;
            }
            for _ in 0..rounds {
                Y::yield_now().await;
            }
            rounds
        }));
    }
    while running.load(Ordering::Relaxed) < tasks {
        Y::yield_now().await;
    }
    let start = Instant::now();
    is_open.store(true, Ordering::Relaxed);
    let mut done = 0;
    for task in batch {
        done += task.await.expect("it ends");
    }
    let elapsed = start.elapsed();
    assert_eq!(done, rounds * tasks as u64, "every task has yielded");
    Timed {
        operations: done,
        elapsed,
    }
}

/// The longest sleeper sets a floor of 10 ms for the whole: 100 ns for each of 100,000.
pub(crate) async fn sleep_fan_out(operations: u64) -> Timed {
    let start = Instant::now();
    let mut batch = Vec::with_capacity(operations as usize);
    for number in 0..operations {
        batch.push(tokio::spawn(async move {
            let time = sleep_time(number);
            let began = Instant::now();
            tokio::time::sleep(time).await;
            began.elapsed() >= time
        }));
    }
    let mut in_time = 0;
    for task in batch {
        in_time += u64::from(task.await.expect("it ends"));
    }
    let elapsed = start.elapsed();
    assert_eq!(in_time, operations, "nobody wakes early");
    Timed {
        operations,
        elapsed,
    }
}
