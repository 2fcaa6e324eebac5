//! Text about the default runtime.
//!
//! Owns the calls that write a dump or the counters to a descriptor (`abi.md` 4.18, 5.15). They work on
//! any thread at any time, also while the runtime runs.

use std::ffi::c_int;
#[cfg(unix)]
use std::os::fd::AsRawFd;

use crate::error::{Result, check};
use crate::sys;

/// Writes a readable dump of the default runtime and its tasks. Errors of writing are ignored.
#[cfg(unix)]
pub fn dump_runtime_state<W: AsRawFd>(output: &W) {
    dump_runtime_state_fd(output.as_raw_fd());
}

/// [`dump_runtime_state`] to a descriptor number; a negative one does nothing.
pub fn dump_runtime_state_fd(fd: c_int) {
    // SAFETY: takes a number; the engine ignores bad ones.
    unsafe { sys::llam_dump_runtime_state(fd) }
}

/// Writes the default runtime's counters as one JSON object and a newline. Zeros while it is not
/// live.
///
/// # Errors
///
/// Those of `write(2)`.
#[cfg(unix)]
pub fn write_stats_json<W: AsRawFd>(output: &W) -> Result<()> {
    write_stats_json_fd(output.as_raw_fd())
}

/// [`write_stats_json`] to a descriptor number.
///
/// # Errors
///
/// `EINVAL` for a negative one; those of `write(2)`.
pub fn write_stats_json_fd(fd: c_int) -> Result<()> {
    // SAFETY: takes a number, which the engine checks.
    check(unsafe { sys::llam_runtime_write_stats_json(fd) })
}
