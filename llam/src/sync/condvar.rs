//! A condition variable between tasks of one runtime.
//!
//! Owns [`Condvar`] over `llam_cond_*` (`abi.md` 4.11, 5.8). Invariant: a wait ends with the mutex held
//! again, however it ends, so the guard that went in is right to come out, or to unlock.

use std::fmt;
use std::time::Duration;

use super::mutex::MutexGuard;
use crate::error::{Error, Result, check};
use crate::host;
use crate::sys;
use crate::time;

/// Lets tasks wait until something protected by a [`Mutex`](super::Mutex) may have changed.
///
/// First come, first served; a signal without waiters is lost. It belongs to a runtime as a mutex
/// does. Tasks that wait at the same time should wait with the same mutex; nothing breaks otherwise,
/// but a condition looked at under two locks is hard to get right.
///
/// ```
/// use std::sync::Arc;
/// use llam::sync::{Condvar, Mutex};
/// llam::run(|| {
///     let pair = Arc::new((Mutex::new(false)?, Condvar::new()?));
///     let other = Arc::clone(&pair);
///     llam::spawn(move || {
///         *other.0.lock().unwrap() = true;
///         other.1.notify_one().unwrap();
///     });
///     let mut ready = pair.0.lock()?;
///     while !*ready {
///         ready = pair.1.wait(ready)?;
///     }
///     Ok(())
/// }).unwrap();
/// ```
pub struct Condvar {
    raw: *mut sys::llam_cond_t,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1).
unsafe impl Send for Condvar {}
// SAFETY: as above.
unsafe impl Sync for Condvar {}

impl Condvar {
    /// A new condition variable.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: takes nothing; allowed on any thread.
        let raw = unsafe { sys::llam_cond_create() };
        if raw.is_null() {
            return Err(Error::last());
        }
        Ok(Self { raw })
    }

    /// Unlocks, waits for a notification and locks again, in one step.
    ///
    /// Wake-ups without a notification are allowed: look at the condition in a loop.
    ///
    /// # Errors
    ///
    /// The guard is gone and the mutex unlocked then: `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it); `EXDEV` in a task of another runtime.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>> {
        self.wait_until(guard, u64::MAX)
    }

    /// [`wait`](Self::wait) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        duration: Duration,
    ) -> Result<MutexGuard<'a, T>> {
        self.wait_until(guard, time::deadline_after(duration))
    }

    /// [`wait`](Self::wait) with an absolute deadline of [`now_ns`](crate::time::now_ns).
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline_ns: u64,
    ) -> Result<MutexGuard<'a, T>> {
        let until = time::effective_deadline(deadline_ns);
        // SAFETY: the engine checks both handles. On every return the mutex is held by the caller
        // (`abi.md` 4.11), so `guard` is right to exist and unlocks when it is dropped.
        check(unsafe { sys::llam_cond_wait_until(self.raw, guard.raw(), until) })?;
        Ok(guard)
    }

    /// Wakes the longest waiter, if any. Any thread; the mutex need not be held.
    ///
    /// # Errors
    ///
    /// `EXDEV` in a task of another runtime; `ENOTSUP` on a host thread when the runtime is not live.
    pub fn notify_one(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_cond_signal(self.raw) })
    }

    /// Wakes all waiters, in their order.
    ///
    /// # Errors
    ///
    /// As [`notify_one`](Self::notify_one).
    pub fn notify_all(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_cond_broadcast(self.raw) })
    }
}

impl Drop for Condvar {
    fn drop(&mut self) {
        // SAFETY: the engine checks the handle; waiters borrow `self`, so none are left.
        if unsafe { sys::llam_cond_destroy(self.raw) } != 0 && host::is_foreign() {
            let cond = host::Carried::new(self.raw);
            host::run_later(move || {
                // SAFETY: the engine checks the handle.
                unsafe { sys::llam_cond_destroy(cond.handle()) };
            });
        }
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
