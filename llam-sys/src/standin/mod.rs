//! Stand-ins for functions of 2.1 that the SDK at hand lacks, under the same names.
//!
//! Compiled only for an installed SDK, and each function only when the SDK's header does not declare
//! it; `lib.rs` exports it in place of the declaration. A stand-in is built from the 90 functions of
//! 1.0 and keeps the contract of the original (`abi.md`, the section named at each) but for what its
//! comment says. What 1.0 cannot do fails with `ENOTSUP`:
//!
//! | function | with an SDK that lacks it |
//! |---|---|
//! | `llam_runtime_spawn_ex` | works for the default runtime, the only one of 1.x |
//! | `llam_channel_try_send`, `_try_recv_result` | `ENOTSUP` on a host thread |
//! | `llam_io_buffer_alloc*`, `_alignment`, `llam_recvfrom_owned`, `llam_pread*_owned_aligned` | `ENOTSUP` |
//! | timers | work in tasks and on host threads; a reset or cancel is noticed within 5 ms |
//! | signal sets | work on Linux; a stop request or cancellation is noticed within 50 ms |
//! | all others | as in the contract |
//!
//! Handles of stand-in objects are addresses and not checked, like every handle of 1.x.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "which of the functions are compiled depends on the SDK at hand"
)]

mod buffers;
#[cfg(unix)]
mod files;
mod objects;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(unix)]
mod sockets;
mod timers;

pub use buffers::*;
#[cfg(unix)]
pub use files::*;
pub use objects::*;
#[cfg(target_os = "linux")]
pub use signals::*;
#[cfg(unix)]
pub use sockets::*;
pub use timers::*;

use core::ffi::{c_int, c_void};

use crate::{llam_call_blocking_result, llam_current_task};

/// Sets `errno` and returns -1.
pub(crate) fn failed(code: c_int) -> c_int {
    set_errno(code);
    -1
}

/// The calling thread's `errno`.
pub(crate) fn last_errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(code: c_int) {
    // SAFETY: the address is that of the calling thread's own errno.
    #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
    unsafe {
        *libc::__errno_location() = code;
    }
    // SAFETY: the address is that of the calling thread's own errno.
    #[cfg(any(target_os = "macos", target_os = "freebsd"))]
    unsafe {
        *libc::__error() = code;
    }
    // SAFETY: the address is that of the calling thread's own errno.
    #[cfg(any(target_os = "openbsd", target_os = "netbsd"))]
    unsafe {
        *libc::__errno() = code;
    }
    #[cfg(not(unix))]
    let _ = code;
}

/// Whether the caller is a task.
pub(crate) fn is_in_task() -> bool {
    // SAFETY: takes nothing; allowed on any thread.
    !unsafe { llam_current_task() }.is_null()
}

/// Runs `work` on the blocking pool when called in a task, and in place on a host thread. `Err` is
/// the `errno` of a pool that did not run it (`ECANCELED`, `ENOMEM`).
pub(crate) fn offload<R, F: FnOnce() -> R>(work: F) -> Result<R, c_int> {
    struct Job<F, R> {
        work: Option<F>,
        result: Option<R>,
    }
    unsafe extern "C" fn run<F: FnOnce() -> R, R>(arg: *mut c_void) -> *mut c_void {
        // SAFETY: `arg` is the job below, which stays in place until the call returns.
        let job = unsafe { &mut *arg.cast::<Job<F, R>>() };
        job.result = job.work.take().map(|work| work());
        arg
    }
    if !is_in_task() {
        return Ok(work());
    }
    let mut job = Job {
        work: Some(work),
        result: None,
    };
    let mut out = core::ptr::null_mut();
    // SAFETY: `run` matches the job's type; the job and `out` are locals that outlive the call, which
    // returns only after the callback has.
    let status = unsafe {
        llam_call_blocking_result(Some(run::<F, R>), (&raw mut job).cast(), &raw mut out)
    };
    match job.result {
        Some(result) if status == 0 => Ok(result),
        _ => Err(last_errno()),
    }
}
