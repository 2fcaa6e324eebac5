//! The layouts of `abi.md` section 3, field by field, and the constants of 2.4 and 2.5.
//!
//! Needs no engine at run time. A failure here means that the Rust declarations and the C headers
//! describe different memory.

use core::mem::{align_of, offset_of, size_of};

use llam_sys::*;

/// Compares size, alignment and every offset of one struct.
macro_rules! layout {
    ($type:ident, $size:expr, $align:expr, { $($field:ident: $offset:expr),+ $(,)? }) => {
        assert_eq!(size_of::<$type>(), $size, "size of {}", stringify!($type));
        assert_eq!(align_of::<$type>(), $align, "alignment of {}", stringify!($type));
        $(assert_eq!(
            offset_of!($type, $field), $offset,
            "offset of {}.{}", stringify!($type), stringify!($field)
        );)+
    };
}

#[test]
fn abi_info_is_80_bytes() {
    layout!(llam_abi_info_t, 80, 8, {
        abi_major: 0, abi_minor: 4, version_major: 8, version_minor: 12, version_patch: 16,
        reserved0: 20, struct_size: 24, runtime_opts_size: 32, spawn_opts_size: 40,
        runtime_stats_size: 48, runtime_name: 56, version_string: 64, platform_name: 72,
    });
}

#[test]
fn spawn_opts_is_32_bytes() {
    layout!(llam_spawn_opts_t, 32, 8, {
        task_class: 0, stack_class: 4, flags: 8, reserved0: 12, deadline_ns: 16, cancel_token: 24,
    });
}

#[test]
fn runtime_opts_is_56_bytes() {
    layout!(llam_runtime_opts_t, 56, 8, {
        deterministic: 0, forced_yield_every: 4, experimental_flags: 8, idle_spin_ns: 16,
        idle_spin_max_iters: 24, sqpoll_cpu: 28, profile: 32, reserved0: 36, preempt_mode: 40,
        preempt_poll_period: 44, preempt_quantum_ns: 48,
    });
}

#[test]
fn runtime_stats_is_384_bytes() {
    layout!(llam_runtime_stats_t, 384, 8, {
        ctx_switches: 0, yields: 8, parks: 16, wakes: 24, steals: 32, migrations: 40,
        blocking_calls: 48, blocking_completions: 56, io_submits: 64, io_submit_calls: 72,
        io_submit_syscalls: 80, io_completions: 88, idle_polls: 96, idle_spin_loops: 104,
        idle_spin_hits: 112, idle_spin_fallbacks: 120, idle_spin_ns: 128, queue_overflows: 136,
        overflow_depth: 144, active_workers: 152, online_workers: 156, online_workers_floor: 160,
        online_workers_min: 164, online_workers_max: 168, active_nodes: 172, dynamic_workers: 176,
        worker_rings: 180, worker_rings_multishot: 184, lockfree_normq: 188, huge_alloc: 192,
        sqpoll: 196, opaque_block_ns: 200, opaque_block_samples: 208, opaque_block_max_ns: 216,
        opaque_enter_wait_ns: 224, opaque_enter_wait_samples: 232, opaque_enter_wait_max_ns: 240,
        opaque_leave_wait_ns: 248, opaque_leave_wait_samples: 256, opaque_leave_wait_max_ns: 264,
        yield_direct_attempts: 272, yield_direct_fast_hits: 280, yield_direct_locked_hits: 288,
        yield_direct_fail_context: 296, yield_direct_fail_policy: 304,
        yield_direct_fail_no_work: 312, yield_direct_fail_self: 320, yield_direct_fail_push: 328,
        preempt_requests: 336, preempt_yields: 344, preempt_suppressed: 352, preempt_signals: 360,
        preempt_mode: 368, preempt_poll_period: 372, preempt_quantum_ns: 376,
    });
}

#[test]
fn select_op_is_40_bytes() {
    layout!(llam_select_op_t, 40, 8, {
        kind: 0, reserved0: 4, channel: 8, send_value: 16, recv_out: 24, result_errno: 32,
    });
}

#[test]
fn timer_and_signal_structs_have_their_sizes() {
    layout!(llam_timer_opts_t, 24, 8, {
        first_deadline_ns: 0, interval_ns: 8, flags: 16, reserved0: 20,
    });
    layout!(llam_signal_event_t, 16, 8, { signo: 0, reserved0: 4, sequence: 8 });
    layout!(llam_signal_opts_t, 8, 4, { flags: 0, reserved0: 4 });
}

#[test]
fn io_structs_have_their_sizes() {
    layout!(llam_iovec_t, 16, 8, { iov_base: 0, iov_len: 8 });
    layout!(llam_mut_iovec_t, 16, 8, { iov_base: 0, iov_len: 8 });
    layout!(llam_io_buffer_opts_t, 24, 8, { capacity: 0, alignment: 8, flags: 16, reserved0: 20 });
    layout!(llam_file_stat_t, 48, 8, {
        size: 0, mtime_ns: 8, atime_ns: 16, ctime_ns: 24, mode: 32, type_: 36, reserved0: 40,
    });
}

#[cfg(unix)]
#[test]
fn slices_have_the_layout_of_iovec() {
    assert_eq!(size_of::<llam_iovec_t>(), size_of::<libc::iovec>());
    assert_eq!(
        offset_of!(llam_iovec_t, iov_base),
        offset_of!(libc::iovec, iov_base)
    );
    assert_eq!(
        offset_of!(llam_iovec_t, iov_len),
        offset_of!(libc::iovec, iov_len)
    );
    assert_eq!(
        offset_of!(llam_mut_iovec_t, iov_base),
        offset_of!(libc::iovec, iov_base)
    );
    assert_eq!(
        offset_of!(llam_mut_iovec_t, iov_len),
        offset_of!(libc::iovec, iov_len)
    );
}

#[test]
fn size_constants_are_those_of_the_structs() {
    assert_eq!(LLAM_ABI_INFO_CURRENT_SIZE, 80);
    assert_eq!(LLAM_SPAWN_OPTS_CURRENT_SIZE, 32);
    assert_eq!(LLAM_RUNTIME_OPTS_CURRENT_SIZE, 56);
    assert_eq!(LLAM_RUNTIME_STATS_CURRENT_SIZE, 384);
    assert_eq!(LLAM_TIMER_OPTS_CURRENT_SIZE, 24);
    assert_eq!(LLAM_SIGNAL_OPTS_CURRENT_SIZE, 8);
    assert_eq!(LLAM_IO_BUFFER_OPTS_CURRENT_SIZE, 24);
    assert_eq!(LLAM_FILE_STAT_CURRENT_SIZE, 48);
}

#[test]
fn constants_have_the_values_of_the_contract() {
    assert_eq!(LLAM_ABI_VERSION, 0x0002_0000);
    assert_eq!(
        (LLAM_VERSION_MAJOR, LLAM_VERSION_MINOR, LLAM_VERSION_PATCH),
        (2, 1, 0)
    );
    assert_eq!(LLAM_TASK_LOCAL_INVALID_KEY, u32::MAX);
    assert_eq!(LLAM_CHANNEL_SELECT_MAX_OPS, 4096);
    assert_eq!(LLAM_IO_BUFFER_F_ZERO_FILL, 1);
    assert_eq!(
        [
            LLAM_FILE_TYPE_REGULAR,
            LLAM_FILE_TYPE_DIRECTORY,
            LLAM_FILE_TYPE_SYMLINK,
            LLAM_FILE_TYPE_OTHER
        ],
        [1, 2, 3, 4]
    );
    assert_eq!(
        [
            LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS,
            LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS_MULTISHOT,
            LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS,
            LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ,
            LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC,
            LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL
        ],
        [1, 2, 4, 8, 16, 32]
    );
}

#[test]
fn enums_have_the_values_of_the_contract() {
    assert_eq!(
        [
            LLAM_TASK_CLASS_LATENCY,
            LLAM_TASK_CLASS_DEFAULT,
            LLAM_TASK_CLASS_BATCH
        ],
        [0, 1, 2]
    );
    assert_eq!(
        [
            LLAM_STACK_CLASS_DEFAULT,
            LLAM_STACK_CLASS_LARGE,
            LLAM_STACK_CLASS_HUGE
        ],
        [0, 1, 2]
    );
    assert_eq!(
        [
            LLAM_RUNTIME_PROFILE_BALANCED,
            LLAM_RUNTIME_PROFILE_RELEASE_FAST,
            LLAM_RUNTIME_PROFILE_DEBUG_SAFE,
            LLAM_RUNTIME_PROFILE_IO_LATENCY
        ],
        [0, 1, 2, 3]
    );
    assert_eq!(
        [
            LLAM_PREEMPT_OFF,
            LLAM_PREEMPT_COOPERATIVE,
            LLAM_PREEMPT_AUTO,
            LLAM_PREEMPT_STRICT
        ],
        [0, 1, 2, 3]
    );
    assert_eq!([LLAM_SELECT_OP_RECV, LLAM_SELECT_OP_SEND], [1, 2]);
    assert_eq!(
        [
            LLAM_SPAWN_F_PINNED,
            LLAM_SPAWN_F_NO_PREEMPT,
            LLAM_SPAWN_F_SYS_TASK,
            LLAM_SPAWN_F_LATENCY_CRITICAL
        ],
        [1, 2, 4, 8]
    );
}

#[cfg(unix)]
#[test]
fn descriptors_are_ints_and_minus_one_is_invalid() {
    assert_eq!(size_of::<llam_fd_t>(), size_of::<core::ffi::c_int>());
    assert_eq!(size_of::<llam_handle_t>(), size_of::<core::ffi::c_int>());
    assert!(llam_fd_is_invalid(LLAM_INVALID_FD) && LLAM_INVALID_FD == -1);
    assert!(llam_handle_is_invalid(LLAM_INVALID_HANDLE) && LLAM_INVALID_HANDLE == -1);
    assert!(!llam_fd_is_invalid(0) && !llam_handle_is_invalid(0));
}
