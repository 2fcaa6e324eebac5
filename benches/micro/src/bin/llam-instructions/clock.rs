//! The clock of this program: `clock_gettime`, as everything in it calls it.
//!
//! A program's own definition of a function of the C library takes precedence over the library's. On
//! every thread but the one that called [`hold`] it asks the kernel. There it returns [`BEGIN_NS`], plus
//! what [`advance`] added, plus a step per call, so that no loop over it can hang. Rounds of the engine's
//! scheduler therefore never end for their length in time, under valgrind as little as on an idle
//! machine, and timers fall into the same slots of its wheel in every run.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The held time at first: later than any uptime (nine years), so that it goes on from the kernel's, and
/// a power of two, on which all levels of a timer wheel begin anew.
const BEGIN_NS: u64 = 1 << 58;
/// What passes per call: about what a real call costs.
const STEP_NS: u64 = 25;

thread_local! {
    /// Nanoseconds, or 0 while the clock is not held.
    static HELD_NS: Cell<u64> = const { Cell::new(0) };
}

/// Holds the calling thread's clocks.
pub(crate) fn hold() {
    HELD_NS.set(BEGIN_NS);
    let (first, second) = (Instant::now(), Instant::now());
    assert_eq!(
        second - first,
        Duration::from_nanos(STEP_NS),
        "the standard library reads another clock than this one"
    );
}

/// Moves the calling thread's held clocks on.
pub(crate) fn advance(duration: Duration) {
    HELD_NS.set(HELD_NS.get() + duration.as_nanos() as u64);
}

fn ask_kernel(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: the caller of `clock_gettime` passes a place for the answer, or one that the kernel
    // refuses with `EFAULT`.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int }
}

/// `clock_gettime(2)`, but see above. All clocks show the same while they are held.
// SAFETY: the name and the signature are those of the C library's function, which it replaces.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let held_ns = HELD_NS.get();
    if held_ns == 0 {
        return ask_kernel(clock, time);
    }
    HELD_NS.set(held_ns + STEP_NS);
    let answer = libc::timespec {
        tv_sec: (held_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (held_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: the caller passes a place for the answer.
    unsafe { time.write(answer) };
    0
}
