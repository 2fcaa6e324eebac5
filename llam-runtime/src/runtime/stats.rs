//! Counters of a worker and the snapshot the ABI reports (`abi.md` 3, 4.18, 5.15).

use std::sync::atomic::{AtomicU64, Ordering};

use super::Runtime;

/// A counter with one writer, its worker's thread, and any number of readers.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one and returns the new value.
    #[inline]
    pub(crate) fn bump(&self) -> u64 {
        self.add(1)
    }

    #[inline]
    pub(crate) fn add(&self, amount: u64) -> u64 {
        let value = self.0.load(Ordering::Relaxed) + amount;
        self.0.store(value, Ordering::Relaxed);
        value
    }

    #[inline]
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What one worker counts.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $($(#[$doc])* pub(crate) $name: Counter),* }

        impl Counters {
            pub(crate) fn reset(&self) {
                $(self.$name.0.store(0, Ordering::Relaxed);)*
            }

            fn add_to(&self, sums: &mut Sums) {
                $(sums.$name += self.$name.value();)*
            }
        }

        /// The counters of all workers together.
        #[derive(Default)]
        struct Sums { $($name: u64),* }
    };
}

counters! {
    ctx_switches, yields, parks, wakes, steals, io_submits, io_submit_calls,
    io_submit_syscalls, io_completions, idle_polls, idle_spin_loops, idle_spin_hits,
    idle_spin_fallbacks, idle_spin_ns, queue_overflows, preempt_requests, preempt_yields,
    preempt_suppressed,
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident: $kind:ty),* $(,)?) => {
        /// `llam_runtime_stats_t`.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        #[allow(missing_docs, reason = "the fields are those of the C struct")]
        pub struct RuntimeStats { $(pub $name: $kind),* }

        impl RuntimeStats {
            /// Names and values in the order of the struct.
            pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), u64::from(self.$name))),*].into_iter()
            }
        }
    };
}

stats! {
    ctx_switches: u64, yields: u64, parks: u64, wakes: u64, steals: u64, migrations: u64,
    blocking_calls: u64, blocking_completions: u64, io_submits: u64, io_submit_calls: u64,
    io_submit_syscalls: u64, io_completions: u64, idle_polls: u64, idle_spin_loops: u64,
    idle_spin_hits: u64, idle_spin_fallbacks: u64, idle_spin_ns: u64, queue_overflows: u64,
    overflow_depth: u64, active_workers: u32, online_workers: u32, online_workers_floor: u32,
    online_workers_min: u32, online_workers_max: u32, active_nodes: u32, dynamic_workers: u32,
    worker_rings: u32, worker_rings_multishot: u32, lockfree_normq: u32, huge_alloc: u32,
    sqpoll: u32, opaque_block_ns: u64, opaque_block_samples: u64, opaque_block_max_ns: u64,
    opaque_enter_wait_ns: u64, opaque_enter_wait_samples: u64, opaque_enter_wait_max_ns: u64,
    opaque_leave_wait_ns: u64, opaque_leave_wait_samples: u64, opaque_leave_wait_max_ns: u64,
    yield_direct_attempts: u64, yield_direct_fast_hits: u64, yield_direct_locked_hits: u64,
    yield_direct_fail_context: u64, yield_direct_fail_policy: u64,
    yield_direct_fail_no_work: u64, yield_direct_fail_self: u64, yield_direct_fail_push: u64,
    preempt_requests: u64, preempt_yields: u64, preempt_suppressed: u64, preempt_signals: u64,
    preempt_mode: u32, preempt_poll_period: u32, preempt_quantum_ns: u64,
}

impl RuntimeStats {
    /// A snapshot of a live runtime. The caller keeps it live (lifecycle lock).
    pub(crate) fn of(runtime: &Runtime) -> Self {
        let mut sums = Sums::default();
        let mut overflow_depth = 0;
        for worker in runtime.all_workers() {
            worker.counters.add_to(&mut sums);
            overflow_depth += worker.overflow_len() as u64;
        }
        let options = runtime.options();
        let workers = options.workers as u32;
        let (calls, completions) = runtime.blocking_counts();
        Self {
            ctx_switches: sums.ctx_switches,
            yields: sums.yields,
            parks: sums.parks,
            wakes: sums.wakes,
            steals: sums.steals,
            blocking_calls: calls,
            blocking_completions: completions,
            io_submits: sums.io_submits,
            io_submit_calls: sums.io_submit_calls,
            io_submit_syscalls: sums.io_submit_syscalls,
            io_completions: sums.io_completions,
            idle_polls: sums.idle_polls,
            idle_spin_loops: sums.idle_spin_loops,
            idle_spin_hits: sums.idle_spin_hits,
            idle_spin_fallbacks: sums.idle_spin_fallbacks,
            idle_spin_ns: sums.idle_spin_ns,
            queue_overflows: sums.queue_overflows,
            overflow_depth,
            active_workers: workers,
            online_workers: workers,
            online_workers_floor: workers,
            online_workers_min: workers,
            online_workers_max: workers,
            active_nodes: workers,
            preempt_requests: sums.preempt_requests,
            preempt_yields: sums.preempt_yields,
            preempt_suppressed: sums.preempt_suppressed,
            preempt_mode: options.preempt_mode as u32,
            preempt_poll_period: options.preempt_poll_period,
            preempt_quantum_ns: options.preempt_quantum_ns,
            ..Self::default()
        }
    }
}

const _: () = assert!(size_of::<RuntimeStats>() == 384);
