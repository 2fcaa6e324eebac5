//! What the C ABI cannot say: task names, a worker count, park deadlines, a word per task.
//!
//! Owns the Rust-only doors to the engine and their fallbacks. With the bundled engine every function
//! is that of `llam_runtime::ext`; with an installed SDK the nearest call of the C ABI takes its place,
//! as each entry says. Called by the crate `llam`; C programs have no use for it.
//!
//! ```text
//!   llam ──> ext ──┬── bundled                      ──> llam_runtime::ext
//!                  └── installed (an SDK is named)  ──> the functions of the C ABI
//! ```

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;

#[cfg(not(unix))]
use crate::foreign::{sockaddr, socklen_t};
use crate::types::{
    LLAM_PREEMPT_AUTO, LLAM_RUNTIME_OPTS_CURRENT_SIZE, llam_fd_t, llam_runtime_opts_init,
    llam_runtime_opts_t, llam_runtime_t, llam_spawn_opts_t, llam_task_fn, llam_task_group_t,
    llam_task_t,
};
#[cfg(unix)]
use libc::{sockaddr, socklen_t};

#[cfg(llam_bundled)]
mod bundled;
#[cfg(llam_bundled)]
use bundled as engine;
#[cfg(not(llam_bundled))]
mod installed;
#[cfg(not(llam_bundled))]
use installed as engine;

pub use engine::{HeldTasks, SpawnMeta};

/// Whether [`set_park_deadline`] does anything.
pub const HAS_PARK_DEADLINE: bool = engine::HAS_PARK_DEADLINE;

/// `llam_spawn_ex`, or `llam_runtime_spawn_ex` when `runtime` is not null, or
/// `llam_task_group_spawn_ex` when `group` is not null, with a name and a place for dumps and
/// overflow reports.
///
/// Results and errors are those of the call it stands for (`abi.md` 4.3 and 4.4). Works on any
/// thread. Fallback: the plain call; `meta` is ignored, so the argument of a task that never runs is
/// forgotten, and a task with `LLAM_SPAWN_F_PINNED` runs on the worker of its spawner. A debug build
/// asks for the next larger stack class.
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes; `entry` may be called with `arg` on another
/// thread. Handles are checked by the engine.
#[inline]
pub unsafe fn spawn(
    runtime: *mut llam_runtime_t,
    group: *mut llam_task_group_t,
    entry: llam_task_fn,
    arg: *mut c_void,
    opts: *const llam_spawn_opts_t,
    opts_size: usize,
    meta: SpawnMeta<'_>,
) -> *mut llam_task_t {
    // SAFETY: passed on; the caller keeps what this function's own contract asks.
    unsafe { engine::spawn(runtime, group, entry, arg, opts, opts_size, meta) }
}

/// Whether the engine is the bundled one; an installed SDK has the fallbacks below.
pub const IS_BUNDLED: bool = cfg!(llam_bundled);

/// The major ABI number that the SDK's header names: 2, as for the bundled engine, or 1.
pub const ABI_MAJOR: u32 = if cfg!(llam_abi_1) { 1 } else { 2 };

/// The default options of ABI 2, whatever the engine's own defaults are.
///
/// They are those of `llam_runtime_opts_init` (`abi.md` 4.1). Fallback: the same, but on an SDK 1.x,
/// whose `deterministic` is 1 by default, it is 0 here as well.
#[must_use]
pub fn default_runtime_opts() -> llam_runtime_opts_t {
    let mut opts = MaybeUninit::<llam_runtime_opts_t>::zeroed();
    // SAFETY: `opts` is as large as the size says, and all-zero is a valid value of plain integers.
    let mut opts = unsafe {
        llam_runtime_opts_init(opts.as_mut_ptr(), LLAM_RUNTIME_OPTS_CURRENT_SIZE);
        opts.assume_init()
    };
    // An SDK 1.x has 1 here, which is one worker, and knows no preemption mode.
    if cfg!(llam_abi_1) {
        opts.deterministic = 0;
        opts.preempt_mode = LLAM_PREEMPT_AUTO;
    }
    opts
}

/// `llam_runtime_init_ex` with a number of workers; 0 means one per CPU.
///
/// Errors as there (`abi.md` 4.2). Fallback: 1 sets `deterministic`, other numbers are ignored. On an
/// SDK 1.x [`runtime_create`] starts the default runtime, the only one there: `EBUSY` when it is live.
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes.
pub unsafe fn runtime_init(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
) -> c_int {
    // SAFETY: passed on; the caller keeps what this function's own contract asks.
    unsafe { engine::runtime_init(opts, opts_size, workers) }
}

/// `llam_runtime_create` with a number of workers; 0 means one per CPU.
///
/// Errors as there (`abi.md` 4.2). Fallback: as [`runtime_init`].
///
/// # Safety
///
/// `opts` is null or readable for `opts_size` bytes; `out` is null or writable.
pub unsafe fn runtime_create(
    opts: *const llam_runtime_opts_t,
    opts_size: usize,
    workers: u32,
    out: *mut *mut llam_runtime_t,
) -> c_int {
    // SAFETY: passed on; the caller keeps what this function's own contract asks.
    unsafe { engine::runtime_create(opts, opts_size, workers, out) }
}

/// `llam_runtime_shutdown` (`abi.md` 4.2). Fallback on an SDK 1.x: the same, and [`task_era`] changes.
pub fn runtime_shutdown() {
    engine::runtime_shutdown();
}

/// `llam_runtime_destroy` (`abi.md` 4.2). Fallback on an SDK 1.x: the same, and [`task_era`] changes.
///
/// # Safety
///
/// None beyond calling into the engine; on an SDK 1.x the runtime is live.
pub unsafe fn runtime_destroy(runtime: *mut llam_runtime_t) {
    // SAFETY: passed on.
    unsafe { engine::runtime_destroy(runtime) }
}

/// A number that changes when a shutdown makes every task handle stale and the engine, that of an
/// SDK 1.x, would not notice: a task handle may be used while the number is that of its spawn. Always
/// 0 otherwise.
#[inline]
#[must_use]
pub fn task_era() -> u32 {
    engine::task_era()
}

/// While this lives no runtime of an SDK 1.x ends, so a task handle that [`task_era`] vouches for stays
/// good. It does nothing for tasks, whose run keeps the runtime alive, and on other engines.
///
/// Hold it for calls that do not wait, or wait a few milliseconds at most: a shutdown waits for it.
#[inline]
#[must_use]
pub fn hold_tasks() -> HeldTasks {
    engine::hold_tasks()
}

/// `llam_runtime_request_stop`: a stop request to the caller's runtime (`abi.md` 5.1.4).
///
/// 0, or -1 with `EINVAL` when it is not live. On an SDK 1.x, where the engine's own request wakes no
/// parked task, as at [`runtime_request_stop`].
pub fn request_stop() -> c_int {
    engine::request_stop()
}

/// A stop request (`abi.md` 5.1.4) to a named runtime, from any thread.
///
/// 0, or -1 with `EINVAL` when it is not live. Fallback: the default runtime is stopped at once from
/// host threads; otherwise a task is spawned on the runtime that stops it, so the request takes effect
/// when that task gets its turn. On an SDK 1.x a stop request wakes no parked task; there the tasks
/// that [`spawn`] started without a token and outside groups are cancelled through one of this crate.
///
/// # Safety
///
/// None beyond calling into the engine: the handle is checked there.
pub unsafe fn runtime_request_stop(runtime: *mut llam_runtime_t) -> c_int {
    // SAFETY: passed on; the engine checks the handle.
    unsafe { engine::runtime_request_stop(runtime) }
}

/// Sets the calling task's park deadline and returns the one before.
///
/// `deadline_ns` is absolute, in nanoseconds of `llam_now_ns`; `u64::MAX` means none. Once it has
/// passed, every call of this task that parks fails with `ETIMEDOUT`; what completes at once is not
/// affected, and a sleep whose own deadline comes first returns 0. Outside a task it does nothing and
/// returns `u64::MAX`. Fallback: as outside a task; see [`HAS_PARK_DEADLINE`].
#[inline]
pub fn set_park_deadline(deadline_ns: u64) -> u64 {
    engine::set_park_deadline(deadline_ns)
}

/// `llam_accept` whose descriptor has close-on-exec and the mode (blocking or not) that the driver
/// serves best; it is adopted, see [`adopt_descriptor`].
///
/// Errors as there (`abi.md` 4.14). Fallback: `llam_accept` and then `FD_CLOEXEC`.
///
/// # Safety
///
/// `addr` and `addrlen` are both null, or both valid as for `accept(2)`.
#[inline]
pub unsafe fn accept_cloexec(
    fd: llam_fd_t,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> llam_fd_t {
    // SAFETY: passed on; the caller keeps what this function's own contract asks.
    unsafe { engine::accept_cloexec(fd, addr, addrlen) }
}

/// Whether new sockets are better left blocking (`io_uring` driver) than set to `O_NONBLOCK`.
///
/// Both work; the difference is speed alone. Fallback: false.
#[inline]
#[must_use]
pub fn prefers_blocking_sockets() -> bool {
    engine::prefers_blocking_sockets()
}

/// The name given at [`spawn`]; null means the calling task. `None` when it has none, or the handle
/// is dead, or outside a task. Fallback: `None`.
#[must_use]
pub fn task_name(task: *const llam_task_t) -> Option<String> {
    engine::task_name(task)
}

/// The word that belongs to the calling task: null at its start and outside tasks.
///
/// Fallback: a task-local key made on first use.
#[inline]
#[must_use]
pub fn task_data() -> *mut c_void {
    engine::task_data()
}

/// Sets the word that [`task_data`] returns. No effect outside a task.
#[inline]
pub fn set_task_data(data: *mut c_void) {
    engine::set_task_data(data);
}

/// How the caller's runtime (host threads: the default one) waits for descriptors: `"uring"` or
/// `"epoll"` (any readiness interface), `"none"` when it is not live. Fallback: `"installed"`.
#[must_use]
pub fn io_backend() -> &'static str {
    engine::io_backend()
}

/// `llam_join` that neither cancellation, nor a stop request, nor a park deadline ends early.
///
/// 0, or -1 with the errors of `llam_join` (`abi.md` 4.3) except `ECANCELED`. Fallback: `llam_join`
/// again and again while the answer is `ECANCELED`, yielding in between, then with pauses of up to
/// 10 ms in a blocking region.
///
/// # Safety
///
/// None beyond calling into the engine: the handle is checked there.
pub unsafe fn join_uncancellable(task: *mut llam_task_t) -> c_int {
    // SAFETY: passed on; the engine checks the handle.
    unsafe { engine::join_uncancellable(task) }
}

/// The caller promises to close this descriptor by `llam_close` only, or to call
/// [`release_descriptor`] before it is closed in another way; waiting for it is cheaper then.
///
/// A broken promise can cost a wake-up, never memory safety. Fallback: nothing.
pub fn adopt_descriptor(fd: llam_fd_t) {
    engine::adopt_descriptor(fd);
}

/// Ends what [`adopt_descriptor`] promised. Fallback: nothing.
pub fn release_descriptor(fd: llam_fd_t) {
    engine::release_descriptor(fd);
}
