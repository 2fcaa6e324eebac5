//! A wake-up call without data.
//!
//! Owns [`Notify`], over `park`.

use std::fmt;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use super::park::{Parker, WaitList, lock, wake_all};
use crate::error::Result;
use crate::time;

struct State {
    /// A call that nobody waited for.
    is_notified: bool,
    waiters: WaitList<()>,
}

/// Wakes tasks that wait for something to look at. One call is remembered when nobody waits.
///
/// Works between tasks of any runtime and host threads.
///
/// ```
/// llam::run(|| {
///     let notify = llam::sync::Notify::new();
///     notify.notify_one();
///     notify.wait()
/// }).unwrap();
/// ```
pub struct Notify {
    state: StdMutex<State>,
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notify {
    /// Nothing remembered, nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: StdMutex::new(State {
                is_notified: false,
                waiters: WaitList::new(),
            }),
        }
    }

    /// Wakes the longest waiter; with none, the next [`wait`](Self::wait) returns at once. Never
    /// waits.
    pub fn notify_one(&self) {
        let mut state = lock(&self.state);
        let woken = state.waiters.grant_first();
        if woken.is_none() {
            state.is_notified = true;
        }
        drop(state);
        if let Some(waiter) = woken {
            waiter.wake();
        }
    }

    /// Wakes all that wait now; remembers nothing. Never waits.
    pub fn notify_waiters(&self) {
        let woken = lock(&self.state).waiters.grant_all();
        wake_all(woken);
    }

    /// Waits for a call.
    ///
    /// # Errors
    ///
    /// `ECANCELED`; `ETIMEDOUT` (a [`timeout`](fn@crate::time::timeout) around it). No call is used up
    /// then.
    pub fn wait(&self) -> Result<()> {
        self.wait_until(u64::MAX)
    }

    /// [`wait`](Self::wait) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn wait_timeout(&self, duration: Duration) -> Result<()> {
        self.wait_until(time::deadline_after(duration))
    }

    fn wait_until(&self, deadline_ns: u64) -> Result<()> {
        if std::mem::take(&mut lock(&self.state).is_notified) {
            return Ok(());
        }
        let parker = Parker::current()?;
        {
            let mut state = lock(&self.state);
            if std::mem::take(&mut state.is_notified) {
                return Ok(());
            }
            state.waiters.push(&parker, ());
        }
        parker.wait(deadline_ns, || lock(&self.state).waiters.remove(&parker))
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}
