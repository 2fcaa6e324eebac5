//! Rows about what connects tasks: channels, select, mutex.
//!
//! Each runs in a task of the runtime that is measured, and fails when what it did is not what it
//! should have done.

use super::Timed;
use llam::TaskBatch;
use llam::channel;
use llam::sync::Mutex;
use std::sync::Arc;
use std::time::Instant;

const STREAM_CAPACITY: usize = 128;
const RIVALS: u64 = 8;

pub(super) fn ping_pong(operations: u64) -> llam::Result<Timed> {
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
    Ok(Timed {
        operations,
        elapsed,
    })
}

pub(super) fn stream(operations: u64) -> llam::Result<Timed> {
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
    Ok(Timed {
        operations,
        elapsed,
    })
}

pub(super) fn select_default(operations: u64) -> llam::Result<Timed> {
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
    Ok(Timed {
        operations,
        elapsed,
    })
}

/// The holder yields, so that on any number of workers the others find the mutex locked.
pub(super) fn mutex_contended(operations: u64) -> llam::Result<Timed> {
    let each = (operations / RIVALS).max(1);
    let count = Arc::new(Mutex::new(0_u64)?);
    let mut batch = TaskBatch::new();
    let start = Instant::now();
    for _ in 0..RIVALS {
        let count = count.clone();
        batch.spawn(move || -> llam::Result<()> {
            for _ in 0..each {
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
    let operations = each * RIVALS;
    assert_eq!(*count.lock()?, operations, "an increment was lost");
    Ok(Timed {
        operations,
        elapsed,
    })
}
