//! The readiness backend: a call that would block registers the descriptor and waits.
//!
//! Works wherever mio does. Registrations are edge-triggered and live in the kernel; this
//! file remembers them per descriptor number:
//!
//! - for an adopted number (`descriptors`) a registration that covers the interest is
//!   trusted: waiting costs no system call;
//! - for any other number each wait registers anew. The kernel's answer tells whether the
//!   number still means the object registered before. If it does not, the waiters of the
//!   old object get `EBADF` and never touch the new one.
//!
//! No edge is lost: a task tries its call first, then waits; what becomes ready after the
//! failed try is an edge that the next `wait` reports on this same thread.
//!
//! A read that did not fill its buffer has emptied a TCP socket, so the next one need not be tried before
//! it waits: that is one system call in four of an echo server. It holds while the registration is
//! trusted, until an edge comes, and never once the peer has finished or sent urgent data, which both end
//! a read early without an edge to come.

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::descriptors;
use crate::bell::Bell;
use crate::runtime::stats::Counters;
use crate::task::Task;
use crate::wait::{Armed, Reason};

/// Events taken per system call.
const EVENTS: usize = 512;
const BELL: Token = Token(usize::MAX);
/// Timeouts below this get a wait of nanosecond precision first.
const COARSE_NS: u64 = 4_000_000;

/// What a wait is for.
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;
pub(crate) const PRIORITY: u8 = 4;

/// A task that waits for a descriptor, on that task's stack.
pub(crate) struct ReadyWait {
    next: Cell<*const ReadyWait>,
    prev: Cell<*const ReadyWait>,
    linked: Cell<bool>,
    task: &'static Task,
    armed: Armed,
    fd: RawFd,
    interest: u8,
    /// The descriptor number means another object now.
    stale: Cell<bool>,
}

impl ReadyWait {
    /// A wait of `events` (bits of `poll(2)`).
    pub(crate) fn new(task: &'static Task, armed: Armed, fd: RawFd, events: i16) -> Self {
        let mut interest = 0;
        if events & libc::POLLIN != 0 {
            interest |= READ;
        }
        if events & libc::POLLOUT != 0 {
            interest |= WRITE;
        }
        if events & libc::POLLPRI != 0 {
            interest |= PRIORITY;
        }
        Self {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            linked: Cell::new(false),
            task,
            armed,
            fd,
            // Errors and hang-ups are reported to whoever waits for anything; something has to be
            // asked for, and urgent data is the rarest.
            interest: if interest == 0 { PRIORITY } else { interest },
            stale: Cell::new(false),
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.get()
    }
}

/// What is registered for a descriptor number.
#[derive(Clone, Copy)]
struct Entry {
    first: *const ReadyWait,
    registered: bool,
    interest: u8,
    /// Tells events of this registration from those of earlier ones.
    round: u32,
    /// The number's stamp when it was registered, if it was adopted.
    stamp: Option<u32>,
    read: ReadState,
}

/// What is known of reading from a registered descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadState {
    /// Try first. Whether it is a TCP socket was not asked yet.
    Unknown,
    /// Try first. A TCP socket.
    Maybe,
    /// Nothing to read, and an edge will tell of more. A TCP socket.
    Drained,
    /// Always try first.
    Always,
}

const UNKNOWN: Entry = Entry {
    first: ptr::null(),
    registered: false,
    interest: 0,
    round: 0,
    stamp: None,
    read: ReadState::Unknown,
};

pub(crate) struct Readiness {
    poll: Poll,
    events: Events,
    entries: Vec<Entry>,
    bell: RawFd,
}

/// Outcome of linking a wait in.
pub(crate) enum Registered {
    /// The task must park.
    Waiting,
    /// The descriptor cannot be waited for: it never blocks (a regular file).
    AlwaysReady,
}

impl Readiness {
    pub(super) fn open(bell: RawFd) -> io::Result<Self> {
        let poll = Poll::new()?;
        Bell::silence(bell);
        poll.registry()
            .register(&mut SourceFd(&bell), BELL, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            entries: Vec::new(),
            bell,
        })
    }

    /// Links a wait in; the task parks after it.
    ///
    /// # Safety
    /// `wait` stays in place until `unlink` was called for it.
    pub(crate) unsafe fn link(
        &mut self,
        wait: &ReadyWait,
        counters: &Counters,
    ) -> Result<Registered, i32> {
        let index = usize::try_from(wait.fd).map_err(|_| libc::EBADF)?;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, UNKNOWN);
        }
        let entry = self.entries[index];
        let trusted = entry.registered
            && entry.interest & wait.interest == wait.interest
            && entry.stamp.is_some()
            && entry.stamp == descriptors::adopted_stamp(wait.fd);
        if !trusted {
            match self.register(index, wait, counters) {
                Ok(()) => {}
                Err(libc::EPERM) => return Ok(Registered::AlwaysReady),
                Err(error) => return Err(error),
            }
        }
        let entry = &mut self.entries[index];
        wait.next.set(entry.first);
        wait.prev.set(ptr::null());
        if !entry.first.is_null() {
            // SAFETY: linked waits stay in place.
            unsafe { (*entry.first).prev.set(wait) };
        }
        entry.first = wait;
        wait.linked.set(true);
        Ok(Registered::Waiting)
    }

    /// Unlinks a wait whose park has ended.
    pub(crate) fn unlink(&mut self, wait: &ReadyWait) {
        if !wait.linked.replace(false) {
            return;
        }
        let (prev, next) = (wait.prev.get(), wait.next.get());
        // SAFETY: linked neighbours stay in place.
        unsafe {
            if prev.is_null() {
                self.entries[wait.fd as usize].first = next;
            } else {
                (*prev).next.set(next);
            }
            if !next.is_null() {
                (*next).prev.set(prev);
            }
        }
    }

    fn register(&mut self, index: usize, wait: &ReadyWait, counters: &Counters) -> Result<(), i32> {
        counters.io_submits.bump();
        counters.io_submit_calls.bump();
        let stamp = descriptors::adopted_stamp(wait.fd);
        let mut entry = self.entries[index];
        // Interests that others still wait for are kept; with a trusted number also those
        // of the past, so that they need not be registered again.
        let keep = if stamp.is_some() && entry.stamp == stamp {
            entry.interest
        } else {
            0
        };
        let mut interest = wait.interest | keep | self.waiting_interest(index);
        if stamp.is_some() && interest & READ != 0 {
            // Urgent data ends reads early: see `ReadState`.
            interest |= PRIORITY;
        }
        let fd = wait.fd;
        let again = |this: &Self, round| {
            this.poll.registry().reregister(
                &mut SourceFd(&fd),
                token(fd, round),
                mio_interest(interest),
            )
        };
        if entry.registered {
            match again(self, entry.round).map_err(code) {
                Err(libc::ENOENT) => {
                    self.fail_stale(index);
                    entry.registered = false;
                }
                Err(error) => {
                    if error == libc::EBADF {
                        self.fail_stale(index);
                        self.entries[index].registered = false;
                    }
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        if !entry.registered {
            entry.round = entry.round.wrapping_add(1);
            let made = self.poll.registry().register(
                &mut SourceFd(&fd),
                token(fd, entry.round),
                mio_interest(interest),
            );
            match made.map_err(code) {
                // Registered by a duplicate of ours under the same number: same object.
                Err(libc::EEXIST) => again(self, entry.round).map_err(code)?,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
        entry.first = self.entries[index].first;
        self.entries[index] = Entry {
            registered: true,
            interest,
            stamp,
            read: ReadState::Unknown,
            ..entry
        };
        Ok(())
    }

    /// Whether the registration of an adopted number covers reading.
    #[inline]
    fn hears_of_reads(entry: &Entry, fd: RawFd) -> bool {
        const NEEDED: u8 = READ | PRIORITY;
        entry.registered
            && entry.interest & NEEDED == NEEDED
            && entry.stamp.is_some()
            && entry.stamp == descriptors::adopted_stamp(fd)
    }

    /// Whether a read of this descriptor would find nothing; an edge will tell of more.
    #[inline]
    pub(crate) fn is_drained(&self, fd: RawFd) -> bool {
        usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get(index))
            .is_some_and(|entry| {
                entry.read == ReadState::Drained && Self::hears_of_reads(entry, fd)
            })
    }

    /// A read has just returned less than it had room for.
    #[inline]
    pub(crate) fn note_short_read(&mut self, fd: RawFd) {
        let entry = usize::try_from(fd)
            .ok()
            .and_then(|index| self.entries.get_mut(index));
        let Some(entry) = entry.filter(|entry| Self::hears_of_reads(entry, fd)) else {
            return;
        };
        entry.read = match entry.read {
            ReadState::Unknown if is_tcp(fd) => ReadState::Drained,
            ReadState::Unknown | ReadState::Always => ReadState::Always,
            ReadState::Maybe | ReadState::Drained => ReadState::Drained,
        };
    }

    fn waiting_interest(&self, index: usize) -> u8 {
        let mut interest = 0;
        let mut wait = self.entries[index].first;
        while !wait.is_null() {
            // SAFETY: linked waits stay in place.
            unsafe {
                interest |= (*wait).interest;
                wait = (*wait).next.get();
            }
        }
        interest
    }

    /// The number means another object now: whoever waits for the old one is told so by
    /// `wait`, which finds them marked.
    fn fail_stale(&mut self, index: usize) {
        let mut wait = self.entries[index].first;
        while !wait.is_null() {
            // SAFETY: linked waits stay in place; their tasks run later.
            let stale = unsafe { &*wait };
            wait = stale.next.get();
            stale.stale.set(true);
            self.unlink(stale);
            if stale.task.wait.claim(stale.armed, Reason::Completed) {
                crate::worker::make_runnable(stale.task);
            }
        }
    }

    /// Ends every wait; the tasks try again.
    pub(super) fn retire(&mut self, ready: &mut dyn FnMut(&'static Task)) {
        for index in 0..self.entries.len() {
            while !self.entries[index].first.is_null() {
                // SAFETY: linked waits stay in place; their tasks run later.
                let waiting = unsafe { &*self.entries[index].first };
                self.unlink(waiting);
                if waiting.task.wait.claim(waiting.armed, Reason::Completed) {
                    ready(waiting.task);
                }
            }
        }
    }

    pub(super) fn set_bell(&mut self, bell: RawFd) {
        let registry = self.poll.registry();
        let _ = registry.deregister(&mut SourceFd(&self.bell));
        Bell::silence(bell);
        // Without its bell the worker would sleep through wakes: better to say so at once.
        registry
            .register(&mut SourceFd(&bell), BELL, Interest::READABLE)
            .expect("a bell can be registered");
        self.bell = bell;
    }

    /// Takes events and ends the parks they answer.
    pub(super) fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        counters: &Counters,
        ready: &mut dyn FnMut(&'static Task),
    ) {
        counters.io_submit_syscalls.bump();
        let timeout = match timeout_ns {
            Some(0) => Some(Duration::ZERO),
            Some(precise) if precise < COARSE_NS && self.wait_precisely(precise) => {
                Some(Duration::ZERO)
            }
            other => other.map(Duration::from_nanos),
        };
        if self.poll.poll(&mut self.events, timeout).is_err() {
            return;
        }
        // Taken out so that entries can be changed while events are read.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == BELL {
                Bell::silence(self.bell);
                continue;
            }
            let mut interest = 0;
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                interest |= READ;
            }
            if event.is_writable() || event.is_write_closed() || event.is_error() {
                interest |= WRITE;
            }
            let is_hung_up = event.is_read_closed() && event.is_write_closed();
            if event.is_priority() || event.is_error() || is_hung_up {
                interest |= PRIORITY;
            }
            let ends_reads = event.is_read_closed()
                || event.is_write_closed()
                || event.is_error()
                || event.is_priority();
            self.dispatch(event.token(), interest, ends_reads, counters, ready);
        }
        self.events = events;
    }

    fn dispatch(
        &mut self,
        token: Token,
        interest: u8,
        ends_reads: bool,
        counters: &Counters,
        ready: &mut dyn FnMut(&'static Task),
    ) {
        let (index, round) = (token.0 & 0xffff_ffff, (token.0 >> 32) as u32);
        let Some(entry) = self.entries.get(index).filter(|entry| entry.round == round) else {
            return;
        };
        let mut wait = entry.first;
        if interest & READ != 0 && self.entries[index].read == ReadState::Drained {
            self.entries[index].read = ReadState::Maybe;
        }
        if ends_reads {
            self.entries[index].read = ReadState::Always;
        }
        while !wait.is_null() {
            // SAFETY: linked waits stay in place; their tasks run after this loop.
            let waiting = unsafe { &*wait };
            wait = waiting.next.get();
            if waiting.interest & interest == 0 {
                continue;
            }
            self.unlink(waiting);
            if waiting.task.wait.claim(waiting.armed, Reason::Completed) {
                counters.io_completions.bump();
                ready(waiting.task);
            }
        }
    }

    /// Waits with nanosecond precision; true when the time or an event has come. The poll
    /// itself counts in milliseconds.
    #[cfg(target_os = "linux")]
    fn wait_precisely(&self, timeout_ns: u64) -> bool {
        use std::os::fd::AsRawFd;
        let mut watched = libc::pollfd {
            fd: self.poll.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout = crate::clock::timespec(timeout_ns);
        // SAFETY: one valid pollfd, a valid timeout, no signal mask.
        unsafe { libc::ppoll(&mut watched, 1, &timeout, ptr::null()) };
        true
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_precisely(&self, _timeout_ns: u64) -> bool {
        false
    }
}

/// Whether the descriptor is a TCP socket. Other streams may end a read early although there is more: local
/// ones do so between messages with descriptors or credentials.
#[cfg(target_os = "linux")]
#[cold]
fn is_tcp(fd: RawFd) -> bool {
    let mut protocol: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: value and length are valid places of the right size.
    let status = crate::errno::preserve(|| unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_PROTOCOL,
            (&raw mut protocol).cast(),
            &mut length,
        )
    });
    status == 0 && protocol == libc::IPPROTO_TCP
}

/// Not known elsewhere: the try comes first.
#[cfg(not(target_os = "linux"))]
fn is_tcp(_fd: RawFd) -> bool {
    false
}

fn token(fd: RawFd, round: u32) -> Token {
    Token((round as usize) << 32 | fd as usize)
}

fn mio_interest(interest: u8) -> Interest {
    let mut all = None;
    let mut add = |more: Interest| {
        all = Some(all.map_or(more, |all: Interest| all.add(more)));
    };
    if interest & READ != 0 {
        add(Interest::READABLE);
    }
    if interest & WRITE != 0 {
        add(Interest::WRITABLE);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if interest & PRIORITY != 0 {
        add(Interest::PRIORITY);
    }
    all.unwrap_or(Interest::READABLE)
}

fn code(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(match error.kind() {
        io::ErrorKind::AlreadyExists => libc::EEXIST,
        io::ErrorKind::NotFound => libc::ENOENT,
        _ => libc::EIO,
    })
}
