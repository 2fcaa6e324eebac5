//! One load thread: its epoll, its clients, its part of the timetable.
//!
//! Closed loop: a sender has at most `pipeline` lines that its neighbour, the next client of this thread, has
//! not had. In best-effort mode a neighbour may never get them; then they count as through after
//! [`STALL`]. Open loop: lines are due at fixed times whatever the server does.
//!
//! ```text
//!   sending ──end of the window──> flushing ──all threads have flushed──> waiting for what is missing
//!                                                                          │ all there, or silence
//!                                                                          v
//!                                                                       finished
//! ```
//!
//! Invariants: no line is made after the end that was not due before; the thread ends by itself, at
//! the latest [`DRAIN_LIMIT`] and a timeout after the end. Called by the module.

use super::client::Client;
use crate::args::Mode;
use crate::load::{Schedule, ThreadClock, ThreadLoad, Timer, Window, histogram, record};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EVENTS: usize = 1024;
const READ_BYTES: usize = 128 * 1024;

/// How often what seldom happens is looked for.
const SWEEP: Duration = Duration::from_millis(20);

/// When a neighbour that may miss lines has missed them, and the sender goes on.
const STALL: Duration = Duration::from_millis(50);

/// How long nothing may come before what is missing counts as dropped, where the server may drop.
const SILENCE: Duration = Duration::from_millis(500);

/// How long the server may go on delivering after the end.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Lines per second of all senders; `None` is a closed loop.
    pub(super) rate: Option<f64>,
    pub(super) pipeline: u64,
    pub(super) mode: Mode,
    pub(super) timeout: Duration,
    pub(super) threads: usize,
    /// Of all threads.
    pub(super) senders: usize,
    pub(super) clients: usize,
}

/// What the threads tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Threads whose senders have sent everything, and how much that was.
    flushed: AtomicUsize,
    sent: AtomicU64,
    /// For whoever watches.
    pub(super) delivered: AtomicU64,
}

/// What one thread, or all together, measured.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Deliveries, and lines sent, within the window.
    pub(super) deliveries: u64,
    pub(super) lines: u64,
    /// Of deliveries, from when the line was due (closed loop: sent).
    pub(super) latency: Histogram<u64>,
    /// Of lines whose sender was free when they were due: the load side's own delay.
    pub(super) lateness: Histogram<u64>,
    /// Lines that were due and never sent; their deliveries are in `latency` with the time so far.
    pub(super) unfinished: u64,
    /// Times that a sender went on though its neighbour had not had its lines.
    pub(super) stalls: u64,
    pub(super) threads: Vec<ThreadLoad>,
}

impl Outcome {
    pub(super) fn new() -> Self {
        Self {
            deliveries: 0,
            lines: 0,
            latency: histogram(),
            lateness: histogram(),
            unfinished: 0,
            stalls: 0,
            threads: Vec::new(),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let add = |to: &mut Histogram<u64>, from| {
            to.add(from).expect("histograms that grow can be added");
        };
        add(&mut self.latency, &other.latency);
        add(&mut self.lateness, &other.lateness);
        self.deliveries += other.deliveries;
        self.lines += other.lines;
        self.unfinished += other.unfinished;
        self.stalls += other.stalls;
        self.threads.extend_from_slice(&other.threads);
    }
}

/// A thread's clients before the start.
#[derive(Debug)]
pub(super) struct Talk {
    plan: Plan,
    shared: Arc<Shared>,
    poll: Poll,
    timer: Timer,
    clients: Vec<Client<TcpStream>>,
    /// The senders of this thread, among all.
    senders: Range<usize>,
    /// The place of each of them in `clients`, and the other way round.
    places: Vec<usize>,
    speakers: Vec<Option<usize>>,
}

impl Talk {
    /// Takes clients that are in the room. Those that send have consecutive numbers as senders.
    pub(super) fn new(
        plan: Plan,
        shared: Arc<Shared>,
        joined: Vec<Client<std::net::TcpStream>>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(&poll)?;
        let mut clients = Vec::with_capacity(joined.len());
        let (mut places, mut speakers) = (Vec::new(), Vec::new());
        let mut first = None;
        for (place, client) in joined.into_iter().enumerate() {
            let mut client = client.with_stream(|stream| {
                stream.set_nonblocking(true)?;
                Ok(TcpStream::from_std(stream))
            })?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut client.stream, Token(place), interest)?;
            speakers.push(client.saying.as_ref().map(|saying| {
                first.get_or_insert(saying.number as usize);
                places.push(place);
                places.len() - 1
            }));
            clients.push(client);
        }
        let first = first.unwrap_or(0);
        Ok(Self {
            plan,
            shared,
            poll,
            timer,
            clients,
            senders: first..first + places.len(),
            places,
            speakers,
        })
    }

    /// Talks until everything has come, or nothing comes any more.
    pub(super) fn run(
        self,
        window: Window,
    ) -> io::Result<(Outcome, Vec<Client<std::net::TcpStream>>)> {
        let schedule = self
            .plan
            .rate
            .filter(|_| !self.senders.is_empty())
            .map(|rate| Schedule::new(window, rate, &self.senders, self.plan.senders));
        let mut run = Run {
            talk: self,
            window,
            schedule,
            outcome: Outcome::new(),
            buffer: vec![0; READ_BYTES],
            clock: ThreadClock::default(),
            next_sweep: window.start,
            delivered: 0,
            has_flushed: false,
            quiet_since: None,
        };
        run.until_finished()?;
        let clients = run.talk.clients.into_iter();
        let clients = clients.map(|client| {
            client.with_stream(|stream| {
                let stream = std::net::TcpStream::from(stream);
                stream.set_nonblocking(false)?;
                Ok(stream)
            })
        });
        Ok((run.outcome, clients.collect::<io::Result<_>>()?))
    }
}

/// A thread at work.
struct Run {
    talk: Talk,
    window: Window,
    schedule: Option<Schedule>,
    outcome: Outcome,
    buffer: Vec<u8>,
    clock: ThreadClock,
    next_sweep: Instant,
    /// Lines that were new to their receivers, since the start.
    delivered: u64,
    /// This thread's senders have sent everything, and the others know.
    has_flushed: bool,
    /// When something came last, once all threads have flushed.
    quiet_since: Option<Instant>,
}

impl Run {
    fn until_finished(&mut self) -> io::Result<()> {
        std::thread::sleep(self.window.start.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        for sender in 0..self.talk.places.len() {
            self.pump(sender, now);
        }
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let now = Instant::now();
            self.outcome
                .threads
                .extend(self.clock.note(self.window, now));
            self.release(now);
            self.sweep(now);
            if self.is_finished(now) {
                break;
            }
            if let Some(due) = self.schedule.as_ref().and_then(Schedule::next_due) {
                self.talk.timer.wake_at(due, now, SWEEP)?;
            }
            match self.talk.poll.poll(&mut events, Some(SWEEP)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let before = self.delivered;
            for event in &events {
                if event.token() != Timer::TOKEN {
                    let is_ending = event.is_read_closed() || event.is_error();
                    self.handle(event.token().0, is_ending);
                }
            }
            let new = self.delivered - before;
            self.talk.shared.delivered.fetch_add(new, Ordering::Relaxed);
        }
        let now = self.window.end.max(Instant::now());
        self.outcome
            .threads
            .extend(self.clock.note(self.window, now));
        Ok(())
    }

    /// Sends what has become due.
    fn release(&mut self, now: Instant) {
        while let Some(schedule) = &mut self.schedule {
            let Some(sender) = schedule.release(now) else {
                return;
            };
            let place = self.talk.places[sender];
            let Some(saying) = &mut self.talk.clients[place].saying else {
                return;
            };
            let due = schedule.due(sender, saying.released);
            let is_first_in_line = saying.released == saying.sent;
            saying.released += 1;
            self.pump(sender, now);
            let saying = self.talk.clients[place].saying.as_ref();
            let is_sent = saying.is_some_and(|saying| saying.sent == saying.released);
            if is_first_in_line && is_sent && self.window.is_measured(due) {
                let late = now.saturating_duration_since(due);
                record(&mut self.outcome.lateness, late);
            }
        }
    }

    /// Sends what a sender may send now.
    fn pump(&mut self, sender: usize, now: Instant) {
        let client = &mut self.talk.clients[self.talk.places[sender]];
        while let Some(saying) = &client.saying
            && !client.is_over
        {
            let due = match &self.schedule {
                None if now < self.window.end
                    && saying.sent - saying.through < self.talk.plan.pipeline =>
                {
                    now
                }
                Some(schedule) if saying.sent < saying.released && saying.has_room() => {
                    schedule.due(sender, saying.sent)
                }
                _ => break,
            };
            let since = due.saturating_duration_since(self.window.start);
            client.say(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), now);
            self.outcome.lines += u64::from(self.window.is_measured(now));
        }
        client.flush();
    }

    /// Something happened on a client's socket.
    fn handle(&mut self, place: usize, is_ending: bool) {
        let now = Instant::now();
        let clients = &mut self.talk.clients;
        let neighbour = (place + clients.len() - 1) % clients.len();
        let watched = clients[neighbour]
            .saying
            .as_ref()
            .map(|saying| saying.number);
        let mut came_through = None;
        let (outcome, window, delivered) = (&mut self.outcome, self.window, &mut self.delivered);
        clients[place].receive(&mut self.buffer, is_ending, &mut |line| {
            *delivered += 1;
            outcome.deliveries += u64::from(window.is_measured(now));
            let due = window.start + Duration::from_nanos(line.due_ns);
            if window.is_measured(due) {
                record(&mut outcome.latency, now.saturating_duration_since(due));
            }
            if watched == Some(line.sender) {
                came_through = came_through.max(Some(line.sequence));
            }
            self.quiet_since = self.quiet_since.and(Some(now));
        });
        if let Some(sequence) = came_through
            && let Some(saying) = &mut clients[neighbour].saying
        {
            saying.came_through(sequence, now);
            if let Some(sender) = self.talk.speakers[neighbour] {
                self.pump(sender, now);
            }
        }
        if let Some(sender) = self.talk.speakers[place] {
            self.pump(sender, now);
        }
    }

    /// Looks for senders that wait in vain, at most once per [`SWEEP`].
    fn sweep(&mut self, now: Instant) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let is_cut_off = now >= self.window.end + self.talk.plan.timeout;
        for sender in 0..self.talk.places.len() {
            let Some(saying) = &mut self.talk.clients[self.talk.places[sender]].saying else {
                continue;
            };
            let may_drop = self.talk.plan.mode == Mode::BestEffort && self.schedule.is_none();
            let is_waiting = saying.through < saying.sent;
            if may_drop && is_waiting && now.saturating_duration_since(saying.moved) > STALL {
                saying.through = saying.sent;
                self.outcome.stalls += 1;
            }
            if is_cut_off {
                self.cut_off(sender, now);
            }
            self.pump(sender, now);
        }
    }

    /// What is due and not sent never will be.
    fn cut_off(&mut self, sender: usize, now: Instant) {
        let client = &mut self.talk.clients[self.talk.places[sender]];
        let (Some(saying), Some(schedule)) = (&mut client.saying, &self.schedule) else {
            return;
        };
        let receivers = self.talk.plan.clients as u64 - 1;
        for round in saying.sent..saying.released {
            let due = schedule.due(sender, round);
            if self.window.is_measured(due) {
                self.outcome.unfinished += 1;
                let time = now.saturating_duration_since(due).as_nanos();
                let time = u64::try_from(time).unwrap_or(u64::MAX);
                self.outcome
                    .latency
                    .record_n(time.max(1), receivers)
                    .expect("a histogram that grows takes every value");
            }
        }
        saying.released = saying.sent;
    }

    fn is_finished(&mut self, now: Instant) -> bool {
        if now < self.window.end {
            return false;
        }
        if now > self.window.end + self.talk.plan.timeout + DRAIN_LIMIT {
            // The others must not wait for this thread.
            self.note_flushed();
            return true;
        }
        if !self.has_flushed {
            let next_due = self.schedule.as_ref().and_then(Schedule::next_due);
            let has_said_all = |client: &Client<TcpStream>| {
                client.is_over
                    || client.saying.as_ref().is_none_or(|saying| {
                        saying.is_flushed()
                            && (self.schedule.is_none() || saying.sent == saying.released)
                    })
            };
            if next_due.is_some() || !self.talk.clients.iter().all(has_said_all) {
                return false;
            }
            self.note_flushed();
        }
        let shared = &self.talk.shared;
        if shared.flushed.load(Ordering::Acquire) < self.talk.plan.threads {
            return false;
        }
        let clients = &self.talk.clients;
        let own: u64 = clients.iter().filter_map(sent).sum();
        let expected = shared.sent.load(Ordering::Relaxed) * clients.len() as u64 - own;
        let quiet_since = *self.quiet_since.get_or_insert(now);
        let silence = match self.talk.plan.mode {
            Mode::Lossless => self.talk.plan.timeout,
            Mode::BestEffort => self.talk.plan.timeout.min(SILENCE),
        };
        self.delivered >= expected
            || clients.iter().all(|client| client.is_over)
            || now.saturating_duration_since(quiet_since) > silence
    }

    fn note_flushed(&mut self) {
        if !self.has_flushed {
            self.has_flushed = true;
            let sent: u64 = self.talk.clients.iter().filter_map(sent).sum();
            self.talk.shared.sent.fetch_add(sent, Ordering::Relaxed);
            self.talk.shared.flushed.fetch_add(1, Ordering::Release);
        }
    }
}

fn sent(client: &Client<TcpStream>) -> Option<u64> {
    client.saying.as_ref().map(|saying| saying.sent)
}
