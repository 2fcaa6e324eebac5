//! The doors of [`super`] for an engine that offers the C ABI alone.
//!
//! Owns one task-local key, made on first use and never deleted. Each function is the fallback that
//! its entry in the parent module describes. Called by the parent module alone.

use core::ffi::{c_int, c_void};
use core::panic::Location;
use core::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

#[cfg(not(unix))]
use crate::foreign::{sockaddr, socklen_t};
#[cfg(unix)]
use libc::{sockaddr, socklen_t};

use crate::standin::{is_in_task, last_errno};
use crate::*;

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

/// How often [`join_uncancellable`] yields before it begins to pause.
const YIELDS_BEFORE_PAUSE: u32 = 64;

pub(super) unsafe fn spawn(
    runtime: *mut llam_runtime_t,
    group: *mut llam_task_group_t,
    entry: llam_task_fn,
    arg: *mut c_void,
    opts: *const llam_spawn_opts_t,
    opts_size: usize,
    _meta: SpawnMeta<'_>,
) -> *mut llam_task_t {
    // SAFETY: the caller promises null or that many readable bytes.
    let own = unsafe { spawn_opts(opts, opts_size, group) };
    let (opts, opts_size) = match &own {
        Some(own) => (ptr::from_ref(own), LLAM_SPAWN_OPTS_CURRENT_SIZE),
        None => (opts, opts_size),
    };
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

/// The caller's options with what this crate adds, or `None` when it adds nothing.
///
/// - Rust code without optimisation needs about four times the stack, and an SDK's stacks are those
///   of optimised code: a debug build asks for the next larger class.
/// - On an SDK 1.x a task that brings no token gets the one that [`stop`] cancels.
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes.
unsafe fn spawn_opts(
    opts: *const llam_spawn_opts_t,
    opts_size: usize,
    group: *mut llam_task_group_t,
) -> Option<llam_spawn_opts_t> {
    // Other sizes go to the engine as they are, for it to complain or to cut.
    if opts_size != LLAM_SPAWN_OPTS_CURRENT_SIZE {
        return None;
    }
    // SAFETY: not null, so the caller promises that many bytes.
    let mut own = unsafe { opts.as_ref() }.copied()?;
    if cfg!(debug_assertions) && own.stack_class < LLAM_STACK_CLASS_HUGE {
        own.stack_class += 1;
    }
    // A child with a token of its own is not cancelled by its group.
    if cfg!(llam_abi_1) && own.cancel_token.is_null() && group.is_null() {
        own.cancel_token = stop::token();
    }
    Some(own)
}

/// Stop requests on an SDK 1.x, which wake no parked task: every task of this crate that brings no
/// token of its own observes one token, and a stop request cancels it.
mod stop {
    use core::ffi::c_int;
    use core::ptr;
    use std::sync::{Mutex, PoisonError};

    use super::{llam_cancel_token_cancel, llam_cancel_token_create, llam_cancel_token_t};

    /// The address of the token that new tasks get, 0 until the first task of a runtime. Tokens are
    /// never destroyed: tasks of a run that was stopped may still hold theirs.
    static CURRENT: Mutex<usize> = Mutex::new(0);

    /// The token for a new task; null when none can be made, and the task is not stopped then.
    pub(super) fn token() -> *mut llam_cancel_token_t {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == 0 {
            // SAFETY: takes nothing; allowed on any thread.
            *current = unsafe { llam_cancel_token_create() }.expose_provenance();
        }
        ptr::with_exposed_provenance_mut(*current)
    }

    /// Cancels the tasks that have the token. Those spawned later in the same run get it as well, as
    /// a stop request holds until the run has returned; a new runtime ends that.
    pub(super) fn cancel() {
        let token = token();
        if !token.is_null() {
            // SAFETY: made above and never destroyed.
            unsafe { llam_cancel_token_cancel(token) };
        }
    }

    /// Gives the tasks of a runtime that was started just now a new token; passes the status on.
    pub(super) fn renew_after(status: c_int) -> c_int {
        if status == 0 {
            *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        }
        status
    }
}

/// The options to start a runtime with: the caller's, in a full struct of this crate, with
/// `deterministic` as the number of workers asks for.
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes.
unsafe fn runtime_opts(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
) -> (llam_runtime_opts_t, usize) {
    let mut own = super::default_runtime_opts();
    let mut size = LLAM_RUNTIME_OPTS_CURRENT_SIZE;
    if !opts.is_null() {
        size = opts_size.min(LLAM_RUNTIME_OPTS_CURRENT_SIZE);
        // SAFETY: both sides are valid for `size` bytes: the caller's by its own promise, ours
        // because of the minimum; every bit pattern is a valid value of plain integers.
        unsafe {
            ptr::copy_nonoverlapping(opts.cast::<u8>(), (&raw mut own).cast::<u8>(), size);
        }
        // A size of 0 stays, because it is an error to report; a larger one that ends before
        // `deterministic` would hide it, and the rest has its default anyway.
        if size != 0 {
            size = size.max(size_of::<u32>());
        }
    }
    if workers == 1 {
        own.deterministic = 1;
    }
    (own, size)
}

pub(super) unsafe fn runtime_init(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
) -> c_int {
    // SAFETY: the caller keeps the contract of `super::runtime_init`; the copy is a local.
    let status = unsafe {
        let (own, size) = runtime_opts(opts, opts_size, workers);
        llam_runtime_init_ex(&raw const own, size)
    };
    stop::renew_after(status)
}

pub(super) unsafe fn runtime_create(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
    out: *mut *mut llam_runtime_t,
) -> c_int {
    // SAFETY: the caller keeps the contract of `super::runtime_create`; the copy is a local.
    let status = unsafe {
        let (own, size) = runtime_opts(opts, opts_size, workers);
        llam_runtime_create(&raw const own, size, out)
    };
    stop::renew_after(status)
}

/// Counts the shutdowns of an SDK 1.x.
static ERA: AtomicU32 = AtomicU32::new(0);

/// Read by host threads that use task handles, written when these become stale.
static GATE: RwLock<()> = RwLock::new(());

/// Runs `end`, which makes task handles stale, while no host thread uses one or spawns. In a task a
/// shutdown is a stop request and makes nothing stale.
fn at_the_gate(end: impl FnOnce()) {
    if !cfg!(llam_abi_1) || is_in_task() {
        end();
        return;
    }
    let _nobody_inside = GATE.write().unwrap_or_else(PoisonError::into_inner);
    end();
    ERA.fetch_add(1, Ordering::AcqRel);
}

/// What [`super::hold_tasks`] returns.
#[derive(Debug)]
pub struct HeldTasks(
    #[expect(dead_code, reason = "dropping it opens the gate")]
    Option<RwLockReadGuard<'static, ()>>,
);

pub(super) fn hold_tasks() -> HeldTasks {
    let needed = cfg!(llam_abi_1) && !is_in_task();
    HeldTasks(needed.then(|| GATE.read().unwrap_or_else(PoisonError::into_inner)))
}

pub(super) fn task_era() -> u32 {
    if cfg!(llam_abi_1) {
        ERA.load(Ordering::Acquire)
    } else {
        0
    }
}

pub(super) fn runtime_shutdown() {
    // SAFETY: takes nothing; idempotent, allowed on any thread.
    at_the_gate(|| unsafe { llam_runtime_shutdown() });
}

pub(super) unsafe fn runtime_destroy(runtime: *mut llam_runtime_t) {
    // SAFETY: passed on; the caller keeps the contract of `super::runtime_destroy`.
    at_the_gate(|| unsafe { llam_runtime_destroy(runtime) });
}

pub(super) fn request_stop() -> c_int {
    if cfg!(llam_abi_1) {
        stop::cancel();
    }
    // SAFETY: takes nothing; allowed on any thread.
    unsafe { llam_runtime_request_stop() }
}

/// The entry of a task that asks its own runtime to stop.
unsafe extern "C" fn stop_own_runtime(_arg: *mut c_void) {
    // SAFETY: takes nothing; a task may always call it.
    unsafe { llam_runtime_request_stop() };
}

pub(super) unsafe fn runtime_request_stop(runtime: *mut llam_runtime_t) -> c_int {
    // A host thread's request is for the default runtime, and so is every request on an SDK 1.x.
    // SAFETY: takes nothing; always allowed.
    let is_default = runtime == unsafe { llam_runtime_default() };
    if is_default && (cfg!(llam_abi_1) || !is_in_task()) {
        return request_stop();
    }
    // The call names no runtime, but stops that of its caller.
    // SAFETY: the engine checks the handle; the entry takes no argument.
    unsafe {
        let task = llam_runtime_spawn_ex(
            runtime,
            Some(stop_own_runtime),
            ptr::null_mut(),
            ptr::null(),
            0,
        );
        if task.is_null() {
            return -1;
        }
        llam_detach(task);
    }
    0
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
    let mut attempts = 0;
    let mut pause = Duration::from_millis(1);
    loop {
        // SAFETY: the engine checks the handle.
        let code = unsafe { llam_join(task) };
        if code == 0 || last_errno() != libc::ECANCELED {
            return code;
        }
        // The child may be pinned to this very thread: it must get its turns.
        // SAFETY: takes nothing; allowed on any thread.
        unsafe { llam_yield() };
        attempts += 1;
        if attempts < YIELDS_BEFORE_PAUSE {
            continue;
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
