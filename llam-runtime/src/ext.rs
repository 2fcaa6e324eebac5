//! What the C ABI cannot say: names, a worker count, park deadlines, a word per task.
//!
//! Called by `llam_sys::ext`, which has the same functions on any engine.

use core::ffi::{c_int, c_void};
use std::panic::Location;

use libc::{sockaddr, socklen_t};

use crate::abi::convert::{failed, fd_or_errno, handle_or_errno, status};
use crate::abi::options;
use crate::abi::tasks::{self, SpawnRequest};
use crate::clock::NEVER;
use crate::driver::{Backend, descriptors};
use crate::errno;
use crate::io::{self, Accepted};
use crate::object::join;
use crate::runtime::registry;
use crate::task::{Entry, Task};
use crate::{handle, names, worker};

/// Where and under which name a task is spawned; shown in dumps and overflow reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpawnMeta<'a> {
    /// Up to 128 bytes are kept.
    pub name: Option<&'a str>,
    /// The place in the program that asked for the task.
    pub site: Option<&'static Location<'static>>,
    /// Called with the task's argument, on the thread that shuts the runtime down, when the
    /// task is dropped without having run. It must not unwind.
    pub abandon: Option<Entry>,
    /// Keep the task on the spawning worker even before its start. Without it the flag
    /// `LLAM_SPAWN_F_PINNED` binds the task to the worker that starts it.
    pub stay: bool,
}

/// `llam_spawn_ex`, `llam_runtime_spawn_ex` or `llam_task_group_spawn_ex` with a name and a
/// place.
///
/// # Safety
/// `opts` is null or readable for `opts_size` bytes; `entry` may be called with `arg` on
/// another thread.
pub unsafe fn spawn(
    runtime: *mut c_void,
    group: *mut c_void,
    entry: Option<Entry>,
    arg: *mut c_void,
    opts: *const c_void,
    opts_size: usize,
    meta: SpawnMeta<'_>,
) -> *mut c_void {
    let request = SpawnRequest {
        name: meta.name,
        site: meta.site,
        abandon: meta.abandon,
        movable_when_fresh: !meta.stay,
        // SAFETY: by the caller's promise.
        ..unsafe { SpawnRequest::read(entry, arg, opts.cast(), opts_size) }
    };
    let spawned = if !group.is_null() {
        tasks::spawn_in_group(group, &request)
    } else if !runtime.is_null() {
        tasks::spawn_on(runtime, &request)
    } else {
        tasks::spawn_implied(&request)
    };
    handle_or_errno(spawned)
}

/// `llam_runtime_init_ex` with a number of workers, 0 for one per CPU.
///
/// # Safety
/// `opts` is null or readable for `opts_size` bytes.
pub unsafe fn runtime_init(opts: *const c_void, opts_size: usize, workers: u32) -> c_int {
    // SAFETY: by the caller's promise.
    let raw = unsafe { options::read_runtime(opts.cast(), opts_size) };
    status(raw.and_then(|mut raw| {
        raw.workers = workers;
        registry::DEFAULT.init(&raw)
    }))
}

/// `llam_runtime_create` with a number of workers, 0 for one per CPU.
///
/// # Safety
/// `opts` is null or readable for `opts_size` bytes, `out` is null or writable.
pub unsafe fn runtime_create(
    opts: *const c_void,
    opts_size: usize,
    workers: u32,
    out: *mut *mut c_void,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the caller's promise.
    unsafe { out.write(std::ptr::null_mut()) };
    // SAFETY: as above.
    let raw = unsafe { options::read_runtime(opts.cast(), opts_size) };
    let created = raw.and_then(|mut raw| {
        raw.workers = workers;
        registry::create(&raw)
    });
    status(created.map(|handle| {
        // SAFETY: as above.
        unsafe { out.write(handle) }
    }))
}

/// A stop request to a runtime, from any thread. `EINVAL` when it is not live.
pub fn runtime_request_stop(runtime: *mut c_void) -> c_int {
    let Some(named) = registry::find(runtime) else {
        return failed(libc::EINVAL);
    };
    let live = named.runtime.lock_live();
    if live.is_none() || named.runtime.owner() != named.owner {
        return failed(libc::EINVAL);
    }
    named.runtime.request_stop();
    0
}

/// Sets the calling task's park deadline and returns the one before, in nanoseconds of
/// `llam_now_ns`; `u64::MAX` means none. Outside a task: nothing, `u64::MAX`.
#[inline]
pub fn set_park_deadline(deadline_ns: u64) -> u64 {
    match worker::current_task() {
        Some(task) => task.park_deadline.replace(deadline_ns),
        None => NEVER,
    }
}

/// `llam_accept` of a socket that is closed on exec and in the mode that the driver likes
/// best. The new descriptor is adopted, see [`adopt_descriptor`].
///
/// # Safety
/// `addr` and `addrlen` are both null, or valid as for `accept(2)`.
pub unsafe fn accept_cloexec(fd: c_int, addr: *mut sockaddr, addrlen: *mut socklen_t) -> c_int {
    if addr.is_null() != addrlen.is_null() {
        return failed(libc::EINVAL);
    }
    fd_or_errno(io::accept(fd, addr, addrlen, Accepted::Owned))
}

/// The caller promises to close this descriptor by `llam_close` only, or to call
/// [`release_descriptor`] before it is closed otherwise. In return waiting for it is
/// cheaper. A broken promise can cost a wake-up, never memory safety.
pub fn adopt_descriptor(fd: c_int) {
    descriptors::adopt(fd);
}

/// Ends what [`adopt_descriptor`] promised.
pub fn release_descriptor(fd: c_int) {
    descriptors::release(fd);
}

/// Whether new sockets are better left in blocking mode (the completion backend).
pub fn prefers_blocking_sockets() -> bool {
    let runtime = registry::implied();
    if worker::current().is_some() {
        return runtime.backend() != Backend::Readiness;
    }
    runtime
        .lock_live()
        .is_some_and(|_live| runtime.backend() != Backend::Readiness)
}

/// The name of a task, or of the calling one when `task` is null.
pub fn task_name(task: *const c_void) -> Option<String> {
    if task.is_null() {
        return names::of(worker::current_task()?);
    }
    names::of(handle::find::<Task>(task)?)
}

/// The calling task's word; null at its start and outside tasks.
#[inline]
pub fn task_data() -> *mut c_void {
    worker::current_task().map_or(std::ptr::null_mut(), |task| task.data.get())
}

/// Sets the calling task's word. Outside a task: nothing.
#[inline]
pub fn set_task_data(data: *mut c_void) {
    if let Some(task) = worker::current_task() {
        task.data.set(data);
    }
}

/// As `llam_join`, but neither cancellation, a stop request nor a park deadline ends it.
pub fn join_uncancellable(task: *mut c_void) -> c_int {
    errno::preserve_on_success(|| join::join_uncancellable(task))
}

/// "uring" or "epoll": the backend of the caller's runtime.
pub fn io_backend() -> &'static str {
    let runtime = registry::implied();
    if worker::current().is_some() {
        return runtime.backend().name();
    }
    match runtime.lock_live() {
        Some(_live) => runtime.backend().name(),
        None => "none",
    }
}
