//! Options of a runtime.
//!
//! Owns [`RuntimeBuilder`], [`Profile`] and [`PreemptMode`], and their translation to
//! `llam_runtime_opts_t` (`abi.md` section 3 and 5.13). Environment variables (`abi.md` 5.16) override
//! what is set here.

use std::time::Duration;

use super::Runtime;
use super::handle::RuntimeHandle;
use crate::error::{Result, check};
use crate::sys;

/// What the runtime is tuned for. It never changes results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Neither extreme.
    #[default]
    Balanced,
    /// Throughput first.
    ReleaseFast,
    /// Checks first.
    DebugSafe,
    /// Latency of I/O first.
    IoLatency,
}

impl Profile {
    /// The raw value, `LLAM_RUNTIME_PROFILE_*`.
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        match self {
            Self::Balanced => sys::LLAM_RUNTIME_PROFILE_BALANCED,
            Self::ReleaseFast => sys::LLAM_RUNTIME_PROFILE_RELEASE_FAST,
            Self::DebugSafe => sys::LLAM_RUNTIME_PROFILE_DEBUG_SAFE,
            Self::IoLatency => sys::LLAM_RUNTIME_PROFILE_IO_LATENCY,
        }
    }
}

/// When a task that keeps its worker yields at a safepoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PreemptMode {
    /// Never for its budget.
    Off,
    /// At explicit safepoints that ask for it.
    Cooperative,
    /// Over its budget, when other work waits.
    #[default]
    Auto,
    /// Over its budget.
    Strict,
}

impl PreemptMode {
    /// The raw value, `LLAM_PREEMPT_*`.
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        match self {
            Self::Off => sys::LLAM_PREEMPT_OFF,
            Self::Cooperative => sys::LLAM_PREEMPT_COOPERATIVE,
            Self::Auto => sys::LLAM_PREEMPT_AUTO,
            Self::Strict => sys::LLAM_PREEMPT_STRICT,
        }
    }
}

/// Chooses a runtime's options and starts it.
///
/// Defaults: profile [`Profile::Balanced`], one worker per CPU, preemption [`PreemptMode::Auto`],
/// everything else off.
#[derive(Clone, Debug)]
#[must_use]
pub struct RuntimeBuilder {
    raw: sys::llam_runtime_opts_t,
    workers: u32,
}

impl Default for RuntimeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RuntimeBuilder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            raw: sys::ext::default_runtime_opts(),
            workers: 0,
        }
    }

    /// Sets the profile.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.raw.profile = profile.to_raw();
        self
    }

    /// The number of workers (OS threads that run tasks); 0, the default, means one per CPU. On an
    /// installed SDK 1 means [`deterministic`](Self::deterministic) and other numbers are ignored.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = u32::try_from(workers).unwrap_or(u32::MAX);
        self
    }

    /// One worker and first-in-first-out order.
    pub fn deterministic(mut self, deterministic: bool) -> Self {
        self.raw.deterministic = u32::from(deterministic);
        self
    }

    /// Every n-th safepoint of a task yields; 0, the default, means none.
    pub fn forced_yield_every(mut self, safepoints: u32) -> Self {
        self.raw.forced_yield_every = safepoints;
        self
    }

    /// Upper bound of spinning before an idle worker sleeps; default zero.
    pub fn idle_spin(mut self, duration: Duration) -> Self {
        self.raw.idle_spin_ns = crate::time::saturating_ns(duration);
        self
    }

    /// Upper bound of spin iterations; default 0.
    pub fn idle_spin_max_iters(mut self, iterations: u32) -> Self {
        self.raw.idle_spin_max_iters = iterations;
        self
    }

    /// The CPU of a kernel submission thread; -1, the default, lets the kernel choose. Looked at
    /// only with [`sqpoll`](Self::sqpoll).
    pub fn sqpoll_cpu(mut self, cpu: i32) -> Self {
        self.raw.sqpoll_cpu = cpu;
        self
    }

    /// Hint: workers go on- and offline with the load.
    pub fn dynamic_workers(self, on: bool) -> Self {
        self.flag(sys::LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS, on)
    }

    /// Hint: one I/O ring per worker.
    pub fn worker_rings(self, on: bool) -> Self {
        self.flag(sys::LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS, on)
    }

    /// Hint: multishot operations on worker rings.
    pub fn worker_rings_multishot(self, on: bool) -> Self {
        self.flag(sys::LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS_MULTISHOT, on)
    }

    /// Hint: a lock-free run queue.
    pub fn lockfree_normq(self, on: bool) -> Self {
        self.flag(sys::LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ, on)
    }

    /// Hint: huge pages.
    pub fn huge_alloc(self, on: bool) -> Self {
        self.flag(sys::LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC, on)
    }

    /// Hint: a kernel submission thread.
    pub fn sqpoll(self, on: bool) -> Self {
        self.flag(sys::LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL, on)
    }

    /// Sets all hints at once, `LLAM_RUNTIME_EXPERIMENTAL_F_*`; unknown bits are ignored.
    pub fn experimental_flags(mut self, flags: u64) -> Self {
        self.raw.experimental_flags = flags;
        self
    }

    /// When tasks over their budget yield.
    pub fn preempt_mode(mut self, mode: PreemptMode) -> Self {
        self.raw.preempt_mode = mode.to_raw();
        self
    }

    /// How many safepoints pass between looks at the clock; 0, the default, takes the profile's;
    /// at most 4096.
    pub fn preempt_poll_period(mut self, safepoints: u32) -> Self {
        self.raw.preempt_poll_period = safepoints;
        self
    }

    /// One budget for all tasks; zero, the default, takes the budgets per class.
    pub fn preempt_quantum(mut self, quantum: Duration) -> Self {
        self.raw.preempt_quantum_ns = crate::time::saturating_ns(quantum);
        self
    }

    /// The struct the engine gets.
    #[must_use]
    pub fn raw_options(&self) -> sys::llam_runtime_opts_t {
        self.raw
    }

    /// Starts the default runtime.
    ///
    /// # Errors
    ///
    /// `EBUSY` when it is live already; `EINVAL` bad options; `ENODEV`, `ENOMEM`, `EAGAIN` from
    /// starting it. A failure leaves nothing behind.
    pub fn init(self) -> Result<Runtime> {
        // SAFETY: the options are a local of the size given.
        check(unsafe {
            sys::ext::runtime_init(
                &raw const self.raw,
                sys::LLAM_RUNTIME_OPTS_CURRENT_SIZE,
                self.workers,
            )
        })?;
        Ok(Runtime::adopt())
    }

    /// Makes an independent runtime, with its own workers, tasks and counters.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init), but for `EBUSY`; that only on an SDK 1.x, where this starts the default
    /// runtime.
    pub fn create_handle(self) -> Result<RuntimeHandle> {
        let mut out = std::ptr::null_mut();
        // SAFETY: the options are a local of the size given, and `out` is a local.
        check(unsafe {
            sys::ext::runtime_create(
                &raw const self.raw,
                sys::LLAM_RUNTIME_OPTS_CURRENT_SIZE,
                self.workers,
                &raw mut out,
            )
        })?;
        Ok(RuntimeHandle::adopt(out))
    }

    /// Starts the default runtime, runs `f` as its first task and shuts down; see
    /// [`Runtime::run`].
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init) and [`Runtime::run`].
    pub fn run<F>(self, f: F) -> Result<()>
    where
        F: FnOnce() -> Result<()> + Send + 'static,
    {
        self.init()?.run(f)
    }

    fn flag(mut self, flag: u64, on: bool) -> Self {
        if on {
            self.raw.experimental_flags |= flag;
        } else {
            self.raw.experimental_flags &= !flag;
        }
        self
    }
}
