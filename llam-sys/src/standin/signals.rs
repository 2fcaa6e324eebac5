//! Signal sets (`abi.md` 4.6), from a `signalfd(2)` that the engine polls.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{failed, last_errno};
use crate::*;

/// Most signals of one set.
const MAX_SIGNALS: usize = 16;

/// Longest single wait, so that an engine that does not wake a parked task for a stop request or a
/// cancellation is asked again.
const SLICE_MS: u64 = 50;

/// The signals of all live sets, one bit each.
static CLAIMED: Mutex<u128> = Mutex::new(0);

struct SignalSet {
    fd: c_int,
    signals: u128,
    taken: AtomicU64,
    waiters: AtomicUsize,
}

/// The bits of the signals, or `None` when one is not allowed or named twice.
fn bits_of(signals: &[c_int]) -> Option<u128> {
    signals.iter().try_fold(0_u128, |bits, &signal| {
        let allowed = (1..=libc::SIGRTMAX()).contains(&signal)
            && signal != libc::SIGKILL
            && signal != libc::SIGSTOP;
        let bit = 1_u128.checked_shl(u32::try_from(signal).ok()?)?;
        (allowed && bits & bit == 0).then_some(bits | bit)
    })
}

fn sigset_of(bits: u128) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigemptyset` initialises the local; the numbers were checked by `bits_of`.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in (1..128).filter(|signal| bits & (1 << signal) != 0) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Stand-in for 4.6.
///
/// # Safety
///
/// `signos` is null or readable for `signo_count` numbers, `opts` null or readable for `opts_size`
/// bytes, `out` null or writable.
#[cfg(llam_lacks = "llam_signal_set_create_ex")]
pub unsafe fn llam_signal_set_create_ex(
    signos: *const c_int,
    signo_count: usize,
    opts: *const llam_signal_opts_t,
    opts_size: usize,
    out: *mut *mut llam_signal_set_t,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: not null, so the caller promises that it is writable.
    unsafe { *out = core::ptr::null_mut() };
    if !opts.is_null() && opts_size == 0 {
        return failed(libc::EINVAL);
    }
    // SAFETY: the field lies within the size that the caller promises.
    if !opts.is_null() && opts_size >= 4 && unsafe { (*opts).flags } != 0 {
        return failed(libc::ENOTSUP);
    }
    if signos.is_null() || !(1..=MAX_SIGNALS).contains(&signo_count) {
        return failed(libc::EINVAL);
    }
    // SAFETY: the caller promises that many numbers.
    let Some(signals) = bits_of(unsafe { core::slice::from_raw_parts(signos, signo_count) }) else {
        return failed(libc::EINVAL);
    };
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    if *claimed & signals != 0 {
        return failed(libc::EBUSY);
    }
    let mask = sigset_of(signals);
    // SAFETY: the mask is a local; the descriptor is new.
    let fd = unsafe { libc::signalfd(-1, &raw const mask, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
    if fd < 0 {
        return -1;
    }
    // SAFETY: the mask is a local; only this thread's mask changes.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const mask, core::ptr::null_mut()) };
    *claimed |= signals;
    let set = Box::new(SignalSet {
        fd,
        signals,
        taken: AtomicU64::new(0),
        waiters: AtomicUsize::new(0),
    });
    // SAFETY: as above.
    unsafe { *out = Box::into_raw(set).cast() };
    0
}

/// Stand-in for 4.6.
///
/// # Safety
///
/// `set` is null or live; `out` is null or writable.
#[cfg(llam_lacks = "llam_signal_wait")]
pub unsafe fn llam_signal_wait(
    set: *mut llam_signal_set_t,
    out: *mut llam_signal_event_t,
) -> c_int {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { llam_signal_wait_until(set, u64::MAX, out) }
}

/// Stand-in for 4.6.
///
/// # Safety
///
/// `set` is null or live; `out` is null or writable.
#[cfg(llam_lacks = "llam_signal_wait_until")]
pub unsafe fn llam_signal_wait_until(
    set: *mut llam_signal_set_t,
    deadline_ns: u64,
    out: *mut llam_signal_event_t,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: not null, so the caller promises that it is writable.
    unsafe {
        *out = llam_signal_event_t {
            signo: 0,
            reserved0: 0,
            sequence: 0,
        };
    }
    // SAFETY: null, or the box of `llam_signal_set_create_ex`, live as the caller promises.
    let Some(set) = (unsafe { set.cast::<SignalSet>().as_ref() }) else {
        return failed(libc::EINVAL);
    };
    set.waiters.fetch_add(1, Ordering::AcqRel);
    let outcome = take(set, deadline_ns);
    set.waiters.fetch_sub(1, Ordering::AcqRel);
    match outcome {
        Ok(signo) => {
            let sequence = set.taken.fetch_add(1, Ordering::AcqRel) + 1;
            // SAFETY: as above.
            unsafe {
                (*out).signo = signo;
                (*out).sequence = sequence;
            }
            0
        }
        Err(code) => failed(code),
    }
}

fn take(set: &SignalSet, deadline_ns: u64) -> Result<c_int, c_int> {
    loop {
        // SAFETY: takes nothing, never fails.
        let left_ns = deadline_ns.saturating_sub(unsafe { llam_now_ns() });
        if left_ns == 0 {
            return Err(libc::ETIMEDOUT);
        }
        let wait_ms = left_ns.div_ceil(1_000_000).min(SLICE_MS);
        // SAFETY: the descriptor lives as long as the set; no events are asked back.
        let ready = unsafe {
            llam_poll_fd(
                set.fd,
                libc::POLLIN,
                c_int::try_from(wait_ms).unwrap_or(c_int::MAX),
                core::ptr::null_mut(),
            )
        };
        if ready < 0 && last_errno() != libc::EINTR {
            return Err(last_errno());
        }
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        if ready <= 0 {
            continue;
        }
        // SAFETY: the buffer is as large as the size says; the descriptor does not block.
        let count = unsafe { libc::read(set.fd, info.as_mut_ptr().cast(), size) };
        if count == size as isize {
            // SAFETY: the kernel filled it whole.
            let signo = unsafe { info.assume_init() }.ssi_signo;
            return c_int::try_from(signo).map_err(|_| libc::EINVAL);
        }
    }
}

/// Stand-in for 4.6.
///
/// # Safety
///
/// `set` is null or live, and no longer used after this returned 0.
#[cfg(llam_lacks = "llam_signal_set_destroy")]
pub unsafe fn llam_signal_set_destroy(set: *mut llam_signal_set_t) -> c_int {
    let set = set.cast::<SignalSet>();
    // SAFETY: null, or the box of `llam_signal_set_create_ex`, live as the caller promises.
    let Some(inner) = (unsafe { set.as_ref() }) else {
        return failed(libc::EINVAL);
    };
    if inner.waiters.load(Ordering::Acquire) != 0 {
        return failed(libc::EBUSY);
    }
    let mask = sigset_of(inner.signals);
    // SAFETY: the descriptor is the set's own; only this thread's mask changes.
    unsafe {
        libc::close(inner.fd);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, core::ptr::null_mut());
    }
    *CLAIMED.lock().unwrap_or_else(PoisonError::into_inner) &= !inner.signals;
    // SAFETY: it is the box of `llam_signal_set_create_ex`, given up by its last user.
    drop(unsafe { Box::from_raw(set) });
    0
}
