//! A channel that keeps the latest value only.
//!
//! Owns [`Sender`] and [`Receiver`], over `sync::park`. Values are handed out as `Arc<T>`, so that no
//! lock is held while one is looked at. Works between tasks of any runtime and host threads.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sync::park::{Parker, WaitList, lock, wake_all};
use crate::time;

struct State<T> {
    value: Arc<T>,
    /// Counts sends.
    version: u64,
    has_sender: bool,
    receivers: usize,
    waiters: WaitList<()>,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// A channel whose receivers see the latest value; it starts with `initial`, which counts as seen.
///
/// ```
/// llam::run(|| {
///     let (tx, mut rx) = llam::channel::watch::channel(1);
///     tx.send(2)?;
///     tx.send(3)?;
///     assert_eq!(*rx.changed()?, 3);
///     Ok(())
/// }).unwrap();
/// ```
#[must_use]
pub fn channel<T: Send + Sync>(initial: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(State {
        value: Arc::new(initial),
        version: 0,
        has_sender: true,
        receivers: 1,
        waiters: WaitList::new(),
    }));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared, seen: 0 })
}

/// The sending side; dropping it closes the channel.
pub struct Sender<T> {
    shared: Shared<T>,
}

impl<T> Sender<T> {
    /// Replaces the value and wakes the receivers that wait. Never waits.
    ///
    /// # Errors
    ///
    /// `EPIPE` when there is no receiver; the value is kept for later ones all the same.
    pub fn send(&self, value: T) -> Result<()> {
        let value = Arc::new(value);
        let mut state = lock(&self.shared);
        let old = std::mem::replace(&mut state.value, value);
        state.version += 1;
        let has_receivers = state.receivers != 0;
        let woken = state.waiters.grant_all();
        drop(state);
        drop(old);
        wake_all(woken);
        if has_receivers {
            Ok(())
        } else {
            Err(Error::from_errno(libc::EPIPE))
        }
    }

    /// The latest value.
    #[must_use]
    pub fn value(&self) -> Arc<T> {
        Arc::clone(&lock(&self.shared).value)
    }

    /// A receiver that has seen the latest value.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        let mut state = lock(&self.shared);
        state.receivers += 1;
        Receiver {
            seen: state.version,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.has_sender = false;
        let woken = state.waiters.grant_all();
        drop(state);
        wake_all(woken);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// A receiving side. A clone has seen what the original has seen.
pub struct Receiver<T> {
    shared: Shared<T>,
    /// The version seen last.
    seen: u64,
}

impl<T> Receiver<T> {
    /// The latest value, which does not count as seen.
    #[must_use]
    pub fn value(&self) -> Arc<T> {
        Arc::clone(&lock(&self.shared).value)
    }

    /// Whether there is a value that this receiver has not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        lock(&self.shared).version != self.seen
    }

    /// Waits for a value not seen yet, and returns the latest.
    ///
    /// # Errors
    ///
    /// `EPIPE` all seen and the sender gone; `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it).
    pub fn changed(&mut self) -> Result<Arc<T>> {
        self.changed_until(u64::MAX)
    }

    /// [`changed`](Self::changed) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn changed_timeout(&mut self, duration: Duration) -> Result<Arc<T>> {
        self.changed_until(time::deadline_after(duration))
    }

    fn changed_until(&mut self, deadline_ns: u64) -> Result<Arc<T>> {
        let parker = Parker::current()?;
        loop {
            {
                let mut state = lock(&self.shared);
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(Arc::clone(&state.value));
                }
                if !state.has_sender {
                    return Err(Error::from_errno(libc::EPIPE));
                }
                state.waiters.push(&parker, ());
            }
            parker.wait(deadline_ns, || lock(&self.shared).waiters.remove(&parker))?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        lock(&self.shared).receivers += 1;
        Self {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        lock(&self.shared).receivers -= 1;
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("has_changed", &self.has_changed())
            .finish_non_exhaustive()
    }
}
