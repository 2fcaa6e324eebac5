//! Children without results that are cancelled and joined together.
//!
//! Owns [`TaskGroup`], the ABI's group plus a place for the first panic. Contract: `abi.md` 4.4 and
//! 5.9.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::join::JoinError;
use super::options::SpawnOptions;
use super::packet::{self, Payload, Target};
use crate::cancel;
use crate::error::{Error, Result, check};
use crate::sys;
use crate::time;

/// A list of children with one token and one join.
///
/// A child that names no token of its own gets the group's. Dropping a group neither waits for its
/// children nor cancels them: they go on as detached tasks do.
///
/// ```
/// llam::run(|| {
///     let mut group = llam::TaskGroup::new()?;
///     group.spawn(|| ())?;
///     group.spawn(|| panic!("lost"))?;
///     let error = group.join().unwrap_err();
///     assert_eq!(error.panic_message(), Some("lost"));
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct TaskGroup {
    raw: *mut sys::llam_task_group_t,
    /// That of the last spawn; see [`sys::ext::task_era`].
    era: u32,
    /// The first panic since the last join that reported one.
    panic: Arc<Mutex<Option<Payload>>>,
}

// SAFETY: the group handle is a token that the engine checks on every call from any thread
// (`abi.md` R1).
unsafe impl Send for TaskGroup {}
// SAFETY: as above.
unsafe impl Sync for TaskGroup {}

impl TaskGroup {
    /// A new, empty group of the caller's runtime; from a host thread, of the default one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: takes nothing; allowed on any thread.
        let raw = unsafe { sys::llam_task_group_create() };
        if raw.is_null() {
            return Err(Error::last());
        }
        Ok(Self {
            raw,
            era: sys::ext::task_era(),
            panic: Arc::default(),
        })
    }

    /// Spawns a child.
    ///
    /// # Errors
    ///
    /// `EINVAL` runtime not live; `EXDEV` from a task of another runtime; `ENOMEM`.
    #[track_caller]
    pub fn spawn<F>(&mut self, f: F) -> Result<()>
    where
        F: FnOnce() + Send + 'static,
    {
        self.spawn_with(SpawnOptions::new(), f)
    }

    /// Spawns a child with options. A token in them replaces the group's.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_with<F>(&mut self, options: SpawnOptions, f: F) -> Result<()>
    where
        F: FnOnce() + Send + 'static,
    {
        let panic = Arc::clone(&self.panic);
        let body = move || {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
                let mut first = panic.lock().unwrap_or_else(PoisonError::into_inner);
                if first.is_none() {
                    *first = Some(payload);
                }
            }
        };
        let target = Target {
            runtime: std::ptr::null_mut(),
            group: self.raw,
        };
        // SAFETY: the closure is `'static`. The handle is borrowed from the group and not kept.
        unsafe { packet::launch(target, &options, None, body)? };
        self.era = sys::ext::task_era();
        Ok(())
    }

    /// Cancels the children that use the group's token, now and later. Idempotent; does not wait.
    ///
    /// # Errors
    ///
    /// `EXDEV` from a task of another runtime.
    pub fn cancel(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_task_group_cancel(self.raw) })
    }

    /// Waits until all children have ended. The group can be used again afterwards.
    ///
    /// # Errors
    ///
    /// [`JoinError::Panic`] with the first panic of a child, after all have ended;
    /// [`JoinError::Runtime`] with `ECANCELED` (join again to go on), `EDEADLK` from a child of the
    /// group, `EXDEV`, `EINVAL`.
    pub fn join(&mut self) -> std::result::Result<(), JoinError> {
        self.join_until(u64::MAX)
    }

    /// [`join`](Self::join) with a limit.
    ///
    /// # Errors
    ///
    /// As there; `ETIMEDOUT` leaves the remaining children in the group.
    pub fn join_timeout(&mut self, duration: Duration) -> std::result::Result<(), JoinError> {
        self.join_until(time::deadline_after(duration))
    }

    fn join_until(&mut self, deadline_ns: u64) -> std::result::Result<(), JoinError> {
        let until = time::effective_deadline(deadline_ns);
        packet::in_turns(until, |until| {
            let group = if self.era == sys::ext::task_era() {
                self.raw
            } else {
                std::ptr::null_mut()
            };
            // SAFETY: live, or checked by the engine.
            unsafe { sys::llam_task_group_join_until(group, until) }
        })?;
        let first = self
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match first {
            None => Ok(()),
            Some(payload) => Err(JoinError::Panic(payload)),
        }
    }
}

impl Drop for TaskGroup {
    fn drop(&mut self) {
        cancel::bury(cancel::Remains::Group(self.raw, self.era));
    }
}
