//! The engine's one clock: monotonic nanoseconds (`llam_now_ns`).

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Absolute deadline of a millisecond timeout: negative means none.
#[inline]
pub(crate) fn deadline_from_ms(timeout_ms: i32) -> u64 {
    if timeout_ms < 0 {
        NEVER
    } else {
        now_ns().saturating_add(timeout_ms as u64 * 1_000_000)
    }
}

/// A relative `timespec` for `ns` nanoseconds.
#[inline]
pub(crate) fn timespec(ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (ns % 1_000_000_000) as libc::c_long,
    }
}
