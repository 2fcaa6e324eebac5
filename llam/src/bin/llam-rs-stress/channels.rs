//! Rounds over one channel: several senders and receivers, closed or abandoned at a random moment.
//!
//! Checked: what senders were told was sent is exactly what receivers got plus what was left in
//! the buffer; each receiver sees each sender's values in order; a refused value comes back with
//! an errno that fits; no value leaks or is dropped twice; closing ends everybody.

use crate::ledger::{Ledger, Parcel};
use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::JoinHandle;
use llam::channel::{self, Receiver, SendError, Sender};
use std::sync::Arc;
use std::time::Duration;

const MAX_VALUES: u64 = 120;

/// Count and sum of the numbers that somebody sent or received.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Account {
    count: u64,
    sum: u64,
}

impl Account {
    fn add(&mut self, number: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Runs one round with boxed or word-sized values.
pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    if random.one_in(2) {
        exchange(random, slot, |parcel| parcel, |parcel| parcel)
    } else {
        exchange(random, slot, Box::new, |parcel: Box<Parcel>| *parcel)
    }
}

fn exchange<T: Send + 'static>(
    random: &mut Random,
    slot: &Slot,
    pack: fn(Parcel) -> T,
    unpack: fn(T) -> Parcel,
) -> Result<(), Failure> {
    slot.step("channels: start");
    let ledger = Arc::new(Ledger::default());
    let (sender, receiver) = channel::bounded::<T>(random.between(1, 8) as usize)?;
    let mut senders: Vec<JoinHandle<Result<Account, Failure>>> = Vec::new();
    for id in 0..random.between(1, 4) {
        let (sender, ledger, random) = (sender.clone(), ledger.clone(), random.fork());
        senders.push(llam::try_spawn(move || {
            send_all(id, &sender, &ledger, random, pack, unpack)
        })?);
    }
    // Without it the receivers may all go away while senders still wait.
    let keeps_receiver = !random.one_in(4);
    let mut receivers: Vec<JoinHandle<Result<Account, Failure>>> = Vec::new();
    for _ in 0..random.between(0, 3) {
        let (receiver, random) = (receiver.clone(), random.fork());
        receivers.push(llam::try_spawn(move || {
            receive_all(&receiver, random, !keeps_receiver, unpack)
        })?);
    }
    let mut kept = keeps_receiver.then_some(receiver);
    let closes_early = random.one_in(3);
    if closes_early {
        slot.step("channels: close early");
        llam::time::sleep(random.micros(300))?;
        sender.close()?;
    }
    drop(sender);
    let mut got = Account::default();
    if let (Some(receiver), true) = (&kept, receivers.is_empty()) {
        // Nobody else receives; senders would wait for ever.
        slot.step("channels: receive");
        got.merge(receive_all(receiver, random.fork(), false, unpack)?);
    }
    slot.step("channels: join senders");
    let mut sent = Account::default();
    for handle in senders {
        sent.merge(join(handle)?);
    }
    slot.step("channels: join receivers");
    for handle in receivers {
        got.merge(join(handle)?);
    }
    slot.step("channels: drain");
    if let Some(receiver) = kept.take() {
        while let Some(value) = receiver.recv_option()? {
            got.add(unpack(value).number);
        }
        check!(sent == got, "sent {sent:?}, received {got:?}");
    } else {
        check!(
            sent.count >= got.count,
            "sent {sent:?}, received more: {got:?}"
        );
    }
    let (made, dropped) = ledger.totals();
    check!(made == dropped, "{made} values made, {dropped} dropped");
    Ok(())
}

fn join(handle: JoinHandle<Result<Account, Failure>>) -> Result<Account, Failure> {
    handle
        .join()
        .unwrap_or_else(|error| Err(Failure(format!("a task ended: {error:?}"))))
}

/// Sends until the channel is closed or the numbers are used up.
fn send_all<T: Send + 'static>(
    id: u64,
    sender: &Sender<T>,
    ledger: &Arc<Ledger>,
    mut random: Random,
    pack: fn(Parcel) -> T,
    unpack: fn(T) -> Parcel,
) -> Result<Account, Failure> {
    let mut account = Account::default();
    for number in 1..=random.between(0, MAX_VALUES) {
        let mut value = pack(ledger.parcel(id, number));
        loop {
            let way = random.between(0, 3);
            let sent = match way {
                0 => sender.try_send(value),
                1 => sender.send_timeout(value, random.micros(100)),
                _ => sender.send(value),
            };
            let SendError {
                value: refused,
                error,
            } = match sent {
                Ok(()) => break account.add(number),
                Err(refused) => refused,
            };
            let refused = unpack(refused);
            check!(
                (refused.sender, refused.number) == (id, number),
                "sender {id} got another value back than number {number}: {refused:?}"
            );
            if error.is_closed() {
                return Ok(account);
            }
            check!(way < 2, "an untimed send failed: {error}");
            check!(
                way == 0 || error.is_timed_out(),
                "a timed send failed: {error}"
            );
            value = pack(refused);
            llam::task::yield_now();
        }
    }
    Ok(account)
}

/// Receives until the channel is closed and empty, or, if it may, gives up at random.
fn receive_all<T: Send + 'static>(
    receiver: &Receiver<T>,
    mut random: Random,
    may_give_up: bool,
    unpack: fn(T) -> Parcel,
) -> Result<Account, Failure> {
    let mut account = Account::default();
    let mut last_numbers = [0; 4];
    loop {
        let way = random.between(0, 3);
        let received = match way {
            0 => receiver.try_recv_option(),
            1 => receiver.recv_timeout_option(random.micros(100)),
            _ => receiver.recv_option(),
        };
        match received {
            Ok(Some(value)) => {
                let parcel = unpack(value);
                let last = &mut last_numbers[parcel.sender as usize];
                check!(parcel.number > *last, "{parcel:?} came after number {last}");
                *last = parcel.number;
                account.add(parcel.number);
                if may_give_up && random.one_in(30) {
                    return Ok(account);
                }
            }
            Ok(None) => return Ok(account),
            Err(error) => {
                check!(way < 2, "an untimed receive failed: {error}");
                check!(
                    way == 0 || error.is_timed_out(),
                    "a timed receive failed: {error}"
                );
                if random.one_in(8) {
                    llam::time::sleep(Duration::from_micros(20))?;
                } else {
                    llam::task::yield_now();
                }
            }
        }
    }
}
