//! The inline functions of the headers (`abi.md` section 2.7), which no library exports.
//!
//! Owns no state. Invariant: each argument is evaluated once, as the macros of the header promise.

use crate::bindings::llam_task_safepoint;
use crate::types::{LLAM_INVALID_FD, LLAM_INVALID_HANDLE, llam_fd_t, llam_handle_t};

/// Whether `fd` is `LLAM_INVALID_FD`.
#[inline]
#[must_use]
pub fn llam_fd_is_invalid(fd: llam_fd_t) -> bool {
    fd == LLAM_INVALID_FD
}

/// Whether `handle` is `LLAM_INVALID_HANDLE`; on Windows also whether it is null.
#[inline]
#[must_use]
pub fn llam_handle_is_invalid(handle: llam_handle_t) -> bool {
    #[cfg(not(unix))]
    if handle.is_null() {
        return true;
    }
    handle == LLAM_INVALID_HANDLE
}

/// `LLAM_PREEMPT_POLL`: passes a safepoint. No effect outside a task.
#[inline]
pub fn llam_preempt_poll() {
    // SAFETY: takes no arguments; the engine allows it on any thread at any time.
    unsafe { llam_task_safepoint() }
}

/// `LLAM_PREEMPT_POLL_EVERY`: passes a safepoint when `interval` is 0 or 1, or `counter` is a
/// multiple of it (so also at 0). No effect outside a task.
#[inline]
pub fn llam_preempt_poll_every(counter: usize, interval: usize) {
    if interval <= 1 || counter.is_multiple_of(interval) {
        llam_preempt_poll();
    }
}
