//! Rounds of cancelling: tasks parked in every kind of wait, one token, a random moment.
//!
//! Checked: every task ends, with `ECANCELED` from the call it was parked in (`abi.md` 5.3), and
//! what it waited for can still be used.

use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::channel;
use llam::net::{TcpListener, TcpStream};
use llam::sync::{Condvar, Mutex};
use llam::{CancelToken, SpawnOptions};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

const FOREVER: Duration = Duration::from_secs(3600);

/// What the tasks of one round wait for; none of it ever comes.
struct Nothing {
    /// Its sender is kept, so it stays open.
    receiver: channel::Receiver<u64>,
    _open: channel::Sender<u64>,
    /// Holds as many values as it can.
    full: channel::Sender<u64>,
    full_receiver: channel::Receiver<u64>,
    /// Locked by the round.
    locked: Mutex<u64>,
    free: Mutex<u64>,
    condition: Condvar,
    listener: TcpListener,
    /// Both ends of a silent connection.
    stream: TcpStream,
    _peer: TcpStream,
}

type Wait = fn(&Nothing) -> llam::Result<()>;

const WAITS: [(&str, Wait); 9] = [
    ("sleep", |_| llam::time::sleep(FOREVER)),
    ("recv", |nothing| nothing.receiver.recv().map(drop)),
    ("send", |nothing| {
        nothing.full.send(2).map_err(|refused| refused.error)
    }),
    ("lock", |nothing| nothing.locked.lock().map(drop)),
    ("condition", |nothing| {
        nothing.condition.wait(nothing.free.lock()?).map(drop)
    }),
    ("accept", |nothing| {
        Ok(nothing.listener.accept().map(drop)?)
    }),
    ("read", |nothing| {
        Ok((&nothing.stream).read(&mut [0; 16]).map(drop)?)
    }),
    ("select", |nothing| {
        llam::try_select! {
            recv(nothing.receiver) -> _value => (),
            send(nothing.full, 3) => (),
        }
    }),
    ("join", |_| {
        let mut other = llam::try_spawn(|| llam::time::sleep(Duration::from_millis(5)))?;
        match other.join_timeout(FOREVER) {
            Ok(_) => llam::time::sleep(FOREVER),
            Err(llam::JoinError::Runtime(error)) => Err(error),
            Err(error) => panic!("the other task ended: {error:?}"),
        }
    }),
];

pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("cancels: start");
    let nothing = Arc::new(make_nothing(random)?);
    let guard = nothing.locked.lock()?;
    let token = CancelToken::new()?;
    let mut tasks = Vec::new();
    for _ in 0..random.between(1, 24) {
        let (name, wait) = WAITS[random.between(0, WAITS.len() as u64 - 1) as usize];
        let nothing = nothing.clone();
        let options = SpawnOptions::new().cancel(token.clone());
        tasks.push((name, llam::try_spawn_with(options, move || wait(&nothing))?));
    }
    if random.one_in(2) {
        llam::time::sleep(random.micros(300))?;
    }
    slot.step("cancels: cancel");
    token.cancel()?;
    slot.step("cancels: join");
    for (name, task) in tasks {
        let ended = task
            .join()
            .map_err(|error| Failure(format!("{name} ended: {error:?}")))?;
        let errno = ended.err().map(|error| error.errno());
        check!(
            errno == Some(libc::ECANCELED),
            "a cancelled {name} ended with errno {errno:?}"
        );
    }
    drop(guard);
    slot.step("cancels: use what was waited for");
    check!(*nothing.locked.lock()? == 0, "the lock's value has changed");
    check!(
        nothing.full_receiver.recv()? == 1,
        "the full channel's value has changed"
    );
    nothing.full.send(4)?;
    check!(
        nothing.full_receiver.recv()? == 4,
        "the full channel lost a value"
    );
    check!(
        nothing.receiver.try_recv_option().is_err(),
        "the empty channel has a value"
    );
    Ok(())
}

fn make_nothing(random: &mut Random) -> Result<Nothing, Failure> {
    let (open, receiver) = channel::bounded(1)?;
    let (full, full_receiver) = channel::bounded(1)?;
    full.send(1)?;
    let listener = TcpListener::bind(random.loopback())?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (stream, _) = listener.accept()?;
    Ok(Nothing {
        receiver,
        _open: open,
        full,
        full_receiver,
        locked: Mutex::new(0)?,
        free: Mutex::new(0)?,
        condition: Condvar::new()?,
        listener,
        stream,
        _peer: peer,
    })
}
