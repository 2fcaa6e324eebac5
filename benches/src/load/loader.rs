//! One load thread: its epoll, its connections, its part of the timetable.
//!
//! ```text
//!   slot:  connection ──fault, churn──> closed ──> new connection ──> ... ──> finished
//! ```
//!
//! A slot is a place in the timetable; the connections in it come and go. Invariants: a slot sends
//! when its connection is open, has fewer than `pipeline` requests waiting and, in an open loop, a
//! request is due; after the end only what was due before is still sent; the thread ends when all
//! slots are finished, at the latest three timeouts after the end. Called by the module.

use super::clock::{ThreadClock, Timer};
use super::connection::{Connection, Received, State};
use super::outcome::Outcome;
use super::schedule::{Schedule, Window};
use super::{CONNECT_LIMIT, Numbers, Plan};
use crate::progress::Progress;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const EVENTS: usize = 1024;
const READ_BYTES: usize = 128 * 1024;

/// How often what never happens is looked for: timeouts and reconnects that failed.
const SWEEP: Duration = Duration::from_millis(20);

/// A place in the timetable.
#[derive(Debug, Default)]
struct Slot {
    connection: Option<Connection>,
    /// Requests of this slot that are due, and that were sent (open loop).
    released: u64,
    taken: u64,
    is_finished: bool,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Closed by both sides with nothing open.
    Clean,
    /// The server, or the network, ended it.
    Broken,
    /// We gave it up for a fault that has been counted.
    GivenUp,
}

#[derive(Debug)]
pub(crate) struct Loader {
    plan: Plan,
    numbers: Arc<Numbers>,
    /// Of all threads, for whoever watches.
    answers: Arc<AtomicU64>,
    range: Range<usize>,
    poll: Poll,
    timer: Timer,
    slots: Vec<Slot>,
}

impl Loader {
    /// Makes the connections of the slots in `range`, one after the other. An error is one phrase.
    pub(crate) fn connect(
        plan: Plan,
        range: Range<usize>,
        numbers: Arc<Numbers>,
        answers: Arc<AtomicU64>,
        progress: &Progress,
    ) -> Result<Self, String> {
        let system = |error: io::Error| format!("cannot prepare a load thread: {error}");
        let poll = Poll::new().map_err(system)?;
        let timer = Timer::new(&poll).map_err(system)?;
        let mut slots = Vec::with_capacity(range.len());
        for (token, slot) in range.clone().enumerate() {
            progress.at(slot as u64);
            let number = numbers.next();
            let mut connection =
                Connection::connected(plan.address, CONNECT_LIMIT, number, &plan.protocol)
                    .map_err(|error| format!("cannot connect to {}: {error}", plan.address))?;
            register(&poll, &mut connection, token).map_err(system)?;
            slots.push(Slot {
                connection: Some(connection),
                ..Slot::default()
            });
        }
        Ok(Self {
            plan,
            numbers,
            answers,
            range,
            poll,
            timer,
            slots,
        })
    }

    /// Sends and checks until the window has passed and everything is answered or given up.
    pub(crate) fn run(self, window: Window) -> io::Result<Outcome> {
        let schedule = self
            .plan
            .rate
            .map(|rate| Schedule::new(window, rate, &self.range, self.plan.connections));
        let outcome = Outcome::new(&self.plan, window);
        Run {
            buffer: vec![0; READ_BYTES.max(self.plan.protocol.message_bytes())],
            load: self,
            window,
            schedule,
            outcome,
            clock: ThreadClock::default(),
            next_sweep: window.start,
            answered: 0,
        }
        .until_finished()
    }
}

fn register(poll: &Poll, connection: &mut Connection, token: usize) -> io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut connection.stream, Token(token), interest)
}

/// A loader at work.
struct Run {
    load: Loader,
    window: Window,
    schedule: Option<Schedule>,
    outcome: Outcome,
    buffer: Vec<u8>,
    clock: ThreadClock,
    next_sweep: Instant,
    /// Answers since the last ones were added to those of all threads.
    answered: u64,
}

impl Run {
    fn until_finished(mut self) -> io::Result<Outcome> {
        std::thread::sleep(self.window.start.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        for slot in 0..self.load.slots.len() {
            self.pump(slot, now);
        }
        let mut events = Events::with_capacity(EVENTS);
        while !self.load.slots.iter().all(|slot| slot.is_finished) {
            let now = Instant::now();
            self.note_thread_times(now);
            self.release(now);
            self.sweep(now);
            if let Some(due) = self.schedule.as_ref().and_then(Schedule::next_due) {
                self.load.timer.wake_at(due, now, SWEEP)?;
            }
            match self.load.poll.poll(&mut events, Some(SWEEP)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() != Timer::TOKEN {
                    let is_ending = event.is_read_closed() || event.is_error();
                    self.handle(event.token().0, is_ending);
                }
            }
            let answered = std::mem::take(&mut self.answered);
            self.load.answers.fetch_add(answered, Ordering::Relaxed);
        }
        self.note_thread_times(self.window.end.max(Instant::now()));
        Ok(self.outcome)
    }

    fn note_thread_times(&mut self, now: Instant) {
        self.outcome
            .threads
            .extend(self.clock.note(self.window, now));
    }

    /// Sends what has become due.
    fn release(&mut self, now: Instant) {
        while let Some(schedule) = &mut self.schedule {
            let Some(number) = schedule.release(now) else {
                return;
            };
            let slot = &mut self.load.slots[number];
            let due = schedule.due(number, slot.released);
            slot.released += 1;
            let is_first_in_line = slot.released == slot.taken + 1;
            self.pump(number, now);
            let slot = &self.load.slots[number];
            if is_first_in_line && slot.taken == slot.released {
                self.outcome.late_by(due, now);
            }
        }
    }

    /// Something happened on a slot's socket.
    fn handle(&mut self, number: usize, is_ending: bool) {
        let now = Instant::now();
        let Some(connection) = &mut self.load.slots[number].connection else {
            return;
        };
        if let State::Connecting { since } = connection.state {
            match connection.finish_connecting() {
                Ok(true) => self.outcome.connected_after(since, now),
                Ok(false) => return,
                Err(error) => return self.connecting_failed(number, &error),
            }
        }
        let (outcome, answered) = (&mut self.outcome, &mut self.answered);
        let received = connection.receive(&mut self.buffer, is_ending, |request| {
            *answered += 1;
            outcome.answered(request.due, now);
        });
        match received {
            Ok(Received::Drained) => self.pump(number, now),
            Ok(Received::OutOfStep) => self.end(number, End::GivenUp, now),
            Ok(Received::EndOfStream) => {
                let is_closing = matches!(connection.state, State::Closing { .. });
                let is_clean = (is_closing || connection.is_told_to_close())
                    && connection.ledger.is_settled()
                    && !connection.is_inside_an_answer();
                let end = if is_clean { End::Clean } else { End::Broken };
                self.end(number, end, now);
            }
            Err(_) => self.end(number, End::Broken, now),
        }
    }

    /// The window has passed, and nothing more will be due.
    fn is_past(&self, now: Instant) -> bool {
        let next_due = self.schedule.as_ref().and_then(Schedule::next_due);
        now >= self.window.end && next_due.is_none()
    }

    /// Sends what a slot may send now; closes its connection when that has done its part.
    fn pump(&mut self, number: usize, now: Instant) {
        let is_past = self.is_past(now);
        let slot = &mut self.load.slots[number];
        let Some(connection) = &mut slot.connection else {
            return;
        };
        if connection.state != State::Open {
            return;
        }
        let plan = &self.load.plan;
        let is_used_up = |connection: &Connection| {
            let sent = connection.ledger.sent();
            connection.is_told_to_close() || plan.churn.is_some_and(|requests| sent >= requests)
        };
        while !is_used_up(connection) && connection.ledger.waiting() < plan.pipeline {
            match &self.schedule {
                None if now < self.window.end => connection.queue(now, now),
                Some(schedule) if slot.taken < slot.released => {
                    connection.queue(schedule.due(number, slot.taken), now);
                    slot.taken += 1;
                }
                _ => break,
            }
        }
        let mut flushed = connection.flush();
        let is_over = is_past && slot.taken == slot.released;
        let is_used_up = is_used_up(connection);
        if flushed.is_ok() && connection.ledger.is_settled() && (is_used_up || is_over) {
            flushed = connection.close(now);
        }
        if flushed.is_err() {
            self.end(number, End::Broken, now);
        }
    }

    /// A connection is over: accounts for it, and makes the slot's next one if there is need.
    fn end(&mut self, number: usize, end: End, now: Instant) {
        let slot = &mut self.load.slots[number];
        let Some(mut connection) = slot.connection.take() else {
            return;
        };
        connection.ledger.close(end == End::Broken);
        if end == End::Broken {
            connection.ledger.faults.broken += 1;
        }
        self.outcome.faults += connection.ledger.faults;
        if let Some(why) = connection.ledger.complaint.take() {
            self.outcome.complaint.get_or_insert(why);
        }
        drop(connection);
        self.reconnect(number, now);
    }

    fn reconnect(&mut self, number: usize, now: Instant) {
        let is_past = self.is_past(now);
        let slot = &mut self.load.slots[number];
        if is_past && slot.taken == slot.released {
            slot.is_finished = true;
            return;
        }
        let plan = &self.load.plan;
        let connection = self.load.numbers.next();
        let made = Connection::connecting(plan.address, now, connection, &plan.protocol).and_then(
            |mut connection| {
                register(&self.load.poll, &mut connection, number)?;
                Ok(connection)
            },
        );
        match made {
            Ok(connection) => slot.connection = Some(connection),
            Err(error) => self.connecting_failed(number, &error),
        }
    }

    /// The sweep tries again.
    fn connecting_failed(&mut self, number: usize, error: &io::Error) {
        self.load.slots[number].connection = None;
        if error.kind() == io::ErrorKind::AddrNotAvailable {
            self.outcome.port_shortages += 1;
        } else {
            self.outcome.faults.refused += 1;
        }
    }

    /// Looks for what has taken too long, at most once per [`SWEEP`].
    fn sweep(&mut self, now: Instant) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let timeout = self.load.plan.timeout;
        let is_cut_off = now >= self.window.end + timeout;
        for number in 0..self.load.slots.len() {
            let slot = &mut self.load.slots[number];
            if slot.is_finished {
                continue;
            }
            if is_cut_off {
                self.cut_off(number, now);
            }
            let slot = &mut self.load.slots[number];
            let Some(connection) = &mut slot.connection else {
                self.reconnect(number, now);
                continue;
            };
            match connection.state {
                State::Open => {}
                State::Connecting { since } | State::Closing { since }
                    if now.saturating_duration_since(since) <= timeout =>
                {
                    continue;
                }
                State::Connecting { .. } => {
                    self.connecting_failed(number, &io::ErrorKind::TimedOut.into());
                    continue;
                }
                State::Closing { .. } => {
                    self.end(number, End::Broken, now);
                    continue;
                }
            }
            let Some(limit) = now.checked_sub(timeout) else {
                continue;
            };
            let (lost, is_dead) = connection.ledger.expire(limit);
            for request in lost {
                self.outcome.given_up(request.due, now);
            }
            if is_dead {
                self.end(number, End::GivenUp, now);
            } else {
                self.pump(number, now);
            }
        }
    }

    /// The run is over: what is due and not sent never will be.
    fn cut_off(&mut self, number: usize, now: Instant) {
        let slot = &mut self.load.slots[number];
        if let Some(schedule) = &self.schedule {
            for round in slot.taken..slot.released {
                self.outcome.cut_off(schedule.due(number, round), now);
            }
        }
        slot.taken = slot.released;
    }
}
