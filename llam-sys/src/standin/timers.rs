//! Timers (`abi.md` 4.5), from the clock and `llam_sleep_until`.
//!
//! A timer is a heap object behind a mutex that is never held across a wait. Waiters sleep in slices
//! of 5 ms when somebody could reset or cancel the timer meanwhile, so both are noticed that late.

use core::ffi::c_int;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{failed, is_in_task};
use crate::*;

/// How long a waiter sleeps before it looks at the timer again.
const SLICE_NS: u64 = 5_000_000;

struct Schedule {
    /// The next tick that nobody has taken.
    next_ns: u64,
    interval_ns: u64,
    is_cancelled: bool,
    /// Calls inside, which keep the timer from being destroyed.
    waiters: u32,
}

struct Timer(Mutex<Schedule>);

impl Timer {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now_ns() -> u64 {
    // SAFETY: takes nothing, never fails.
    unsafe { llam_now_ns() }
}

/// The timer behind a handle.
///
/// # Safety
///
/// `timer` is null or was made by `llam_timer_create*` and is not destroyed.
unsafe fn timer_at<'a>(timer: *mut llam_timer_t) -> Option<&'a Timer> {
    // SAFETY: not null, so it is the box that `llam_timer_create_ex` gave away.
    unsafe { timer.cast::<Timer>().as_ref() }
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes; `out` is null or writable.
#[cfg(llam_lacks = "llam_timer_create_ex")]
pub unsafe fn llam_timer_create_ex(
    opts: *const llam_timer_opts_t,
    opts_size: usize,
    out: *mut *mut llam_timer_t,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: not null, so the caller promises that it is writable.
    unsafe { *out = core::ptr::null_mut() };
    if opts.is_null() || opts_size == 0 {
        return failed(libc::EINVAL);
    }
    let mut copy = llam_timer_opts_t {
        first_deadline_ns: 0,
        interval_ns: 0,
        flags: 0,
        reserved0: 0,
    };
    // Fields that are cut in the middle have their default, 0.
    let whole_fields = match opts_size {
        0..8 => 0,
        8..16 => 8,
        16..20 => 16,
        _ => 20,
    };
    // SAFETY: both sides are valid for that many bytes, and any bytes make integers.
    unsafe {
        core::ptr::copy_nonoverlapping(
            opts.cast::<u8>(),
            (&raw mut copy).cast::<u8>(),
            whole_fields,
        );
    }
    if copy.interval_ns == 0 {
        return failed(libc::EINVAL);
    }
    if copy.flags != 0 {
        return failed(libc::ENOTSUP);
    }
    let timer = Box::new(Timer(Mutex::new(Schedule {
        next_ns: first_tick(copy.first_deadline_ns),
        interval_ns: copy.interval_ns,
        is_cancelled: false,
        waiters: 0,
    })));
    // SAFETY: as above.
    unsafe { *out = Box::into_raw(timer).cast() };
    0
}

fn first_tick(first_deadline_ns: u64) -> u64 {
    match first_deadline_ns {
        0 => now_ns(),
        deadline => deadline,
    }
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_timer_create")]
pub unsafe fn llam_timer_create(interval_ns: u64, out: *mut *mut llam_timer_t) -> c_int {
    let opts = llam_timer_opts_t {
        first_deadline_ns: now_ns().saturating_add(interval_ns),
        interval_ns,
        flags: 0,
        reserved0: 0,
    };
    // SAFETY: the options are a local; `out` is passed on.
    unsafe { llam_timer_create_ex(&raw const opts, LLAM_TIMER_OPTS_CURRENT_SIZE, out) }
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `timer` is null or live; `ticks_out` is null or writable.
#[cfg(llam_lacks = "llam_timer_wait")]
pub unsafe fn llam_timer_wait(timer: *mut llam_timer_t, ticks_out: *mut u64) -> c_int {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { llam_timer_wait_until(timer, u64::MAX, ticks_out) }
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `timer` is null or live; `ticks_out` is null or writable.
#[cfg(llam_lacks = "llam_timer_wait_until")]
pub unsafe fn llam_timer_wait_until(
    timer: *mut llam_timer_t,
    deadline_ns: u64,
    ticks_out: *mut u64,
) -> c_int {
    if ticks_out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: not null, so the caller promises that it is writable.
    unsafe { *ticks_out = 0 };
    if deadline_ns == 0 {
        return failed(libc::ETIMEDOUT);
    }
    // SAFETY: the caller promises null or a live timer.
    let Some(timer) = (unsafe { timer_at(timer) }) else {
        return failed(libc::EINVAL);
    };
    timer.schedule().waiters += 1;
    let outcome = wait(timer, deadline_ns);
    timer.schedule().waiters -= 1;
    match outcome {
        Ok(ticks) => {
            // SAFETY: as above.
            unsafe { *ticks_out = ticks };
            0
        }
        Err(code) => failed(code),
    }
}

fn wait(timer: &Timer, deadline_ns: u64) -> Result<u64, c_int> {
    loop {
        let now = now_ns();
        let next_ns = {
            let mut schedule = timer.schedule();
            if schedule.is_cancelled {
                return Err(libc::ECANCELED);
            }
            if schedule.next_ns <= now {
                let ticks = (now - schedule.next_ns) / schedule.interval_ns + 1;
                schedule.next_ns = schedule
                    .next_ns
                    .saturating_add(ticks.saturating_mul(schedule.interval_ns));
                return Ok(ticks);
            }
            schedule.next_ns
        };
        if deadline_ns <= now {
            return Err(libc::ETIMEDOUT);
        }
        let until_ns = next_ns.min(deadline_ns).min(now.saturating_add(SLICE_NS));
        if !is_in_task() {
            std::thread::sleep(Duration::from_nanos(until_ns - now));
            continue;
        }
        // SAFETY: takes a number; fails with an errno.
        if unsafe { llam_sleep_until(until_ns) } != 0 {
            return Err(super::last_errno());
        }
    }
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `timer` is null or live.
#[cfg(llam_lacks = "llam_timer_reset")]
pub unsafe fn llam_timer_reset(
    timer: *mut llam_timer_t,
    first_deadline_ns: u64,
    interval_ns: u64,
) -> c_int {
    // SAFETY: the caller promises null or a live timer.
    match unsafe { timer_at(timer) } {
        Some(timer) if interval_ns != 0 => {
            let mut schedule = timer.schedule();
            schedule.next_ns = first_tick(first_deadline_ns);
            schedule.interval_ns = interval_ns;
            schedule.is_cancelled = false;
            0
        }
        _ => failed(libc::EINVAL),
    }
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `timer` is null or live.
#[cfg(llam_lacks = "llam_timer_cancel")]
pub unsafe fn llam_timer_cancel(timer: *mut llam_timer_t) -> c_int {
    // SAFETY: the caller promises null or a live timer.
    let Some(timer) = (unsafe { timer_at(timer) }) else {
        return failed(libc::EINVAL);
    };
    timer.schedule().is_cancelled = true;
    0
}

/// Stand-in for 4.5.
///
/// # Safety
///
/// `timer` is null or live, and no longer used after this returned 0.
#[cfg(llam_lacks = "llam_timer_destroy")]
pub unsafe fn llam_timer_destroy(timer: *mut llam_timer_t) -> c_int {
    // SAFETY: the caller promises null or a live timer.
    let Some(inner) = (unsafe { timer_at(timer) }) else {
        return failed(libc::EINVAL);
    };
    if inner.schedule().waiters != 0 {
        return failed(libc::EBUSY);
    }
    // SAFETY: it is the box of `llam_timer_create_ex`, given up by its last user.
    drop(unsafe { Box::from_raw(timer.cast::<Timer>()) });
    0
}
