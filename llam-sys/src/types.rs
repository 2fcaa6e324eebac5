//! Types and constants of the C ABI, as `include/llam/*.h` has them.
//!
//! Owns: the opaque handle types, the structs, the enums (plain `u32`), the macros that are
//! constants. Invariant: layouts are those of `abi.md` section 3; `tests/layout.rs` checks every
//! offset and `tests/header.rs` compares the names with the header. Used by `bindings` and by
//! everybody who calls it.

use core::ffi::{c_char, c_int, c_void};
use core::marker::{PhantomData, PhantomPinned};
use core::mem::size_of;

/// Makes the handle types neither `Send`, `Sync` nor `Unpin`: nothing is known about them here.
type Opaque = PhantomData<(*mut u8, PhantomPinned)>;

/// Release number, major.
pub const LLAM_VERSION_MAJOR: u32 = 2;
/// Release number, minor.
pub const LLAM_VERSION_MINOR: u32 = 1;
/// Release number, patch.
pub const LLAM_VERSION_PATCH: u32 = 0;
/// ABI number, major: differs when old programs cannot run.
pub const LLAM_ABI_VERSION_MAJOR: u32 = 2;
/// ABI number, minor.
pub const LLAM_ABI_VERSION_MINOR: u32 = 0;
/// Both ABI numbers in one, as `llam_abi_version` returns it.
pub const LLAM_ABI_VERSION: u32 = (LLAM_ABI_VERSION_MAJOR << 16) | LLAM_ABI_VERSION_MINOR;

/// A key that is never handed out.
pub const LLAM_TASK_LOCAL_INVALID_KEY: llam_task_local_key_t = u32::MAX;
/// Most arms of one `llam_channel_select`.
pub const LLAM_CHANNEL_SELECT_MAX_OPS: usize = 4096;
/// The contents of the new buffer are zero.
pub const LLAM_IO_BUFFER_F_ZERO_FILL: u32 = 1;
/// A regular file.
pub const LLAM_FILE_TYPE_REGULAR: u32 = 1;
/// A directory.
pub const LLAM_FILE_TYPE_DIRECTORY: u32 = 2;
/// A link; never on POSIX, where links are followed.
pub const LLAM_FILE_TYPE_SYMLINK: u32 = 3;
/// Anything else.
pub const LLAM_FILE_TYPE_OTHER: u32 = 4;
/// Hint: one I/O ring per worker.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS: u64 = 1;
/// Hint: multishot operations on worker rings.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS_MULTISHOT: u64 = 1 << 1;
/// Hint: workers go on- and offline with the load.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS: u64 = 1 << 2;
/// Hint: lock-free run queue.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ: u64 = 1 << 3;
/// Hint: huge pages.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC: u64 = 1 << 4;
/// Hint: kernel submission thread.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL: u64 = 1 << 5;

/// Size of `llam_abi_info_t` here; the size argument that goes with it.
pub const LLAM_ABI_INFO_CURRENT_SIZE: usize = size_of::<llam_abi_info_t>();
/// Size of `llam_spawn_opts_t` here; the size argument that goes with it.
pub const LLAM_SPAWN_OPTS_CURRENT_SIZE: usize = size_of::<llam_spawn_opts_t>();
/// Size of `llam_runtime_opts_t` here; the size argument that goes with it.
pub const LLAM_RUNTIME_OPTS_CURRENT_SIZE: usize = size_of::<llam_runtime_opts_t>();
/// Size of `llam_runtime_stats_t` here; the size argument that goes with it.
pub const LLAM_RUNTIME_STATS_CURRENT_SIZE: usize = size_of::<llam_runtime_stats_t>();
/// Size of `llam_timer_opts_t` here; the size argument that goes with it.
pub const LLAM_TIMER_OPTS_CURRENT_SIZE: usize = size_of::<llam_timer_opts_t>();
/// Size of `llam_signal_opts_t` here; the size argument that goes with it.
pub const LLAM_SIGNAL_OPTS_CURRENT_SIZE: usize = size_of::<llam_signal_opts_t>();
/// Size of `llam_io_buffer_opts_t` here; the size argument that goes with it.
pub const LLAM_IO_BUFFER_OPTS_CURRENT_SIZE: usize = size_of::<llam_io_buffer_opts_t>();
/// Size of `llam_file_stat_t` here; the size argument that goes with it.
pub const LLAM_FILE_STAT_CURRENT_SIZE: usize = size_of::<llam_file_stat_t>();

/// A file descriptor; on Windows a socket.
#[cfg(unix)]
pub type llam_fd_t = c_int;
/// A file descriptor; on Windows a socket.
#[cfg(not(unix))]
pub type llam_fd_t = usize;
/// A file descriptor; on Windows a HANDLE.
#[cfg(unix)]
pub type llam_handle_t = c_int;
/// A file descriptor; on Windows a HANDLE.
#[cfg(not(unix))]
pub type llam_handle_t = *mut c_void;

/// No descriptor.
#[cfg(unix)]
pub const LLAM_INVALID_FD: llam_fd_t = -1;
/// No descriptor.
#[cfg(not(unix))]
pub const LLAM_INVALID_FD: llam_fd_t = usize::MAX;
/// No handle.
#[cfg(unix)]
pub const LLAM_INVALID_HANDLE: llam_handle_t = -1;
/// No handle.
#[cfg(not(unix))]
pub const LLAM_INVALID_HANDLE: llam_handle_t = usize::MAX as llam_handle_t;

/// A task; ended by join, detach, group join or the end of its runtime.
#[repr(C)]
#[derive(Debug)]
pub struct llam_task_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A mutex between tasks.
#[repr(C)]
#[derive(Debug)]
pub struct llam_mutex_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A condition variable between tasks.
#[repr(C)]
#[derive(Debug)]
pub struct llam_cond_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A bounded queue of `void *` between tasks.
#[repr(C)]
#[derive(Debug)]
pub struct llam_channel_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A token through which tasks are cancelled.
#[repr(C)]
#[derive(Debug)]
pub struct llam_cancel_token_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A runtime: the default one, or one made by `llam_runtime_create`.
#[repr(C)]
#[derive(Debug)]
pub struct llam_runtime_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A list of child tasks with a token.
#[repr(C)]
#[derive(Debug)]
pub struct llam_task_group_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A repeating timer.
#[repr(C)]
#[derive(Debug)]
pub struct llam_timer_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A subscription to signals (Linux).
#[repr(C)]
#[derive(Debug)]
pub struct llam_signal_set_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A key of task-local values.
pub type llam_task_local_key_t = u32;
/// Entry of a task; returning ends the task.
pub type llam_task_fn = Option<unsafe extern "C" fn(arg: *mut c_void)>;
/// A callback of `llam_call_blocking_result`.
pub type llam_blocking_fn = Option<unsafe extern "C" fn(arg: *mut c_void) -> *mut c_void>;

/// Scheduling classes: a hint for dispatch order and slice length.
pub type llam_task_class_t = u32;
/// Before the others.
pub const LLAM_TASK_CLASS_LATENCY: u32 = 0;
/// The default.
pub const LLAM_TASK_CLASS_DEFAULT: u32 = 1;
/// After the others, without starving.
pub const LLAM_TASK_CLASS_BATCH: u32 = 2;

/// Stack sizes; each has a guard page.
pub type llam_stack_class_t = u32;
/// At least 64 KiB usable.
pub const LLAM_STACK_CLASS_DEFAULT: u32 = 0;
/// At least 256 KiB usable.
pub const LLAM_STACK_CLASS_LARGE: u32 = 1;
/// At least 1 MiB usable.
pub const LLAM_STACK_CLASS_HUGE: u32 = 2;

/// Tuning profiles; they never change results.
pub type llam_runtime_profile_t = u32;
/// The default.
pub const LLAM_RUNTIME_PROFILE_BALANCED: u32 = 0;
/// Throughput.
pub const LLAM_RUNTIME_PROFILE_RELEASE_FAST: u32 = 1;
/// Checks.
pub const LLAM_RUNTIME_PROFILE_DEBUG_SAFE: u32 = 2;
/// I/O latency.
pub const LLAM_RUNTIME_PROFILE_IO_LATENCY: u32 = 3;

/// When safepoints yield.
pub type llam_preempt_mode_t = u32;
/// Never for budget reasons.
pub const LLAM_PREEMPT_OFF: u32 = 0;
/// Explicit safepoints are honoured, nothing asks by itself.
pub const LLAM_PREEMPT_COOPERATIVE: u32 = 1;
/// Over budget, and other work waits.
pub const LLAM_PREEMPT_AUTO: u32 = 2;
/// Over budget.
pub const LLAM_PREEMPT_STRICT: u32 = 3;

/// Kinds of select arms.
pub type llam_select_op_kind_t = u32;
/// Receive into `recv_out`.
pub const LLAM_SELECT_OP_RECV: u32 = 1;
/// Send `send_value`.
pub const LLAM_SELECT_OP_SEND: u32 = 2;

/// Spawn flag: stays with the worker it was spawned on.
pub const LLAM_SPAWN_F_PINNED: u32 = 1;
/// Spawn flag: safepoints never yield for it.
pub const LLAM_SPAWN_F_NO_PREEMPT: u32 = 2;
/// Spawn flag: marks helper work.
pub const LLAM_SPAWN_F_SYS_TASK: u32 = 4;
/// Spawn flag: forces class LATENCY.
pub const LLAM_SPAWN_F_LATENCY_CRITICAL: u32 = 8;

/// What the library says about itself; filled by `llam_abi_get_info`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_abi_info_t {
    /// ABI major of the library.
    pub abi_major: u32,
    /// ABI minor of the library.
    pub abi_minor: u32,
    /// Release number, major.
    pub version_major: u32,
    /// Release number, minor.
    pub version_minor: u32,
    /// Release number, patch.
    pub version_patch: u32,
    /// Always 0.
    pub reserved0: u32,
    /// The library's `sizeof(llam_abi_info_t)`.
    pub struct_size: usize,
    /// The library's `sizeof(llam_runtime_opts_t)`.
    pub runtime_opts_size: usize,
    /// The library's `sizeof(llam_spawn_opts_t)`.
    pub spawn_opts_size: usize,
    /// The library's `sizeof(llam_runtime_stats_t)`.
    pub runtime_stats_size: usize,
    /// `"LLAM"`; static storage.
    pub runtime_name: *const c_char,
    /// Same text as `llam_version_string()`; static storage.
    pub version_string: *const c_char,
    /// `LLAM_PLATFORM_NAME` of the build; static storage.
    pub platform_name: *const c_char,
}

/// Options of a spawn; start from `llam_spawn_opts_init`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_spawn_opts_t {
    /// `llam_task_class_t`; default 1.
    pub task_class: u32,
    /// `llam_stack_class_t`; default 0.
    pub stack_class: u32,
    /// `LLAM_SPAWN_F_*`; default 0; unknown bits are kept and reported back by `llam_task_flags`.
    pub flags: u32,
    /// Ignored (unnamed padding in 1.0.1).
    pub reserved0: u32,
    /// Stored, has no effect; default 0.
    pub deadline_ns: u64,
    /// Token the task observes, or NULL; default NULL.
    pub cancel_token: *mut llam_cancel_token_t,
}

/// Options of a runtime; start from `llam_runtime_opts_init`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_runtime_opts_t {
    /// Non-zero: one worker, no stealing, FIFO order.
    pub deterministic: u32,
    /// N > 0: every N-th safepoint of a task yields.
    pub forced_yield_every: u32,
    /// `LLAM_RUNTIME_EXPERIMENTAL_F_*`; unknown bits ignored.
    pub experimental_flags: u64,
    /// Upper bound of idle spinning before a worker sleeps; 0 none.
    pub idle_spin_ns: u64,
    /// Upper bound of spin iterations; 0 none.
    pub idle_spin_max_iters: u32,
    /// CPU for a kernel submission thread, -1 automatic; looked at only with the SQPOLL flag.
    pub sqpoll_cpu: i32,
    /// `llam_runtime_profile_t`.
    pub profile: u32,
    /// Ignored.
    pub reserved0: u32,
    /// `llam_preempt_mode_t`; default 2 (AUTO).
    pub preempt_mode: u32,
    /// 0 takes the default of the profile; values above 4096 are taken as 4096.
    pub preempt_poll_period: u32,
    /// 0 takes the budgets per task class; else one budget for all.
    pub preempt_quantum_ns: u64,
}

/// A snapshot of counters and gauges. Counters start at 0 when the runtime is initialised and
/// never decrease while it is live; those of mechanisms the engine does not have stay 0.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_runtime_stats_t {
    /// Switches into tasks.
    pub ctx_switches: u64,
    /// Yields done by tasks, safepoint yields included.
    pub yields: u64,
    /// Times a task parked.
    pub parks: u64,
    /// Times a parked task was made runnable.
    pub wakes: u64,
    /// Tasks taken from another worker.
    pub steals: u64,
    /// Tasks or I/O moved to another worker.
    pub migrations: u64,
    /// Blocking jobs submitted.
    pub blocking_calls: u64,
    /// Blocking jobs finished.
    pub blocking_completions: u64,
    /// I/O requests handed to the backend.
    pub io_submits: u64,
    /// Submit attempts.
    pub io_submit_calls: u64,
    /// Submit system calls.
    pub io_submit_syscalls: u64,
    /// I/O requests completed.
    pub io_completions: u64,
    /// Kernel polls by idle workers.
    pub idle_polls: u64,
    /// Idle spin iterations.
    pub idle_spin_loops: u64,
    /// Spins that found work.
    pub idle_spin_hits: u64,
    /// Spins that ended in a kernel wait.
    pub idle_spin_fallbacks: u64,
    /// Time spent spinning.
    pub idle_spin_ns: u64,
    /// Run-queue overflows.
    pub queue_overflows: u64,
    /// Current depth of the overflow queue (a gauge).
    pub overflow_depth: u64,
    /// Configured workers.
    pub active_workers: u32,
    /// Workers online now.
    pub online_workers: u32,
    /// Lower bound kept online.
    pub online_workers_floor: u32,
    /// Smallest number seen online.
    pub online_workers_min: u32,
    /// Largest number seen online.
    pub online_workers_max: u32,
    /// I/O backends (at least 1).
    pub active_nodes: u32,
    /// 0 or 1: the mode is active.
    pub dynamic_workers: u32,
    /// 0 or 1: the mode is active.
    pub worker_rings: u32,
    /// 0 or 1: the mode is active.
    pub worker_rings_multishot: u32,
    /// 0 or 1: the mode is active.
    pub lockfree_normq: u32,
    /// 0 or 1: the mode is active.
    pub huge_alloc: u32,
    /// 0 or 1: the mode is active.
    pub sqpoll: u32,
    /// Time in opaque blocking regions (only with `LLAM_OPAQUE_TIMING`=1, like the next eight).
    pub opaque_block_ns: u64,
    /// Samples of opaque_block_ns.
    pub opaque_block_samples: u64,
    /// Longest of opaque_block_ns.
    pub opaque_block_max_ns: u64,
    /// Time spent entering.
    pub opaque_enter_wait_ns: u64,
    /// Samples of opaque_enter_wait_ns.
    pub opaque_enter_wait_samples: u64,
    /// Longest of opaque_enter_wait_ns.
    pub opaque_enter_wait_max_ns: u64,
    /// Time spent leaving.
    pub opaque_leave_wait_ns: u64,
    /// Samples of opaque_leave_wait_ns.
    pub opaque_leave_wait_samples: u64,
    /// Longest of opaque_leave_wait_ns.
    pub opaque_leave_wait_max_ns: u64,
    /// Attempts to switch directly to another task on yield.
    pub yield_direct_attempts: u64,
    /// Of these, done without a lock.
    pub yield_direct_fast_hits: u64,
    /// Of these, done under a lock.
    pub yield_direct_locked_hits: u64,
    /// Not done: wrong context.
    pub yield_direct_fail_context: u64,
    /// Not done: policy.
    pub yield_direct_fail_policy: u64,
    /// Not done: nothing runnable here.
    pub yield_direct_fail_no_work: u64,
    /// Not done: only the caller was found.
    pub yield_direct_fail_self: u64,
    /// Not done: caller could not be queued.
    pub yield_direct_fail_push: u64,
    /// Automatic preemption requests.
    pub preempt_requests: u64,
    /// Yields caused by them.
    pub preempt_yields: u64,
    /// Over-budget observations without a request.
    pub preempt_suppressed: u64,
    /// Wake signals sent for them.
    pub preempt_signals: u64,
    /// Active mode.
    pub preempt_mode: u32,
    /// Active period (0 when OFF, 1 when STRICT).
    pub preempt_poll_period: u32,
    /// Active override, 0 for class budgets.
    pub preempt_quantum_ns: u64,
}

/// One arm of `llam_channel_select`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_select_op_t {
    /// `llam_select_op_kind_t`.
    pub kind: u32,
    /// Ignored.
    pub reserved0: u32,
    /// Channel of this arm.
    pub channel: *mut llam_channel_t,
    /// Value of a SEND arm; unused for RECV.
    pub send_value: *mut c_void,
    /// Where a RECV arm stores; must be non-NULL there; unused for SEND.
    pub recv_out: *mut *mut c_void,
    /// Output: 0 or `EPIPE`.
    pub result_errno: c_int,
}

/// Options of `llam_timer_create_ex`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_timer_opts_t {
    /// First tick, absolute; 0 means now.
    pub first_deadline_ns: u64,
    /// Period; 0 is `EINVAL`.
    pub interval_ns: u64,
    /// Must be 0, else `ENOTSUP`.
    pub flags: u32,
    /// Ignored.
    pub reserved0: u32,
}

/// A signal taken by `llam_signal_wait`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_signal_event_t {
    /// Signal number.
    pub signo: i32,
    /// Always 0.
    pub reserved0: u32,
    /// Counts from 1, per set.
    pub sequence: u64,
}

/// Options of `llam_signal_set_create_ex`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_signal_opts_t {
    /// Must be 0, else `ENOTSUP`.
    pub flags: u32,
    /// Ignored.
    pub reserved0: u32,
}

/// A buffer filled by an owned read or made by `llam_io_buffer_alloc`; belongs to no runtime.
#[repr(C)]
#[derive(Debug)]
pub struct llam_io_buffer_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A slice of bytes to write; on POSIX laid out as `struct iovec`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_iovec_t {
    /// Bytes to write.
    pub iov_base: *const c_void,
    /// Length.
    pub iov_len: usize,
}

/// A slice of bytes to fill; on POSIX laid out as `struct iovec`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_mut_iovec_t {
    /// Bytes to fill.
    pub iov_base: *mut c_void,
    /// Length.
    pub iov_len: usize,
}

/// Options of `llam_io_buffer_alloc_ex`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_io_buffer_opts_t {
    /// Least capacity wanted.
    pub capacity: usize,
    /// 0, or a power of two from the size of a pointer on.
    pub alignment: usize,
    /// `LLAM_IO_BUFFER_F_*`; unknown bits are `EINVAL`.
    pub flags: u32,
    /// Ignored.
    pub reserved0: u32,
}

/// What `llam_stat_path_ex` tells about a file.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_file_stat_t {
    /// Bytes.
    pub size: u64,
    /// Modification time, ns since 1970.
    pub mtime_ns: u64,
    /// Access time, ns since 1970.
    pub atime_ns: u64,
    /// Status-change time, ns since 1970.
    pub ctime_ns: u64,
    /// `st_mode` on POSIX; the file attributes on Windows.
    pub mode: u32,
    /// `LLAM_FILE_TYPE_*`.
    pub type_: u32,
    /// Always 0.
    pub reserved0: u64,
}
