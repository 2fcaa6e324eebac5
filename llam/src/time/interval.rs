//! Repeating timers.
//!
//! Owns [`Interval`], the safe view of the ABI's timers (`abi.md` 4.5). Ticks stay on the grid of the
//! first one; ticks nobody waited for are counted, not queued.

use std::fmt;
use std::time::Duration;

use crate::error::{Result, check};
use crate::host;
use crate::sys;

/// A timer that ticks once per period; the first tick is one period away.
///
/// # Errors
///
/// `EINVAL` for a zero period; `ENOMEM`.
///
/// ```
/// use std::time::Duration;
/// llam::run(|| {
///     let ticker = llam::time::interval(Duration::from_millis(2))?;
///     assert!(ticker.tick()? >= 1);
///     Ok(())
/// }).unwrap();
/// ```
pub fn interval(period: Duration) -> Result<Interval> {
    let mut raw = std::ptr::null_mut();
    // SAFETY: `raw` is a local; allowed on any thread.
    check(unsafe { sys::llam_timer_create(super::saturating_ns(period), &raw mut raw) })?;
    Ok(Interval { raw })
}

/// A repeating timer. Several tasks may wait on it; each tick goes to one of them.
pub struct Interval {
    raw: *mut sys::llam_timer_t,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1).
unsafe impl Send for Interval {}
// SAFETY: as above.
unsafe impl Sync for Interval {}

impl Interval {
    /// Waits until at least one tick is due and takes all that are due: how many periods have gone
    /// by since the last call. Blocks the OS thread on a host thread.
    ///
    /// # Errors
    ///
    /// `ECANCELED` when the timer or the task is cancelled; `ETIMEDOUT` for a
    /// [`timeout`](fn@super::timeout) around it; `EXDEV` from a task of another runtime; `EINVAL` when
    /// the runtime is gone.
    pub fn tick(&self) -> Result<u64> {
        self.tick_until(u64::MAX)
    }

    /// [`tick`](Self::tick) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn tick_timeout(&self, duration: Duration) -> Result<u64> {
        self.tick_until(super::deadline_after(duration))
    }

    fn tick_until(&self, deadline_ns: u64) -> Result<u64> {
        let until = super::effective_deadline(deadline_ns);
        let mut ticks = 0;
        // SAFETY: the engine checks the handle; `ticks` is a local.
        check(unsafe { sys::llam_timer_wait_until(self.raw, until, &raw mut ticks) })?;
        Ok(ticks)
    }

    /// Starts anew with this period, the first tick one period from now. Forgets due ticks and
    /// undoes a cancel.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a zero period; `EXDEV`.
    pub fn reset(&self, period: Duration) -> Result<()> {
        let first = super::deadline_after(period);
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_timer_reset(self.raw, first, super::saturating_ns(period)) })
    }

    /// Ends current and later waits with `ECANCELED`, until a reset. Idempotent.
    ///
    /// # Errors
    ///
    /// `EXDEV`; `EINVAL` when the runtime is gone.
    pub fn cancel(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_timer_cancel(self.raw) })
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        // SAFETY: the engine checks the handle; waiters borrow `self`, so none are left.
        if unsafe { sys::llam_timer_destroy(self.raw) } != 0 && host::is_foreign() {
            let timer = host::Carried::new(self.raw);
            host::run_later(move || {
                // SAFETY: the engine checks the handle.
                unsafe { sys::llam_timer_destroy(timer.handle()) };
            });
        }
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval").finish_non_exhaustive()
    }
}
