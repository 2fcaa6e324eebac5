//! Explicit runtimes: `llam_runtime_create`, `_run_handle`, `_destroy` (`abi.md` 4.2, 5.1).

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::collections::BTreeSet;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use common::*;
use libc::{EBUSY, ECANCELED, EINVAL};
use llam_sys::*;

fn stats_of(runtime: H<llam_runtime_t>) -> i32 {
    let mut stats = std::mem::MaybeUninit::<llam_runtime_stats_t>::zeroed();
    unsafe { llam_runtime_collect_stats_ex_handle(runtime.raw(), stats.as_mut_ptr(), 384) }
}

/// Spawns a task that parks for ever and expects to be cancelled; tells its handle.
fn park_for_ever(runtime: &Runtime, ended: &Arc<AtomicBool>) -> Task {
    let ended = Arc::clone(ended);
    runtime.spawn(move || {
        fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED);
        ended.store(true, Ordering::Release);
    })
}

#[test]
fn create_refuses_bad_arguments_and_clears_out() {
    let _serial = serial();
    unsafe {
        fails!(llam_runtime_create(null(), 0, null_mut()), EINVAL);
        let mut opts = runtime_opts();
        opts.profile = 9;
        for size in [0, 56] {
            let mut out = std::ptr::without_provenance_mut(8);
            fails!(llam_runtime_create(&opts, size, &mut out), EINVAL);
            assert!(out.is_null(), "size {size}");
        }
        opts = runtime_opts();
        opts.preempt_mode = 4;
        let mut out = null_mut();
        fails!(llam_runtime_create(&opts, 56, &mut out), EINVAL);
    }
}

#[test]
fn create_does_not_make_the_default_runtime_live() {
    let _serial = serial();
    let runtime = Runtime::create();
    unsafe {
        fails!(llam_run(), EINVAL);
        fails!(llam_spawn_ex(Some(nothing), null_mut(), null(), 0), EINVAL);
        fails!(llam_sleep_ns(0), EINVAL);
        fails!(llam_runtime_request_stop(), EINVAL);
    }
    assert_eq!(stats().active_workers, 0);
    assert_eq!(runtime.in_task(|| 5), 5);
}

#[test]
fn spawn_from_a_host_thread_means_the_default_runtime() {
    let live = live();
    let _other = Runtime::create();
    assert_eq!(in_task(&live, || 3), 3);
}

#[test]
fn spawn_from_a_task_means_its_own_runtime() {
    let _live = live();
    let runtime = Runtime::create();
    let ran = runtime.in_task(|| {
        let ran = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&ran);
        join(spawn(move || mark.store(true, Ordering::Relaxed)));
        ran.load(Ordering::Relaxed)
    });
    assert!(ran, "only the explicit runtime was run");
}

#[test]
fn a_task_may_spawn_onto_another_runtime() {
    let live = live();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    let task = in_task(&live, move || {
        H::new(unsafe { llam_runtime_spawn_ex(handle.raw(), Some(nothing), null_mut(), null(), 0) })
    });
    assert_eq!(state(task), "RUNNABLE");
    runtime.run();
    ok!(unsafe { llam_join(task.raw()) });
}

#[test]
fn runtime_spawn_refuses_null_destroyed_and_unknown_runtimes() {
    let _serial = serial();
    let gone = Runtime::create().handle;
    unsafe {
        for bad in [
            null_mut(),
            gone.raw(),
            std::ptr::without_provenance_mut(0x1234),
        ] {
            fails!(
                llam_runtime_spawn_ex(bad, Some(nothing), null_mut(), null(), 0),
                EINVAL
            );
            fails!(llam_runtime_run_handle(bad), EINVAL);
        }
    }
    let runtime = Runtime::create();
    fails!(
        unsafe { llam_runtime_spawn_ex(runtime.handle.raw(), None, null_mut(), null(), 0) },
        EINVAL
    );
}

#[test]
fn create_inside_a_task_leaves_it_a_task() {
    let live = live();
    let handle = in_task(&live, || unsafe {
        let me = llam_current_task();
        let mut out = null_mut();
        ok!(llam_runtime_create(null(), 0, &mut out));
        assert_eq!(llam_current_task(), me);
        llam_yield();
        ok!(llam_sleep_ns(MS));
        H::new(out)
    });
    unsafe { llam_runtime_destroy(handle.raw()) };
}

#[test]
fn init_from_a_task_of_an_explicit_runtime_makes_the_default_live() {
    let _serial = serial();
    let runtime = Runtime::create();
    runtime.in_task(|| unsafe {
        ok!(llam_runtime_init_ex(null(), 0));
        assert!(is_task());
        llam_yield();
        fails!(llam_runtime_init_ex(null(), 0), EBUSY);
    });
    ok!(unsafe { llam_run() });
    unsafe { llam_runtime_shutdown() };
}

#[test]
fn init_from_a_task_of_the_default_runtime_is_ebusy() {
    run_in_task(|| fails!(unsafe { llam_runtime_init_ex(null(), 0) }, EBUSY));
}

#[test]
fn many_runtimes_in_a_row_have_different_handles() {
    let _serial = serial();
    let mut seen = BTreeSet::from([unsafe { llam_runtime_default() }.addr()]);
    let mut first = None;
    for number in 0..128 {
        let runtime = Runtime::create();
        assert!(seen.insert(runtime.handle.raw().addr()), "runtime {number}");
        first.get_or_insert(runtime.handle);
        drop(runtime);
        assert_eq!(
            stats_of(first.expect("set")),
            -1,
            "an old handle is accepted"
        );
    }
}

#[test]
fn several_threads_create_and_run_at_once() {
    let _serial = serial();
    thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || {
                let runtime = Runtime::create();
                for round in 0..10 {
                    let value = runtime.in_task(move || {
                        ok!(unsafe { llam_sleep_ns(MS / 10) });
                        number * 100 + round
                    });
                    assert_eq!(value, number * 100 + round);
                }
            });
        }
    });
}

#[test]
fn a_second_run_of_a_running_runtime_is_einval() {
    let _serial = serial();
    let runtime = Runtime::create();
    let ended = Arc::default();
    let parked = park_for_ever(&runtime, &ended);
    let handle = runtime.handle;
    run_beside(
        move || unsafe { llam_runtime_run_handle(handle.raw()) },
        || {
            await_parked(parked);
            fails!(unsafe { llam_runtime_run_handle(handle.raw()) }, EINVAL);
            drop(runtime);
        },
    );
    assert!(ended.load(Ordering::Acquire));
}

#[test]
fn destroy_waits_for_a_run_in_progress() {
    let _serial = serial();
    let runtime = Runtime::create();
    let ended = Arc::default();
    let parked = park_for_ever(&runtime, &ended);
    let handle = runtime.handle;
    run_beside(
        move || unsafe { llam_runtime_run_handle(handle.raw()) },
        || unsafe {
            await_parked(parked);
            set_errno(44);
            llam_runtime_destroy(handle.raw());
            assert_eq!(errno(), 44);
            assert!(ended.load(Ordering::Acquire), "destroy waits for the tasks");
            fails!(stats_of(handle), EINVAL);
            fails!(llam_join(parked.raw()), EINVAL);
            assert_eq!(state(parked), "UNKNOWN");
        },
    );
}

#[test]
fn destroy_drops_tasks_that_never_started() {
    let _serial = serial();
    let runtime = Runtime::create();
    let ran = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&ran);
    let task = runtime.spawn(move || mark.store(true, Ordering::Relaxed));
    drop(runtime);
    assert!(!ran.load(Ordering::Relaxed));
    fails!(unsafe { llam_join_until(task.raw(), 0) }, EINVAL);
}

#[test]
fn destroy_from_several_threads_at_once() {
    let _serial = serial();
    for _ in 0..10 {
        let handle = std::mem::ManuallyDrop::new(Runtime::create()).handle;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(move || {
                    unsafe { llam_runtime_destroy(handle.raw()) };
                    fails!(stats_of(handle), EINVAL);
                });
            }
        });
    }
}

#[test]
fn destroy_of_nothing_known_is_nothing() {
    let live = live();
    let gone = Runtime::create().handle;
    unsafe {
        llam_runtime_destroy(gone.raw());
        llam_runtime_destroy(std::ptr::without_provenance_mut(0x4321));
        let mutex = mutex();
        llam_runtime_destroy(mutex.raw().cast());
        ok!(llam_mutex_destroy(mutex.raw()));
    }
    in_task(&live, || {});
}

#[test]
fn destroy_of_null_or_the_default_handle_is_shutdown() {
    let _serial = serial();
    unsafe {
        for handle in [null_mut(), llam_runtime_default()] {
            ok!(llam_runtime_init_ex(null(), 0));
            llam_runtime_destroy(handle);
            fails!(llam_run(), EINVAL);
        }
    }
}

#[test]
fn destroy_from_its_own_task_is_a_stop_request() {
    let _serial = serial();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    runtime.in_task(move || unsafe {
        llam_runtime_destroy(handle.raw());
        assert!(is_task());
        fails!(llam_sleep_ns(3_600_000 * MS), ECANCELED);
    });
    ok!(stats_of(handle));
    assert_eq!(
        runtime.in_task(|| 1),
        1,
        "still there, and no longer stopping"
    );
}

#[test]
fn destroy_from_a_task_of_another_runtime_is_nothing() {
    let live = live();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    in_task(&live, move || unsafe { llam_runtime_destroy(handle.raw()) });
    ok!(stats_of(handle));
    assert_eq!(runtime.in_task(|| 2), 2);
    runtime.in_task(|| unsafe { llam_runtime_destroy(llam_runtime_default()) });
    in_task(&live, || ok!(unsafe { llam_sleep_ns(MS) }));
}

#[test]
fn a_stop_from_a_task_stops_its_own_runtime_alone() {
    let live = live();
    let runtime = Runtime::create();
    runtime.in_task(|| unsafe {
        ok!(llam_runtime_request_stop());
        fails!(llam_sleep_ns(3_600_000 * MS), ECANCELED);
    });
    in_task(&live, || ok!(unsafe { llam_sleep_ns(MS) }));
}

#[test]
fn counters_and_ids_belong_to_one_runtime() {
    let live = live();
    let runtime = Runtime::create();
    for _ in 0..10 {
        runtime.in_task(|| unsafe { llam_yield() });
    }
    assert_eq!(stats().ctx_switches, 0, "the default runtime ran nothing");
    let id = runtime.in_task(|| unsafe { llam_task_id(llam_current_task()) });
    assert_eq!(id, 11);
    let id = in_task(&live, || unsafe { llam_task_id(llam_current_task()) });
    assert_eq!(id, 1);
}

#[test]
fn a_host_thread_joins_a_task_of_an_explicit_runtime() {
    let _serial = serial();
    let runtime = Runtime::create();
    let (send, receive) = channel();
    let task = runtime.spawn(move || {
        let _ = send.send(());
        ok!(unsafe { llam_sleep_ns(5 * MS) });
    });
    let handle = runtime.handle;
    run_beside(
        move || unsafe { llam_runtime_run_handle(handle.raw()) },
        || {
            receive.recv_timeout(PATIENCE).expect("the task starts");
            join(task);
        },
    );
}

#[test]
fn a_destroy_that_races_with_run_and_stats_ends_well() {
    let _serial = serial();
    for _ in 0..30 {
        let handle = std::mem::ManuallyDrop::new(Runtime::create()).handle;
        let one_of = |code: i32| assert!(code == 0 || errno() == EINVAL, "{code} {}", errno());
        thread::scope(|scope| {
            scope.spawn(move || one_of(unsafe { llam_runtime_run_handle(handle.raw()) }));
            scope.spawn(move || one_of(stats_of(handle)));
            scope.spawn(move || unsafe { llam_runtime_destroy(handle.raw()) });
        });
        fails!(stats_of(handle), EINVAL);
    }
}

#[test]
fn a_callback_of_an_explicit_runtime_means_the_default_one() {
    unsafe extern "C" fn callback(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        unsafe {
            fails!(llam_runtime_request_stop(), EINVAL);
            fails!(llam_spawn_ex(Some(nothing), null_mut(), null(), 0), EINVAL);
            fails!(llam_sleep_ns(0), EINVAL);
        }
        word(7)
    }
    let _serial = serial();
    let runtime = Runtime::create();
    runtime.in_task(|| unsafe {
        assert_eq!(llam_call_blocking(Some(callback), null_mut()), word(7));
        ok!(llam_sleep_ns(MS));
    });
}
