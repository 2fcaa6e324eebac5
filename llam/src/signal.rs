//! Waiting for signals of the operating system. Linux only; elsewhere `ENOTSUP`.
//!
//! Owns [`SignalSet`] over the ABI's signal sets (`abi.md` 4.6). A signal of a live set is delivered to
//! the set instead of taking its default action, provided that every thread blocks it: making the set
//! blocks it in the calling thread, and threads inherit that. So a server makes its set in `main`,
//! before the runtime and any other thread exists, and moves it into a task.

use std::ffi::c_int;
use std::fmt;
use std::time::Duration;

use crate::error::{Result, check};
use crate::host;
use crate::sys;
use crate::time;

/// A signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(c_int);

#[cfg(unix)]
impl Signal {
    /// The terminal is gone; servers reload by it.
    pub const HANGUP: Self = Self(libc::SIGHUP);
    /// Control-C.
    pub const INTERRUPT: Self = Self(libc::SIGINT);
    /// Control-backslash.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// The polite request to end.
    pub const TERMINATE: Self = Self(libc::SIGTERM);
    /// Free for the program.
    pub const USER_1: Self = Self(libc::SIGUSR1);
    /// Free for the program.
    pub const USER_2: Self = Self(libc::SIGUSR2);
    /// A child process has changed its state.
    pub const CHILD: Self = Self(libc::SIGCHLD);
}

impl Signal {
    /// The signal with this number.
    #[must_use]
    pub const fn from_raw(number: c_int) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn to_raw(self) -> c_int {
        self.0
    }
}

/// A subscription to 1 to 16 signals.
pub struct SignalSet {
    raw: *mut sys::llam_signal_set_t,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1).
unsafe impl Send for SignalSet {}
// SAFETY: as above.
unsafe impl Sync for SignalSet {}

impl SignalSet {
    /// Subscribes, and blocks the signals in the calling thread.
    ///
    /// # Errors
    ///
    /// `EBUSY` when one of them belongs to another live set; `EINVAL` for none, more than 16, one
    /// twice, SIGKILL, SIGSTOP, or no signal at all; `ENOMEM`; `ENOTSUP` on other systems.
    pub fn new(signals: &[Signal]) -> Result<Self> {
        let numbers: Vec<c_int> = signals.iter().map(|signal| signal.0).collect();
        let mut raw = std::ptr::null_mut();
        // SAFETY: the numbers are valid for their count; null options mean defaults; `raw` is a local.
        check(unsafe {
            sys::llam_signal_set_create_ex(
                numbers.as_ptr(),
                numbers.len(),
                std::ptr::null(),
                0,
                &raw mut raw,
            )
        })?;
        Ok(Self { raw })
    }

    /// Waits for one of the signals. Signals that arrive between two waits are kept; identical ones
    /// are merged.
    ///
    /// # Errors
    ///
    /// `ECANCELED`; `ETIMEDOUT` (a [`timeout`](fn@crate::time::timeout) around it); `EXDEV` in a task
    /// of another runtime; `EINVAL` on a host thread when the runtime is not live.
    pub fn wait(&self) -> Result<Signal> {
        self.wait_until(u64::MAX)
    }

    /// [`wait`](Self::wait) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn wait_timeout(&self, duration: Duration) -> Result<Signal> {
        self.wait_until(time::deadline_after(duration))
    }

    fn wait_until(&self, deadline_ns: u64) -> Result<Signal> {
        let mut event = sys::llam_signal_event_t {
            signo: 0,
            reserved0: 0,
            sequence: 0,
        };
        let until = time::effective_deadline(deadline_ns);
        // SAFETY: the engine checks the handle; `event` is a local.
        check(unsafe { sys::llam_signal_wait_until(self.raw, until, &raw mut event) })?;
        Ok(Signal(event.signo))
    }
}

impl Drop for SignalSet {
    fn drop(&mut self) {
        // SAFETY: the engine checks the handle; waiters borrow `self`, so none are left.
        if unsafe { sys::llam_signal_set_destroy(self.raw) } != 0 && host::is_foreign() {
            let set = host::Carried::new(self.raw);
            host::run_later(move || {
                // SAFETY: the engine checks the handle.
                unsafe { sys::llam_signal_set_destroy(set.handle()) };
            });
        }
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalSet").finish_non_exhaustive()
    }
}

/// Subscribes to the signals, waits for one of them and unsubscribes.
///
/// Before and after it the signals take their default action; a server uses a [`SignalSet`] instead.
///
/// # Errors
///
/// As [`SignalSet::new`] and [`SignalSet::wait`].
pub fn wait_for(signals: &[Signal]) -> Result<Signal> {
    SignalSet::new(signals)?.wait()
}

/// [`wait_for`] the signal of Control-C.
///
/// # Errors
///
/// As there.
#[cfg(unix)]
pub fn ctrl_c() -> Result<()> {
    wait_for(&[Signal::INTERRUPT]).map(drop)
}
