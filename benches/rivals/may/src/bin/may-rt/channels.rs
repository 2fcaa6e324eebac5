//! Rows about what connects coroutines: channels, mutex. Each fails when what it did is not what it should
//! have done. Called by `main`, in a coroutine.
//!
//! may's channels are unbounded. For ping-pong that is the same; for the stream a semaphore counts the
//! room, as may's users do it, so that the producer waits where it waits in a channel of 128.

use may::coroutine::yield_now;
use may::go;
use may::sync::{Mutex, Semphore, spsc};
use rival_common::rt::{MUTEX_TASKS, STREAM_CAPACITY, Timed};
use std::sync::Arc;
use std::time::Instant;

pub(crate) fn ping_pong(operations: u64) -> Timed {
    let (ping, pings) = spsc::channel::<u64>();
    let (pong, pongs) = spsc::channel::<u64>();
    let partner = go!(move || {
        while let Ok(number) = pings.recv() {
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

pub(crate) fn stream(operations: u64) -> Timed {
    let (sender, receiver) = spsc::channel::<u64>();
    let room = Arc::new(Semphore::new(STREAM_CAPACITY));
    let start = Instant::now();
    let producer = go!({
        let room = room.clone();
        move || {
            for number in 0..operations {
                room.wait();
                sender.send(number).expect("somebody receives");
            }
        }
    });
    let mut expected = 0;
    while let Ok(number) = receiver.recv() {
        room.post();
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

/// The holder yields, so that the others find the mutex locked.
pub(crate) fn mutex_contended(operations: u64) -> Timed {
    let each = (operations / MUTEX_TASKS).max(1);
    let count = Arc::new(Mutex::new(0_u64));
    let mut batch = Vec::new();
    let start = Instant::now();
    for _ in 0..MUTEX_TASKS {
        let count = count.clone();
        batch.push(go!(move || {
            for _ in 0..each {
                let mut count = count.lock().expect("nobody panics");
                let before = *count;
                yield_now();
                *count = before + 1;
            }
        }));
    }
    for coroutine in batch {
        coroutine.join().expect("it ends");
    }
    let elapsed = start.elapsed();
    let operations = each * MUTEX_TASKS;
    let total = *count.lock().expect("nobody panics");
    assert_eq!(total, operations, "an increment was lost");
    Timed {
        operations,
        elapsed,
    }
}
