//! The clock, sleeping, timeouts and intervals.
//!
//! Owns the arithmetic of deadlines: everywhere in this crate a deadline is absolute, in nanoseconds
//! of [`now_ns`], `u64::MAX` means none, and durations saturate. Contract: `abi.md` 4.5, 5.2, R5.

use std::time::Duration;

use crate::error::{Result, check};
use crate::sys;
use crate::task::state;

mod interval;
mod timeout;

pub use interval::{Interval, interval};
pub(crate) use timeout::DeadlineScope;
pub use timeout::{timeout, with_deadline};

/// Nanoseconds of a duration, saturating.
pub(crate) fn saturating_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Monotonic nanoseconds (`CLOCK_MONOTONIC`). Any thread.
#[must_use]
pub fn now_ns() -> u64 {
    // SAFETY: takes nothing, never fails.
    unsafe { sys::llam_now_ns() }
}

/// The deadline that lies `duration` ahead; `u64::MAX` when that is out of range.
#[must_use]
pub fn deadline_after(duration: Duration) -> u64 {
    now_ns().saturating_add(saturating_ns(duration))
}

/// Whether the deadline has passed.
#[inline]
pub(crate) fn has_passed(deadline_ns: u64) -> bool {
    deadline_ns == 0 || (deadline_ns != u64::MAX && now_ns() >= deadline_ns)
}

/// The deadline to hand to a call that parks: the earlier of this one and the timeout scope's. With
/// the bundled engine the scope is known to the engine, and this returns its argument.
#[inline]
pub(crate) fn effective_deadline(deadline_ns: u64) -> u64 {
    if sys::ext::HAS_PARK_DEADLINE {
        deadline_ns
    } else {
        deadline_ns.min(state::deadline())
    }
}

/// `ETIMEDOUT` when the timeout scope has ended and the engine does not know of it; for calls that the
/// engine cannot give a deadline to.
pub(crate) fn check_scope() -> Result<()> {
    if has_passed(effective_deadline(u64::MAX)) {
        return Err(crate::Error::from_errno(libc::ETIMEDOUT));
    }
    Ok(())
}

/// Parks the task for the duration; blocks the OS thread on a host thread.
///
/// # Errors
///
/// `ECANCELED` when the task is cancelled before; `ETIMEDOUT` when a [`timeout`](fn@timeout) around
/// it ends before; on a host thread `EINVAL` when the default runtime is not live.
pub fn sleep(duration: Duration) -> Result<()> {
    sleep_until(deadline_after(duration))
}

/// [`sleep`] until an absolute time of [`now_ns`]; a past one returns at once.
///
/// # Errors
///
/// As [`sleep`].
pub fn sleep_until(deadline_ns: u64) -> Result<()> {
    let until = effective_deadline(deadline_ns);
    // SAFETY: takes a number; allowed on any thread.
    check(unsafe { sys::llam_sleep_until(until) })?;
    if until < deadline_ns {
        return Err(crate::Error::from_errno(libc::ETIMEDOUT));
    }
    Ok(())
}
