//! The operations of OS threads, as `llam-bench rt` times those of llam. `--workers` is the number of CPUs
//! that the threads may use.
//!
//! Channels are crossbeam's, which the standard library's are made from: only those have a select with a
//! default. Left out: 10,000 threads that do nothing but yield, and more than 10,000 threads.
#![forbid(unsafe_code)]

use crossbeam_channel::{bounded, select};
use rival_common::rt::{
    self, Arguments, BATCH, MUTEX_TASKS, PARK_LIMIT, PARK_LOOK, STREAM_CAPACITY, Timed,
    growth_per_task, resident_bytes, sum_below,
};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

const STACK_BYTES: usize = 64 * 1024;
/// Threads that usual limits of a process and a machine allow.
const MAX_THREADS: u32 = 10_000;
/// A spawn costs a hundred times what it does elsewhere; the row's count says how many were made.
const SPAWN_DIVISOR: u64 = 10;

fn main() {
    let arguments = Arguments::parse(&[]);
    if let Err(error) = rival_threads::use_cpus(arguments.workers) {
        rival_common::fail(error);
    }
    rt::main(&arguments, MAX_THREADS, || Threads);
}

struct Threads;

impl rt::Runtime for Threads {
    fn run(&self, row: &str, operations: u64) -> Option<Timed> {
        Some(match row {
            "spawn-join" => spawn_join((operations / SPAWN_DIVISOR).max(1)),
            "spawn-join-batch" => spawn_join_batch((operations / SPAWN_DIVISOR).max(1)),
            "yield-2" => yield_between_two(operations),
            "channel-ping-pong" => ping_pong(operations),
            "channel-stream" => stream(operations),
            "select-default" => select_default(operations),
            "mutex-contended" => mutex_contended(operations),
            _ => return None,
        })
    }

    fn park(&self, tasks: u32) -> f64 {
        park(tasks)
    }
}

fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(body)
        .unwrap_or_else(|error| rival_common::fail(format!("no more threads: {error}")))
}

fn join_all<T>(batch: Vec<JoinHandle<T>>) -> impl Iterator<Item = T> {
    batch
        .into_iter()
        .map(|thread| thread.join().expect("it ends"))
}

fn spawn_join(operations: u64) -> Timed {
    let start = Instant::now();
    let mut sum = 0;
    for number in 0..operations {
        sum += spawn(move || number).join().expect("it ends");
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "every task returns its number");
    Timed {
        operations,
        elapsed,
    }
}

fn spawn_join_batch(operations: u64) -> Timed {
    let start = Instant::now();
    let mut sum = 0;
    let mut next = 0;
    while next < operations {
        let end = (next + BATCH).min(operations);
        let batch = (next..end).map(|number| spawn(move || number)).collect();
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

fn yield_between_two(operations: u64) -> Timed {
    let rounds = (operations / 2).max(1);
    let running = Arc::new(AtomicUsize::new(0));
    let is_open = Arc::new(AtomicBool::new(false));
    let batch: Vec<_> = (0..2)
        .map(|_| {
            let (running, is_open) = (running.clone(), is_open.clone());
            spawn(move || {
                running.fetch_add(1, Ordering::Relaxed);
                while !is_open.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                for _ in 0..rounds {
                    thread::yield_now();
                }
                rounds
            })
        })
        .collect();
    while running.load(Ordering::Relaxed) < 2 {
        thread::yield_now();
    }
    let start = Instant::now();
    is_open.store(true, Ordering::Relaxed);
    let done: u64 = join_all(batch).sum();
    let elapsed = start.elapsed();
    assert_eq!(done, rounds * 2, "every thread has yielded");
    Timed {
        operations: done,
        elapsed,
    }
}

fn ping_pong(operations: u64) -> Timed {
    let (ping, pings) = bounded::<u64>(1);
    let (pong, pongs) = bounded::<u64>(1);
    let partner = spawn(move || {
        for number in pings {
            pong.send(number + 1).expect("somebody receives");
        }
    });
    let start = Instant::now();
    for number in 0..operations {
        ping.send(number).expect("somebody receives");
        assert_eq!(pongs.recv(), Ok(number + 1), "the answer to another value");
    }
    let elapsed = start.elapsed();
    drop(ping);
    partner.join().expect("it ends");
    Timed {
        operations,
        elapsed,
    }
}

fn stream(operations: u64) -> Timed {
    let (sender, receiver) = bounded::<u64>(STREAM_CAPACITY);
    let start = Instant::now();
    let producer = spawn(move || {
        for number in 0..operations {
            sender.send(number).expect("somebody receives");
        }
    });
    let mut expected = 0;
    for number in receiver {
        assert_eq!(number, expected, "a value out of order");
        expected += 1;
    }
    let elapsed = start.elapsed();
    producer.join().expect("it ends");
    assert_eq!(expected, operations, "values are missing");
    Timed {
        operations,
        elapsed,
    }
}

fn select_default(operations: u64) -> Timed {
    let (_first_sender, first) = bounded::<u64>(1);
    let (_second_sender, second) = bounded::<u64>(1);
    let start = Instant::now();
    let mut defaults = 0;
    for _ in 0..operations {
        defaults += select! {
            recv(first) -> _value => 0,
            recv(second) -> _value => 0,
            default => 1,
        };
    }
    let elapsed = start.elapsed();
    assert_eq!(defaults, operations, "nothing can be received");
    Timed {
        operations,
        elapsed,
    }
}

/// The holder yields, so that the others find the mutex locked.
fn mutex_contended(operations: u64) -> Timed {
    let each = (operations / MUTEX_TASKS).max(1);
    let count = Arc::new(Mutex::new(0_u64));
    let start = Instant::now();
    let batch = (0..MUTEX_TASKS)
        .map(|_| {
            let count = count.clone();
            spawn(move || {
                for _ in 0..each {
                    let mut count = count.lock().expect("nobody panics");
                    let before = *count;
                    thread::yield_now();
                    *count = before + 1;
                }
            })
        })
        .collect();
    join_all(batch).for_each(drop);
    let elapsed = start.elapsed();
    let operations = each * MUTEX_TASKS;
    let total = *count.lock().expect("nobody panics");
    assert_eq!(total, operations, "an increment was lost");
    Timed {
        operations,
        elapsed,
    }
}

fn park(tasks: u32) -> f64 {
    let before = resident_bytes();
    let parked = Arc::new(AtomicU32::new(0));
    let (sender, receiver) = bounded::<()>(1);
    let mut batch = Vec::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let (receiver, parked) = (receiver.clone(), parked.clone());
        batch.push(spawn(move || {
            parked.fetch_add(1, Ordering::Relaxed);
            receiver.recv().is_err()
        }));
    }
    let end = Instant::now() + PARK_LIMIT;
    while parked.load(Ordering::Relaxed) < tasks {
        assert!(Instant::now() < end, "not all threads park in time");
        thread::sleep(PARK_LOOK);
    }
    let each = growth_per_task(before, tasks);
    drop(sender);
    assert!(
        join_all(batch).all(|is_closed| is_closed),
        "every thread waits until the channel is closed"
    );
    each
}
