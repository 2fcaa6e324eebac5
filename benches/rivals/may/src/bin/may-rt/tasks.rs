//! Rows about coroutines: spawn, join, yield, sleep. Each fails when what it did is not what it should have
//! done. Called by `main`, in a coroutine.

use may::coroutine::{JoinHandle, sleep, yield_now};
use may::go;
use may::sync::SyncFlag;
use rival_common::rt::{BATCH, PARK_LOOK, Timed, sleep_time, sum_below};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn join_all<T>(batch: Vec<JoinHandle<T>>) -> impl Iterator<Item = T> {
    batch
        .into_iter()
        .map(|coroutine| coroutine.join().expect("it ends"))
}

pub(crate) fn spawn_join(operations: u64) -> Timed {
    let start = Instant::now();
    let mut sum = 0;
    for number in 0..operations {
        sum += go!(move || number).join().expect("it ends");
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Timed {
        operations,
        elapsed,
    }
}

pub(crate) fn spawn_join_batch(operations: u64) -> Timed {
    let start = Instant::now();
    let mut sum = 0;
    let mut next = 0;
    while next < operations {
        let end = (next + BATCH).min(operations);
        let mut batch = Vec::with_capacity((end - next) as usize);
        for number in next..end {
            batch.push(go!(move || number));
        }
        sum += join_all(batch).sum::<u64>();
        next = end;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Timed {
        operations,
        elapsed,
    }
}

/// `tasks` coroutines that do nothing but yield. The clock starts when all of them run.
///
/// They wait at a gate for it: a worker of may looks for spawned coroutines only when none of its own is
/// ready, so that one that yields until the others run would wait for ever.
pub(crate) fn yield_among(tasks: usize, operations: u64) -> Timed {
    let rounds = (operations / tasks as u64).max(1);
    let running = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(SyncFlag::new());
    let mut batch = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        let (running, gate) = (running.clone(), gate.clone());
        batch.push(go!(move || {
            running.fetch_add(1, Ordering::Relaxed);
            gate.wait();
            for _ in 0..rounds {
                yield_now();
            }
            rounds
        }));
    }
    while running.load(Ordering::Relaxed) < tasks {
        sleep(PARK_LOOK);
    }
    let start = Instant::now();
    gate.fire();
    let done: u64 = join_all(batch).sum();
    let elapsed = start.elapsed();
    assert_eq!(done, rounds * tasks as u64, "every task has yielded");
    Timed {
        operations: done,
        elapsed,
    }
}

/// The longest sleeper sets a floor of 10 ms for the whole: 100 ns for each of 100,000.
pub(crate) fn sleep_fan_out(operations: u64) -> Timed {
    let start = Instant::now();
    let mut batch = Vec::with_capacity(operations as usize);
    for number in 0..operations {
        batch.push(go!(move || {
            let time = sleep_time(number);
            let began = Instant::now();
            sleep(time);
            began.elapsed() >= time
        }));
    }
    let in_time = join_all(batch).filter(|in_time| *in_time).count();
    let elapsed = start.elapsed();
    assert_eq!(in_time as u64, operations, "nobody wakes early");
    Timed {
        operations,
        elapsed,
    }
}
