//! Counters of a runtime.
//!
//! Owns [`RuntimeStats`], the safe view of `llam_runtime_stats_t` (`abi.md` section 3 and 4.18).
//! Counters start at 0 when a runtime starts and never decrease while it lives; fields of mechanisms
//! that the engine does not have stay 0. Times are nanoseconds.

use std::mem::MaybeUninit;

use crate::error::{Result, check};
use crate::sys;

/// One snapshot of a runtime's counters.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeStats {
    raw: sys::llam_runtime_stats_t,
}

impl RuntimeStats {
    /// Lets `fill` write a zeroed struct.
    fn collect(
        fill: impl FnOnce(*mut sys::llam_runtime_stats_t, usize) -> std::ffi::c_int,
    ) -> Result<Self> {
        let mut raw = MaybeUninit::<sys::llam_runtime_stats_t>::zeroed();
        check(fill(raw.as_mut_ptr(), sys::LLAM_RUNTIME_STATS_CURRENT_SIZE))?;
        // SAFETY: zeroed above, and every bit pattern is a valid value of plain integers.
        let raw = unsafe { raw.assume_init() };
        Ok(Self { raw })
    }

    /// The default runtime's counters; zeros while it is not live.
    pub(super) fn of_default() -> Result<Self> {
        Self::collect(|stats, size| {
            // SAFETY: `collect` passes a buffer of the size given.
            unsafe { sys::llam_runtime_collect_stats_ex(stats, size) }
        })
    }

    /// One runtime's counters. `EINVAL` when it is gone.
    pub(super) fn of(runtime: *mut sys::llam_runtime_t) -> Result<Self> {
        Self::collect(|stats, size| {
            // SAFETY: `collect` passes a buffer of the size given; the engine checks the handle.
            unsafe { sys::llam_runtime_collect_stats_ex_handle(runtime, stats, size) }
        })
    }

    /// The struct itself.
    #[must_use]
    pub fn raw(&self) -> &sys::llam_runtime_stats_t {
        &self.raw
    }
}

/// Generates one getter per field.
macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $kind:tt,)*) => {
        impl RuntimeStats {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> $kind {
                    getters!(@value $kind, self.raw.$name)
                }
            )*
        }
    };
    (@value bool, $value:expr) => { $value != 0 };
    (@value $kind:tt, $value:expr) => { $value };
}

getters! {
    /// Switches into tasks.
    ctx_switches: u64,
    /// Yields done by tasks, safepoint yields included.
    yields: u64,
    /// Times a task parked.
    parks: u64,
    /// Times a parked task was made runnable.
    wakes: u64,
    /// Tasks taken from another worker.
    steals: u64,
    /// Tasks or I/O moved to another worker.
    migrations: u64,
    /// Blocking jobs submitted.
    blocking_calls: u64,
    /// Blocking jobs finished.
    blocking_completions: u64,
    /// I/O requests handed to the backend.
    io_submits: u64,
    /// Submit attempts.
    io_submit_calls: u64,
    /// Submit system calls.
    io_submit_syscalls: u64,
    /// I/O requests completed.
    io_completions: u64,
    /// Kernel polls by idle workers.
    idle_polls: u64,
    /// Idle spin iterations.
    idle_spin_loops: u64,
    /// Spins that found work.
    idle_spin_hits: u64,
    /// Spins that ended in a kernel wait.
    idle_spin_fallbacks: u64,
    /// Time spent spinning.
    idle_spin_ns: u64,
    /// Run-queue overflows.
    queue_overflows: u64,
    /// Current depth of the overflow queue (a gauge).
    overflow_depth: u64,
    /// Configured workers.
    active_workers: u32,
    /// Workers online now.
    online_workers: u32,
    /// Lower bound kept online.
    online_workers_floor: u32,
    /// Smallest number seen online.
    online_workers_min: u32,
    /// Largest number seen online.
    online_workers_max: u32,
    /// I/O backends (at least 1).
    active_nodes: u32,
    /// Whether that mode is active.
    dynamic_workers: bool,
    /// Whether that mode is active.
    worker_rings: bool,
    /// Whether that mode is active.
    worker_rings_multishot: bool,
    /// Whether that mode is active.
    lockfree_normq: bool,
    /// Whether that mode is active.
    huge_alloc: bool,
    /// Whether that mode is active.
    sqpoll: bool,
    /// Time in opaque blocking regions (filled only with `LLAM_OPAQUE_TIMING=1`, like the next
    /// eight).
    opaque_block_ns: u64,
    /// Samples of the time above.
    opaque_block_samples: u64,
    /// Longest of them.
    opaque_block_max_ns: u64,
    /// Time spent entering.
    opaque_enter_wait_ns: u64,
    /// Samples of the time above.
    opaque_enter_wait_samples: u64,
    /// Longest of them.
    opaque_enter_wait_max_ns: u64,
    /// Time spent leaving.
    opaque_leave_wait_ns: u64,
    /// Samples of the time above.
    opaque_leave_wait_samples: u64,
    /// Longest of them.
    opaque_leave_wait_max_ns: u64,
    /// Attempts to switch directly to another task on yield.
    yield_direct_attempts: u64,
    /// Of the attempts, done without a lock.
    yield_direct_fast_hits: u64,
    /// Of the attempts, done under a lock.
    yield_direct_locked_hits: u64,
    /// Not done: wrong context.
    yield_direct_fail_context: u64,
    /// Not done: policy.
    yield_direct_fail_policy: u64,
    /// Not done: nothing runnable here.
    yield_direct_fail_no_work: u64,
    /// Not done: only the caller was found.
    yield_direct_fail_self: u64,
    /// Not done: caller could not be queued.
    yield_direct_fail_push: u64,
    /// Automatic preemption requests.
    preempt_requests: u64,
    /// Yields caused by them.
    preempt_yields: u64,
    /// Over-budget observations without a request.
    preempt_suppressed: u64,
    /// Wake signals sent for them.
    preempt_signals: u64,
    /// Active mode.
    preempt_mode: u32,
    /// Active period (0 when OFF, 1 when STRICT).
    preempt_poll_period: u32,
    /// Active override, 0 for class budgets.
    preempt_quantum_ns: u64,
}
