//! Rounds of `Select` over several channels, with receive, send, timeout and default arms.
//!
//! Checked: each select performs exactly one arm; the values sent and received by selects and by
//! plain operations add up; a send arm that lost still owns its value; a timeout never comes
//! early.

use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::channel::{self, Receiver, Select, Sender};
use std::time::{Duration, Instant};

const MAX_CHANNELS: u64 = 5;
const MAX_VALUES: u64 = 60;

/// What one select did.
enum Chosen {
    /// A value, or the end of this channel.
    Received(usize, Option<u64>),
    Sent,
    Nothing,
}

pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("selects: start");
    let mut inputs = Vec::new();
    let mut feeders = Vec::new();
    for _ in 0..random.between(1, MAX_CHANNELS) {
        let (sender, receiver) = channel::bounded::<u64>(random.between(1, 3) as usize)?;
        inputs.push(Some(receiver));
        let random = random.fork();
        feeders.push(llam::try_spawn(move || feed(&sender, random))?);
    }
    let (output, collected) = channel::bounded::<u64>(random.between(1, 3) as usize)?;
    let collector = llam::try_spawn(move || -> Result<u64, Failure> {
        let mut sum = 0;
        while let Some(number) = collected.recv_option()? {
            sum += number;
        }
        Ok(sum)
    })?;

    slot.step("selects: select");
    let mut received = 0;
    let mut sent = 0;
    while inputs.iter().any(Option::is_some) {
        let number = random.between(1, 1000);
        match select_once(&inputs, &output, number, random)? {
            Chosen::Received(index, None) => inputs[index] = None,
            Chosen::Received(_, Some(number)) => received += number,
            Chosen::Sent => sent += number,
            Chosen::Nothing => llam::task::yield_now(),
        }
    }
    drop(output);
    slot.step("selects: join");
    let mut fed = 0;
    for feeder in feeders {
        fed += joined(feeder.join())?;
    }
    check!(fed == received, "fed {fed}, received {received}");
    let collected = joined(collector.join())?;
    check!(sent == collected, "sent {sent}, collected {collected}");
    Ok(())
}

fn joined(result: Result<Result<u64, Failure>, llam::JoinError>) -> Result<u64, Failure> {
    result.unwrap_or_else(|error| Err(Failure(format!("a task ended: {error:?}"))))
}

/// Sends some numbers and closes the channel by dropping the sender. Tells their sum.
fn feed(sender: &Sender<u64>, mut random: Random) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 0..random.between(0, MAX_VALUES) {
        let number = random.between(1, 1000);
        sender.send(number)?;
        sum += number;
        if random.one_in(10) {
            llam::time::sleep(random.micros(100))?;
        }
    }
    Ok(sum)
}

fn select_once(
    inputs: &[Option<Receiver<u64>>],
    output: &Sender<u64>,
    number: u64,
    random: &mut Random,
) -> Result<Chosen, Failure> {
    let mut select = Select::new();
    let sends_first = random.one_in(8);
    if sends_first {
        select = select.send(output, number, || Ok(Chosen::Sent));
    }
    for (index, input) in inputs.iter().enumerate() {
        if let Some(input) = input {
            select = select.recv(input, move |value| match value {
                Ok(number) => Ok(Chosen::Received(index, Some(number))),
                Err(error) if error.is_closed() => Ok(Chosen::Received(index, None)),
                Err(error) => Err(Failure::from(error)),
            });
        }
    }
    if !sends_first && random.one_in(8) {
        select = select.send(output, number, || Ok(Chosen::Sent));
    }
    let start = Instant::now();
    let timeout = random.micros(200);
    let (select, is_timed) = match random.between(0, 3) {
        0 => (select.default(|| Ok(Chosen::Nothing)), false),
        1 => (select.after(timeout, || Ok(Chosen::Nothing)), true),
        _ => (select, false),
    };
    let chosen = select.try_run()??;
    if is_timed && matches!(chosen, Chosen::Nothing) {
        let waited = start.elapsed();
        check!(
            waited >= timeout,
            "a select timed out after {waited:?} instead of {timeout:?}"
        );
    }
    Ok(chosen)
}

/// The macro form: one round of it, since its arms are fixed at compile time.
pub(crate) fn macro_form(input: &Receiver<u64>, limit: Duration) -> llam::Result<Option<u64>> {
    llam::try_select! {
        recv(input) -> number => number.ok(),
        after(limit) => None,
    }
}
