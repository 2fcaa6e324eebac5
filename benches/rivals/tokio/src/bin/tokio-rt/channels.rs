//! Rows about what connects tasks: channels, select, mutex. Each fails when what it did is not what it
//! should have done. Called by `main`, in a task.

use crate::choice::{Channel, Yield};
use rival_common::rt::{MUTEX_TASKS, STREAM_CAPACITY, Timed};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Mutex, mpsc};

pub(crate) async fn ping_pong<C: Channel>(operations: u64) -> Timed {
    let (ping, mut pings) = C::bounded(1);
    let (pong, mut pongs) = C::bounded(1);
    let partner = tokio::spawn(async move {
        while let Some(number) = C::receive(&mut pings).await {
            C::send(&pong, number + 1).await;
        }
    });
    let start = Instant::now();
    for number in 0..operations {
        C::send(&ping, number).await;
        let answer = C::receive(&mut pongs).await;
        assert_eq!(answer, Some(number + 1), "the answer to another value");
    }
    let elapsed = start.elapsed();
    drop(ping);
    partner.await.expect("it ends");
    Timed {
        operations,
        elapsed,
    }
}

pub(crate) async fn stream<C: Channel>(operations: u64) -> Timed {
    let (sender, mut receiver) = C::bounded(STREAM_CAPACITY);
    let start = Instant::now();
    let producer = tokio::spawn(async move {
        for number in 0..operations {
            C::send(&sender, number).await;
        }
    });
    let mut expected = 0;
    while let Some(number) = C::receive(&mut receiver).await {
        assert_eq!(number, expected, "a value out of order");
        expected += 1;
    }
    let elapsed = start.elapsed();
    producer.await.expect("it ends");
    assert_eq!(expected, operations, "values are missing");
    Timed {
        operations,
        elapsed,
    }
}

/// A branch that is ready stands for the default. Biased, or it would be chosen before the channels
/// are looked at.
pub(crate) async fn select_default(operations: u64) -> Timed {
    let (_first_sender, mut first) = mpsc::channel::<u64>(1);
    let (_second_sender, mut second) = mpsc::channel::<u64>(1);
    let start = Instant::now();
    let mut defaults = 0;
    for _ in 0..operations {
        defaults += tokio::select! {
            biased;
            _value = first.recv() => 0,
            _value = second.recv() => 0,
            () = std::future::ready(()) => 1,
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
pub(crate) async fn mutex_contended<Y: Yield>(operations: u64) -> Timed {
    let each = (operations / MUTEX_TASKS).max(1);
    let count = Arc::new(Mutex::new(0_u64));
    let mut batch = Vec::new();
    let start = Instant::now();
    for _ in 0..MUTEX_TASKS {
        let count = count.clone();
        batch.push(tokio::spawn(async move {
            for _ in 0..each {
                let mut count = count.lock().await;
                let before = *count;
                Y::yield_now().await;
                *count = before + 1;
            }
        }));
    }
    for task in batch {
        task.await.expect("it ends");
    }
    let elapsed = start.elapsed();
    let operations = each * MUTEX_TASKS;
    assert_eq!(*count.lock().await, operations, "an increment was lost");
    Timed {
        operations,
        elapsed,
    }
}
