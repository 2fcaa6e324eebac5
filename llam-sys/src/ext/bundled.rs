//! The doors of [`super`] into the bundled engine.
//!
//! Owns nothing: each function casts the handle types, which the engine has as `c_void`, and calls
//! its namesake in `llam_runtime::ext`. Called by the parent module alone.

use core::ffi::{c_int, c_void};

use libc::{sockaddr, socklen_t};
use llam_runtime::ext;
pub use llam_runtime::ext::SpawnMeta;

use crate::*;

pub(super) const HAS_PARK_DEADLINE: bool = true;

#[inline]
pub(super) unsafe fn spawn(
    runtime: *mut llam_runtime_t,
    group: *mut llam_task_group_t,
    entry: llam_task_fn,
    arg: *mut c_void,
    opts: *const llam_spawn_opts_t,
    opts_size: usize,
    meta: SpawnMeta<'_>,
) -> *mut llam_task_t {
    // SAFETY: only pointer types change; the caller keeps the contract of `super::spawn`.
    unsafe {
        ext::spawn(
            runtime.cast(),
            group.cast(),
            entry,
            arg,
            opts.cast(),
            opts_size,
            meta,
        )
        .cast()
    }
}

pub(super) unsafe fn runtime_init(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
) -> c_int {
    // SAFETY: only pointer types change; the caller keeps the contract of `super::runtime_init`.
    unsafe { ext::runtime_init(opts.cast(), opts_size, workers) }
}

pub(super) unsafe fn runtime_create(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
    out: *mut *mut llam_runtime_t,
) -> c_int {
    // SAFETY: only pointer types change; the caller keeps the contract of `super::runtime_create`.
    unsafe { ext::runtime_create(opts.cast(), opts_size, workers, out.cast()) }
}

pub(super) fn runtime_shutdown() {
    // SAFETY: takes nothing; idempotent, allowed on any thread.
    unsafe { llam_runtime_shutdown() }
}

pub(super) unsafe fn runtime_destroy(runtime: *mut llam_runtime_t) {
    // SAFETY: the engine checks the handle.
    unsafe { llam_runtime_destroy(runtime) }
}

/// What [`super::hold_tasks`] returns.
#[derive(Debug)]
pub struct HeldTasks;

#[inline]
pub(super) fn hold_tasks() -> HeldTasks {
    HeldTasks
}

#[inline]
pub(super) fn task_era() -> u32 {
    0
}

pub(super) fn request_stop() -> c_int {
    // SAFETY: takes nothing; allowed on any thread.
    unsafe { llam_runtime_request_stop() }
}

pub(super) unsafe fn runtime_request_stop(runtime: *mut llam_runtime_t) -> c_int {
    ext::runtime_request_stop(runtime.cast())
}

#[inline]
pub(super) fn set_park_deadline(deadline_ns: u64) -> u64 {
    ext::set_park_deadline(deadline_ns)
}

#[inline]
pub(super) unsafe fn accept_cloexec(
    fd: llam_fd_t,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> llam_fd_t {
    // SAFETY: passed on; the caller keeps the contract of `super::accept_cloexec`.
    unsafe { ext::accept_cloexec(fd, addr, addrlen) }
}

#[inline]
pub(super) fn prefers_blocking_sockets() -> bool {
    ext::prefers_blocking_sockets()
}

pub(super) fn task_name(task: *const llam_task_t) -> Option<String> {
    ext::task_name(task.cast())
}

#[inline]
pub(super) fn task_data() -> *mut c_void {
    ext::task_data()
}

#[inline]
pub(super) fn set_task_data(data: *mut c_void) {
    ext::set_task_data(data);
}

pub(super) unsafe fn join_uncancellable(task: *mut llam_task_t) -> c_int {
    ext::join_uncancellable(task.cast())
}

#[inline]
pub(super) fn adopt_descriptor(fd: llam_fd_t) {
    ext::adopt_descriptor(fd);
}

#[inline]
pub(super) fn release_descriptor(fd: llam_fd_t) {
    ext::release_descriptor(fd);
}

pub(super) fn io_backend() -> &'static str {
    ext::io_backend()
}
