//! Independent runtimes.
//!
//! Owns [`RuntimeHandle`] and the list of those alive, which a host-thread `spawn` without a default
//! runtime falls back to. Invariant: the list may name a runtime that is just being destroyed; the
//! engine refuses it then (`EINVAL`). Contract: `abi.md` 4.2.

use std::sync::{Mutex, PoisonError};

use super::stats::RuntimeStats;
use crate::error::{Result, check};
use crate::host::Carried;
use crate::sys;
use crate::task::packet::Target;
use crate::task::{JoinHandle, SpawnOptions};

/// Handles alive, oldest first.
static ALIVE: Mutex<Vec<Carried<sys::llam_runtime_t>>> = Mutex::new(Vec::new());

/// The handle made last of those alive.
pub(crate) fn most_recent_handle() -> Option<*mut sys::llam_runtime_t> {
    let alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    alive.last().map(Carried::handle)
}

/// The handle of the default runtime: never null, always the same, whether it is live or not.
#[must_use]
pub fn current_runtime_raw() -> *mut sys::llam_runtime_t {
    // SAFETY: takes nothing; allowed on any thread.
    unsafe { sys::llam_runtime_default() }
}

/// An independent runtime: its own workers, tasks and counters. Dropping it destroys it.
///
/// What a host thread creates (channels, mutexes, tokens) belongs to the default runtime, so tasks of
/// this one cannot use it (`EXDEV`); create it inside one of its tasks. [`llam::spawn`](fn@crate::spawn)
/// on a host thread goes to the handle made last as long as the default runtime is not live.
///
/// ```
/// let handle = llam::Runtime::builder().workers(1).create_handle().unwrap();
/// let task = handle.spawn(|| 7).unwrap();
/// handle.run().unwrap();
/// assert_eq!(task.join().unwrap(), 7);
/// ```
#[derive(Debug)]
pub struct RuntimeHandle {
    raw: *mut sys::llam_runtime_t,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1).
unsafe impl Send for RuntimeHandle {}
// SAFETY: as above.
unsafe impl Sync for RuntimeHandle {}

impl RuntimeHandle {
    /// Takes over a runtime that was made just now.
    pub(super) fn adopt(raw: *mut sys::llam_runtime_t) -> Self {
        let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
        alive.push(Carried::new(raw));
        Self { raw }
    }

    /// Runs the runtime on the calling thread (and its own) until it has no task left. It can be run
    /// again afterwards.
    ///
    /// # Errors
    ///
    /// `EINVAL` from inside a task, and while another thread runs it; `EDEADLK` as for
    /// [`run`](fn@crate::run).
    pub fn run(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_runtime_run_handle(self.raw) })
    }

    /// Spawns a task on this runtime, from any thread or task.
    ///
    /// # Errors
    ///
    /// `EINVAL` the runtime is gone; `EAGAIN`, `ENOMEM`.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_with(SpawnOptions::new(), f)
    }

    /// [`spawn`](Self::spawn) with options. A token in them has to belong to this runtime.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn); `EXDEV` for a token of another runtime.
    #[track_caller]
    pub fn spawn_with<F, T>(&self, options: SpawnOptions, f: F) -> Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let target = Target {
            runtime: self.raw,
            group: std::ptr::null_mut(),
        };
        JoinHandle::spawn(target, &options, None, f)
    }

    /// A snapshot of the counters.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the runtime is gone.
    pub fn stats(&self) -> Result<RuntimeStats> {
        RuntimeStats::of(self.raw)
    }

    /// Asks the runtime to stop, from any thread or task: every wait of its tasks fails with
    /// `ECANCELED` until all have ended.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the runtime is gone; `ENOTSUP` with an installed engine.
    pub fn request_stop(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::ext::runtime_request_stop(self.raw) })
    }

    /// The raw handle.
    #[must_use]
    pub fn raw(&self) -> *mut sys::llam_runtime_t {
        self.raw
    }

    /// Ends the runtime: stops it, waits for a run on another thread, drops tasks that never
    /// started. From inside one of its own tasks this is a stop request, and the runtime is never
    /// freed.
    pub fn destroy(self) {
        drop(self);
    }
}

impl Drop for RuntimeHandle {
    fn drop(&mut self) {
        {
            let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
            alive.retain(|other| other.handle() != self.raw);
        }
        // SAFETY: the engine checks the handle.
        unsafe { sys::ext::runtime_destroy(self.raw) }
    }
}
