//! What counts as a deadlock, and what does not: `abi.md` 5.1.6.
//!
//! That every parked wait gets `ECANCELED` is required on one worker. On several, a cancelled task may
//! already let another one's wait complete before the cancel reaches that one; either result is right.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use libc::{EBUSY, ECANCELED, EDEADLK, ETIMEDOUT};
use llam_sys::*;

/// Longer than the engine may take to report a deadlock (100 ms).
const LONG_ENOUGH: Duration = Duration::from_millis(300);

/// Spawns two tasks that join each other; both joins must end with `ECANCELED`.
fn spawn_mutual_joiners() -> Task {
    spawn(|| unsafe {
        let first = H::new(llam_current_task());
        let second = spawn(move || fails!(llam_join(first.raw()), ECANCELED));
        fails!(llam_join(second.raw()), ECANCELED);
    })
}

/// Set once the stop of [`not_reported_beside`] has been requested; one test runs at a time.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Blocks the OS thread until the stop has been requested.
fn block_until_stopped() {
    let give_up = Instant::now() + PATIENCE;
    while !STOPPED.load(Ordering::Acquire) && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Lets the runtime run for [`LONG_ENOUGH`] with a deadlocked pair and one more task that is no
/// deadlock, requires that nothing was reported, then stops it.
fn not_reported_beside(other: impl FnOnce() + Send + 'static) {
    let live = live();
    STOPPED.store(false, Ordering::Release);
    // What their joins give in the end depends on which of them the stop reaches first.
    spawn(|| unsafe {
        let first = H::new(llam_current_task());
        let second = spawn(move || llam_join(first.raw()));
        llam_join(second.raw());
    });
    spawn(other);
    let ended = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&ended);
    run_beside(
        move || {
            let code = unsafe { llam_run() };
            mark.store(true, Ordering::Release);
            code
        },
        || {
            thread::sleep(LONG_ENOUGH);
            assert!(!ended.load(Ordering::Acquire), "reported");
            ok!(unsafe { llam_runtime_request_stop() });
            STOPPED.store(true, Ordering::Release);
        },
    );
    drop(live);
}

#[test]
fn two_tasks_that_join_each_other() {
    let live = live_deterministic();
    spawn_mutual_joiners();
    live.run_fails(EDEADLK);
}

#[test]
fn a_mutex_whose_owner_has_ended() {
    let live = live_deterministic();
    let mutex = mutex();
    spawn(move || {
        let owner = spawn(move || ok!(unsafe { llam_mutex_lock(mutex.raw()) }));
        join(owner);
        fails!(
            unsafe { llam_mutex_lock_until(mutex.raw(), after_ms(5)) },
            ETIMEDOUT
        );
        fails!(unsafe { llam_mutex_lock(mutex.raw()) }, ECANCELED);
    });
    live.run_fails(EDEADLK);
    fails!(unsafe { llam_mutex_destroy(mutex.raw()) }, EBUSY);
}

#[test]
fn two_mutexes_taken_in_opposite_order() {
    let live = live_deterministic();
    let (a, b) = (mutex(), mutex());
    for (first, second) in [(a, b), (b, a)] {
        spawn(move || unsafe {
            ok!(llam_mutex_lock(first.raw()));
            ok!(llam_sleep_ns(20 * MS));
            fails!(llam_mutex_lock(second.raw()), ECANCELED);
            ok!(llam_mutex_unlock(first.raw()));
        });
    }
    live.run_fails(EDEADLK);
    ok!(unsafe { llam_mutex_destroy(a.raw()) });
    ok!(unsafe { llam_mutex_destroy(b.raw()) });
}

#[test]
fn a_group_join_on_a_deadlocked_child() {
    let live = live_deterministic();
    let mutex = mutex();
    spawn(move || unsafe {
        ok!(llam_mutex_lock(mutex.raw()));
        let group = group();
        let child = move || fails!(llam_mutex_lock(mutex.raw()), ECANCELED);
        ok!(llam_task_group_spawn_ex(
            group.raw(),
            Some(enter),
            boxed(child),
            std::ptr::null(),
            0
        ));
        fails!(llam_task_group_join(group.raw()), ECANCELED);
        ok!(llam_mutex_unlock(mutex.raw()));
    });
    live.run_fails(EDEADLK);
}

#[test]
fn a_token_is_no_reason_to_keep_waiting() {
    let live = live_deterministic();
    let token = token();
    let mutex = mutex();
    spawn_with(&with_token(token), move || unsafe {
        ok!(llam_mutex_lock(mutex.raw()));
        let child = spawn(move || fails!(llam_mutex_lock(mutex.raw()), ECANCELED));
        fails!(llam_join(child.raw()), ECANCELED);
    });
    live.run_fails(EDEADLK);
}

#[test]
fn the_fatal_error_is_sticky_until_the_next_init() {
    let live = live_deterministic();
    spawn_mutual_joiners();
    live.run_fails(EDEADLK);
    let ran = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&ran);
    spawn(move || mark.store(true, Ordering::Relaxed));
    live.run_fails(EDEADLK);
    assert!(
        ran.load(Ordering::Relaxed),
        "later tasks are run all the same"
    );
    live.run_fails(EDEADLK);
    drop(live);
    run_in_task(|| ok!(unsafe { llam_sleep_ns(MS) }));
}

#[test]
fn a_host_thread_that_joins_gets_the_fatal_error() {
    let live = live_deterministic();
    let mutex = mutex();
    let (send, receive) = std::sync::mpsc::channel();
    spawn(move || unsafe {
        ok!(llam_mutex_lock(mutex.raw()));
        let child = spawn(move || fails!(llam_mutex_lock(mutex.raw()), ECANCELED));
        let _ = send.send(child);
        // Once the host waits, the only other thing to wait for is a mutex that nobody unlocks.
        eventually("the host joins", || {
            llam_join_until(child.raw(), 0) == -1 && errno() == EBUSY
        });
        let other = llam_mutex_create();
        ok!(llam_mutex_lock(other));
        let last = spawn({
            let other = H::new(other);
            move || fails!(llam_mutex_lock(other.raw()), ECANCELED)
        });
        fails!(llam_join(last.raw()), ECANCELED);
    });
    thread::scope(|scope| {
        scope.spawn(move || {
            let child = receive
                .recv_timeout(PATIENCE)
                .expect("the child is spawned");
            fails!(unsafe { llam_join(child.raw()) }, EDEADLK);
        });
        live.run_fails(EDEADLK);
    });
}

#[test]
fn on_several_workers_every_task_comes_to_its_end() {
    for _ in 0..5 {
        let live = live();
        let (a, b) = (mutex(), mutex());
        for (first, second) in [(a, b), (b, a)] {
            spawn(move || unsafe {
                ok!(llam_mutex_lock(first.raw()));
                ok!(llam_sleep_ns(5 * MS));
                if llam_mutex_lock(second.raw()) == 0 {
                    ok!(llam_mutex_unlock(second.raw()));
                } else {
                    assert_eq!(errno(), ECANCELED);
                }
                ok!(llam_mutex_unlock(first.raw()));
            });
        }
        live.run_fails(EDEADLK);
        ok!(unsafe { llam_mutex_destroy(a.raw()) });
        ok!(unsafe { llam_mutex_destroy(b.raw()) });
    }
}

#[test]
fn not_while_a_task_waits_on_a_channel() {
    not_reported_beside(|| {
        let channel = chan(1);
        let mut out = null_mut();
        fails!(
            unsafe { llam_channel_recv_result(channel.raw(), &mut out) },
            ECANCELED
        );
    });
}

#[test]
fn not_while_a_task_waits_to_send() {
    not_reported_beside(|| unsafe {
        let channel = chan(1);
        ok!(llam_channel_send(channel.raw(), word(1)));
        fails!(llam_channel_send(channel.raw(), word(2)), ECANCELED);
    });
}

#[test]
fn not_while_a_task_waits_in_a_select() {
    not_reported_beside(|| {
        let channel = chan(1);
        let mut out = null_mut();
        let mut arm = llam_select_op_t {
            kind: LLAM_SELECT_OP_RECV,
            reserved0: 0,
            channel: channel.raw(),
            send_value: null_mut(),
            recv_out: &mut out,
            result_errno: 0,
        };
        let mut index = 0;
        fails!(
            unsafe { llam_channel_select(&mut arm, 1, FOREVER, &mut index) },
            ECANCELED
        );
    });
}

#[test]
fn not_while_a_task_waits_on_a_condition() {
    not_reported_beside(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        ok!(llam_mutex_lock(mutex.raw()));
        fails!(llam_cond_wait(cond.raw(), mutex.raw()), ECANCELED);
        ok!(llam_mutex_unlock(mutex.raw()));
    });
}

#[test]
fn not_while_a_task_sleeps_without_end() {
    not_reported_beside(|| fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED));
}

#[test]
fn not_while_a_task_waits_with_a_far_deadline() {
    not_reported_beside(|| unsafe {
        let mutex = mutex();
        let owner = spawn(move || ok!(llam_mutex_lock(mutex.raw())));
        join(owner);
        fails!(
            llam_mutex_lock_until(mutex.raw(), after_ms(3_600_000)),
            ECANCELED
        );
    });
}

#[test]
fn not_while_a_task_waits_for_a_descriptor() {
    not_reported_beside(|| {
        let (reader, _writer) = common::io::pipe();
        let mut byte = [0_u8; 1];
        fails!(
            unsafe { llam_read(reader.raw(), byte.as_mut_ptr().cast(), 1) },
            ECANCELED
        );
    });
}

#[test]
fn not_while_a_task_waits_for_a_timer() {
    not_reported_beside(|| unsafe {
        let mut timer = null_mut();
        ok!(llam_timer_create(3_600_000 * MS, &mut timer));
        let mut ticks = 0;
        fails!(llam_timer_wait(timer, &mut ticks), ECANCELED);
        ok!(llam_timer_destroy(timer));
    });
}

#[test]
fn not_while_a_callback_blocks_on_the_pool() {
    unsafe extern "C" fn wait_for_stop(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        block_until_stopped();
        null_mut()
    }
    not_reported_beside(|| {
        let mut out = null_mut();
        // The callback ends together with the stop: either may be first.
        if unsafe { llam_call_blocking_result(Some(wait_for_stop), null_mut(), &mut out) } != 0 {
            assert_eq!(errno(), ECANCELED);
        }
    });
}

#[test]
fn not_while_a_task_is_in_a_blocking_region() {
    not_reported_beside(|| unsafe {
        ok!(llam_enter_blocking());
        block_until_stopped();
        ok!(llam_leave_blocking());
    });
}
