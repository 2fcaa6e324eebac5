//! What connects tasks: channels, select, mutexes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use llam::TaskBatch;
use llam::channel;
use llam::sync::Mutex;

use super::{Clock, sum_below};

const STREAM_CAPACITY: usize = 128;
pub(super) const RIVALS: u64 = 8;

pub(super) fn channel_try(operations: u64, _: Clock) -> llam::Result<Duration> {
    let (sender, receiver) = channel::bounded::<u64>(1)?;
    let start = Instant::now();
    let mut sum = 0;
    for number in 0..operations {
        sender.try_send(number)?;
        sum += receiver.try_recv()?;
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, sum_below(operations), "what went in comes out");
    Ok(elapsed)
}

pub(super) fn channel_ping_pong(operations: u64, _: Clock) -> llam::Result<Duration> {
    let (ping, pings) = channel::bounded::<u64>(1)?;
    let (pong, pongs) = channel::bounded::<u64>(1)?;
    let partner = llam::try_spawn(move || -> llam::Result<()> {
        while let Some(number) = pings.recv_option()? {
            pong.send(number + 1)?;
        }
        Ok(())
    })?;
    let start = Instant::now();
    for number in 0..operations {
        ping.send(number)?;
        assert_eq!(pongs.recv()?, number + 1, "the answer to another value");
    }
    let elapsed = start.elapsed();
    drop(ping);
    partner.join()??;
    Ok(elapsed)
}

pub(super) fn channel_stream(operations: u64, _: Clock) -> llam::Result<Duration> {
    let (sender, receiver) = channel::bounded::<u64>(STREAM_CAPACITY)?;
    let start = Instant::now();
    let producer = llam::try_spawn(move || -> llam::Result<()> {
        for number in 0..operations {
            sender.send(number)?;
        }
        Ok(())
    })?;
    let mut expected = 0;
    while let Some(number) = receiver.recv_option()? {
        assert_eq!(number, expected, "a value out of order");
        expected += 1;
    }
    let elapsed = start.elapsed();
    producer.join()??;
    assert_eq!(expected, operations, "values are missing");
    Ok(elapsed)
}

pub(super) fn select_default(operations: u64, _: Clock) -> llam::Result<Duration> {
    let (_first_sender, first) = channel::bounded::<u64>(1)?;
    let (_second_sender, second) = channel::bounded::<u64>(1)?;
    let start = Instant::now();
    let mut defaults = 0;
    for _ in 0..operations {
        defaults += llam::try_select! {
            recv(first) -> _value => 0,
            recv(second) -> _value => 0,
            default => 1,
        }?;
    }
    let elapsed = start.elapsed();
    assert_eq!(defaults, operations, "nothing can be received");
    Ok(elapsed)
}

pub(super) fn mutex_uncontended(operations: u64, _: Clock) -> llam::Result<Duration> {
    let count = Mutex::new(0_u64)?;
    let start = Instant::now();
    for _ in 0..operations {
        *black_box(&count).lock()? += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(*count.lock()?, operations, "an increment was lost");
    Ok(elapsed)
}

/// The holder yields, so that the others find the mutex locked.
pub(super) fn mutex_contended(operations: u64, _: Clock) -> llam::Result<Duration> {
    let count = Arc::new(Mutex::new(0_u64)?);
    let mut batch = TaskBatch::with_capacity(RIVALS as usize);
    let start = Instant::now();
    for _ in 0..RIVALS {
        let count = count.clone();
        batch.spawn(move || -> llam::Result<()> {
            for _ in 0..operations / RIVALS {
                let mut count = count.lock()?;
                let before = *count;
                llam::task::yield_now();
                *count = before + 1;
            }
            Ok(())
        })?;
    }
    for result in batch.join()? {
        result?;
    }
    let elapsed = start.elapsed();
    assert_eq!(*count.lock()?, operations, "an increment was lost");
    Ok(elapsed)
}
