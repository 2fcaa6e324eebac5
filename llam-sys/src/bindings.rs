// Generated from include/llam/runtime.h by `cargo xtask bindings`; do not edit.

use core::ffi::{c_char, c_int, c_short, c_void};

#[cfg(unix)]
use libc::{addrinfo, sockaddr, socklen_t};

#[cfg(not(unix))]
use crate::foreign::{addrinfo, sockaddr, socklen_t};
use crate::types::{Opaque, llam_fd_t, llam_handle_t};

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

/// Both ABI numbers in one, as `llam_abi_version()` returns it.
pub const LLAM_ABI_VERSION: u32 = 131072;

/// A key that is never handed out.
pub const LLAM_TASK_LOCAL_INVALID_KEY: u32 = 4294967295;

/// Most arms of one `llam_channel_select`.
pub const LLAM_CHANNEL_SELECT_MAX_OPS: usize = 4096;

/// Hint: one I/O ring per worker.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS: u64 = 1;

/// Hint: multishot operations on worker rings.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS_MULTISHOT: u64 = 2;

/// Hint: workers go on- and offline with the load.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS: u64 = 4;

/// Hint: lock-free run queue.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ: u64 = 8;

/// Hint: huge pages.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC: u64 = 16;

/// Hint: kernel submission thread.
pub const LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL: u64 = 32;

/// The contents of the new buffer are zero.
pub const LLAM_IO_BUFFER_F_ZERO_FILL: u32 = 1;

/// A regular file.
pub const LLAM_FILE_TYPE_REGULAR: u32 = 1;

/// A directory.
pub const LLAM_FILE_TYPE_DIRECTORY: u32 = 2;

/// A link (never on POSIX, where links are followed).
pub const LLAM_FILE_TYPE_SYMLINK: u32 = 3;

/// Anything else.
pub const LLAM_FILE_TYPE_OTHER: u32 = 4;

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

/// Before the others.
pub const LLAM_TASK_CLASS_LATENCY: llam_task_class_t = 0;

/// The default.
pub const LLAM_TASK_CLASS_DEFAULT: llam_task_class_t = 1;

/// After the others, without starving.
pub const LLAM_TASK_CLASS_BATCH: llam_task_class_t = 2;

/// Scheduling classes: a hint for dispatch order and slice length.
pub type llam_task_class_t = u32;

/// At least 64 KiB usable.
pub const LLAM_STACK_CLASS_DEFAULT: llam_stack_class_t = 0;

/// At least 256 KiB usable.
pub const LLAM_STACK_CLASS_LARGE: llam_stack_class_t = 1;

/// At least 1 MiB usable.
pub const LLAM_STACK_CLASS_HUGE: llam_stack_class_t = 2;

/// Stack sizes; each has a guard page.
pub type llam_stack_class_t = u32;

/// The default.
pub const LLAM_RUNTIME_PROFILE_BALANCED: llam_runtime_profile_t = 0;

/// Throughput.
pub const LLAM_RUNTIME_PROFILE_RELEASE_FAST: llam_runtime_profile_t = 1;

/// Checks.
pub const LLAM_RUNTIME_PROFILE_DEBUG_SAFE: llam_runtime_profile_t = 2;

/// I/O latency.
pub const LLAM_RUNTIME_PROFILE_IO_LATENCY: llam_runtime_profile_t = 3;

/// Tuning profiles; they never change results.
pub type llam_runtime_profile_t = u32;

/// Never for budget reasons.
pub const LLAM_PREEMPT_OFF: llam_preempt_mode_t = 0;

/// Explicit safepoints are honoured, nothing asks by itself.
pub const LLAM_PREEMPT_COOPERATIVE: llam_preempt_mode_t = 1;

/// Over budget, and other work waits.
pub const LLAM_PREEMPT_AUTO: llam_preempt_mode_t = 2;

/// Over budget.
pub const LLAM_PREEMPT_STRICT: llam_preempt_mode_t = 3;

/// When safepoints yield.
pub type llam_preempt_mode_t = u32;

/// Receive into `recv_out`.
pub const LLAM_SELECT_OP_RECV: llam_select_op_kind_t = 1;

/// Send `send_value`.
pub const LLAM_SELECT_OP_SEND: llam_select_op_kind_t = 2;

/// Kinds of select arms.
pub type llam_select_op_kind_t = u32;

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
    /// "LLAM"; static storage.
    pub runtime_name: *const c_char,
    /// Same text as `llam_version_string()`; static storage.
    pub version_string: *const c_char,
    /// `LLAM_PLATFORM_NAME` of the build; static storage.
    pub platform_name: *const c_char,
}

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_abi_info_t"][size_of::<llam_abi_info_t>() - 80usize];
    ["Alignment of llam_abi_info_t"][align_of::<llam_abi_info_t>() - 8usize];
    ["Offset of field: llam_abi_info_t::abi_major"]
        [core::mem::offset_of!(llam_abi_info_t, abi_major) - 0usize];
    ["Offset of field: llam_abi_info_t::abi_minor"]
        [core::mem::offset_of!(llam_abi_info_t, abi_minor) - 4usize];
    ["Offset of field: llam_abi_info_t::version_major"]
        [core::mem::offset_of!(llam_abi_info_t, version_major) - 8usize];
    ["Offset of field: llam_abi_info_t::version_minor"]
        [core::mem::offset_of!(llam_abi_info_t, version_minor) - 12usize];
    ["Offset of field: llam_abi_info_t::version_patch"]
        [core::mem::offset_of!(llam_abi_info_t, version_patch) - 16usize];
    ["Offset of field: llam_abi_info_t::reserved0"]
        [core::mem::offset_of!(llam_abi_info_t, reserved0) - 20usize];
    ["Offset of field: llam_abi_info_t::struct_size"]
        [core::mem::offset_of!(llam_abi_info_t, struct_size) - 24usize];
    ["Offset of field: llam_abi_info_t::runtime_opts_size"]
        [core::mem::offset_of!(llam_abi_info_t, runtime_opts_size) - 32usize];
    ["Offset of field: llam_abi_info_t::spawn_opts_size"]
        [core::mem::offset_of!(llam_abi_info_t, spawn_opts_size) - 40usize];
    ["Offset of field: llam_abi_info_t::runtime_stats_size"]
        [core::mem::offset_of!(llam_abi_info_t, runtime_stats_size) - 48usize];
    ["Offset of field: llam_abi_info_t::runtime_name"]
        [core::mem::offset_of!(llam_abi_info_t, runtime_name) - 56usize];
    ["Offset of field: llam_abi_info_t::version_string"]
        [core::mem::offset_of!(llam_abi_info_t, version_string) - 64usize];
    ["Offset of field: llam_abi_info_t::platform_name"]
        [core::mem::offset_of!(llam_abi_info_t, platform_name) - 72usize];
};

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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_spawn_opts_t"][size_of::<llam_spawn_opts_t>() - 32usize];
    ["Alignment of llam_spawn_opts_t"][align_of::<llam_spawn_opts_t>() - 8usize];
    ["Offset of field: llam_spawn_opts_t::task_class"]
        [core::mem::offset_of!(llam_spawn_opts_t, task_class) - 0usize];
    ["Offset of field: llam_spawn_opts_t::stack_class"]
        [core::mem::offset_of!(llam_spawn_opts_t, stack_class) - 4usize];
    ["Offset of field: llam_spawn_opts_t::flags"]
        [core::mem::offset_of!(llam_spawn_opts_t, flags) - 8usize];
    ["Offset of field: llam_spawn_opts_t::reserved0"]
        [core::mem::offset_of!(llam_spawn_opts_t, reserved0) - 12usize];
    ["Offset of field: llam_spawn_opts_t::deadline_ns"]
        [core::mem::offset_of!(llam_spawn_opts_t, deadline_ns) - 16usize];
    ["Offset of field: llam_spawn_opts_t::cancel_token"]
        [core::mem::offset_of!(llam_spawn_opts_t, cancel_token) - 24usize];
};

/// Options of a runtime; start from `llam_runtime_opts_init`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_runtime_opts_t {
    /// Non-zero: one worker, no stealing, FIFO order.
    pub deterministic: u32,
    /// N \> 0: every N-th safepoint of a task yields.
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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_runtime_opts_t"][size_of::<llam_runtime_opts_t>() - 56usize];
    ["Alignment of llam_runtime_opts_t"][align_of::<llam_runtime_opts_t>() - 8usize];
    ["Offset of field: llam_runtime_opts_t::deterministic"]
        [core::mem::offset_of!(llam_runtime_opts_t, deterministic) - 0usize];
    ["Offset of field: llam_runtime_opts_t::forced_yield_every"]
        [core::mem::offset_of!(llam_runtime_opts_t, forced_yield_every) - 4usize];
    ["Offset of field: llam_runtime_opts_t::experimental_flags"]
        [core::mem::offset_of!(llam_runtime_opts_t, experimental_flags) - 8usize];
    ["Offset of field: llam_runtime_opts_t::idle_spin_ns"]
        [core::mem::offset_of!(llam_runtime_opts_t, idle_spin_ns) - 16usize];
    ["Offset of field: llam_runtime_opts_t::idle_spin_max_iters"]
        [core::mem::offset_of!(llam_runtime_opts_t, idle_spin_max_iters) - 24usize];
    ["Offset of field: llam_runtime_opts_t::sqpoll_cpu"]
        [core::mem::offset_of!(llam_runtime_opts_t, sqpoll_cpu) - 28usize];
    ["Offset of field: llam_runtime_opts_t::profile"]
        [core::mem::offset_of!(llam_runtime_opts_t, profile) - 32usize];
    ["Offset of field: llam_runtime_opts_t::reserved0"]
        [core::mem::offset_of!(llam_runtime_opts_t, reserved0) - 36usize];
    ["Offset of field: llam_runtime_opts_t::preempt_mode"]
        [core::mem::offset_of!(llam_runtime_opts_t, preempt_mode) - 40usize];
    ["Offset of field: llam_runtime_opts_t::preempt_poll_period"]
        [core::mem::offset_of!(llam_runtime_opts_t, preempt_poll_period) - 44usize];
    ["Offset of field: llam_runtime_opts_t::preempt_quantum_ns"]
        [core::mem::offset_of!(llam_runtime_opts_t, preempt_quantum_ns) - 48usize];
};

/// A snapshot of counters and gauges. Counters start at 0 when the runtime is initialised and never
/// decrease while it is live; those of mechanisms the engine does not have stay 0.
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
    /// Time in opaque blocking regions (only with `LLAM_OPAQUE_TIMING=1`, like the next eight).
    pub opaque_block_ns: u64,
    /// Samples of `opaque_block_ns`.
    pub opaque_block_samples: u64,
    /// Longest of `opaque_block_ns`.
    pub opaque_block_max_ns: u64,
    /// Time spent entering.
    pub opaque_enter_wait_ns: u64,
    /// Samples of `opaque_enter_wait_ns`.
    pub opaque_enter_wait_samples: u64,
    /// Longest of `opaque_enter_wait_ns`.
    pub opaque_enter_wait_max_ns: u64,
    /// Time spent leaving.
    pub opaque_leave_wait_ns: u64,
    /// Samples of `opaque_leave_wait_ns`.
    pub opaque_leave_wait_samples: u64,
    /// Longest of `opaque_leave_wait_ns`.
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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_runtime_stats_t"][size_of::<llam_runtime_stats_t>() - 384usize];
    ["Alignment of llam_runtime_stats_t"][align_of::<llam_runtime_stats_t>() - 8usize];
    ["Offset of field: llam_runtime_stats_t::ctx_switches"]
        [core::mem::offset_of!(llam_runtime_stats_t, ctx_switches) - 0usize];
    ["Offset of field: llam_runtime_stats_t::yields"]
        [core::mem::offset_of!(llam_runtime_stats_t, yields) - 8usize];
    ["Offset of field: llam_runtime_stats_t::parks"]
        [core::mem::offset_of!(llam_runtime_stats_t, parks) - 16usize];
    ["Offset of field: llam_runtime_stats_t::wakes"]
        [core::mem::offset_of!(llam_runtime_stats_t, wakes) - 24usize];
    ["Offset of field: llam_runtime_stats_t::steals"]
        [core::mem::offset_of!(llam_runtime_stats_t, steals) - 32usize];
    ["Offset of field: llam_runtime_stats_t::migrations"]
        [core::mem::offset_of!(llam_runtime_stats_t, migrations) - 40usize];
    ["Offset of field: llam_runtime_stats_t::blocking_calls"]
        [core::mem::offset_of!(llam_runtime_stats_t, blocking_calls) - 48usize];
    ["Offset of field: llam_runtime_stats_t::blocking_completions"]
        [core::mem::offset_of!(llam_runtime_stats_t, blocking_completions) - 56usize];
    ["Offset of field: llam_runtime_stats_t::io_submits"]
        [core::mem::offset_of!(llam_runtime_stats_t, io_submits) - 64usize];
    ["Offset of field: llam_runtime_stats_t::io_submit_calls"]
        [core::mem::offset_of!(llam_runtime_stats_t, io_submit_calls) - 72usize];
    ["Offset of field: llam_runtime_stats_t::io_submit_syscalls"]
        [core::mem::offset_of!(llam_runtime_stats_t, io_submit_syscalls) - 80usize];
    ["Offset of field: llam_runtime_stats_t::io_completions"]
        [core::mem::offset_of!(llam_runtime_stats_t, io_completions) - 88usize];
    ["Offset of field: llam_runtime_stats_t::idle_polls"]
        [core::mem::offset_of!(llam_runtime_stats_t, idle_polls) - 96usize];
    ["Offset of field: llam_runtime_stats_t::idle_spin_loops"]
        [core::mem::offset_of!(llam_runtime_stats_t, idle_spin_loops) - 104usize];
    ["Offset of field: llam_runtime_stats_t::idle_spin_hits"]
        [core::mem::offset_of!(llam_runtime_stats_t, idle_spin_hits) - 112usize];
    ["Offset of field: llam_runtime_stats_t::idle_spin_fallbacks"]
        [core::mem::offset_of!(llam_runtime_stats_t, idle_spin_fallbacks) - 120usize];
    ["Offset of field: llam_runtime_stats_t::idle_spin_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, idle_spin_ns) - 128usize];
    ["Offset of field: llam_runtime_stats_t::queue_overflows"]
        [core::mem::offset_of!(llam_runtime_stats_t, queue_overflows) - 136usize];
    ["Offset of field: llam_runtime_stats_t::overflow_depth"]
        [core::mem::offset_of!(llam_runtime_stats_t, overflow_depth) - 144usize];
    ["Offset of field: llam_runtime_stats_t::active_workers"]
        [core::mem::offset_of!(llam_runtime_stats_t, active_workers) - 152usize];
    ["Offset of field: llam_runtime_stats_t::online_workers"]
        [core::mem::offset_of!(llam_runtime_stats_t, online_workers) - 156usize];
    ["Offset of field: llam_runtime_stats_t::online_workers_floor"]
        [core::mem::offset_of!(llam_runtime_stats_t, online_workers_floor) - 160usize];
    ["Offset of field: llam_runtime_stats_t::online_workers_min"]
        [core::mem::offset_of!(llam_runtime_stats_t, online_workers_min) - 164usize];
    ["Offset of field: llam_runtime_stats_t::online_workers_max"]
        [core::mem::offset_of!(llam_runtime_stats_t, online_workers_max) - 168usize];
    ["Offset of field: llam_runtime_stats_t::active_nodes"]
        [core::mem::offset_of!(llam_runtime_stats_t, active_nodes) - 172usize];
    ["Offset of field: llam_runtime_stats_t::dynamic_workers"]
        [core::mem::offset_of!(llam_runtime_stats_t, dynamic_workers) - 176usize];
    ["Offset of field: llam_runtime_stats_t::worker_rings"]
        [core::mem::offset_of!(llam_runtime_stats_t, worker_rings) - 180usize];
    ["Offset of field: llam_runtime_stats_t::worker_rings_multishot"]
        [core::mem::offset_of!(llam_runtime_stats_t, worker_rings_multishot) - 184usize];
    ["Offset of field: llam_runtime_stats_t::lockfree_normq"]
        [core::mem::offset_of!(llam_runtime_stats_t, lockfree_normq) - 188usize];
    ["Offset of field: llam_runtime_stats_t::huge_alloc"]
        [core::mem::offset_of!(llam_runtime_stats_t, huge_alloc) - 192usize];
    ["Offset of field: llam_runtime_stats_t::sqpoll"]
        [core::mem::offset_of!(llam_runtime_stats_t, sqpoll) - 196usize];
    ["Offset of field: llam_runtime_stats_t::opaque_block_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_block_ns) - 200usize];
    ["Offset of field: llam_runtime_stats_t::opaque_block_samples"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_block_samples) - 208usize];
    ["Offset of field: llam_runtime_stats_t::opaque_block_max_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_block_max_ns) - 216usize];
    ["Offset of field: llam_runtime_stats_t::opaque_enter_wait_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_enter_wait_ns) - 224usize];
    ["Offset of field: llam_runtime_stats_t::opaque_enter_wait_samples"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_enter_wait_samples) - 232usize];
    ["Offset of field: llam_runtime_stats_t::opaque_enter_wait_max_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_enter_wait_max_ns) - 240usize];
    ["Offset of field: llam_runtime_stats_t::opaque_leave_wait_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_leave_wait_ns) - 248usize];
    ["Offset of field: llam_runtime_stats_t::opaque_leave_wait_samples"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_leave_wait_samples) - 256usize];
    ["Offset of field: llam_runtime_stats_t::opaque_leave_wait_max_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, opaque_leave_wait_max_ns) - 264usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_attempts"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_attempts) - 272usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_fast_hits"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_fast_hits) - 280usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_locked_hits"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_locked_hits) - 288usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_fail_context"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_fail_context) - 296usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_fail_policy"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_fail_policy) - 304usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_fail_no_work"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_fail_no_work) - 312usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_fail_self"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_fail_self) - 320usize];
    ["Offset of field: llam_runtime_stats_t::yield_direct_fail_push"]
        [core::mem::offset_of!(llam_runtime_stats_t, yield_direct_fail_push) - 328usize];
    ["Offset of field: llam_runtime_stats_t::preempt_requests"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_requests) - 336usize];
    ["Offset of field: llam_runtime_stats_t::preempt_yields"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_yields) - 344usize];
    ["Offset of field: llam_runtime_stats_t::preempt_suppressed"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_suppressed) - 352usize];
    ["Offset of field: llam_runtime_stats_t::preempt_signals"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_signals) - 360usize];
    ["Offset of field: llam_runtime_stats_t::preempt_mode"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_mode) - 368usize];
    ["Offset of field: llam_runtime_stats_t::preempt_poll_period"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_poll_period) - 372usize];
    ["Offset of field: llam_runtime_stats_t::preempt_quantum_ns"]
        [core::mem::offset_of!(llam_runtime_stats_t, preempt_quantum_ns) - 376usize];
};

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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_select_op_t"][size_of::<llam_select_op_t>() - 40usize];
    ["Alignment of llam_select_op_t"][align_of::<llam_select_op_t>() - 8usize];
    ["Offset of field: llam_select_op_t::kind"]
        [core::mem::offset_of!(llam_select_op_t, kind) - 0usize];
    ["Offset of field: llam_select_op_t::reserved0"]
        [core::mem::offset_of!(llam_select_op_t, reserved0) - 4usize];
    ["Offset of field: llam_select_op_t::channel"]
        [core::mem::offset_of!(llam_select_op_t, channel) - 8usize];
    ["Offset of field: llam_select_op_t::send_value"]
        [core::mem::offset_of!(llam_select_op_t, send_value) - 16usize];
    ["Offset of field: llam_select_op_t::recv_out"]
        [core::mem::offset_of!(llam_select_op_t, recv_out) - 24usize];
    ["Offset of field: llam_select_op_t::result_errno"]
        [core::mem::offset_of!(llam_select_op_t, result_errno) - 32usize];
};

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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_timer_opts_t"][size_of::<llam_timer_opts_t>() - 24usize];
    ["Alignment of llam_timer_opts_t"][align_of::<llam_timer_opts_t>() - 8usize];
    ["Offset of field: llam_timer_opts_t::first_deadline_ns"]
        [core::mem::offset_of!(llam_timer_opts_t, first_deadline_ns) - 0usize];
    ["Offset of field: llam_timer_opts_t::interval_ns"]
        [core::mem::offset_of!(llam_timer_opts_t, interval_ns) - 8usize];
    ["Offset of field: llam_timer_opts_t::flags"]
        [core::mem::offset_of!(llam_timer_opts_t, flags) - 16usize];
    ["Offset of field: llam_timer_opts_t::reserved0"]
        [core::mem::offset_of!(llam_timer_opts_t, reserved0) - 20usize];
};

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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_signal_event_t"][size_of::<llam_signal_event_t>() - 16usize];
    ["Alignment of llam_signal_event_t"][align_of::<llam_signal_event_t>() - 8usize];
    ["Offset of field: llam_signal_event_t::signo"]
        [core::mem::offset_of!(llam_signal_event_t, signo) - 0usize];
    ["Offset of field: llam_signal_event_t::reserved0"]
        [core::mem::offset_of!(llam_signal_event_t, reserved0) - 4usize];
    ["Offset of field: llam_signal_event_t::sequence"]
        [core::mem::offset_of!(llam_signal_event_t, sequence) - 8usize];
};

/// Options of `llam_signal_set_create_ex`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_signal_opts_t {
    /// Must be 0, else `ENOTSUP`.
    pub flags: u32,
    /// Ignored.
    pub reserved0: u32,
}

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_signal_opts_t"][size_of::<llam_signal_opts_t>() - 8usize];
    ["Alignment of llam_signal_opts_t"][align_of::<llam_signal_opts_t>() - 4usize];
    ["Offset of field: llam_signal_opts_t::flags"]
        [core::mem::offset_of!(llam_signal_opts_t, flags) - 0usize];
    ["Offset of field: llam_signal_opts_t::reserved0"]
        [core::mem::offset_of!(llam_signal_opts_t, reserved0) - 4usize];
};

/// A buffer filled by an owned read or made by `llam_io_buffer_alloc`; belongs to no runtime.
#[repr(C)]
#[derive(Debug)]
pub struct llam_io_buffer_t {
    _opaque: [u8; 0],
    _marker: Opaque,
}

/// A slice of bytes to write; on POSIX laid out as struct iovec.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_iovec_t {
    /// Bytes to write.
    pub iov_base: *const c_void,
    /// Length.
    pub iov_len: usize,
}

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_iovec_t"][size_of::<llam_iovec_t>() - 16usize];
    ["Alignment of llam_iovec_t"][align_of::<llam_iovec_t>() - 8usize];
    ["Offset of field: llam_iovec_t::iov_base"]
        [core::mem::offset_of!(llam_iovec_t, iov_base) - 0usize];
    ["Offset of field: llam_iovec_t::iov_len"]
        [core::mem::offset_of!(llam_iovec_t, iov_len) - 8usize];
};

/// A slice of bytes to fill; on POSIX laid out as struct iovec.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_mut_iovec_t {
    /// Bytes to fill.
    pub iov_base: *mut c_void,
    /// Length.
    pub iov_len: usize,
}

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_mut_iovec_t"][size_of::<llam_mut_iovec_t>() - 16usize];
    ["Alignment of llam_mut_iovec_t"][align_of::<llam_mut_iovec_t>() - 8usize];
    ["Offset of field: llam_mut_iovec_t::iov_base"]
        [core::mem::offset_of!(llam_mut_iovec_t, iov_base) - 0usize];
    ["Offset of field: llam_mut_iovec_t::iov_len"]
        [core::mem::offset_of!(llam_mut_iovec_t, iov_len) - 8usize];
};

/// Options of `llam_io_buffer_alloc_ex`.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct llam_io_buffer_opts_t {
    /// Least capacity wanted.
    pub capacity: usize,
    /// 0, or a power of two \>= `sizeof(void *)`.
    pub alignment: usize,
    /// `LLAM_IO_BUFFER_F_*`; unknown bits are `EINVAL`.
    pub flags: u32,
    /// Ignored.
    pub reserved0: u32,
}

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_io_buffer_opts_t"][size_of::<llam_io_buffer_opts_t>() - 24usize];
    ["Alignment of llam_io_buffer_opts_t"][align_of::<llam_io_buffer_opts_t>() - 8usize];
    ["Offset of field: llam_io_buffer_opts_t::capacity"]
        [core::mem::offset_of!(llam_io_buffer_opts_t, capacity) - 0usize];
    ["Offset of field: llam_io_buffer_opts_t::alignment"]
        [core::mem::offset_of!(llam_io_buffer_opts_t, alignment) - 8usize];
    ["Offset of field: llam_io_buffer_opts_t::flags"]
        [core::mem::offset_of!(llam_io_buffer_opts_t, flags) - 16usize];
    ["Offset of field: llam_io_buffer_opts_t::reserved0"]
        [core::mem::offset_of!(llam_io_buffer_opts_t, reserved0) - 20usize];
};

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

#[allow(clippy::unnecessary_operation, clippy::identity_op)]
#[cfg(target_pointer_width = "64")]
const _: () = {
    ["Size of llam_file_stat_t"][size_of::<llam_file_stat_t>() - 48usize];
    ["Alignment of llam_file_stat_t"][align_of::<llam_file_stat_t>() - 8usize];
    ["Offset of field: llam_file_stat_t::size"]
        [core::mem::offset_of!(llam_file_stat_t, size) - 0usize];
    ["Offset of field: llam_file_stat_t::mtime_ns"]
        [core::mem::offset_of!(llam_file_stat_t, mtime_ns) - 8usize];
    ["Offset of field: llam_file_stat_t::atime_ns"]
        [core::mem::offset_of!(llam_file_stat_t, atime_ns) - 16usize];
    ["Offset of field: llam_file_stat_t::ctime_ns"]
        [core::mem::offset_of!(llam_file_stat_t, ctime_ns) - 24usize];
    ["Offset of field: llam_file_stat_t::mode"]
        [core::mem::offset_of!(llam_file_stat_t, mode) - 32usize];
    ["Offset of field: llam_file_stat_t::type_"]
        [core::mem::offset_of!(llam_file_stat_t, type_) - 36usize];
    ["Offset of field: llam_file_stat_t::reserved0"]
        [core::mem::offset_of!(llam_file_stat_t, reserved0) - 40usize];
};

unsafe extern "C" {
    /// Returns `LLAM_ABI_VERSION` of the library. Never fails; any thread, any time.
    pub fn llam_abi_version() -> u32;

    /// Returns "major.minor.patch"; a static string, never NULL, never freed.
    pub fn llam_version_string() -> *const c_char;

    /// Fills at most `info_size` bytes of info. 0; `EINVAL` for NULL or size 0. Needs no runtime.
    pub fn llam_abi_get_info(info: *mut llam_abi_info_t, info_size: usize) -> c_int;

    /// Writes the defaults: all 0, but `sqpoll_cpu` -1 and `preempt_mode` AUTO. 0; `EINVAL` for
    /// NULL or size 0.
    pub fn llam_runtime_opts_init(opts: *mut llam_runtime_opts_t, opts_size: usize) -> c_int;

    /// Writes the defaults: `task_class` DEFAULT, all else 0. 0; `EINVAL` for NULL or size 0.
    pub fn llam_spawn_opts_init(opts: *mut llam_spawn_opts_t, opts_size: usize) -> c_int;

    /// Initialises the default runtime. opts NULL: defaults. Errors: `EINVAL` opts with size 0, bad
    /// profile or `preempt_mode`; `EBUSY` already live; `EINVAL` `sqpoll_cpu`; `ENODEV`, `ENOMEM`,
    /// `EAGAIN`. A failure leaves nothing behind.
    pub fn llam_runtime_init_ex(opts: *const llam_runtime_opts_t, opts_size: usize) -> c_int;

    /// `llam_runtime_init_ex` with the library's own struct size: only safe when program and
    /// library have the same ABI.
    pub fn llam_runtime_init(opts: *const llam_runtime_opts_t) -> c_int;

    /// The handle of the default runtime: never NULL, always the same, whether live or not.
    pub fn llam_runtime_default() -> *mut llam_runtime_t;

    /// Makes an independent runtime. 0 and `*out`; `EINVAL` for out NULL, else as
    /// `llam_runtime_init_ex` without `EBUSY`. End it with `llam_runtime_destroy`.
    pub fn llam_runtime_create(
        opts: *const llam_runtime_opts_t,
        opts_size: usize,
        out: *mut *mut llam_runtime_t,
    ) -> c_int;

    /// Runs that runtime as `llam_run` does. `EINVAL` for a bad, destroyed or running runtime, and
    /// from any task.
    pub fn llam_runtime_run_handle(runtime: *mut llam_runtime_t) -> c_int;

    /// Ends a runtime: waits for a run in progress, frees everything. NULL or the default handle:
    /// `llam_runtime_shutdown`. From one of its tasks: a stop request. errno is kept.
    pub fn llam_runtime_destroy(runtime: *mut llam_runtime_t);

    /// Runs the default runtime on the calling thread (and others) until it has no live task. 0;
    /// `EINVAL` not live, already running, or called in a task; `EDEADLK` when every task waits for
    /// another for ever; `EMFILE`, `EPERM` and the like when no worker can open its driver.
    pub fn llam_run() -> c_int;

    /// Cancels every wait of the caller's runtime (host threads: of the default one), now and until
    /// its run has returned. 0; `EINVAL` when it is not live.
    pub fn llam_runtime_request_stop() -> c_int;

    /// Ends the default runtime; waits for a run on another thread. In a task: a stop request.
    /// Idempotent; errno is kept.
    pub fn llam_runtime_shutdown();

    /// Creates a task that calls fn(arg), on the caller's runtime (host threads: the default one).
    /// The handle must be joined or detached. NULL with `EINVAL` (fn NULL, opts with size 0,
    /// runtime not live, bad class, bad token), `EXDEV` (token of another runtime), `ENOMEM`.
    pub fn llam_spawn_ex(
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
        opts_size: usize,
    ) -> *mut llam_task_t;

    /// `llam_spawn_ex` with size 32.
    pub fn llam_spawn(
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
    ) -> *mut llam_task_t;

    /// `llam_spawn_ex` onto the given live runtime, from any thread. NULL, unknown or dead runtimes
    /// give `EINVAL`.
    pub fn llam_runtime_spawn_ex(
        runtime: *mut llam_runtime_t,
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
        opts_size: usize,
    ) -> *mut llam_task_t;

    /// Waits for the task to end and consumes the handle: `llam_join_until` without a deadline.
    pub fn llam_join(task: *mut llam_task_t) -> c_int;

    /// Waits for the task to end and consumes the handle. Errors, in order: `EINVAL` dead handle,
    /// `EXDEV`, `EINVAL` runtime not live, `EBUSY` owned by a group, `EDEADLK` the caller itself,
    /// `EBUSY` being joined, `ETIMEDOUT`, `ECANCELED`. After the last three the handle is still
    /// valid.
    pub fn llam_join_until(task: *mut llam_task_t, deadline_ns: u64) -> c_int;

    /// Gives up the handle; the task frees itself at its end. `EINVAL` dead handle; `EXDEV`;
    /// `EBUSY` owned by a group or being joined.
    pub fn llam_detach(task: *mut llam_task_t) -> c_int;

    /// The calling task's own handle (borrowed), NULL on a host thread.
    pub fn llam_current_task() -> *mut llam_task_t;

    /// Id of the task, from 1 in the order of spawns; 0 for NULL, dead or foreign handles. errno is
    /// kept.
    pub fn llam_task_id(task: *const llam_task_t) -> u64;

    /// One of NEW, RUNNABLE, RUNNING, PARKED, `BLOCKED_OPAQUE`, DEAD, UNKNOWN; a static string and
    /// a snapshot.
    pub fn llam_task_state_name(task: *const llam_task_t) -> *const c_char;

    /// Current `llam_task_class_t` of the task; 1 for NULL, dead or foreign handles.
    pub fn llam_task_class(task: *const llam_task_t) -> u32;

    /// The flags given at spawn, unknown bits included; 0 for NULL, dead or foreign handles.
    pub fn llam_task_flags(task: *const llam_task_t) -> u32;

    /// Sets the calling task's class. `EINVAL` for a value above 2 (checked first); `ENOTSUP` on a
    /// host thread.
    pub fn llam_task_set_class(task_class: u32) -> c_int;

    /// Puts the caller at the end of the run order. Never fails; on a host thread at most an OS
    /// yield.
    pub fn llam_yield();

    /// Gives the scheduler a chance to preempt. Cheap; no effect on a host thread.
    pub fn llam_task_safepoint();

    /// A new empty group with its own token. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_task_group_create() -> *mut llam_task_group_t;

    /// Spawns a child on the group's runtime, with the group's token unless the options name one.
    /// The handle is borrowed: join and detach give `EBUSY`. NULL with `EINVAL`, `EBUSY` (being
    /// joined), `EXDEV`, `ENOMEM`.
    pub fn llam_task_group_spawn_ex(
        group: *mut llam_task_group_t,
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
        opts_size: usize,
    ) -> *mut llam_task_t;

    /// `llam_task_group_spawn_ex` with size 32.
    pub fn llam_task_group_spawn(
        group: *mut llam_task_group_t,
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
    ) -> *mut llam_task_t;

    /// Cancels the group's token: children that use it, now and later. 0, also when repeated;
    /// `EINVAL`; `EXDEV`.
    pub fn llam_task_group_cancel(group: *mut llam_task_group_t) -> c_int;

    /// `llam_task_group_join_until` without a deadline.
    pub fn llam_task_group_join(group: *mut llam_task_group_t) -> c_int;

    /// Joins the children in spawn order. 0 when all have ended. `EINVAL`; `EXDEV`; `EBUSY` another
    /// call is in progress; `EDEADLK` from a child; `ETIMEDOUT` and `ECANCELED` leave the remaining
    /// children in the group.
    pub fn llam_task_group_join_until(group: *mut llam_task_group_t, deadline_ns: u64) -> c_int;

    /// Frees an empty group. `EINVAL`; `EXDEV`; `EBUSY` while it has unjoined children or a call is
    /// in progress.
    pub fn llam_task_group_destroy(group: *mut llam_task_group_t) -> c_int;

    /// Monotonic nanoseconds (`CLOCK_MONOTONIC`). Never fails; any thread, any time.
    pub fn llam_now_ns() -> u64;

    /// Waits until the deadline; a past one returns 0 at once, also when cancelled. `ECANCELED`; on
    /// a host thread `EINVAL` when the default runtime is not live.
    pub fn llam_sleep_until(deadline_ns: u64) -> c_int;

    /// `llam_sleep_until`(now + duration), saturating; 0 returns at once.
    pub fn llam_sleep_ns(duration_ns: u64) -> c_int;

    /// Makes a timer that ticks at `first_deadline_ns` (0: now) and then every `interval_ns`.
    /// Errors, in order: `EINVAL` out NULL, opts NULL, size 0, interval 0; `ENOTSUP` flags;
    /// `ENOMEM`.
    pub fn llam_timer_create_ex(
        opts: *const llam_timer_opts_t,
        opts_size: usize,
        out: *mut *mut llam_timer_t,
    ) -> c_int;

    /// Makes a timer whose first tick is due one interval from now. `EINVAL` for interval 0 or out
    /// NULL.
    pub fn llam_timer_create(interval_ns: u64, out: *mut *mut llam_timer_t) -> c_int;

    /// `llam_timer_wait_until` without a deadline.
    pub fn llam_timer_wait(timer: *mut llam_timer_t, ticks_out: *mut u64) -> c_int;

    /// Waits for a tick and takes all due ones into `*ticks_out`. Errors, in order: `EINVAL`
    /// `ticks_out` NULL; `ETIMEDOUT` deadline 0; `EINVAL` handle; `EXDEV`; `ECANCELED` timer
    /// cancelled; `ETIMEDOUT`; `ECANCELED` task cancelled. Works on host threads.
    pub fn llam_timer_wait_until(
        timer: *mut llam_timer_t,
        deadline_ns: u64,
        ticks_out: *mut u64,
    ) -> c_int;

    /// Sets first deadline (0: now) and interval anew, forgets due ticks, undoes a cancel.
    /// `EINVAL`; `EXDEV`.
    pub fn llam_timer_reset(
        timer: *mut llam_timer_t,
        first_deadline_ns: u64,
        interval_ns: u64,
    ) -> c_int;

    /// Makes current and later waits fail with `ECANCELED` until a reset. 0, also when repeated;
    /// `EINVAL`; `EXDEV`.
    pub fn llam_timer_cancel(timer: *mut llam_timer_t) -> c_int;

    /// Frees the timer. `EINVAL`; `EXDEV`; `EBUSY` while a wait is inside.
    pub fn llam_timer_destroy(timer: *mut llam_timer_t) -> c_int;

    /// Subscribes to 1 to 16 signals and blocks them in the calling thread. Create sets before the
    /// runtime and any other thread: one that has a signal unblocked may take it. Errors, in order:
    /// `EINVAL` out NULL, size 0; `ENOTSUP` flags, or not Linux; `EINVAL` bad numbers; `EBUSY` a
    /// signal belongs to another set; `ENOMEM`.
    pub fn llam_signal_set_create_ex(
        signos: *const c_int,
        signo_count: usize,
        opts: *const llam_signal_opts_t,
        opts_size: usize,
        out: *mut *mut llam_signal_set_t,
    ) -> c_int;

    /// `llam_signal_wait_until` without a deadline.
    pub fn llam_signal_wait(set: *mut llam_signal_set_t, out: *mut llam_signal_event_t) -> c_int;

    /// Takes one pending signal of the set. Errors, in order: `EINVAL` out NULL, handle; `EXDEV`;
    /// `ETIMEDOUT`; `ECANCELED`. Works on host threads.
    pub fn llam_signal_wait_until(
        set: *mut llam_signal_set_t,
        deadline_ns: u64,
        out: *mut llam_signal_event_t,
    ) -> c_int;

    /// Ends the subscription and unblocks the signals in the calling thread. `EINVAL`; `EXDEV`;
    /// `EBUSY` while somebody waits.
    pub fn llam_signal_set_destroy(set: *mut llam_signal_set_t) -> c_int;

    /// Runs fn(arg) on a pool thread while the task is parked (host thread: directly). 0 and
    /// `*out`, errno as fn left it; `EINVAL`; `ECANCELED` (a callback that runs is waited for);
    /// `ENOMEM`.
    pub fn llam_call_blocking_result(
        fn_: llam_blocking_fn,
        arg: *mut c_void,
        out: *mut *mut c_void,
    ) -> c_int;

    /// As `llam_call_blocking_result`; NULL on failure.
    pub fn llam_call_blocking(fn_: llam_blocking_fn, arg: *mut c_void) -> *mut c_void;

    /// Declares that the task is about to block its OS thread itself. Nests. 0, also on a host
    /// thread; `ENOMEM`.
    ///
    /// After it, and after `llam_leave_blocking`, this task and the others of its worker may go on
    /// on another OS thread, unless they were spawned with `LLAM_SPAWN_F_PINNED`. Compilers keep
    /// the address of errno and of thread-locals over a call: in such a task read them in a
    /// function of its own that is not inlined, or pin the task.
    pub fn llam_enter_blocking() -> c_int;

    /// Ends the innermost blocking region. 0; `EINVAL` in a task that is in none.
    pub fn llam_leave_blocking() -> c_int;

    /// A new key for all tasks: the lowest free id, 1 to 65535. `EINVAL`; `ENOSPC`; `ENOMEM`.
    pub fn llam_task_local_key_create(out_key: *mut llam_task_local_key_t) -> c_int;

    /// Deactivates the key; values are not touched. `EINVAL` for a key that is not active.
    pub fn llam_task_local_key_delete(key: llam_task_local_key_t) -> c_int;

    /// The calling task's value, NULL when there is none; errno is set to 0. NULL with `EINVAL` for
    /// an inactive key, `ENOTSUP` on a host thread.
    pub fn llam_task_local_get(key: llam_task_local_key_t) -> *mut c_void;

    /// Sets the calling task's value; NULL removes it. `ENOTSUP` on a host thread; `EINVAL` for an
    /// inactive key (a NULL may still remove an old entry); `ENOMEM`.
    pub fn llam_task_local_set(key: llam_task_local_key_t, value: *mut c_void) -> c_int;

    /// A new token. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_cancel_token_create() -> *mut llam_cancel_token_t;

    /// Cancels for good every task that has this token. 0, also when repeated; `EINVAL`; `EXDEV`.
    pub fn llam_cancel_token_cancel(token: *mut llam_cancel_token_t) -> c_int;

    /// 1 or 0; -1 with `EINVAL` or `EXDEV`.
    pub fn llam_cancel_token_is_cancelled(token: *const llam_cancel_token_t) -> c_int;

    /// Frees the token. `EINVAL`; `EXDEV`; `EBUSY` while an unreclaimed task refers to it.
    pub fn llam_cancel_token_destroy(token: *mut llam_cancel_token_t) -> c_int;

    /// A new mutex. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_mutex_create() -> *mut llam_mutex_t;

    /// Frees the mutex. `EINVAL`; `EXDEV`; `EBUSY` when locked, waited for or in use.
    pub fn llam_mutex_destroy(mutex: *mut llam_mutex_t) -> c_int;

    /// `llam_mutex_lock_until` without a deadline.
    pub fn llam_mutex_lock(mutex: *mut llam_mutex_t) -> c_int;

    /// Takes the mutex, first come, first served. Errors, in order: `EINVAL`; `ENOTSUP` host
    /// thread; `EXDEV`; `EDEADLK` the caller owns it; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_mutex_lock_until(mutex: *mut llam_mutex_t, deadline_ns: u64) -> c_int;

    /// Takes the mutex if it is free. `EBUSY` held by anyone; `EINVAL`; `ENOTSUP`; `EXDEV`.
    pub fn llam_mutex_trylock(mutex: *mut llam_mutex_t) -> c_int;

    /// Hands the mutex to the longest waiter. `EINVAL`; `ENOTSUP`; `EXDEV`; `EPERM` the caller does
    /// not own it.
    pub fn llam_mutex_unlock(mutex: *mut llam_mutex_t) -> c_int;

    /// A new condition variable. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_cond_create() -> *mut llam_cond_t;

    /// Frees it. `EINVAL`; `EXDEV`; `EBUSY` while a wait on it has not returned.
    pub fn llam_cond_destroy(cond: *mut llam_cond_t) -> c_int;

    /// `llam_cond_wait_until` without a deadline.
    pub fn llam_cond_wait(cond: *mut llam_cond_t, mutex: *mut llam_mutex_t) -> c_int;

    /// Releases the mutex and parks in one step; the mutex is held again on return. Errors, in
    /// order: `EINVAL`; `ENOTSUP`; `EXDEV`; `EPERM` not the owner; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_cond_wait_until(
        cond: *mut llam_cond_t,
        mutex: *mut llam_mutex_t,
        deadline_ns: u64,
    ) -> c_int;

    /// Wakes the longest waiter, if any. 0; `EINVAL`; `EXDEV`; `ENOTSUP` on a host thread when the
    /// runtime is not live. Any thread.
    pub fn llam_cond_signal(cond: *mut llam_cond_t) -> c_int;

    /// Wakes all current waiters. Errors as `llam_cond_signal`.
    pub fn llam_cond_broadcast(cond: *mut llam_cond_t) -> c_int;

    /// A new channel of exactly this capacity. NULL with `EINVAL` for 0, `ENOMEM`.
    pub fn llam_channel_create(capacity: usize) -> *mut llam_channel_t;

    /// Frees an empty, unused channel. `EINVAL`; `EXDEV`; `EBUSY` when values are buffered or calls
    /// are inside.
    pub fn llam_channel_destroy(channel: *mut llam_channel_t) -> c_int;

    /// `llam_channel_send_until` without a deadline.
    pub fn llam_channel_send(channel: *mut llam_channel_t, value: *mut c_void) -> c_int;

    /// Sends, parking while the channel is full. `EINVAL`; `ENOTSUP` host thread; `EXDEV`; `EPIPE`
    /// closed; `ETIMEDOUT`; `ECANCELED`. On failure the value still belongs to the caller.
    pub fn llam_channel_send_until(
        channel: *mut llam_channel_t,
        value: *mut c_void,
        deadline_ns: u64,
    ) -> c_int;

    /// Sends without parking, from any thread. `EAGAIN` full; `EPIPE` closed; `EINVAL`; `EXDEV`;
    /// `ENOTSUP` runtime not live.
    pub fn llam_channel_try_send(channel: *mut llam_channel_t, value: *mut c_void) -> c_int;

    /// `llam_channel_recv_until_result` without a deadline.
    pub fn llam_channel_recv_result(channel: *mut llam_channel_t, out: *mut *mut c_void) -> c_int;

    /// Receives the oldest value into `*out`, parking while the channel is empty. `EINVAL`;
    /// `ENOTSUP` host thread; `EXDEV`; `EPIPE` closed and empty; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_channel_recv_until_result(
        channel: *mut llam_channel_t,
        deadline_ns: u64,
        out: *mut *mut c_void,
    ) -> c_int;

    /// Receives without parking, from any thread. `EAGAIN` empty; `EPIPE` closed and empty;
    /// `EINVAL`; `EXDEV`; `ENOTSUP` runtime not live.
    pub fn llam_channel_try_recv_result(
        channel: *mut llam_channel_t,
        out: *mut *mut c_void,
    ) -> c_int;

    /// Returns the payload; NULL with errno set on failure, NULL with errno 0 for a NULL payload.
    pub fn llam_channel_recv(channel: *mut llam_channel_t) -> *mut c_void;

    /// `llam_channel_recv` with a deadline.
    pub fn llam_channel_recv_until(channel: *mut llam_channel_t, deadline_ns: u64) -> *mut c_void;

    /// Closes for sending and wakes every waiter with `EPIPE`. 0, also when repeated; `EINVAL`;
    /// `EXDEV`. Any thread.
    pub fn llam_channel_close(channel: *mut llam_channel_t) -> c_int;

    /// Performs exactly one of the arms; the lowest ready index wins. 0, `*selected_index` and that
    /// arm's `result_errno` (0 or `EPIPE`). Errors, in order: `EINVAL`; `ENOTSUP` host thread;
    /// `EINVAL` or `EXDEV` of an arm; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_channel_select(
        ops: *mut llam_select_op_t,
        op_count: usize,
        deadline_ns: u64,
        selected_index: *mut usize,
    ) -> c_int;

    /// Snapshot of the default runtime, zeros when it is not live. 0; `EINVAL` for NULL or size 0.
    /// Any thread.
    pub fn llam_runtime_collect_stats_ex(
        stats: *mut llam_runtime_stats_t,
        stats_size: usize,
    ) -> c_int;

    /// Snapshot of one runtime. `EINVAL` for stats NULL, size 0; for a bad runtime `EINVAL` with
    /// the prefix zeroed.
    pub fn llam_runtime_collect_stats_ex_handle(
        runtime: *mut llam_runtime_t,
        stats: *mut llam_runtime_stats_t,
        stats_size: usize,
    ) -> c_int;

    /// `llam_runtime_collect_stats_ex` with the library's own struct size: only safe when program
    /// and library have the same ABI.
    pub fn llam_runtime_collect_stats(stats: *mut llam_runtime_stats_t) -> c_int;

    /// Writes the default runtime's statistics to fd as one JSON object and a newline. `EINVAL` fd
    /// below 0; errors of write(2).
    pub fn llam_runtime_write_stats_json(fd: c_int) -> c_int;

    /// Writes readable text about the default runtime to fd; errors are ignored. Any thread, any
    /// time.
    pub fn llam_dump_runtime_state(fd: c_int);

    /// read(2).
    pub fn llam_read(fd: llam_fd_t, buf: *mut c_void, count: usize) -> isize;

    /// POSIX: `llam_read`. Windows: reads a HANDLE.
    pub fn llam_read_handle(handle: llam_handle_t, buf: *mut c_void, count: usize) -> isize;

    /// Waits up to `timeout_ms` (negative: no limit) for readability, then reads. `ETIMEDOUT`;
    /// `ECANCELED`; errors of read(2). count 0 returns 0 at once.
    pub fn llam_read_when_ready(
        fd: llam_fd_t,
        buf: *mut c_void,
        count: usize,
        timeout_ms: c_int,
    ) -> isize;

    /// write(2); may be partial. SIGPIPE is not suppressed.
    pub fn llam_write(fd: llam_fd_t, buf: *const c_void, count: usize) -> isize;

    /// POSIX: `llam_write`. Windows: writes a HANDLE.
    pub fn llam_write_handle(handle: llam_handle_t, buf: *const c_void, count: usize) -> isize;

    /// writev(2); may be partial. `EINVAL` iovcnt below 0 or above `IOV_MAX`; 0 slices return 0.
    pub fn llam_writev(fd: llam_fd_t, iov: *const llam_iovec_t, iovcnt: c_int) -> isize;

    /// Closes fd after forgetting what the engine knows about it. `EBADF`; errors of close(2). Any
    /// thread.
    pub fn llam_close(fd: llam_fd_t) -> c_int;

    /// POSIX: `llam_close`. Windows: CloseHandle.
    pub fn llam_close_handle(handle: llam_handle_t) -> c_int;

    /// accept(2). `EINVAL` when exactly one of addr and addrlen is NULL. The new descriptor is
    /// blocking and without close-on-exec on Linux.
    pub fn llam_accept(fd: llam_fd_t, addr: *mut sockaddr, addrlen: *mut socklen_t) -> llam_fd_t;

    /// Connects and waits for the outcome, also on non-blocking sockets. `EINVAL` addr NULL;
    /// `ECANCELED`; errors of connect(2).
    pub fn llam_connect(fd: llam_fd_t, addr: *const sockaddr, addrlen: socklen_t) -> c_int;

    /// Waits up to `timeout_ms` (negative: no limit, 0: probe) for one descriptor. 1 ready, 0
    /// timeout; `*revents` is always written. Invalid descriptors give 1 with POLLNVAL.
    /// `ECANCELED`.
    pub fn llam_poll_fd(
        fd: llam_fd_t,
        events: c_short,
        timeout_ms: c_int,
        revents: *mut c_short,
    ) -> c_int;

    /// POSIX: `llam_poll_fd`. Windows: waits for a HANDLE.
    pub fn llam_poll_handle(
        handle: llam_handle_t,
        events: c_short,
        timeout_ms: c_int,
        revents: *mut c_short,
    ) -> c_int;

    /// recvfrom(2); `MSG_DONTWAIT` does not prevent waiting in a task. `EINVAL` when exactly one of
    /// `src_addr` and addrlen is NULL, or buf is NULL.
    pub fn llam_recvfrom(
        fd: llam_fd_t,
        buf: *mut c_void,
        count: usize,
        flags: c_int,
        src_addr: *mut sockaddr,
        addrlen: *mut socklen_t,
    ) -> isize;

    /// sendto(2); `dst_addr` NULL sends on a connected socket. `EINVAL` buf NULL, or `dst_addr`
    /// NULL with a length.
    pub fn llam_sendto(
        fd: llam_fd_t,
        buf: *const c_void,
        count: usize,
        flags: c_int,
        dst_addr: *const sockaddr,
        addrlen: socklen_t,
    ) -> isize;

    /// pread(2). `EINVAL` buf NULL, count above `UINT32_MAX`; `EOVERFLOW` offset above `INT64_MAX`;
    /// `EBADF`; `ESPIPE`.
    pub fn llam_pread(fd: llam_fd_t, buf: *mut c_void, count: usize, offset: u64) -> isize;

    /// pwrite(2). Errors as `llam_pread`.
    pub fn llam_pwrite(fd: llam_fd_t, buf: *const c_void, count: usize, offset: u64) -> isize;

    /// preadv(2). `EINVAL` bad slices; 0 slices return 0; else as `llam_pread`.
    pub fn llam_preadv(
        fd: llam_fd_t,
        iov: *const llam_mut_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> isize;

    /// pwritev(2). Errors as `llam_preadv`.
    pub fn llam_pwritev(
        fd: llam_fd_t,
        iov: *const llam_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> isize;

    /// POSIX: `llam_pread`. Windows: a HANDLE.
    pub fn llam_pread_handle(
        handle: llam_handle_t,
        buf: *mut c_void,
        count: usize,
        offset: u64,
    ) -> isize;

    /// POSIX: `llam_pwrite`. Windows: a HANDLE.
    pub fn llam_pwrite_handle(
        handle: llam_handle_t,
        buf: *const c_void,
        count: usize,
        offset: u64,
    ) -> isize;

    /// POSIX: `llam_preadv`. Windows: a HANDLE.
    pub fn llam_preadv_handle(
        handle: llam_handle_t,
        iov: *const llam_mut_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> isize;

    /// POSIX: `llam_pwritev`. Windows: a HANDLE.
    pub fn llam_pwritev_handle(
        handle: llam_handle_t,
        iov: *const llam_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> isize;

    /// Reads up to `max_count` bytes into a new buffer. Above 0 and `*out`; 0 and NULL at the end
    /// of the stream. `EINVAL`; `EBADF`; `EISDIR`; `ENOMEM`; `ECANCELED`.
    pub fn llam_read_owned(
        fd: llam_fd_t,
        max_count: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> isize;

    /// `llam_read_owned` with the flags of recv(2); `ENOTSOCK`.
    pub fn llam_recv_owned(
        fd: llam_fd_t,
        max_count: usize,
        flags: c_int,
        out: *mut *mut llam_io_buffer_t,
    ) -> isize;

    /// `llam_recvfrom` into a new buffer. An empty datagram gives 0 and no buffer.
    pub fn llam_recvfrom_owned(
        fd: llam_fd_t,
        max_count: usize,
        flags: c_int,
        src_addr: *mut sockaddr,
        addrlen: *mut socklen_t,
        out: *mut *mut llam_io_buffer_t,
    ) -> isize;

    /// pread(2) into a new buffer with this alignment (0, or a power of two from `sizeof(void *)`).
    /// `EINVAL`; `EBADF`; `EISDIR`; `ESPIPE`; `EOVERFLOW`; `ENOMEM`; `ECANCELED`.
    pub fn llam_pread_owned_aligned(
        fd: llam_fd_t,
        max_count: usize,
        offset: u64,
        alignment: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> isize;

    /// POSIX: `llam_pread_owned_aligned`. Windows: a HANDLE.
    pub fn llam_pread_handle_owned_aligned(
        handle: llam_handle_t,
        max_count: usize,
        offset: u64,
        alignment: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> isize;

    /// Writes the defaults: all 0. 0; `EINVAL` for NULL or size 0.
    pub fn llam_io_buffer_opts_init(opts: *mut llam_io_buffer_opts_t, opts_size: usize) -> c_int;

    /// A new buffer of size 0. Errors, in order: `EINVAL` out NULL, opts with size 0, unknown
    /// flags, bad alignment; `ENOMEM`. Needs no runtime.
    pub fn llam_io_buffer_alloc_ex(
        opts: *const llam_io_buffer_opts_t,
        opts_size: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> c_int;

    /// A new buffer with at least this capacity.
    pub fn llam_io_buffer_alloc(capacity: usize, out: *mut *mut llam_io_buffer_t) -> c_int;

    /// A new buffer with at least this capacity and this alignment.
    pub fn llam_io_buffer_alloc_aligned(
        capacity: usize,
        alignment: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> c_int;

    /// The alignment asked for, 8 when that was 0; 0 with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_alignment(buffer: *const llam_io_buffer_t) -> usize;

    /// Start of the bytes, stable until release; NULL with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_data(buffer: *mut llam_io_buffer_t) -> *mut c_void;

    /// Bytes received; 0 with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_size(buffer: *const llam_io_buffer_t) -> usize;

    /// Bytes there is room for; 0 with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_capacity(buffer: *const llam_io_buffer_t) -> usize;

    /// Frees the buffer. NULL, dead and double releases are ignored. Any thread, any time.
    pub fn llam_io_buffer_release(buffer: *mut llam_io_buffer_t);

    /// getaddrinfo(3) on the blocking pool. 0 when the resolver was asked: `*gai_error` has its
    /// verdict, `*out` the list. `EINVAL`; `ECANCELED`; `ENOMEM`.
    pub fn llam_getaddrinfo_result(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        out: *mut *mut addrinfo,
        gai_error: *mut c_int,
    ) -> c_int;

    /// freeaddrinfo(3); NULL is ignored.
    pub fn llam_freeaddrinfo_result(result: *mut addrinfo);

    /// open(2) on the blocking pool; nothing is added to flags. `EINVAL` path or out NULL;
    /// `ECANCELED`; errors of open(2).
    pub fn llam_open_async(
        path: *const c_char,
        flags: c_int,
        mode: u32,
        out: *mut llam_handle_t,
    ) -> c_int;

    /// stat(2) on the blocking pool; fills at most `out_size` bytes. `EINVAL` path or out NULL,
    /// size 0; `ECANCELED`; errors of stat(2).
    pub fn llam_stat_path_ex(
        path: *const c_char,
        out: *mut llam_file_stat_t,
        out_size: usize,
    ) -> c_int;
}

/// Size of `llam_abi_info_t` here; the size argument that goes with it.
pub const LLAM_ABI_INFO_CURRENT_SIZE: usize = size_of::<llam_abi_info_t>();

/// Size of `llam_file_stat_t` here; the size argument that goes with it.
pub const LLAM_FILE_STAT_CURRENT_SIZE: usize = size_of::<llam_file_stat_t>();

/// Size of `llam_io_buffer_opts_t` here; the size argument that goes with it.
pub const LLAM_IO_BUFFER_OPTS_CURRENT_SIZE: usize = size_of::<llam_io_buffer_opts_t>();

/// Size of `llam_runtime_opts_t` here; the size argument that goes with it.
pub const LLAM_RUNTIME_OPTS_CURRENT_SIZE: usize = size_of::<llam_runtime_opts_t>();

/// Size of `llam_runtime_stats_t` here; the size argument that goes with it.
pub const LLAM_RUNTIME_STATS_CURRENT_SIZE: usize = size_of::<llam_runtime_stats_t>();

/// Size of `llam_signal_opts_t` here; the size argument that goes with it.
pub const LLAM_SIGNAL_OPTS_CURRENT_SIZE: usize = size_of::<llam_signal_opts_t>();

/// Size of `llam_spawn_opts_t` here; the size argument that goes with it.
pub const LLAM_SPAWN_OPTS_CURRENT_SIZE: usize = size_of::<llam_spawn_opts_t>();

/// Size of `llam_timer_opts_t` here; the size argument that goes with it.
pub const LLAM_TIMER_OPTS_CURRENT_SIZE: usize = size_of::<llam_timer_opts_t>();
