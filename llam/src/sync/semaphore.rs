//! A counter of permits.
//!
//! Owns [`Semaphore`], over `park`. Invariant: permits are handed out in the order of asking; a large
//! request at the front holds up smaller ones behind it, so that it cannot starve.

use std::fmt;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use super::park::{Parker, WaitList, Woken, lock, wake_all};
use crate::error::{Error, Result};
use crate::time;

struct State {
    permits: usize,
    is_closed: bool,
    waiters: WaitList<usize>,
}

impl State {
    /// Serves the queue from the front.
    fn admit(&mut self) -> Vec<Woken> {
        let mut woken = Vec::new();
        while let Some(&wanted) = self.waiters.first() {
            if wanted > self.permits {
                break;
            }
            self.permits -= wanted;
            woken.extend(self.waiters.grant_first());
        }
        woken
    }

    /// Takes permits if that is possible now: `EPIPE` closed, `EAGAIN` too few.
    fn take(&mut self, wanted: usize) -> Result<()> {
        if self.is_closed {
            return Err(Error::from_errno(libc::EPIPE));
        }
        if !self.waiters.is_empty() || wanted > self.permits {
            return Err(Error::from_errno(libc::EAGAIN));
        }
        self.permits -= wanted;
        Ok(())
    }
}

/// Permits to do something, such as to have one of a limited number of connections.
///
/// Works between tasks of any runtime and host threads.
///
/// ```
/// llam::run(|| {
///     let limit = llam::sync::Semaphore::new(2);
///     let first = limit.acquire()?;
///     let second = limit.acquire()?;
///     assert!(limit.try_acquire().unwrap_err().is_would_block());
///     drop((first, second));
///     assert_eq!(limit.available_permits(), 2);
///     Ok(())
/// }).unwrap();
/// ```
pub struct Semaphore {
    state: StdMutex<State>,
}

impl Semaphore {
    /// A semaphore with this many permits.
    #[must_use]
    pub const fn new(permits: usize) -> Self {
        Self {
            state: StdMutex::new(State {
                permits,
                is_closed: false,
                waiters: WaitList::new(),
            }),
        }
    }

    /// Takes one permit, waiting for it.
    ///
    /// # Errors
    ///
    /// `EPIPE` when the semaphore is or gets closed; `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it).
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>> {
        self.acquire_many(1)
    }

    /// Takes several permits at once.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many(&self, permits: usize) -> Result<SemaphorePermit<'_>> {
        self.acquire_until(permits, u64::MAX)
    }

    /// [`acquire`](Self::acquire) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn acquire_timeout(&self, duration: Duration) -> Result<SemaphorePermit<'_>> {
        self.acquire_until(1, time::deadline_after(duration))
    }

    /// Takes one permit if there is one.
    ///
    /// # Errors
    ///
    /// `EAGAIN` none, or others wait; `EPIPE` closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>> {
        lock(&self.state).take(1)?;
        Ok(SemaphorePermit {
            semaphore: self,
            permits: 1,
        })
    }

    fn acquire_until(&self, permits: usize, deadline_ns: u64) -> Result<SemaphorePermit<'_>> {
        let taken = lock(&self.state).take(permits);
        match taken {
            Ok(()) => {}
            Err(error) if error.is_would_block() => self.wait(permits, deadline_ns)?,
            Err(error) => return Err(error),
        }
        Ok(SemaphorePermit {
            semaphore: self,
            permits,
        })
    }

    fn wait(&self, permits: usize, deadline_ns: u64) -> Result<()> {
        let parker = Parker::current()?;
        {
            let mut state = lock(&self.state);
            match state.take(permits) {
                Err(error) if error.is_would_block() => state.waiters.push(&parker, permits),
                done => return done,
            }
        }
        parker.wait(deadline_ns, || {
            let mut state = lock(&self.state);
            let was_waiting = state.waiters.remove(&parker);
            // A large request that gives up may have held up smaller ones.
            let woken = state.admit();
            drop(state);
            wake_all(woken);
            was_waiting
        })
    }

    /// Adds permits.
    pub fn add_permits(&self, permits: usize) {
        let mut state = lock(&self.state);
        state.permits = state.permits.saturating_add(permits);
        let woken = state.admit();
        drop(state);
        wake_all(woken);
    }

    /// The permits that are there now.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        lock(&self.state).permits
    }

    /// Ends it: waiters and later callers get `EPIPE`. Permits that are out may still be dropped.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        let mut woken = Vec::new();
        while let Some(waiter) = state.waiters.refuse_first(libc::EPIPE) {
            woken.push(waiter);
        }
        drop(state);
        wake_all(woken);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .finish()
    }
}

/// Permits taken; dropping gives them back.
#[derive(Debug)]
#[must_use = "the permits are given back when this is dropped"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl SemaphorePermit<'_> {
    /// Keeps the permits from coming back.
    pub fn forget(mut self) {
        self.permits = 0;
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        if self.permits != 0 {
            self.semaphore.add_permits(self.permits);
        }
    }
}
