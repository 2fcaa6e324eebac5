//! Spawning, joining, detaching and asking about tasks: `abi.md` 4.3, 5.4 and 5.14.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::hint::black_box;
use std::process::Command;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use common::*;
use libc::{EBUSY, ECANCELED, EDEADLK, EINVAL, ENOTSUP, ETIMEDOUT};
use llam_sys::*;

/// What the introspection functions say about a handle: id, state, class, flags.
fn facts(task: *const llam_task_t) -> (u64, String, u32, u32) {
    unsafe {
        set_errno(61);
        let state = std::ffi::CStr::from_ptr(llam_task_state_name(task));
        let state = state.to_str().expect("ASCII").to_owned();
        let facts = (
            llam_task_id(task),
            state,
            llam_task_class(task),
            llam_task_flags(task),
        );
        assert_eq!(errno(), 61, "introspection changed errno");
        facts
    }
}

fn assert_dead_handle(task: Task) {
    assert_eq!(facts(task.raw()), (0, "UNKNOWN".to_owned(), 1, 0));
    fails!(unsafe { llam_join(task.raw()) }, EINVAL);
    fails!(unsafe { llam_join_until(task.raw(), 0) }, EINVAL);
    fails!(unsafe { llam_detach(task.raw()) }, EINVAL);
}

#[test]
fn a_task_knows_its_own_handle() {
    let live = live();
    let seen = Arc::new(AtomicUsize::new(0));
    let out = Arc::clone(&seen);
    let task = spawn(move || out.store(unsafe { llam_current_task() }.addr(), Ordering::Relaxed));
    live.run();
    assert_eq!(seen.load(Ordering::Relaxed), task.raw().addr());
}

#[test]
fn a_host_thread_has_no_task() {
    let live = live();
    assert!(unsafe { llam_current_task() }.is_null());
    in_task(&live, || assert!(unsafe { !llam_current_task().is_null() }));
    assert!(unsafe { llam_current_task() }.is_null());
}

#[test]
fn a_task_is_runnable_before_its_first_run() {
    let _live = live();
    let mut opts = spawn_opts();
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.flags = LLAM_SPAWN_F_PINNED;
    let task = spawn_with(&opts, || {});
    assert_eq!(
        facts(task.raw()),
        (1, "RUNNABLE".to_owned(), 2, LLAM_SPAWN_F_PINNED)
    );
}

#[test]
fn ids_count_spawns_from_1() {
    let live = live();
    for id in 1..=20 {
        assert_eq!(unsafe { llam_task_id(spawn(|| {}).raw()) }, id);
    }
    live.run();
    assert_eq!(unsafe { llam_task_id(spawn(|| {}).raw()) }, 21);
}

#[test]
fn unknown_flags_are_kept() {
    let _live = live();
    let mut opts = spawn_opts();
    opts.flags = 0xFFFF_FFF0 | LLAM_SPAWN_F_SYS_TASK;
    let task = spawn_with(&opts, || {});
    assert_eq!(unsafe { llam_task_flags(task.raw()) }, opts.flags);
}

#[test]
fn latency_critical_forces_the_class() {
    let _live = live();
    let mut opts = spawn_opts();
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.flags = LLAM_SPAWN_F_LATENCY_CRITICAL;
    let task = spawn_with(&opts, || {});
    assert_eq!(
        unsafe { llam_task_class(task.raw()) },
        LLAM_TASK_CLASS_LATENCY
    );
}

#[test]
fn states_follow_the_life_of_a_task() {
    run_in_task(|| unsafe {
        let me = H::new(llam_current_task());
        assert_eq!(state(me), "RUNNING");
        let channel = chan(1);
        let task = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        await_parked(task);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        eventually("the task ends", || state(task) == "DEAD");
        assert_ne!(llam_task_id(task.raw()), 0);
        ok!(llam_join(task.raw()));
        assert_eq!(state(task), "UNKNOWN");
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn spawn_refuses_bad_arguments() {
    let _live = live();
    unsafe {
        fails!(llam_spawn_ex(None, null_mut(), null(), 0), EINVAL);
        fails!(llam_spawn(None, null_mut(), null()), EINVAL);
        let mut opts = spawn_opts();
        opts.task_class = 3;
        fails!(llam_spawn_ex(Some(nothing), null_mut(), &opts, 32), EINVAL);
        let mut opts = spawn_opts();
        opts.stack_class = 3;
        fails!(llam_spawn_ex(Some(nothing), null_mut(), &opts, 32), EINVAL);
    }
}

#[test]
fn a_failed_spawn_keeps_no_reference_to_the_token() {
    let _live = live();
    let token = token();
    let mut opts = with_token(token);
    opts.stack_class = 77;
    fails!(
        unsafe { llam_spawn_ex(Some(nothing), null_mut(), &opts, 32) },
        EINVAL
    );
    opts.stack_class = 0;
    opts.task_class = 77;
    fails!(
        unsafe { llam_spawn_ex(Some(nothing), null_mut(), &opts, 32) },
        EINVAL
    );
    ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
    fails!(
        unsafe { llam_spawn_ex(Some(nothing), null_mut(), &opts, 32) },
        EINVAL
    );
}

#[test]
fn the_argument_reaches_the_task() {
    unsafe extern "C" fn store(arg: *mut core::ffi::c_void) {
        unsafe { (*arg.cast::<AtomicU32>()).store(9, Ordering::Relaxed) }
    }
    let live = live();
    let cell = AtomicU32::new(0);
    let arg = std::ptr::from_ref(&cell).cast_mut().cast();
    let task = ok!(unsafe { llam_spawn(Some(store), arg, null()) });
    live.run();
    ok!(unsafe { llam_join(task) });
    assert_eq!(cell.load(Ordering::Relaxed), 9);
}

#[test]
fn a_deadline_in_the_options_has_no_effect() {
    let live = live();
    let mut opts = spawn_opts();
    opts.deadline_ns = 1;
    let task = spawn_with(&opts, || ok!(unsafe { llam_sleep_ns(MS) }));
    live.run();
    join(task);
}

#[test]
fn join_refuses_null_and_consumed_handles() {
    run_in_task(|| {
        fails!(unsafe { llam_join(null_mut()) }, EINVAL);
        fails!(unsafe { llam_join_until(null_mut(), 0) }, EINVAL);
        fails!(unsafe { llam_detach(null_mut()) }, EINVAL);
        let task = spawn(|| {});
        join(task);
        assert_dead_handle(task);
        for _ in 0..100 {
            join(spawn(|| {}));
            assert_dead_handle(task);
        }
    });
}

#[test]
fn dead_handles_stay_dead_over_shutdown_and_init() {
    let serial_live = live();
    let task = spawn(|| {});
    let never_run = spawn(|| {});
    serial_live.run();
    drop(serial_live);
    for _ in 0..3 {
        let _again = live();
        let _newer: Vec<Task> = (0..10).map(|_| spawn(|| {})).collect();
        assert_dead_handle(task);
        assert_dead_handle(never_run);
    }
}

#[test]
fn join_of_oneself_is_edeadlk() {
    run_in_task(|| unsafe {
        let me = llam_current_task();
        fails!(llam_join(me), EDEADLK);
        fails!(llam_join_until(me, 0), EDEADLK);
        fails!(llam_join_until(me, after_ms(1)), EDEADLK);
    });
}

#[test]
fn join_of_an_ended_task_ignores_the_deadline() {
    run_in_task(|| {
        let task = spawn(|| {});
        eventually("the task ends", || state(task) == "DEAD");
        ok!(unsafe { llam_join_until(task.raw(), 0) });
    });
}

#[test]
fn a_timed_out_join_keeps_the_handle() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let task = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        fails!(llam_join_until(task.raw(), 0), ETIMEDOUT);
        let deadline = after_ms(10);
        fails!(llam_join_until(task.raw(), deadline), ETIMEDOUT);
        assert!(llam_now_ns() >= deadline, "too early");
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(task);
    });
}

#[test]
fn a_cancelled_join_keeps_the_handle() {
    run_in_task(|| {
        let task = spawn(|| ok!(unsafe { llam_sleep_ns(30 * MS) }));
        in_cancelled_task(move || fails!(unsafe { llam_join(task.raw()) }, ECANCELED));
        join(task);
    });
}

#[test]
fn of_two_joiners_exactly_one_wins() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let target = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        let first = spawn(move || ok!(llam_join(target.raw())));
        await_parked(first);
        fails!(llam_join(target.raw()), EBUSY);
        fails!(llam_join_until(target.raw(), 0), EBUSY);
        fails!(llam_detach(target.raw()), EBUSY);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(first);
        assert_dead_handle(target);
    });
}

#[test]
fn after_a_timed_out_joiner_another_may_join() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let target = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        let first = spawn(move || {
            fails!(llam_join_until(target.raw(), after_ms(5)), ETIMEDOUT);
        });
        join(first);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(target);
    });
}

#[test]
fn join_and_detach_at_once_have_one_winner() {
    run_in_task(|| {
        for _ in 0..200 {
            let target = spawn(|| unsafe { llam_yield() });
            let winners = Arc::new(AtomicU32::new(0));
            let race = |call: unsafe extern "C" fn(*mut llam_task_t) -> i32| {
                let winners = Arc::clone(&winners);
                spawn(move || {
                    if unsafe { call(target.raw()) } == 0 {
                        winners.fetch_add(1, Ordering::Relaxed);
                    } else {
                        assert!([EBUSY, EINVAL].contains(&errno()), "errno {}", errno());
                    }
                })
            };
            let (a, b) = (race(llam_join), race(llam_detach));
            join(a);
            join(b);
            assert_eq!(winners.load(Ordering::Relaxed), 1);
        }
    });
}

#[test]
fn what_a_task_did_is_seen_after_join() {
    run_in_task(|| {
        for value in 1..200 {
            let cell = Arc::new(AtomicU32::new(0));
            let theirs = Arc::clone(&cell);
            join(spawn(move || theirs.store(value, Ordering::Relaxed)));
            assert_eq!(cell.load(Ordering::Relaxed), value);
        }
    });
}

#[test]
fn a_host_thread_joins_while_another_runs() {
    let live = live();
    let task = spawn(|| ok!(unsafe { llam_sleep_ns(10 * MS) }));
    live.run_beside(|| join(task));
    assert_dead_handle(task);
}

#[test]
fn with_nobody_running_a_timed_host_join_times_out() {
    let live = live();
    let task = spawn(|| {});
    let deadline = after_ms(20);
    fails!(unsafe { llam_join_until(task.raw(), deadline) }, ETIMEDOUT);
    assert!(unsafe { llam_now_ns() } >= deadline, "too early");
    live.run();
    ok!(unsafe { llam_join_until(task.raw(), 0) });
}

#[test]
fn an_untimed_host_join_waits_for_somebody_to_run_it() {
    let live = live();
    let task = spawn(|| {});
    thread::scope(|scope| {
        scope.spawn(move || ok!(unsafe { llam_join(task.raw()) }));
        eventually("the other thread joins", || unsafe {
            llam_join_until(task.raw(), 0) == -1 && errno() == EBUSY
        });
        live.run();
    });
}

#[test]
fn detach_works_before_the_run() {
    let live = live();
    let done = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&done);
    let task = spawn(move || count.fetch_add(1, Ordering::Relaxed));
    ok!(unsafe { llam_detach(task.raw()) });
    assert_dead_handle(task);
    live.run();
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

#[test]
fn detach_works_while_the_task_runs_and_after_its_end() {
    run_in_task(|| unsafe {
        let parked = spawn(|| ok!(llam_sleep_ns(20 * MS)));
        await_parked(parked);
        ok!(llam_detach(parked.raw()));
        assert_dead_handle(parked);
        let ended = spawn(|| {});
        eventually("the task ends", || state(ended) == "DEAD");
        ok!(llam_detach(ended.raw()));
        assert_dead_handle(ended);
    });
}

#[test]
fn a_task_that_detached_itself_has_another_valid_handle() {
    let live = live();
    let task = spawn(|| unsafe {
        let old = llam_current_task();
        let id = llam_task_id(old);
        ok!(llam_detach(old));
        assert_dead_handle(H::new(old));
        let new = llam_current_task();
        assert!(!new.is_null());
        assert_eq!(llam_task_id(new), id);
        assert_eq!(state(H::new(new)), "RUNNING");
        fails!(llam_join(new), EINVAL);
        fails!(llam_join_until(new, 0), EINVAL);
        fails!(llam_detach(new), EINVAL);
        llam_yield();
        assert_eq!(llam_task_id(llam_current_task()), id);
    });
    live.run();
    assert_dead_handle(task);
}

#[test]
fn introspection_of_null_is_neutral() {
    assert_eq!(facts(null()), (0, "UNKNOWN".to_owned(), 1, 0));
    run_in_task(|| assert_eq!(facts(null()), (0, "UNKNOWN".to_owned(), 1, 0)));
}

#[test]
fn set_class_on_a_host_thread() {
    let _live = live();
    fails!(unsafe { llam_task_set_class(99) }, EINVAL);
    fails!(unsafe { llam_task_set_class(0) }, ENOTSUP);
}

#[test]
fn set_class_in_a_task() {
    run_in_task(|| unsafe {
        for class in [0, 2, 1] {
            ok!(llam_task_set_class(class));
            assert_eq!(llam_task_class(llam_current_task()), class);
            llam_yield();
        }
        fails!(llam_task_set_class(3), EINVAL);
        assert_eq!(llam_task_class(llam_current_task()), 1);
    });
}

#[test]
fn a_child_inherits_neither_class_nor_token() {
    let live = live();
    let token = token();
    let task = spawn_with(&with_token(token), move || unsafe {
        ok!(llam_task_set_class(LLAM_TASK_CLASS_BATCH));
        ok!(llam_cancel_token_cancel(token.raw()));
        fails!(llam_sleep_ns(MS), ECANCELED);
        let child = spawn(|| ok!(llam_sleep_ns(MS)));
        assert_eq!(llam_task_class(child.raw()), LLAM_TASK_CLASS_DEFAULT);
        eventually("the child ends", || state(child) == "DEAD");
        ok!(llam_join(child.raw()));
    });
    live.run();
    join(task);
    ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
}

#[test]
fn yield_lets_others_run() {
    let live = live_deterministic();
    in_task(&live, || {
        let ran = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&ran);
        let child = spawn(move || count.fetch_add(1, Ordering::Relaxed));
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        unsafe { llam_yield() };
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        join(child);
    });
}

#[test]
fn yield_and_safepoint_are_harmless_on_a_host_thread() {
    let _serial = serial();
    unsafe {
        llam_yield();
        llam_task_safepoint();
        ok!(llam_runtime_init_ex(null(), 0));
        llam_yield();
        llam_task_safepoint();
        llam_runtime_shutdown();
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_rounding_mode_belongs_to_the_task() {
    unsafe extern "C" {
        fn fesetround(mode: i32) -> i32;
        fn fegetround() -> i32;
    }
    const TO_NEAREST: i32 = 0;
    const UPWARD: i32 = 0x800;
    let live = live_deterministic();
    in_task(&live, || unsafe {
        assert_eq!(fesetround(UPWARD), 0);
        let other = spawn(|| {
            let _ = fesetround(TO_NEAREST);
            llam_yield();
            assert_eq!(fegetround(), TO_NEAREST);
        });
        for _ in 0..3 {
            llam_yield();
            assert_eq!(fegetround(), UPWARD, "another task's mode");
        }
        assert_eq!(fesetround(TO_NEAREST), 0);
        join(other);
    });
}

#[test]
fn ten_thousand_tasks_are_joined() {
    run_in_task(|| {
        let tasks: Vec<Task> = (0..10_000)
            .map(|_| spawn(|| unsafe { llam_yield() }))
            .collect();
        for task in tasks {
            join(task);
        }
    });
}

#[test]
fn a_parked_task_resumes_on_its_thread_when_pinned() {
    run_in_task(|| {
        let mut opts = spawn_opts();
        opts.flags = LLAM_SPAWN_F_PINNED;
        let tasks: Vec<Task> = (0..50)
            .map(|_| {
                spawn_with(&opts, || unsafe {
                    let thread = libc::pthread_self();
                    for _ in 0..10 {
                        ok!(llam_sleep_ns(MS / 10));
                        llam_yield();
                        assert_eq!(thread, libc::pthread_self());
                    }
                })
            })
            .collect();
        for task in tasks {
            join(task);
        }
    });
}

/// Touches that many bytes of the stack, one frame of 4 KiB at a time.
#[inline(never)]
fn use_stack(bytes: usize) -> u8 {
    let mut frame = [0_u8; 4096];
    frame[black_box(17)] = bytes as u8;
    let below = if bytes > 4096 {
        use_stack(bytes - 4096)
    } else {
        0
    };
    black_box(&frame)[17].wrapping_add(below)
}

#[test]
fn every_stack_class_has_its_usable_size() {
    // Frames of the debug build are a little larger than their array, hence three quarters.
    for (class, kib) in [
        (LLAM_STACK_CLASS_DEFAULT, 64),
        (LLAM_STACK_CLASS_LARGE, 256),
        (LLAM_STACK_CLASS_HUGE, 1024),
    ] {
        let live = live();
        let mut opts = spawn_opts();
        opts.stack_class = class;
        let tasks: Vec<Task> = (0..4)
            .map(|_| spawn_with(&opts, move || use_stack(kib * 1024 * 3 / 4)))
            .collect();
        live.run();
        for task in tasks {
            join(task);
        }
    }
}

#[test]
#[ignore = "ends its process; run by overflow_of_a_stack_is_diagnosed"]
fn child_overflows_its_stack() {
    run_in_task(|| black_box(use_stack(64 * 1024 * 1024)));
}

#[test]
fn overflow_of_a_stack_is_diagnosed() {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "child_overflows_its_stack",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .expect("the child runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the child survived: {text}");
    assert!(
        text.contains("stack"),
        "no diagnostic: {text:?}, {}",
        output.status
    );
}
