//! Spawning, channels and statistics (`abi.md` 4.3, 4.12, 4.18).

use core::ffi::{c_int, c_void};

use super::{failed, is_in_task, last_errno, set_errno};
use crate::*;

/// Stand-in for 4.3: the default runtime is the only one. `EINVAL` for any other handle.
///
/// # Safety
///
/// As `llam_spawn_ex`.
#[cfg(llam_lacks = "llam_runtime_spawn_ex")]
pub unsafe fn llam_runtime_spawn_ex(
    runtime: *mut llam_runtime_t,
    fn_: llam_task_fn,
    arg: *mut c_void,
    opts: *const llam_spawn_opts_t,
    opts_size: usize,
) -> *mut llam_task_t {
    // SAFETY: takes nothing; always allowed.
    if runtime.is_null() || runtime != unsafe { llam_runtime_default() } {
        set_errno(libc::EINVAL);
        return core::ptr::null_mut();
    }
    // SAFETY: the caller keeps the contract of the call that this one stands on.
    unsafe { llam_spawn_ex(fn_, arg, opts, opts_size) }
}

/// The errno of a call with deadline 0, where "would wait" reads `EAGAIN`.
fn without_waiting(status: c_int) -> c_int {
    if status == 0 {
        return 0;
    }
    match last_errno() {
        libc::ETIMEDOUT => failed(libc::EAGAIN),
        _ => status,
    }
}

/// Stand-in for 4.12: a send with an expired deadline. `ENOTSUP` on a host thread.
///
/// # Safety
///
/// `channel` is live.
#[cfg(llam_lacks = "llam_channel_try_send")]
pub unsafe fn llam_channel_try_send(channel: *mut llam_channel_t, value: *mut c_void) -> c_int {
    if !is_in_task() {
        return failed(libc::ENOTSUP);
    }
    // SAFETY: the caller keeps the contract of the call that this one stands on.
    without_waiting(unsafe { llam_channel_send_until(channel, value, 0) })
}

/// Stand-in for 4.12: a receive with an expired deadline. `ENOTSUP` on a host thread.
///
/// # Safety
///
/// `channel` is live; `out` is null or writable.
#[cfg(llam_lacks = "llam_channel_try_recv_result")]
pub unsafe fn llam_channel_try_recv_result(
    channel: *mut llam_channel_t,
    out: *mut *mut c_void,
) -> c_int {
    if !out.is_null() && !is_in_task() {
        // SAFETY: not null, so the caller promises that it is writable.
        unsafe { *out = core::ptr::null_mut() };
        return failed(libc::ENOTSUP);
    }
    // SAFETY: the caller keeps the contract of the call that this one stands on.
    without_waiting(unsafe { llam_channel_recv_until_result(channel, 0, out) })
}

/// Stand-in for 4.18: the default runtime is the only one.
///
/// # Safety
///
/// `stats` is null or writable for `stats_size` bytes.
#[cfg(llam_lacks = "llam_runtime_collect_stats_ex_handle")]
pub unsafe fn llam_runtime_collect_stats_ex_handle(
    runtime: *mut llam_runtime_t,
    stats: *mut llam_runtime_stats_t,
    stats_size: usize,
) -> c_int {
    // SAFETY: takes nothing; always allowed.
    if !runtime.is_null() && runtime == unsafe { llam_runtime_default() } {
        // SAFETY: the caller keeps the contract of the call that this one stands on.
        return unsafe { llam_runtime_collect_stats_ex(stats, stats_size) };
    }
    if !stats.is_null() {
        let size = stats_size.min(size_of::<llam_runtime_stats_t>());
        // SAFETY: the caller promises `stats_size` writable bytes.
        unsafe { core::ptr::write_bytes(stats.cast::<u8>(), 0, size) };
    }
    failed(libc::EINVAL)
}
