//! The doors of [`super`] for an engine that offers the C ABI alone.
//!
//! Owns one task-local key, made on first use and never deleted. Each function is the fallback that
//! its entry in the parent module describes. Called by the parent module alone.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::panic::Location;
use core::ptr;
use std::sync::OnceLock;
use std::time::Duration;

#[cfg(not(unix))]
use crate::foreign::{sockaddr, socklen_t};
#[cfg(unix)]
use libc::{sockaddr, socklen_t};

use crate::bindings::*;
use crate::types::*;

/// Where and under which name a task is spawned; shown in dumps and overflow reports.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpawnMeta<'a> {
    /// The task's name.
    pub name: Option<&'a str>,
    /// The place of the spawn call.
    pub site: Option<&'static Location<'static>>,
    /// Ignored: an engine with the C ABI alone forgets the argument of a task that never ran.
    pub abandon: llam_task_fn,
    /// Keep the task on the spawning worker even before its start.
    pub stay: bool,
}

pub(super) const HAS_PARK_DEADLINE: bool = false;

/// The longest pause between two attempts of [`join_uncancellable`].
const MAX_JOIN_PAUSE: Duration = Duration::from_millis(10);

pub(super) unsafe fn spawn(
    runtime: *mut llam_runtime_t,
    group: *mut llam_task_group_t,
    entry: llam_task_fn,
    arg: *mut c_void,
    opts: *const llam_spawn_opts_t,
    opts_size: usize,
    _meta: SpawnMeta<'_>,
) -> *mut llam_task_t {
    // SAFETY: the caller keeps the contract of `super::spawn`, which is that of these calls.
    unsafe {
        if !group.is_null() {
            llam_task_group_spawn_ex(group, entry, arg, opts, opts_size)
        } else if !runtime.is_null() {
            llam_runtime_spawn_ex(runtime, entry, arg, opts, opts_size)
        } else {
            llam_spawn_ex(entry, arg, opts, opts_size)
        }
    }
}

/// The caller's options with `deterministic` set, in a full struct of this crate.
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes.
unsafe fn with_one_worker(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
) -> (llam_runtime_opts_t, usize) {
    let mut copy = MaybeUninit::<llam_runtime_opts_t>::zeroed();
    // SAFETY: `copy` is as large as the size says, and all-zero is a valid value of plain integers.
    let mut copy = unsafe {
        llam_runtime_opts_init(copy.as_mut_ptr(), LLAM_RUNTIME_OPTS_CURRENT_SIZE);
        copy.assume_init()
    };
    let mut size = LLAM_RUNTIME_OPTS_CURRENT_SIZE;
    if !opts.is_null() {
        size = opts_size.min(LLAM_RUNTIME_OPTS_CURRENT_SIZE);
        // SAFETY: both sides are valid for `size` bytes: the caller's by its own promise, ours
        // because of the minimum; every bit pattern is a valid value of plain integers.
        unsafe {
            ptr::copy_nonoverlapping(opts.cast::<u8>(), (&raw mut copy).cast::<u8>(), size);
        }
    }
    copy.deterministic = 1;
    // A size that ends before `deterministic` would hide it; the rest has its default anyway. A size
    // of 0 stays, because it is an error to report.
    if size != 0 {
        size = size.max(size_of::<u32>());
    }
    (copy, size)
}

pub(super) unsafe fn runtime_init(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
) -> c_int {
    // SAFETY: the caller keeps the contract of `super::runtime_init`; the copy is a local.
    unsafe {
        if workers != 1 {
            return llam_runtime_init_ex(opts, opts_size);
        }
        let (copy, size) = with_one_worker(opts, opts_size);
        llam_runtime_init_ex(&raw const copy, size)
    }
}

pub(super) unsafe fn runtime_create(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
    out: *mut *mut llam_runtime_t,
) -> c_int {
    // SAFETY: the caller keeps the contract of `super::runtime_create`; the copy is a local.
    unsafe {
        if workers != 1 {
            return llam_runtime_create(opts, opts_size, out);
        }
        let (copy, size) = with_one_worker(opts, opts_size);
        llam_runtime_create(&raw const copy, size, out)
    }
}

pub(super) unsafe fn runtime_request_stop(runtime: *mut llam_runtime_t) -> c_int {
    // SAFETY: no arguments that could be wrong; a host thread's request is for the default runtime.
    unsafe {
        if runtime == llam_runtime_default() && llam_current_task().is_null() {
            return llam_runtime_request_stop();
        }
    }
    set_errno(libc::ENOTSUP);
    -1
}

pub(super) fn set_park_deadline(_deadline_ns: u64) -> u64 {
    u64::MAX
}

pub(super) unsafe fn accept_cloexec(
    fd: llam_fd_t,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> llam_fd_t {
    // SAFETY: the caller keeps the contract of `super::accept_cloexec`.
    let new = unsafe { llam_accept(fd, addr, addrlen) };
    #[cfg(unix)]
    if new != LLAM_INVALID_FD {
        // SAFETY: `new` was made just now and belongs to this call.
        unsafe { libc::fcntl(new, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    new
}

pub(super) fn prefers_blocking_sockets() -> bool {
    false
}

pub(super) fn task_name(_task: *const llam_task_t) -> Option<String> {
    None
}

/// The key under which [`task_data`] lives, or the invalid key when none could be had.
fn data_key() -> llam_task_local_key_t {
    static KEY: OnceLock<llam_task_local_key_t> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = LLAM_TASK_LOCAL_INVALID_KEY;
        // SAFETY: `key` is a local; on failure the engine stores the invalid key.
        unsafe { llam_task_local_key_create(&raw mut key) };
        key
    })
}

pub(super) fn task_data() -> *mut c_void {
    // SAFETY: any key value may be asked for; bad ones and host threads give null.
    unsafe { llam_task_local_get(data_key()) }
}

pub(super) fn set_task_data(data: *mut c_void) {
    // SAFETY: any key value may be set; bad ones and host threads fail without effect.
    unsafe { llam_task_local_set(data_key(), data) };
}

pub(super) unsafe fn join_uncancellable(task: *mut llam_task_t) -> c_int {
    let mut pause = Duration::from_millis(1);
    loop {
        // SAFETY: the engine checks the handle.
        let code = unsafe { llam_join(task) };
        if code == 0 || last_errno() != libc::ECANCELED {
            return code;
        }
        // A cancelled task can neither sleep nor use the pool; in a blocking region it may stop its
        // thread while the others go on elsewhere.
        // SAFETY: takes no arguments; allowed on any thread.
        let inside = unsafe { llam_enter_blocking() } == 0;
        std::thread::sleep(pause);
        if inside {
            // SAFETY: ends the region entered just now.
            unsafe { llam_leave_blocking() };
        }
        pause = (pause * 2).min(MAX_JOIN_PAUSE);
    }
}

pub(super) fn adopt_descriptor(_fd: llam_fd_t) {}

pub(super) fn release_descriptor(_fd: llam_fd_t) {}

pub(super) fn io_backend() -> &'static str {
    "installed"
}

fn last_errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn set_errno(code: c_int) {
    // SAFETY: the address is that of the calling thread's own errno.
    #[cfg(any(target_os = "linux", target_os = "dragonfly"))]
    unsafe {
        *libc::__errno_location() = code;
    }
    // SAFETY: the address is that of the calling thread's own errno.
    #[cfg(any(target_os = "macos", target_os = "freebsd"))]
    unsafe {
        *libc::__error() = code;
    }
    // SAFETY: the address is that of the calling thread's own errno.
    #[cfg(any(target_os = "openbsd", target_os = "netbsd"))]
    unsafe {
        *libc::__errno() = code;
    }
    #[cfg(not(unix))]
    let _ = code;
}
