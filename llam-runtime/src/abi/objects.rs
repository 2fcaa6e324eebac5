//! Time, timers, tokens, mutexes, conditions, channels, select, task-locals, blocking calls
//! (`abi.md` 4.5, 4.7 to 4.13).

use core::ffi::{c_int, c_void};

use super::convert::{failed, quiet_handle, quiet_status, read_prefix, status};
use crate::blocking::{self, Callback};
use crate::clock::{NEVER, now_ns};
use crate::errno::{self, Result};
use crate::object::select::{self, SelectOp};
use crate::object::{channel, cond, local, mutex, timer, token};
use crate::time;

/// Clears an output that is not null, `EINVAL` else (R7).
///
/// # Safety
/// `out` is null or writable.
unsafe fn clear<T>(out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(libc::EINVAL);
    }
    // SAFETY: by the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}

/// Stores a successful result in an output that `clear` has checked.
unsafe fn store<T>(out: *mut T, outcome: Result<T>) -> Result<()> {
    // SAFETY: checked by `clear`.
    outcome.map(|value| unsafe { out.write(value) })
}

/// `llam_now_ns`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_now_ns() -> u64 {
    now_ns()
}

/// `llam_sleep_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_sleep_until(deadline_ns: u64) -> c_int {
    quiet_status(|| time::sleep_until(deadline_ns))
}

/// `llam_sleep_ns`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_sleep_ns(duration_ns: u64) -> c_int {
    let deadline = if duration_ns == 0 {
        0
    } else {
        now_ns().saturating_add(duration_ns)
    };
    llam_sleep_until(deadline)
}

/// `llam_timer_opts_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct TimerOpts {
    pub first_deadline_ns: u64,
    pub interval_ns: u64,
    pub flags: u32,
    pub reserved0: u32,
}

/// `llam_timer_create_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_timer_create_ex(
    opts: *const TimerOpts,
    opts_size: usize,
    out: *mut *mut c_void,
) -> c_int {
    quiet_status(|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(out, std::ptr::null_mut()) }?;
        if opts.is_null() || opts_size == 0 {
            return Err(libc::EINVAL);
        }
        let ends = [8, 16, 20, 24];
        // SAFETY: by the contract of the header; the struct is plain data.
        let opts = unsafe { read_prefix(opts, opts_size, TimerOpts::default(), &ends) };
        if opts.interval_ns == 0 {
            return Err(libc::EINVAL);
        }
        if opts.flags != 0 {
            return Err(libc::ENOTSUP);
        }
        // SAFETY: checked above.
        unsafe { store(out, timer::create(opts.first_deadline_ns, opts.interval_ns)) }
    })
}

/// `llam_timer_create`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_timer_create(interval_ns: u64, out: *mut *mut c_void) -> c_int {
    quiet_status(|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(out, std::ptr::null_mut()) }?;
        if interval_ns == 0 {
            return Err(libc::EINVAL);
        }
        let first = now_ns().saturating_add(interval_ns);
        // SAFETY: checked above.
        unsafe { store(out, timer::create(first, interval_ns)) }
    })
}

/// `llam_timer_wait`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_timer_wait(timer: *mut c_void, ticks_out: *mut u64) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_timer_wait_until(timer, NEVER, ticks_out) }
}

/// `llam_timer_wait_until`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_timer_wait_until(
    timer: *mut c_void,
    deadline_ns: u64,
    ticks_out: *mut u64,
) -> c_int {
    quiet_status(|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(ticks_out, 0) }?;
        // SAFETY: checked above.
        unsafe { store(ticks_out, timer::wait_until(timer, deadline_ns)) }
    })
}

/// `llam_timer_reset`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_timer_reset(
    timer: *mut c_void,
    first_deadline_ns: u64,
    interval_ns: u64,
) -> c_int {
    quiet_status(|| timer::reset(timer, first_deadline_ns, interval_ns))
}

/// `llam_timer_cancel`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_timer_cancel(timer: *mut c_void) -> c_int {
    quiet_status(|| timer::cancel(timer))
}

/// `llam_timer_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_timer_destroy(timer: *mut c_void) -> c_int {
    quiet_status(|| timer::destroy(timer))
}

/// `llam_call_blocking_result`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_call_blocking_result(
    callback: Option<Callback>,
    arg: *mut c_void,
    out: *mut *mut c_void,
) -> c_int {
    status((|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(out, std::ptr::null_mut()) }?;
        let callback = callback.ok_or(libc::EINVAL)?;
        // SAFETY: by the contract of the header.
        unsafe { store(out, blocking::call(callback, arg)) }
    })())
}

/// `llam_call_blocking`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_call_blocking(
    callback: Option<Callback>,
    arg: *mut c_void,
) -> *mut c_void {
    let mut out = std::ptr::null_mut();
    // SAFETY: by the contract of the header.
    unsafe { llam_call_blocking_result(callback, arg, &mut out) };
    out
}

/// `llam_enter_blocking`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_enter_blocking() -> c_int {
    quiet_status(blocking::enter_region)
}

/// `llam_leave_blocking`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_leave_blocking() -> c_int {
    quiet_status(blocking::leave_region)
}

/// `llam_task_local_key_create`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_task_local_key_create(out_key: *mut u32) -> c_int {
    status((|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(out_key, u32::MAX) }?;
        // SAFETY: checked above.
        unsafe { store(out_key, local::create_key()) }
    })())
}

/// `llam_task_local_key_delete`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_local_key_delete(key: u32) -> c_int {
    status(local::delete_key(key))
}

/// `llam_task_local_get`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_local_get(key: u32) -> *mut c_void {
    match local::load(key) {
        Ok(value) => {
            errno::store(0);
            value
        }
        Err(error) => {
            errno::store(error);
            std::ptr::null_mut()
        }
    }
}

/// `llam_task_local_set`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_local_set(key: u32, value: *mut c_void) -> c_int {
    status(local::store(key, value))
}

/// `llam_cancel_token_create`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cancel_token_create() -> *mut c_void {
    quiet_handle(token::create)
}

/// `llam_cancel_token_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cancel_token_destroy(token: *mut c_void) -> c_int {
    quiet_status(|| token::destroy(token))
}

/// `llam_cancel_token_cancel`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cancel_token_cancel(token: *mut c_void) -> c_int {
    quiet_status(|| token::cancel(token))
}

/// `llam_cancel_token_is_cancelled`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cancel_token_is_cancelled(token: *const c_void) -> c_int {
    match token::is_cancelled(token) {
        Ok(cancelled) => c_int::from(cancelled),
        Err(error) => failed(error),
    }
}

/// `llam_mutex_create`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_mutex_create() -> *mut c_void {
    quiet_handle(mutex::create)
}

/// `llam_mutex_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_mutex_destroy(mutex: *mut c_void) -> c_int {
    quiet_status(|| mutex::destroy(mutex))
}

/// `llam_mutex_lock`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_mutex_lock(mutex: *mut c_void) -> c_int {
    llam_mutex_lock_until(mutex, NEVER)
}

/// `llam_mutex_lock_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_mutex_lock_until(mutex: *mut c_void, deadline_ns: u64) -> c_int {
    status(mutex::lock_until(mutex, deadline_ns))
}

/// `llam_mutex_trylock`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_mutex_trylock(mutex: *mut c_void) -> c_int {
    status(mutex::try_lock(mutex))
}

/// `llam_mutex_unlock`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_mutex_unlock(mutex: *mut c_void) -> c_int {
    status(mutex::unlock(mutex))
}

/// `llam_cond_create`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cond_create() -> *mut c_void {
    quiet_handle(cond::create)
}

/// `llam_cond_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cond_destroy(cond: *mut c_void) -> c_int {
    quiet_status(|| cond::destroy(cond))
}

/// `llam_cond_wait`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cond_wait(cond: *mut c_void, mutex: *mut c_void) -> c_int {
    llam_cond_wait_until(cond, mutex, NEVER)
}

/// `llam_cond_wait_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cond_wait_until(
    cond: *mut c_void,
    mutex: *mut c_void,
    deadline_ns: u64,
) -> c_int {
    quiet_status(|| cond::wait_until(cond, mutex, deadline_ns))
}

/// `llam_cond_signal`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cond_signal(cond: *mut c_void) -> c_int {
    quiet_status(|| cond::signal(cond, false))
}

/// `llam_cond_broadcast`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_cond_broadcast(cond: *mut c_void) -> c_int {
    quiet_status(|| cond::signal(cond, true))
}

/// `llam_channel_create`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_create(capacity: usize) -> *mut c_void {
    quiet_handle(|| channel::create(capacity))
}

/// `llam_channel_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_destroy(channel: *mut c_void) -> c_int {
    quiet_status(|| channel::destroy(channel))
}

/// `llam_channel_send`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_send(channel: *mut c_void, value: *mut c_void) -> c_int {
    llam_channel_send_until(channel, value, NEVER)
}

/// `llam_channel_send_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_send_until(
    channel: *mut c_void,
    value: *mut c_void,
    deadline_ns: u64,
) -> c_int {
    status(channel::send_until(channel, value, deadline_ns))
}

/// `llam_channel_try_send`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_try_send(channel: *mut c_void, value: *mut c_void) -> c_int {
    quiet_status(|| channel::try_send(channel, value))
}

/// `llam_channel_recv_result`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_channel_recv_result(
    channel: *mut c_void,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_channel_recv_until_result(channel, NEVER, out) }
}

/// `llam_channel_recv_until_result`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_channel_recv_until_result(
    channel: *mut c_void,
    deadline_ns: u64,
    out: *mut *mut c_void,
) -> c_int {
    status((|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(out, std::ptr::null_mut()) }?;
        // SAFETY: checked above.
        unsafe { store(out, channel::recv_until(channel, deadline_ns)) }
    })())
}

/// `llam_channel_try_recv_result`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_channel_try_recv_result(
    channel: *mut c_void,
    out: *mut *mut c_void,
) -> c_int {
    quiet_status(|| {
        // SAFETY: by the contract of the header.
        unsafe { clear(out, std::ptr::null_mut()) }?;
        // SAFETY: checked above.
        unsafe { store(out, channel::try_recv(channel)) }
    })
}

/// `llam_channel_recv`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_recv(channel: *mut c_void) -> *mut c_void {
    llam_channel_recv_until(channel, NEVER)
}

/// `llam_channel_recv_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_recv_until(channel: *mut c_void, deadline_ns: u64) -> *mut c_void {
    let saved = errno::load();
    match channel::recv_until(channel, deadline_ns) {
        Ok(value) => {
            errno::store(if value.is_null() { 0 } else { saved });
            value
        }
        Err(error) => {
            errno::store(error);
            std::ptr::null_mut()
        }
    }
}

/// `llam_channel_close`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_channel_close(channel: *mut c_void) -> c_int {
    quiet_status(|| channel::close(channel))
}

/// `llam_channel_select`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_channel_select(
    ops: *mut SelectOp,
    op_count: usize,
    deadline_ns: u64,
    selected_index: *mut usize,
) -> c_int {
    if ops.is_null() || op_count == 0 || op_count > select::MAX_ARMS || selected_index.is_null() {
        return failed(libc::EINVAL);
    }
    status((|| {
        // SAFETY: by the contract of the header.
        let arms = unsafe { std::slice::from_raw_parts_mut(ops, op_count) };
        let index = select::select(arms, deadline_ns)?;
        // SAFETY: as above.
        unsafe { selected_index.write(index) };
        Ok(())
    })())
}
