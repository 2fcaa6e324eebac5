//! Blocking regions: `abi.md` 4.7 and 5.11.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use libc::EINVAL;
use llam_sys::*;

/// Blocks the OS thread until `done` holds; fails after some seconds, so that a runtime that cannot
/// go on meanwhile fails its test instead of hanging.
#[track_caller]
fn block_until(what: &str, done: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(
            Instant::now() < give_up,
            "never, while a thread is blocked: {what}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_region_shows_and_nests() {
    let live = live();
    let step = Arc::new(AtomicU32::new(0));
    let go = Arc::new(AtomicU32::new(0));
    let (theirs, gate) = (Arc::clone(&step), Arc::clone(&go));
    let task = spawn(move || unsafe {
        let wait = |number| {
            theirs.store(number, Ordering::Release);
            block_until("the host says go", || {
                gate.load(Ordering::Acquire) >= number
            });
        };
        fails!(llam_leave_blocking(), EINVAL);
        ok!(llam_enter_blocking());
        ok!(llam_enter_blocking());
        wait(1);
        ok!(llam_leave_blocking());
        wait(2);
        ok!(llam_leave_blocking());
        fails!(llam_leave_blocking(), EINVAL);
    });
    live.run_beside(|| {
        for number in [1, 2] {
            eventually("the task is there", || {
                step.load(Ordering::Acquire) == number
            });
            assert_eq!(state(task), "BLOCKED_OPAQUE");
            go.store(number, Ordering::Release);
        }
    });
    join(task);
}

#[test]
fn regions_do_not_exist_on_host_threads() {
    let _serial = serial();
    unsafe {
        ok!(llam_enter_blocking());
        ok!(llam_leave_blocking());
        ok!(llam_leave_blocking());
    }
}

#[test]
fn other_tasks_run_while_one_blocks_in_a_region() {
    for deterministic in [true, false] {
        let live = if deterministic {
            live_deterministic()
        } else {
            live()
        };
        let release = Arc::new(AtomicBool::new(false));
        for _ in 0..3 {
            let gate = Arc::clone(&release);
            spawn(move || unsafe {
                let thread = libc::pthread_self();
                ok!(llam_enter_blocking());
                block_until("the other tasks are through", || {
                    gate.load(Ordering::Acquire)
                });
                assert_eq!(thread, libc::pthread_self(), "a region stays on its thread");
                ok!(llam_leave_blocking());
            });
        }
        spawn(move || {
            for _ in 0..20 {
                ok!(unsafe { llam_sleep_ns(MS / 10) });
                unsafe { llam_yield() };
                join(spawn(|| {}));
            }
            release.store(true, Ordering::Release);
        });
        live.run();
    }
}

#[test]
fn a_task_may_park_inside_a_region() {
    run_in_task(|| unsafe {
        ok!(llam_enter_blocking());
        ok!(llam_sleep_ns(MS));
        llam_yield();
        let channel = chan(1);
        let sender = spawn(move || {
            ok!(llam_sleep_ns(MS));
            ok!(llam_channel_send(channel.raw(), word(5)));
        });
        assert_eq!(llam_channel_recv(channel.raw()), word(5));
        join(sender);
        ok!(llam_channel_destroy(channel.raw()));
        ok!(llam_leave_blocking());
        fails!(llam_leave_blocking(), EINVAL);
    });
}

#[test]
fn a_task_may_end_inside_a_region() {
    let live = live();
    for _ in 0..20 {
        let task = spawn(|| unsafe {
            ok!(llam_enter_blocking());
            ok!(llam_enter_blocking());
        });
        live.run();
        join(task);
    }
    in_task(&live, || fails!(unsafe { llam_leave_blocking() }, EINVAL));
}

#[test]
fn many_regions_at_once() {
    let live = live();
    let inside = Arc::new(AtomicU32::new(0));
    for _ in 0..20 {
        let inside = Arc::clone(&inside);
        spawn(move || unsafe {
            ok!(llam_enter_blocking());
            inside.fetch_add(1, Ordering::AcqRel);
            // All twenty must be inside together before any may leave.
            block_until("all are inside", || inside.load(Ordering::Acquire) == 20);
            ok!(llam_leave_blocking());
        });
    }
    live.run();
}
