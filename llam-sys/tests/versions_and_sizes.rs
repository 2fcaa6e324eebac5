//! Versions and the size handshake: `abi.md` 1.2 to 1.5, with every cut of every struct.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use common::*;
use libc::{EINVAL, ENOTSUP};
use llam_sys::*;

/// What a caller's memory holds before the library writes into it.
const PATTERN: u8 = 0xA5;
/// Bytes behind the struct that must survive.
const TAIL: usize = 64;

/// A buffer that is aligned for every struct of the ABI.
#[repr(C, align(16))]
struct Room([u8; 512]);

impl Room {
    fn new() -> Self {
        Room([PATTERN; 512])
    }

    fn as_mut<T>(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

/// Calls `fill` with every size from 1 to the struct's own and some above it, and compares what it
/// wrote with a prefix of the full struct; the bytes behind must hold the pattern.
fn check_every_cut<T>(full_size: usize, fill: impl Fn(*mut T, usize) -> i32) {
    let mut full = Room::new();
    assert_eq!(fill(full.as_mut(), full_size), 0);
    for size in 1..=full_size + TAIL {
        let mut cut = Room::new();
        assert_eq!(fill(cut.as_mut(), size), 0, "size {size}");
        let written = size.min(full_size);
        assert_eq!(
            cut.0[..written],
            full.0[..written],
            "size {size}: the prefix"
        );
        assert!(
            cut.0[written..].iter().all(|b| *b == PATTERN),
            "size {size}: the tail"
        );
    }
}

/// NULL and size 0 fail with `EINVAL`, and nothing is written.
fn check_refusals<T>(full_size: usize, fill: impl Fn(*mut T, usize) -> i32) {
    fails!(fill(null_mut(), full_size), EINVAL);
    fails!(fill(null_mut(), 0), EINVAL);
    let mut room = Room::new();
    fails!(fill(room.as_mut(), 0), EINVAL);
    assert!(
        room.0.iter().all(|b| *b == PATTERN),
        "written in spite of size 0"
    );
}

fn abi_info() -> llam_abi_info_t {
    let mut info = MaybeUninit::zeroed();
    unsafe {
        ok!(llam_abi_get_info(
            info.as_mut_ptr(),
            LLAM_ABI_INFO_CURRENT_SIZE
        ));
        info.assume_init()
    }
}

#[test]
fn abi_version_is_2_0() {
    assert_eq!(unsafe { llam_abi_version() }, LLAM_ABI_VERSION);
}

#[test]
fn version_string_is_2_1_0_at_one_address() {
    let text = unsafe { llam_version_string() };
    assert_eq!(unsafe { CStr::from_ptr(text) }, c"2.1.0");
    assert_eq!(text, unsafe { llam_version_string() });
}

#[test]
fn abi_info_reports_identity_2_0() {
    let info = abi_info();
    assert_eq!((info.abi_major, info.abi_minor), (2, 0));
    assert_eq!(
        (info.version_major, info.version_minor, info.version_patch),
        (2, 1, 0)
    );
    assert_eq!(info.reserved0, 0);
    assert_eq!(info.struct_size, 80);
    assert_eq!(info.runtime_opts_size, 56);
    assert_eq!(info.spawn_opts_size, 32);
    assert_eq!(info.runtime_stats_size, 384);
    unsafe {
        assert_eq!(CStr::from_ptr(info.runtime_name), c"LLAM");
        assert_eq!(CStr::from_ptr(info.version_string), c"2.1.0");
        assert_eq!(info.version_string, llam_version_string());
        assert_eq!(llam_abi_version(), (info.abi_major << 16) | info.abi_minor);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn platform_name_is_the_one_of_the_header() {
    let name = unsafe { CStr::from_ptr(abi_info().platform_name) };
    assert_eq!(name, c"linux");
}

#[test]
fn abi_info_at_every_cut() {
    check_every_cut::<llam_abi_info_t>(80, |p, n| unsafe { llam_abi_get_info(p, n) });
    check_refusals::<llam_abi_info_t>(80, |p, n| unsafe { llam_abi_get_info(p, n) });
}

#[test]
fn runtime_opts_at_every_cut() {
    check_every_cut::<llam_runtime_opts_t>(56, |p, n| unsafe { llam_runtime_opts_init(p, n) });
    check_refusals::<llam_runtime_opts_t>(56, |p, n| unsafe { llam_runtime_opts_init(p, n) });
}

#[test]
fn spawn_opts_at_every_cut() {
    check_every_cut::<llam_spawn_opts_t>(32, |p, n| unsafe { llam_spawn_opts_init(p, n) });
    check_refusals::<llam_spawn_opts_t>(32, |p, n| unsafe { llam_spawn_opts_init(p, n) });
}

#[test]
fn io_buffer_opts_at_every_cut() {
    check_every_cut::<llam_io_buffer_opts_t>(24, |p, n| unsafe { llam_io_buffer_opts_init(p, n) });
    check_refusals::<llam_io_buffer_opts_t>(24, |p, n| unsafe { llam_io_buffer_opts_init(p, n) });
}

#[test]
fn stats_of_no_runtime_are_zero_at_every_cut() {
    let _serial = serial();
    check_every_cut::<llam_runtime_stats_t>(384, |p, n| unsafe {
        llam_runtime_collect_stats_ex(p, n)
    });
    let mut room = Room::new();
    ok!(unsafe { llam_runtime_collect_stats_ex(room.as_mut(), 384) });
    assert!(room.0[..384].iter().all(|b| *b == 0));
}

#[test]
fn stats_of_a_live_runtime_leave_the_tail_alone() {
    let live = live();
    spawn(|| unsafe { llam_yield() });
    live.run();
    for size in 1..=384 + TAIL {
        let mut room = Room::new();
        ok!(unsafe { llam_runtime_collect_stats_ex(room.as_mut(), size) });
        assert!(
            room.0[size.min(384)..].iter().all(|b| *b == PATTERN),
            "size {size}"
        );
        let mut room = Room::new();
        ok!(unsafe {
            llam_runtime_collect_stats_ex_handle(llam_runtime_default(), room.as_mut(), size)
        });
        assert!(
            room.0[size.min(384)..].iter().all(|b| *b == PATTERN),
            "size {size}, handle"
        );
    }
}

#[test]
fn stats_of_eight_bytes_are_the_switches_alone() {
    let live = live();
    spawn(|| unsafe { llam_yield() });
    live.run();
    let mut room = Room::new();
    ok!(unsafe { llam_runtime_collect_stats_ex(room.as_mut(), 8) });
    let switches = u64::from_ne_bytes(room.0[..8].try_into().expect("eight bytes"));
    assert!(switches > 0 && switches < 1_000_000, "{switches} switches");
    assert_eq!(room.0[8], PATTERN);
}

#[test]
fn stats_refuse_null_and_size_0() {
    let _live = live();
    check_refusals::<llam_runtime_stats_t>(384, |p, n| unsafe {
        llam_runtime_collect_stats_ex(p, n)
    });
    check_refusals::<llam_runtime_stats_t>(384, |p, n| unsafe {
        llam_runtime_collect_stats_ex_handle(llam_runtime_default(), p, n)
    });
    fails!(unsafe { llam_runtime_collect_stats(null_mut()) }, EINVAL);
}

#[test]
fn stats_of_a_null_runtime_fail_but_zero_the_prefix() {
    let _serial = serial();
    for size in [1, 8, 100, 383, 384, 400] {
        let mut room = Room::new();
        fails!(
            unsafe { llam_runtime_collect_stats_ex_handle(null_mut(), room.as_mut(), size) },
            EINVAL
        );
        let prefix = size.min(384);
        assert!(
            room.0[..prefix].iter().all(|b| *b == 0),
            "size {size}: the prefix"
        );
        assert!(
            room.0[prefix..].iter().all(|b| *b == PATTERN),
            "size {size}: the tail"
        );
    }
}

#[test]
fn file_stat_at_every_cut() {
    let _serial = serial();
    let file = common::io::TempFile::with(b"twelve bytes");
    let path = file.c_path();
    check_every_cut::<llam_file_stat_t>(48, |p, n| unsafe {
        llam_stat_path_ex(path.as_ptr(), p, n)
    });
    check_refusals::<llam_file_stat_t>(48, |p, n| unsafe {
        llam_stat_path_ex(path.as_ptr(), p, n)
    });
}

#[test]
fn runtime_defaults_are_those_of_the_contract() {
    let opts = runtime_opts();
    assert_eq!(opts.deterministic, 0);
    assert_eq!(opts.forced_yield_every, 0);
    assert_eq!(opts.experimental_flags, 0);
    assert_eq!(opts.idle_spin_ns, 0);
    assert_eq!(opts.idle_spin_max_iters, 0);
    assert_eq!(opts.sqpoll_cpu, -1);
    assert_eq!(opts.profile, LLAM_RUNTIME_PROFILE_BALANCED);
    assert_eq!(opts.reserved0, 0);
    assert_eq!(opts.preempt_mode, LLAM_PREEMPT_AUTO);
    assert_eq!(opts.preempt_poll_period, 0);
    assert_eq!(opts.preempt_quantum_ns, 0);
}

#[test]
fn spawn_defaults_are_those_of_the_contract() {
    let opts = spawn_opts();
    assert_eq!(opts.task_class, LLAM_TASK_CLASS_DEFAULT);
    assert_eq!(opts.stack_class, LLAM_STACK_CLASS_DEFAULT);
    assert_eq!((opts.flags, opts.reserved0, opts.deadline_ns), (0, 0, 0));
    assert!(opts.cancel_token.is_null());
}

/// Initialises with the first `size` bytes of `opts`, gives the statistics, shuts down.
fn init_with_size(opts: &llam_runtime_opts_t, size: usize) -> llam_runtime_stats_t {
    ok!(unsafe { llam_runtime_init_ex(opts, size) });
    let stats = stats();
    unsafe { llam_runtime_shutdown() };
    stats
}

#[test]
fn runtime_opts_with_size_0_are_refused() {
    let _serial = serial();
    let opts = runtime_opts();
    fails!(unsafe { llam_runtime_init_ex(&opts, 0) }, EINVAL);
    let mut out = null_mut();
    fails!(unsafe { llam_runtime_create(&opts, 0, &mut out) }, EINVAL);
    ok!(unsafe { llam_runtime_init_ex(null(), 0) });
    unsafe { llam_runtime_shutdown() };
}

#[test]
fn a_cut_deterministic_has_its_default() {
    let _serial = serial();
    let mut opts = runtime_opts();
    let by_default = init_with_size(&opts, 56).active_workers;
    opts.deterministic = u32::MAX;
    for size in 1..4 {
        assert_eq!(
            init_with_size(&opts, size).active_workers,
            by_default,
            "size {size}"
        );
    }
    assert_eq!(init_with_size(&opts, 4).active_workers, 1);
}

#[test]
fn a_cut_profile_is_not_checked() {
    let _serial = serial();
    let mut opts = runtime_opts();
    opts.profile = 4;
    for size in 33..36 {
        init_with_size(&opts, size);
    }
    fails!(unsafe { llam_runtime_init_ex(&opts, 36) }, EINVAL);
}

#[test]
fn a_cut_preempt_mode_is_auto() {
    let _serial = serial();
    let mut opts = runtime_opts();
    opts.preempt_mode = 77;
    for size in 40..44 {
        assert_eq!(
            init_with_size(&opts, size).preempt_mode,
            LLAM_PREEMPT_AUTO,
            "size {size}"
        );
    }
    fails!(unsafe { llam_runtime_init_ex(&opts, 44) }, EINVAL);
    opts.preempt_mode = LLAM_PREEMPT_STRICT;
    assert_eq!(init_with_size(&opts, 44).preempt_mode, LLAM_PREEMPT_STRICT);
}

#[test]
fn a_cut_poll_period_has_the_default_of_the_profile() {
    let _serial = serial();
    let mut opts = runtime_opts();
    opts.preempt_poll_period = 9;
    for size in 44..48 {
        assert_eq!(
            init_with_size(&opts, size).preempt_poll_period,
            1,
            "size {size}"
        );
    }
    assert_eq!(init_with_size(&opts, 48).preempt_poll_period, 9);
}

#[test]
fn a_cut_quantum_is_0() {
    let _serial = serial();
    let mut opts = runtime_opts();
    opts.preempt_quantum_ns = u64::from_ne_bytes([3; 8]);
    for size in 48..56 {
        assert_eq!(
            init_with_size(&opts, size).preempt_quantum_ns,
            0,
            "size {size}"
        );
    }
    opts.preempt_quantum_ns = 5_000_000;
    assert_eq!(init_with_size(&opts, 56).preempt_quantum_ns, 5_000_000);
}

#[test]
fn the_tail_and_the_reserved_field_of_runtime_opts_are_ignored() {
    #[repr(C)]
    struct Larger {
        known: llam_runtime_opts_t,
        unknown: [u8; 40],
    }
    let _serial = serial();
    let mut larger = Larger {
        known: runtime_opts(),
        unknown: [0xFF; 40],
    };
    larger.known.reserved0 = u32::MAX;
    ok!(unsafe { llam_runtime_init_ex((&raw const larger).cast(), size_of::<Larger>()) });
    unsafe { llam_runtime_shutdown() };
}

#[test]
fn all_zero_runtime_opts_mean_no_preemption() {
    let _serial = serial();
    let opts: llam_runtime_opts_t = unsafe { std::mem::zeroed() };
    let stats = init_with_size(&opts, 56);
    assert_eq!(stats.preempt_mode, LLAM_PREEMPT_OFF);
    assert_eq!(stats.preempt_poll_period, 0);
}

/// The three spawn calls with a size, each onto the default runtime.
fn spawn_each_way(opts: *const llam_spawn_opts_t, size: usize) -> [*mut llam_task_t; 3] {
    unsafe {
        let group = group();
        let tasks = [
            llam_spawn_ex(Some(nothing), null_mut(), opts, size),
            llam_runtime_spawn_ex(
                llam_runtime_default(),
                Some(nothing),
                null_mut(),
                opts,
                size,
            ),
            llam_task_group_spawn_ex(group.raw(), Some(nothing), null_mut(), opts, size),
        ];
        if tasks[2].is_null() {
            ok!(llam_task_group_destroy(group.raw()));
        }
        tasks
    }
}

#[test]
fn spawn_opts_with_size_0_are_refused() {
    let _live = live();
    let opts = spawn_opts();
    fails!(
        unsafe { llam_spawn_ex(Some(nothing), null_mut(), &opts, 0) },
        EINVAL
    );
    for task in spawn_each_way(&opts, 0) {
        assert!(task.is_null());
    }
    for task in spawn_each_way(null(), 0) {
        assert!(
            !task.is_null(),
            "NULL options mean defaults, whatever the size"
        );
    }
}

#[test]
fn a_cut_task_class_is_default() {
    let live = live();
    let mut opts = spawn_opts();
    opts.task_class = u32::MAX;
    for size in 1..4 {
        for task in spawn_each_way(&opts, size) {
            assert_eq!(
                unsafe { llam_task_class(H::new(task).raw()) },
                LLAM_TASK_CLASS_DEFAULT
            );
        }
    }
    for task in spawn_each_way(&opts, 4) {
        assert!(task.is_null(), "class 0xFFFFFFFF accepted");
    }
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    for task in spawn_each_way(&opts, 4) {
        assert_eq!(unsafe { llam_task_class(task) }, LLAM_TASK_CLASS_BATCH);
    }
    live.run();
}

#[test]
fn a_cut_stack_class_or_flags_have_their_defaults() {
    let _live = live();
    let mut opts = spawn_opts();
    opts.stack_class = 99;
    opts.flags = 0x100;
    for size in 4..8 {
        for task in spawn_each_way(&opts, size) {
            assert_eq!(
                unsafe { llam_task_flags(H::new(task).raw()) },
                0,
                "size {size}"
            );
        }
    }
    for task in spawn_each_way(&opts, 8) {
        assert!(task.is_null(), "stack class 99 accepted");
    }
    opts.stack_class = LLAM_STACK_CLASS_LARGE;
    for size in 8..12 {
        for task in spawn_each_way(&opts, size) {
            assert_eq!(
                unsafe { llam_task_flags(H::new(task).raw()) },
                0,
                "size {size}"
            );
        }
    }
    for task in spawn_each_way(&opts, 12) {
        assert_eq!(unsafe { llam_task_flags(task) }, 0x100);
    }
}

#[test]
fn a_cut_cancel_token_is_ignored() {
    let _live = live();
    let mut opts = spawn_opts();
    opts.cancel_token = std::ptr::without_provenance_mut(0xDEAD_BEEF);
    for size in 24..32 {
        for task in spawn_each_way(&opts, size) {
            assert!(!task.is_null(), "size {size}");
        }
    }
    fails!(
        unsafe { llam_spawn_ex(Some(nothing), null_mut(), &opts, 32) },
        EINVAL
    );
}

#[test]
fn the_tail_and_the_reserved_field_of_spawn_opts_are_ignored() {
    #[repr(C)]
    struct Larger {
        known: llam_spawn_opts_t,
        unknown: [u8; 32],
    }
    let _live = live();
    let mut larger = Larger {
        known: spawn_opts(),
        unknown: [0xFF; 32],
    };
    larger.known.reserved0 = u32::MAX;
    for task in spawn_each_way((&raw const larger).cast(), size_of::<Larger>()) {
        assert!(!task.is_null());
    }
}

#[test]
fn all_zero_spawn_opts_are_legal() {
    let _live = live();
    let opts: llam_spawn_opts_t = unsafe { std::mem::zeroed() };
    let task = ok!(unsafe { llam_spawn(Some(nothing), null_mut(), &opts) });
    assert_eq!(unsafe { llam_task_class(task) }, LLAM_TASK_CLASS_LATENCY);
}

#[test]
fn timer_opts_need_the_interval_and_no_more() {
    let _serial = serial();
    let opts = llam_timer_opts_t {
        first_deadline_ns: 0,
        interval_ns: 1_000_000,
        flags: u32::MAX,
        reserved0: u32::MAX,
    };
    let mut timer = null_mut();
    for size in [1, 8, 15] {
        fails!(
            unsafe { llam_timer_create_ex(&opts, size, &mut timer) },
            EINVAL
        );
        assert!(timer.is_null());
    }
    for size in 16..20 {
        ok!(unsafe { llam_timer_create_ex(&opts, size, &mut timer) });
        ok!(unsafe { llam_timer_destroy(timer) });
    }
    fails!(
        unsafe { llam_timer_create_ex(&opts, 20, &mut timer) },
        ENOTSUP
    );
}

#[cfg(target_os = "linux")]
#[test]
fn signal_opts_with_cut_flags_are_accepted() {
    let _serial = serial();
    let opts = llam_signal_opts_t {
        flags: 1,
        reserved0: u32::MAX,
    };
    let signo = libc::SIGUSR2;
    let mut set = null_mut();
    fails!(
        unsafe { llam_signal_set_create_ex(&signo, 1, &opts, 0, &mut set) },
        EINVAL
    );
    for size in 1..4 {
        ok!(unsafe { llam_signal_set_create_ex(&signo, 1, &opts, size, &mut set) });
        ok!(unsafe { llam_signal_set_destroy(set) });
    }
    fails!(
        unsafe { llam_signal_set_create_ex(&signo, 1, &opts, 4, &mut set) },
        ENOTSUP
    );
}

#[test]
fn buffer_opts_are_read_field_by_field() {
    let opts = llam_io_buffer_opts_t {
        capacity: 10_000,
        alignment: 3,
        flags: u32::MAX,
        reserved0: u32::MAX,
    };
    let mut buffer = null_mut();
    fails!(
        unsafe { llam_io_buffer_alloc_ex(&opts, 0, &mut buffer) },
        EINVAL
    );
    for size in 8..16 {
        ok!(unsafe { llam_io_buffer_alloc_ex(&opts, size, &mut buffer) });
        assert!(
            unsafe { llam_io_buffer_capacity(buffer) } >= 10_000,
            "size {size}"
        );
        unsafe { llam_io_buffer_release(buffer) };
    }
    fails!(
        unsafe { llam_io_buffer_alloc_ex(&opts, 16, &mut buffer) },
        EINVAL
    );
    let opts = llam_io_buffer_opts_t {
        alignment: 64,
        ..opts
    };
    for size in 16..20 {
        ok!(unsafe { llam_io_buffer_alloc_ex(&opts, size, &mut buffer) });
        assert_eq!(
            unsafe { llam_io_buffer_alignment(buffer) },
            64,
            "size {size}"
        );
        unsafe { llam_io_buffer_release(buffer) };
    }
    fails!(
        unsafe { llam_io_buffer_alloc_ex(&opts, 20, &mut buffer) },
        EINVAL
    );
}

#[test]
fn wrappers_without_a_size_use_the_full_structs() {
    let _serial = serial();
    let mut opts = runtime_opts();
    opts.preempt_quantum_ns = 7_000_000;
    ok!(unsafe { llam_runtime_init(&opts) });
    let mut stats = MaybeUninit::<llam_runtime_stats_t>::zeroed();
    ok!(unsafe { llam_runtime_collect_stats(stats.as_mut_ptr()) });
    assert_eq!(unsafe { stats.assume_init() }.preempt_quantum_ns, 7_000_000);
    let mut bad = spawn_opts();
    bad.cancel_token = std::ptr::without_provenance_mut(64);
    fails!(
        unsafe { llam_spawn(Some(nothing), null_mut(), &bad) },
        EINVAL
    );
    let group = group();
    fails!(
        unsafe { llam_task_group_spawn(group.raw(), Some(nothing), null_mut(), &bad) },
        EINVAL
    );
    ok!(unsafe { llam_task_group_destroy(group.raw()) });
    unsafe { llam_runtime_shutdown() };
}
