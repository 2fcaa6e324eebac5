//! Runtimes: starting one, running it, stopping it.
//!
//! Owns the entry points `run` and `test`. The default runtime is a process-wide singleton
//! ([`Runtime`]); independent ones are [`RuntimeHandle`]s. Contract: `abi.md` 4.2 and 5.1.
//!
//! ```text
//!   builder   options ──┬── init ──────────> Runtime        the default runtime, shut down on drop
//!                       └── create_handle ─> RuntimeHandle  an independent one, destroyed on drop
//!   stats     counters of either
//! ```

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result, check};
use crate::sys;
use crate::task::packet::Target;
use crate::task::{self, JoinError, JoinHandle, SpawnOptions};

mod builder;
mod handle;
mod stats;

pub use builder::{PreemptMode, Profile, RuntimeBuilder};
pub(crate) use handle::most_recent_handle;
pub use handle::{RuntimeHandle, current_runtime_raw};
pub use stats::RuntimeStats;

/// Runs `f` as the first task of the default runtime, with the balanced profile, and returns its
/// result when it and every other task have ended.
///
/// # Errors
///
/// What `f` returned; `EBUSY` when the default runtime is live already, also from inside a task; and
/// what starting a runtime can fail with (`EMFILE`, say).
///
/// `EDEADLK` when every task waits, without a time limit, for the end of another or for a
/// [`Mutex`](crate::sync::Mutex): their waits fail with `ECANCELED` then, and the run ends. A wait on a
/// channel, a condition or anything else that a host thread could end is never taken for a deadlock.
///
/// # Panics
///
/// When `f` panics: its panic goes on here, after the runtime has been shut down.
///
/// ```
/// llam::run(|| {
///     let (tx, rx) = llam::channel::bounded(1)?;
///     llam::spawn(move || tx.send("hello").unwrap());
///     assert_eq!(rx.recv()?, "hello");
///     Ok(())
/// }).unwrap();
/// ```
pub fn run<F>(f: F) -> Result<()>
where
    F: FnOnce() -> Result<()> + Send + 'static,
{
    run_with_profile(Profile::Balanced, f)
}

/// [`run`] with a profile.
///
/// # Errors
///
/// As [`run`].
///
/// # Panics
///
/// As [`run`].
pub fn run_with_profile<F>(profile: Profile, f: F) -> Result<()>
where
    F: FnOnce() -> Result<()> + Send + 'static,
{
    RuntimeBuilder::new().profile(profile).run(f)
}

/// [`run`] for tests: one at a time in a process, because test threads share the default runtime.
///
/// # Errors
///
/// As [`run`].
///
/// # Panics
///
/// As [`run`].
pub fn test<F>(f: F) -> Result<()>
where
    F: FnOnce() -> Result<()> + Send + 'static,
{
    test_with_profile(Profile::Balanced, f)
}

/// [`test()`] with a profile.
///
/// # Errors
///
/// As [`run`].
///
/// # Panics
///
/// As [`run`].
pub fn test_with_profile<F>(profile: Profile, f: F) -> Result<()>
where
    F: FnOnce() -> Result<()> + Send + 'static,
{
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // A failed test poisons the lock; the next one may run all the same.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    run_with_profile(profile, f)
}

/// The default runtime, live. Dropping it shuts it down, from inside one of its tasks it asks it to
/// stop.
///
/// ```
/// let runtime = llam::Runtime::builder().workers(2).init().unwrap();
/// runtime.run(|| Ok(())).unwrap();
/// ```
#[derive(Debug)]
pub struct Runtime {
    _live: (),
}

impl Runtime {
    /// Options first.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// Starts the default runtime with default options. Nothing runs until [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// `EBUSY` when it is live already; `EINVAL`, `ENOMEM`, `EAGAIN`, `ENODEV` from starting it.
    pub fn init() -> Result<Self> {
        Self::builder().init()
    }

    pub(super) fn adopt() -> Self {
        Self { _live: () }
    }

    /// Runs `f` as a task, waits until it and every other task have ended, and shuts down.
    ///
    /// # Errors
    ///
    /// As [`run`].
    ///
    /// # Panics
    ///
    /// When `f` panics, after the shutdown.
    pub fn run<F>(self, f: F) -> Result<()>
    where
        F: FnOnce() -> Result<()> + Send + 'static,
    {
        if task::is_inside() {
            return Err(Error::from_errno(libc::EINVAL));
        }
        let target = Target {
            runtime: current_runtime_raw(),
            group: std::ptr::null_mut(),
        };
        let main = JoinHandle::spawn(target, &SpawnOptions::new(), None, f)?;
        // SAFETY: takes nothing; the engine refuses callers that may not run it.
        let ran = check(unsafe { sys::llam_run() });
        if ran.is_err() && !main.is_finished() {
            // The run could not start (no descriptors for its driver, say), and nobody will run the
            // first task: it is dropped.
            self.shutdown();
            return ran;
        }
        let outcome = main.join();
        self.shutdown();
        match outcome {
            Ok(result) => ran.and(result),
            Err(JoinError::Panic(payload)) => resume_unwind(payload),
            Err(error) => ran.and(Err(error.into())),
        }
    }

    /// Asks the runtime to stop: every wait of its tasks fails with `ECANCELED` until all have ended.
    /// Any thread. From a task of another runtime it is that runtime that is asked. On an SDK 1.x it
    /// reaches the tasks that brought no [`CancelToken`](crate::CancelToken) and belong to no
    /// [`TaskGroup`](crate::TaskGroup).
    ///
    /// # Errors
    ///
    /// `EINVAL` when the runtime is no longer live.
    pub fn request_stop(&self) -> Result<()> {
        check(sys::ext::request_stop())
    }

    /// A snapshot of the counters.
    ///
    /// # Errors
    ///
    /// None are expected.
    pub fn stats(&self) -> Result<RuntimeStats> {
        RuntimeStats::of_default()
    }

    /// Ends the runtime: waits for a run on another thread, drops tasks that never started.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        sys::ext::runtime_shutdown();
    }
}
