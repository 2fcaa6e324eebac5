//! Deadlines that hold for everything a closure does.
//!
//! Owns [`timeout`], [`with_deadline`], and the guard [`DeadlineScope`] behind both and behind the
//! read and write timeouts of sockets. The engine keeps one park deadline per task: every call that
//! parks fails with `ETIMEDOUT` once it has passed. Scopes nest: the earliest one counts, and leaving
//! a scope puts back the one before. Where the engine has no park deadline, the binding keeps it and
//! gives it to every call itself.

use std::marker::PhantomData;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys;
use crate::task::{self, state};

/// Sets the calling task's deadline to the earlier of this one and the one in force; dropping it
/// puts the old one back. Outside a task it does nothing.
pub(crate) struct DeadlineScope {
    previous_ns: u64,
    is_set: bool,
    /// The deadline is the task's, so the guard stays with it.
    _not_send: PhantomData<*mut ()>,
}

fn replace(deadline_ns: u64) -> u64 {
    if sys::ext::HAS_PARK_DEADLINE {
        sys::ext::set_park_deadline(deadline_ns)
    } else {
        state::replace_deadline(deadline_ns).unwrap_or(u64::MAX)
    }
}

impl DeadlineScope {
    /// Enters a scope that ends at `deadline_ns`.
    pub(crate) fn enter(deadline_ns: u64) -> Self {
        if deadline_ns == u64::MAX {
            return Self {
                previous_ns: u64::MAX,
                is_set: false,
                _not_send: PhantomData,
            };
        }
        let previous_ns = replace(deadline_ns);
        if previous_ns < deadline_ns {
            replace(previous_ns);
        }
        Self {
            previous_ns,
            is_set: true,
            _not_send: PhantomData,
        }
    }
}

impl Drop for DeadlineScope {
    fn drop(&mut self) {
        if self.is_set {
            replace(self.previous_ns);
        }
    }
}

/// Runs `f` with a time limit on all it waits for.
///
/// Once the time is up, every call inside that would wait fails with `ETIMEDOUT`; what completes at
/// once still works, and nothing is killed. Nested timeouts take the earliest. Tasks that `f` spawns
/// are not limited.
///
/// # Errors
///
/// `ETIMEDOUT` when the time was up before `f` returned; what it returned is dropped then (use
/// [`with_deadline`] to have it all the same). `ENOTSUP` outside a task, without calling `f`.
///
/// ```
/// use std::time::Duration;
/// llam::run(|| {
///     let late = llam::time::timeout(Duration::from_millis(5), || {
///         llam::time::sleep(Duration::from_secs(60))
///     });
///     assert!(late.unwrap_err().is_timed_out());
///     Ok(())
/// }).unwrap();
/// ```
pub fn timeout<R>(duration: Duration, f: impl FnOnce() -> R) -> Result<R> {
    let deadline_ns = super::deadline_after(duration);
    let value = with_deadline(deadline_ns, f)?;
    if super::has_passed(deadline_ns) {
        return Err(Error::from_errno(libc::ETIMEDOUT));
    }
    Ok(value)
}

/// [`timeout`] with an absolute deadline of [`now_ns`](super::now_ns), which returns what `f` made
/// of it, late or not. `u64::MAX` sets no limit.
///
/// # Errors
///
/// `ENOTSUP` outside a task, without calling `f`.
pub fn with_deadline<R>(deadline_ns: u64, f: impl FnOnce() -> R) -> Result<R> {
    if !task::is_inside() {
        return Err(Error::from_errno(libc::ENOTSUP));
    }
    let _scope = DeadlineScope::enter(deadline_ns);
    Ok(f())
}
