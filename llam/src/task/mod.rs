//! Tasks: spawning, joining, asking about the current one.
//!
//! Owns the entry points of the module; each type has its file. Every task of this crate is spawned
//! with `LLAM_SPAWN_F_PINNED`: once it has started it never changes OS thread, which is what makes
//! thread-locals, guards and `!Send` values on its stack sound. `spawn` makes one allocation.
//!
//! ```text
//!   options    class, stack, token, flags        packet   closure, result, name: the one allocation
//!   builder    options plus a name               join     JoinHandle, JoinError
//!   group      children with one join            batch    children with results
//!   state      what the binding keeps per task   shared   the counted reference to a packet
//! ```
//!
//! Contract: `abi.md` 4.3, 4.4 and 5.4.

use std::ffi::CStr;

use crate::error::{Result, check};
use crate::sys;

mod batch;
mod builder;
mod group;
mod join;
mod options;
pub(crate) mod packet;
pub(crate) mod shared;
pub(crate) mod state;

pub use batch::TaskBatch;
pub use builder::Builder;
pub use group::TaskGroup;
pub(crate) use join::settle;
pub use join::{JoinError, JoinHandle};
pub use options::{SpawnOptions, StackClass, TaskClass};

/// Spawns a task on the caller's runtime and returns its handle.
///
/// From a host thread the task goes to the default runtime; when that is not live, to the
/// [`RuntimeHandle`](crate::RuntimeHandle) made last, if one lives. The task starts at the earliest
/// when the caller parks, yields or ends.
///
/// # Panics
///
/// When the task cannot be made; [`try_spawn`] returns the error instead.
///
/// ```
/// llam::run(|| {
///     let answer = llam::spawn(|| 6 * 7).join()?;
///     assert_eq!(answer, 42);
///     Ok(())
/// }).unwrap();
/// ```
///
/// What a task brings along may come from another thread:
///
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// llam::spawn(move || drop(shared));
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_with(SpawnOptions::new(), f)
}

/// [`spawn`] that returns the error.
///
/// # Errors
///
/// `EINVAL` no live runtime; `EAGAIN` or `ENOMEM` no memory or mappings for a stack.
#[track_caller]
pub fn try_spawn<F, T>(f: F) -> Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    try_spawn_with(SpawnOptions::new(), f)
}

/// [`spawn`] with options.
///
/// # Panics
///
/// When the task cannot be made; [`try_spawn_with`] returns the error instead.
#[track_caller]
pub fn spawn_with<F, T>(options: SpawnOptions, f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match try_spawn_with(options, f) {
        Ok(handle) => handle,
        Err(error) => panic!("spawning a task failed: {error}"),
    }
}

/// [`try_spawn`] with options.
///
/// # Errors
///
/// As [`try_spawn`]; `EXDEV` when the options' token belongs to another runtime.
#[track_caller]
pub fn try_spawn_with<F, T>(options: SpawnOptions, f: F) -> Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    JoinHandle::spawn(packet::Target::caller(), &options, None, f)
}

/// Lets other runnable tasks run first. Never fails, is never cancelled; on a host thread at most
/// an OS yield.
pub fn yield_now() {
    // SAFETY: takes nothing; allowed on any thread.
    unsafe { sys::llam_yield() }
}

/// Gives the scheduler a chance to preempt a long computation. Cheap; nothing happens on a host
/// thread. See `abi.md` 5.13.
pub fn safepoint() {
    // SAFETY: takes nothing; allowed on any thread.
    unsafe { sys::llam_task_safepoint() }
}

/// Changes the calling task's class, a hint for the order of dispatch.
///
/// # Errors
///
/// `ENOTSUP` outside a task.
pub fn set_class(class: TaskClass) -> Result<()> {
    // SAFETY: takes a number; allowed on any thread.
    check(unsafe { sys::llam_task_set_class(class.to_raw()) })
}

/// The calling task's handle; null outside a task.
pub(crate) fn current_raw() -> *mut sys::llam_task_t {
    // SAFETY: takes nothing; allowed on any thread.
    unsafe { sys::llam_current_task() }
}

/// Whether the caller runs inside a task.
pub(crate) fn is_inside() -> bool {
    !current_raw().is_null()
}

/// The calling task's class; `None` outside a task.
#[must_use]
pub fn current_class() -> Option<TaskClass> {
    let task = current_raw();
    if task.is_null() {
        return None;
    }
    // SAFETY: the engine checks the handle.
    TaskClass::from_raw(unsafe { sys::llam_task_class(task) })
}

/// The calling task's spawn flags (`LLAM_SPAWN_F_*`); 0 outside a task.
#[must_use]
pub fn current_flags() -> u32 {
    // SAFETY: the engine checks the handle; null gives 0.
    unsafe { sys::llam_task_flags(current_raw()) }
}

/// The calling task's id, unique within its runtime; `None` outside a task.
#[must_use]
pub fn current_id() -> Option<u64> {
    // SAFETY: the engine checks the handle; null gives 0.
    let id = unsafe { sys::llam_task_id(current_raw()) };
    (id != 0).then_some(id)
}

/// The calling task's state, normally `RUNNING`; `None` outside a task. Names: `abi.md` 5.14.
#[must_use]
pub fn current_state_name() -> Option<String> {
    state_name(current_raw())
}

/// The calling task's name as given to [`Builder::name`]; `None` without one and outside a task.
#[must_use]
pub fn current_name() -> Option<String> {
    if sys::ext::IS_BUNDLED {
        sys::ext::task_name(std::ptr::null())
    } else {
        state::name()
    }
}

/// The state of any task; `None` for null, dead and foreign handles.
pub(crate) fn state_name(task: *const sys::llam_task_t) -> Option<String> {
    if task.is_null() {
        return None;
    }
    // SAFETY: the engine checks the handle and returns a static string.
    let name = unsafe { CStr::from_ptr(sys::llam_task_state_name(task)) };
    (name != c"UNKNOWN").then(|| name.to_string_lossy().into_owned())
}
