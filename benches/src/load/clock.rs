//! The time of a load thread: being woken when something is due, and how busy it was.
//!
//! Called by the threads of `load` and `fanout`.

use super::outcome::ThreadLoad;
use super::schedule::Window;
use crate::process;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::time::{Duration, Instant};

/// A timer for a thread that waits in epoll, which itself counts in milliseconds.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

impl Timer {
    /// What its event has as token; others count from 0.
    pub(crate) const TOKEN: Token = Token(usize::MAX);

    pub(crate) fn new(poll: &Poll) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        poll.registry().register(
            &mut SourceFd(&timer.as_raw_fd()),
            Self::TOKEN,
            Interest::READABLE,
        )?;
        Ok(Self(timer))
    }

    /// Wakes the thread at `due`, unless that is later than `limit` (at most a second) from now: then it
    /// wakes by itself before.
    pub(crate) fn wake_at(&self, due: Instant, now: Instant, limit: Duration) -> io::Result<()> {
        let wait = due.saturating_duration_since(now);
        if wait >= limit {
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
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &wait)?;
        Ok(())
    }
}

/// How busy the calling thread was in the measured window.
#[derive(Debug, Default)]
pub(crate) struct ThreadClock {
    /// When the window opened, and the thread's times then.
    opened: Option<(Instant, Duration, Duration)>,
    is_read: bool,
}

impl ThreadClock {
    /// To be called often. Takes the thread's times when the window opens, and gives their difference
    /// once, when it closes.
    pub(crate) fn note(&mut self, window: Window, now: Instant) -> Option<ThreadLoad> {
        if self.is_read || now < window.measure_from {
            return None;
        }
        let Some((opened, running, waiting)) = self.opened else {
            let (running, waiting) = process::thread_times();
            self.opened = Some((now, running, waiting));
            return None;
        };
        if now < window.end {
            return None;
        }
        self.is_read = true;
        let (running_now, waiting_now) = process::thread_times();
        let wall = now.saturating_duration_since(opened).as_secs_f64();
        let share = |time: Duration| time.as_secs_f64() / wall.max(f64::MIN_POSITIVE);
        Some(ThreadLoad {
            running: share(running_now.saturating_sub(running)),
            waiting: share(waiting_now.saturating_sub(waiting)),
        })
    }
}
