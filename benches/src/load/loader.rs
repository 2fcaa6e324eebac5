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

use super::connection::{Connection, Received, State};
use super::outcome::{Outcome, ThreadLoad};
use super::schedule::{Schedule, Window};
use super::{CONNECT_LIMIT, Numbers, Plan};
use crate::process;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EVENTS: usize = 1024;
const READ_BYTES: usize = 128 * 1024;

/// How often what never happens is looked for: timeouts and reconnects that failed.
const SWEEP: Duration = Duration::from_millis(20);

/// The token of the timer; slots have theirs from 0.
const TIMER: Token = Token(usize::MAX);

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
    range: Range<usize>,
    poll: Poll,
    timer: OwnedFd,
    slots: Vec<Slot>,
}

impl Loader {
    /// Makes the connections of the slots in `range`, one after the other. An error is one phrase.
    pub(crate) fn connect(
        plan: Plan,
        range: Range<usize>,
        numbers: Arc<Numbers>,
    ) -> Result<Self, String> {
        let system = |error: io::Error| format!("cannot prepare a load thread: {error}");
        let poll = Poll::new().map_err(system)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .map_err(|error| system(error.into()))?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)
            .map_err(system)?;
        let mut slots = Vec::with_capacity(range.len());
        for token in 0..range.len() {
            let number = numbers.next();
            let mut connection =
                Connection::connected(plan.address, CONNECT_LIMIT, number, plan.size)
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
            buffer: vec![0; READ_BYTES.max(self.plan.size)],
            load: self,
            window,
            schedule,
            outcome,
            measured: None,
            next_sweep: window.start,
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
    /// The thread's times and the instant when the measured window opened.
    measured: Option<(Instant, Duration, Duration)>,
    next_sweep: Instant,
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
            self.set_timer(now)?;
            match self.load.poll.poll(&mut events, Some(SWEEP)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() != TIMER {
                    let is_ending = event.is_read_closed() || event.is_error();
                    self.handle(event.token().0, is_ending);
                }
            }
        }
        self.note_thread_times(self.window.end.max(Instant::now()));
        Ok(self.outcome)
    }

    /// Takes the thread's times when the window opens, and their difference when it closes.
    fn note_thread_times(&mut self, now: Instant) {
        if !self.outcome.threads.is_empty() || now < self.window.measure_from {
            return;
        }
        let Some((opened, running, waiting)) = self.measured else {
            let (running, waiting) = process::thread_times();
            self.measured = Some((now, running, waiting));
            return;
        };
        if now >= self.window.end {
            let (running_now, waiting_now) = process::thread_times();
            let wall = now.saturating_duration_since(opened).as_secs_f64();
            let share = |time: Duration| time.as_secs_f64() / wall.max(f64::MIN_POSITIVE);
            self.outcome.threads.push(ThreadLoad {
                running: share(running_now.saturating_sub(running)),
                waiting: share(waiting_now.saturating_sub(waiting)),
            });
        }
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

    /// Wakes the thread when the next request is due: epoll itself counts in milliseconds.
    fn set_timer(&self, now: Instant) -> io::Result<()> {
        let Some(due) = self.schedule.as_ref().and_then(Schedule::next_due) else {
            return Ok(());
        };
        let wait = due.saturating_duration_since(now);
        if wait >= SWEEP {
            return Ok(());
        }
        let wait = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: 0,
                // Zero would disarm the timer.
                tv_nsec: i64::from(wait.subsec_nanos().max(1)),
            },
        };
        timerfd_settime(&self.load.timer, TimerfdTimerFlags::empty(), &wait)?;
        Ok(())
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
        let outcome = &mut self.outcome;
        let received = connection.receive(&mut self.buffer, is_ending, |request| {
            outcome.answered(request.due, now);
        });
        match received {
            Ok(Received::Drained) => self.pump(number, now),
            Ok(Received::OutOfStep) => self.end(number, End::GivenUp, now),
            Ok(Received::EndOfStream) => {
                let is_clean = matches!(connection.state, State::Closing { .. })
                    && connection.ledger.is_settled()
                    && !connection.is_inside_a_message();
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
            plan.churn
                .is_some_and(|requests| connection.ledger.sent() >= requests)
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
        let made = Connection::connecting(plan.address, now, connection, plan.size).and_then(
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
