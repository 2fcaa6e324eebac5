//! The handle of a spawned task, and why a join can fail.
//!
//! Owns [`JoinHandle`] and [`JoinError`]. Invariant: a handle is consumed at most once, by a join that
//! succeeded or by a detach; the outcome is taken by whoever consumed it. Contract: `abi.md` 4.3.

use std::fmt;
use std::ptr;
use std::time::Duration;

use super::options::{SpawnOptions, TaskClass};
use super::packet::{self, Outcome, Payload, Target, TaskRef};
use super::shared::Shared;
use crate::error::{Error, Result, check};
use crate::host;
use crate::sys;
use crate::time;

/// Why a join gave no result.
pub enum JoinError {
    /// The wait failed: `ECANCELED`, `ETIMEDOUT` (a [`timeout`](crate::time::timeout) around it),
    /// `EDEADLK` (a task joins itself; on a host thread: the run ended in a deadlock), `EXDEV` (a task of another
    /// runtime), `EINVAL` (the runtime is gone).
    Runtime(Error),
    /// The task panicked; this is what the panic carried.
    Panic(Box<dyn std::any::Any + Send>),
    /// The result was taken before.
    MissingResult,
}

impl JoinError {
    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panic(_))
    }

    /// Whether the wait failed because a deadline passed.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self, Self::Runtime(error) if error.is_timed_out())
    }

    /// The errno: that of a failed wait, `EIO` for a panic, `EINVAL` for a missing result.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Runtime(error) => error.errno(),
            Self::Panic(_) => libc::EIO,
            Self::MissingResult => libc::EINVAL,
        }
    }

    /// The panic's message, if it has one: a string, as `panic!` makes it.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match self {
            Self::Panic(payload) => payload
                .downcast_ref::<&'static str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str)),
            Self::Runtime(_) | Self::MissingResult => None,
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => f.debug_tuple("Runtime").field(error).finish(),
            Self::Panic(_) => f
                .debug_tuple("Panic")
                .field(&self.panic_message().unwrap_or("?"))
                .finish(),
            Self::MissingResult => f.write_str("MissingResult"),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "joining the task failed: {error}"),
            Self::Panic(_) => match self.panic_message() {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => f.write_str("the task panicked"),
            },
            Self::MissingResult => f.write_str("the task's result was taken before"),
        }
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Runtime(error) => Some(error),
            Self::Panic(_) | Self::MissingResult => None,
        }
    }
}

impl From<Error> for JoinError {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}

/// So that `?` works in functions that return [`llam::Result`](crate::Result). A panic becomes an
/// error with its message; see [`JoinError::errno`].
impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Runtime(error) => error,
            JoinError::Panic(_) => std::io::Error::other(error.to_string()).into(),
            JoinError::MissingResult => {
                std::io::Error::new(std::io::ErrorKind::InvalidInput, error.to_string()).into()
            }
        }
    }
}

/// Turns a taken outcome into a join's result.
pub(crate) fn settle<T>(
    outcome: Option<std::result::Result<T, Payload>>,
) -> std::result::Result<T, JoinError> {
    match outcome {
        Some(Ok(value)) => Ok(value),
        Some(Err(payload)) => Err(JoinError::Panic(payload)),
        None => Err(JoinError::MissingResult),
    }
}

/// The right to join one task and take its result. Dropping it detaches the task.
///
/// Any thread may hold and join it: a host thread waits while other threads run the runtime. A task
/// of another runtime gets `EXDEV`.
pub struct JoinHandle<T> {
    /// `None` once a join consumed the handle.
    task: Option<TaskRef>,
    packet: Shared<dyn Outcome<T> + Send + Sync>,
}

// SAFETY: the task handle is a token that the engine checks on every call from any thread
// (`abi.md` R1); the packet is shared by design.
unsafe impl<T> Send for JoinHandle<T> {}
// SAFETY: as above; shared access only asks, and the outcome is taken through `&mut self` alone.
unsafe impl<T> Sync for JoinHandle<T> {}

impl<T: Send + 'static> JoinHandle<T> {
    /// Every owning spawn of the crate ends here.
    #[track_caller]
    #[inline(always)]
    pub(crate) fn spawn<F>(
        target: Target,
        options: &SpawnOptions,
        name: Option<String>,
        f: F,
    ) -> Result<Self>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        // SAFETY: `F` and `T` are `'static`.
        let (task, packet) = unsafe { packet::launch(target, options, name, f)? };
        Ok(Self {
            task: Some(task),
            // SAFETY: a coercion and nothing else.
            packet: unsafe { packet.widen(|packet| packet as _) },
        })
    }
}

impl<T> JoinHandle<T> {
    /// Waits for the task to end and returns its result.
    ///
    /// When the wait fails the task goes on, detached.
    ///
    /// # Errors
    ///
    /// [`JoinError::Panic`] when the task panicked; [`JoinError::Runtime`] when the wait failed;
    /// [`JoinError::MissingResult`] when [`join_until`](Self::join_until) took the result before.
    #[inline(always)]
    pub fn join(mut self) -> std::result::Result<T, JoinError> {
        match self.join_until(u64::MAX)? {
            Some(value) => Ok(value),
            None => Err(JoinError::Runtime(Error::from_errno(libc::ETIMEDOUT))),
        }
    }

    /// Waits until `deadline_ns` of [`time::now_ns`](crate::time::now_ns). `Ok(None)` when the
    /// deadline passes first; the handle can be joined again then, as after a wait that failed.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join); `ETIMEDOUT` only for a [`timeout`](crate::time::timeout) that ends
    /// before `deadline_ns`.
    #[inline(always)]
    pub fn join_until(&mut self, deadline_ns: u64) -> std::result::Result<Option<T>, JoinError> {
        let Some(task) = self.task else {
            return Err(JoinError::MissingResult);
        };
        let until = time::effective_deadline(deadline_ns);
        if let Err(error) = task.join_until(until) {
            if error.is_timed_out() && time::has_passed(deadline_ns) {
                return Ok(None);
            }
            return Err(JoinError::Runtime(error));
        }
        self.task = None;
        // SAFETY: the join succeeded, so the task has ended, and this handle was the only one.
        settle(unsafe { self.packet.take() }).map(Some)
    }

    /// [`join_until`](Self::join_until) the end of the duration, counted from now.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn join_timeout(
        &mut self,
        duration: Duration,
    ) -> std::result::Result<Option<T>, JoinError> {
        self.join_until(time::deadline_after(duration))
    }

    /// Gives up the handle; the task goes on and frees itself when it ends.
    ///
    /// # Errors
    ///
    /// `EXDEV` from a task of another runtime, `EINVAL` when the runtime is gone.
    pub fn detach(mut self) -> Result<()> {
        let Some(task) = self.task.take() else {
            return Ok(());
        };
        // SAFETY: live, or checked by the engine.
        task.with(|raw| check(unsafe { sys::llam_detach(raw) }))
    }

    /// Whether the task has ended. Never waits.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.packet.is_done()
    }

    /// The raw handle; null once a join took the result.
    #[must_use]
    pub fn raw(&self) -> *mut sys::llam_task_t {
        self.task.map_or(ptr::null_mut(), TaskRef::raw)
    }

    /// Makes a call that takes null for a dead handle.
    fn ask<R>(&self, call: impl FnOnce(*mut sys::llam_task_t) -> R) -> R {
        match self.task {
            Some(task) => task.with(call),
            None => call(ptr::null_mut()),
        }
    }

    /// The task's id; `None` once joined, and from a task of another runtime.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        // SAFETY: live, or checked by the engine; null gives 0.
        let id = self.ask(|raw| unsafe { sys::llam_task_id(raw) });
        (id != 0).then_some(id)
    }

    /// The flags given at spawn, `LLAM_SPAWN_F_*`; 0 once joined.
    #[must_use]
    pub fn flags(&self) -> u32 {
        // SAFETY: live, or checked by the engine; null gives 0.
        self.ask(|raw| unsafe { sys::llam_task_flags(raw) })
    }

    /// The task's class now; `Default` once joined.
    #[must_use]
    pub fn class(&self) -> TaskClass {
        // SAFETY: live, or checked by the engine; null gives the default.
        let raw = self.ask(|raw| unsafe { sys::llam_task_class(raw) });
        TaskClass::from_raw(raw).unwrap_or_default()
    }

    /// The task's state now (`abi.md` 5.14); `None` once joined.
    #[must_use]
    pub fn state_name(&self) -> Option<String> {
        self.ask(|raw| super::state_name(raw))
    }

    /// The name given with [`Builder::name`](super::Builder::name).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.packet.name()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(task) = self.task else {
            return;
        };
        // SAFETY: live, or checked by the engine.
        if task.with(|raw| unsafe { sys::llam_detach(raw) }) != 0 && host::is_foreign() {
            let task = host::Carried::new(task.raw());
            host::run_later(move || {
                // SAFETY: the engine checks the handle.
                unsafe { sys::llam_detach(task.handle()) };
            });
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
