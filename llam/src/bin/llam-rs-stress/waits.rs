//! Rounds of waiting with a deadline: timeouts that pass and timeouts that do not.
//!
//! Checked: no wait ends early; a wait whose event comes in time returns it; each fails with
//! `ETIMEDOUT` and nothing else.

use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::channel;
use llam::sync::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    let limit = random.micros(2000);
    match random.between(0, 7) {
        0 => sleep_lasts(limit, slot),
        1 => receive_times_out(limit, slot),
        2 => receive_in_time(limit, slot),
        3 => lock_times_out(limit, slot),
        4 => condition_times_out(limit, slot),
        5 => join_times_out(limit, slot),
        6 => nested_timeouts(limit, random, slot),
        _ => many_sleepers(random, slot),
    }
}

/// Runs `wait`, which must fail with `ETIMEDOUT` and not before `limit`.
fn must_time_out<T>(
    limit: Duration,
    what: &str,
    wait: impl FnOnce() -> llam::Result<T>,
) -> Result<(), Failure> {
    let start = Instant::now();
    let outcome = wait();
    let waited = start.elapsed();
    match outcome {
        Err(error) if error.is_timed_out() => {}
        Err(error) => return Err(Failure(format!("{what} failed with {error}"))),
        Ok(_) => return Err(Failure(format!("{what} succeeded"))),
    }
    check!(
        waited >= limit,
        "{what} timed out after {waited:?} instead of {limit:?}"
    );
    Ok(())
}

fn sleep_lasts(limit: Duration, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: sleep");
    let start = Instant::now();
    llam::time::sleep(limit)?;
    let slept = start.elapsed();
    check!(slept >= limit, "slept {slept:?} instead of {limit:?}");
    Ok(())
}

fn receive_times_out(limit: Duration, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: receive");
    let (sender, receiver) = channel::bounded::<u64>(1)?;
    must_time_out(limit, "receive", || receiver.recv_timeout(limit))?;
    must_time_out(limit, "select", || {
        let value = crate::selects::macro_form(&receiver, limit)?;
        value.ok_or_else(|| llam::Error::from_errno(libc::ETIMEDOUT))
    })?;
    sender.send(1)?;
    slot.step("waits: send");
    must_time_out(limit, "send", || {
        sender
            .send_timeout(2, limit)
            .map_err(|refused| refused.error)
    })?;
    check!(
        receiver.recv()? == 1,
        "the value before the timeout was lost"
    );
    check!(
        receiver.try_recv_option().is_err(),
        "a value that timed out was sent"
    );
    Ok(())
}

fn receive_in_time(delay: Duration, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: receive in time");
    let (sender, receiver) = channel::bounded::<u64>(1)?;
    let task = llam::try_spawn(move || -> Result<(), Failure> {
        llam::time::sleep(delay)?;
        Ok(sender.send(7)?)
    })?;
    let number = receiver.recv_timeout(delay + Duration::from_secs(15))?;
    check!(number == 7, "received {number}");
    task.join()
        .map_err(|error| Failure(format!("the sender ended: {error:?}")))?
}

fn lock_times_out(limit: Duration, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: lock");
    let mutex = Arc::new(Mutex::new(0)?);
    let guard = mutex.lock()?;
    let other = mutex.clone();
    let task = llam::try_spawn(move || {
        must_time_out(limit, "lock", || other.lock_timeout(limit).map(drop))
    })?;
    let outcome = task
        .join()
        .map_err(|error| Failure(format!("the locker ended: {error:?}")))?;
    drop(guard);
    drop(mutex.try_lock()?);
    outcome
}

fn condition_times_out(limit: Duration, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: condition");
    let mutex = Mutex::new(0)?;
    let condition = Condvar::new()?;
    must_time_out(limit, "condition", || {
        condition.wait_timeout(mutex.lock()?, limit).map(drop)
    })?;
    drop(mutex.try_lock()?);
    Ok(())
}

fn join_times_out(limit: Duration, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: join");
    let (sender, receiver) = channel::bounded::<u64>(1)?;
    let mut task = llam::try_spawn(move || receiver.recv_option().is_ok())?;
    let start = Instant::now();
    match task.join_timeout(limit) {
        Ok(None) => {}
        other => return Err(Failure(format!("join of a waiting task: {other:?}"))),
    }
    let waited = start.elapsed();
    check!(
        waited >= limit,
        "join timed out after {waited:?} instead of {limit:?}"
    );
    drop(sender);
    let outcome = task
        .join()
        .map_err(|error| Failure(format!("join again: {error:?}")))?;
    check!(outcome, "the receiver failed");
    Ok(())
}

/// The earlier of two deadlines wins, whichever is outside, and what is done after is untimed.
fn nested_timeouts(limit: Duration, random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: nested timeouts");
    let outer = random.micros(2000);
    let earlier = limit.min(outer);
    let start = Instant::now();
    let slept = llam::time::timeout(outer, || {
        llam::time::timeout(limit, || llam::time::sleep(Duration::from_secs(3600)))
    });
    let waited = start.elapsed();
    check!(
        !matches!(slept, Ok(Ok(Ok(())))),
        "a sleep of an hour ended after {waited:?} with success"
    );
    check!(
        waited >= earlier,
        "nested timeouts ended after {waited:?} instead of {earlier:?}"
    );
    llam::time::sleep(Duration::from_micros(50))?;
    Ok(())
}

/// Timers in random order on several workers.
fn many_sleepers(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("waits: sleepers");
    let mut tasks = Vec::new();
    for _ in 0..random.between(1, 60) {
        let nap = random.micros(3000);
        tasks.push(llam::try_spawn(move || -> Result<(), Failure> {
            let start = Instant::now();
            llam::time::sleep(nap)?;
            let slept = start.elapsed();
            check!(slept >= nap, "slept {slept:?} instead of {nap:?}");
            Ok(())
        })?);
    }
    for task in tasks {
        task.join()
            .map_err(|error| Failure(format!("a sleeper ended: {error:?}")))??;
    }
    Ok(())
}
