//! Blocking calls: `abi.md` 4.7. Blocking regions are in `blocking_regions.rs`.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use core::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::*;
use libc::{ECANCELED, EINVAL, ENOTSUP};
use llam_sys::*;

/// The blocking callback that runs a closure made by [`call`].
unsafe extern "C" fn run_closure(arg: *mut c_void) -> *mut c_void {
    let body = unsafe { &mut *arg.cast::<&mut (dyn FnMut() -> *mut c_void + Send)>() };
    body()
}

/// `llam_call_blocking_result` with a closure, as `(code, errno, *out)`.
fn call(mut f: impl FnMut() -> *mut c_void + Send) -> (i32, i32, usize) {
    let mut body: &mut (dyn FnMut() -> *mut c_void + Send) = &mut f;
    let mut out = word(0xBAD);
    let arg = (&raw mut body).cast();
    set_errno(0);
    let code = unsafe { llam_call_blocking_result(Some(run_closure), arg, &mut out) };
    (code, errno(), out.addr())
}

#[test]
fn arguments_are_checked_in_order() {
    everywhere(|| unsafe {
        fails!(
            llam_call_blocking_result(None, null_mut(), null_mut()),
            EINVAL
        );
        fails!(
            llam_call_blocking_result(Some(run_closure), null_mut(), null_mut()),
            EINVAL
        );
        let mut out = word(1);
        fails!(
            llam_call_blocking_result(None, null_mut(), &mut out),
            EINVAL
        );
        assert!(out.is_null(), "the output is cleared first");
        fails!(llam_call_blocking(None, null_mut()), EINVAL);
    });
}

#[test]
fn the_result_and_errno_of_the_callback_come_back() {
    everywhere(|| {
        assert_eq!(call(|| word(42)), (0, 0, 42));
        assert_eq!(call(null_mut), (0, 0, 0));
        let with_errno = || {
            set_errno(99);
            word(1)
        };
        assert_eq!(call(with_errno), (0, 99, 1));
    });
}

#[test]
fn the_callback_starts_with_errno_0_on_a_host_thread() {
    let _serial = serial();
    set_errno(55);
    let mut seen = -1;
    let mut look = || {
        seen = errno();
        null_mut()
    };
    let mut body: &mut (dyn FnMut() -> *mut c_void + Send) = &mut look;
    let mut out = null_mut();
    let arg = (&raw mut body).cast();
    ok!(unsafe { llam_call_blocking_result(Some(run_closure), arg, &mut out) });
    assert_eq!(seen, 0);
}

#[test]
fn the_plain_form_returns_the_value() {
    unsafe extern "C" fn double(arg: *mut c_void) -> *mut c_void {
        word(arg.addr() * 2)
    }
    everywhere(|| {
        assert_eq!(
            unsafe { llam_call_blocking(Some(double), word(21)) },
            word(42)
        )
    });
}

#[test]
fn the_callback_of_a_task_runs_on_a_host_thread() {
    let live = live();
    in_task(&live, || {
        let me = unsafe { libc::pthread_self() };
        let result = call(|| unsafe {
            assert!(llam_current_task().is_null());
            assert_ne!(libc::pthread_self(), me);
            let mutex = mutex();
            fails!(llam_mutex_lock(mutex.raw()), ENOTSUP);
            ok!(llam_mutex_destroy(mutex.raw()));
            fails!(llam_task_set_class(0), ENOTSUP);
            join(spawn(|| {}));
            set_errno(0);
            word(1)
        });
        assert_eq!(result, (0, 0, 1));
    });
}

#[test]
fn a_callback_stops_the_default_runtime() {
    let live = live();
    spawn(|| {
        let result = call(|| {
            ok!(unsafe { llam_runtime_request_stop() });
            null_mut()
        });
        assert!(result.0 == 0 || result.1 == ECANCELED, "{result:?}");
        fails!(unsafe { llam_sleep_ns(3_600_000 * MS) }, ECANCELED);
        assert_eq!(call(|| panic!("called while stopping")), (-1, ECANCELED, 0));
    });
    live.run();
}

#[test]
fn other_tasks_run_meanwhile() {
    let live = live_deterministic();
    in_task(&live, || {
        let release = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&release);
        let caller = spawn(move || {
            let result = call(|| {
                while !gate.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                }
                word(1)
            });
            assert_eq!(result, (0, 0, 1));
        });
        await_parked(caller);
        for _ in 0..10 {
            ok!(unsafe { llam_sleep_ns(MS / 10) });
        }
        assert_eq!(state(caller), "PARKED");
        release.store(true, Ordering::Release);
        join(caller);
    });
}

#[test]
fn many_calls_queue_and_all_are_run() {
    let live = live();
    let ran = Arc::new(AtomicU32::new(0));
    for number in 1..=200 {
        let ran = Arc::clone(&ran);
        spawn(move || {
            let result = call(|| {
                ran.fetch_add(1, Ordering::Relaxed);
                word(number)
            });
            assert_eq!(result, (0, 0, number));
        });
    }
    live.run();
    assert_eq!(ran.load(Ordering::Relaxed), 200);
    let stats = stats();
    assert_eq!(
        (stats.blocking_calls, stats.blocking_completions),
        (200, 200)
    );
}

#[test]
fn what_the_callback_wrote_is_seen() {
    run_in_task(|| {
        for value in 1..100_u32 {
            let cell = AtomicU32::new(0);
            call(|| {
                cell.store(value, Ordering::Relaxed);
                null_mut()
            });
            assert_eq!(cell.load(Ordering::Relaxed), value);
        }
    });
}

#[test]
fn a_call_cancelled_in_the_queue_is_never_run() {
    let live = live();
    in_task(&live, || unsafe {
        let release = Arc::new(AtomicBool::new(false));
        let entered = Arc::new(AtomicU32::new(0));
        // More than any pool that the contract foresees for this many workers would run at once is
        // not needed: whatever has not entered by then is queued.
        let hogs: Vec<Task> = (0..300)
            .map(|_| {
                let (release, entered) = (Arc::clone(&release), Arc::clone(&entered));
                spawn(move || {
                    call(|| {
                        entered.fetch_add(1, Ordering::AcqRel);
                        while !release.load(Ordering::Acquire) {
                            thread::sleep(Duration::from_millis(1));
                        }
                        null_mut()
                    })
                })
            })
            .collect();
        hogs.iter().for_each(|t| await_parked(*t));
        eventually("the pool works", || entered.load(Ordering::Acquire) > 0);
        let token = token();
        let started = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&started);
        let queued = spawn_with(&with_token(token), move || {
            let result = call(|| {
                mark.store(true, Ordering::Release);
                null_mut()
            });
            (result, mark.load(Ordering::Acquire))
        });
        await_parked(queued);
        let pool_is_full = entered.load(Ordering::Acquire) < 300;
        ok!(llam_cancel_token_cancel(token.raw()));
        if pool_is_full {
            join(queued);
            assert!(!started.load(Ordering::Acquire), "a cancelled call was run");
        }
        release.store(true, Ordering::Release);
        hogs.into_iter().for_each(join);
        if !pool_is_full {
            join(queued);
        }
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}
