//! Sleeping and timers: `abi.md` 4.5 and 5.2.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::*;
use libc::{EBUSY, ECANCELED, EINVAL, ENOTSUP, ETIMEDOUT};
use llam_sys::*;

type Timer = H<llam_timer_t>;

fn now() -> u64 {
    unsafe { llam_now_ns() }
}

/// A timer whose first tick is due at `first` (0: now).
fn timer(first: u64, interval: u64) -> Timer {
    let opts = llam_timer_opts_t {
        first_deadline_ns: first,
        interval_ns: interval,
        flags: 0,
        reserved0: u32::MAX,
    };
    let mut out = null_mut();
    ok!(unsafe { llam_timer_create_ex(&opts, LLAM_TIMER_OPTS_CURRENT_SIZE, &mut out) });
    H::new(out)
}

/// A timer that has no tick due for an hour.
fn idle_timer() -> Timer {
    let mut out = null_mut();
    ok!(unsafe { llam_timer_create(3_600_000 * MS, &mut out) });
    H::new(out)
}

fn wait(timer: Timer) -> u64 {
    let mut ticks = 0;
    ok!(unsafe { llam_timer_wait_until(timer.raw(), soon(), &mut ticks) });
    assert!(ticks >= 1);
    ticks
}

fn wait_fails(timer: Timer, deadline: u64, code: i32) {
    let mut ticks = 99;
    fails!(
        unsafe { llam_timer_wait_until(timer.raw(), deadline, &mut ticks) },
        code
    );
    assert_eq!(ticks, 0, "the output is cleared first");
}

fn destroy(timer: Timer) {
    ok!(unsafe { llam_timer_destroy(timer.raw()) });
}

#[test]
fn now_is_the_monotonic_clock() {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let before = now();
    assert_eq!(
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) },
        0
    );
    let after = now();
    let clock = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
    assert!(
        before <= clock && clock <= after,
        "{before} {clock} {after}"
    );
}

#[test]
fn a_sleep_is_never_short() {
    run_in_task(|| {
        for sleep in [1, 1_000, 50_000, MS, 3 * MS + 1, 20 * MS] {
            let before = now();
            ok!(unsafe { llam_sleep_ns(sleep) });
            assert!(now() - before >= sleep, "slept less than {sleep} ns");
            let deadline = now() + sleep;
            ok!(unsafe { llam_sleep_until(deadline) });
            assert!(
                now() >= deadline,
                "woke before the deadline {sleep} ns away"
            );
        }
    });
}

#[test]
fn a_sleep_to_the_past_succeeds_at_once() {
    run_in_task(|| unsafe {
        ok!(llam_sleep_ns(0));
        ok!(llam_sleep_until(0));
        ok!(llam_sleep_until(now() - 1));
    });
}

#[test]
fn a_host_thread_sleeps_by_blocking() {
    let _live = live();
    unsafe {
        ok!(llam_sleep_ns(0));
        ok!(llam_sleep_until(0));
        let before = now();
        ok!(llam_sleep_ns(10 * MS));
        assert!(now() - before >= 10 * MS);
        let deadline = after_ms(10);
        ok!(llam_sleep_until(deadline));
        assert!(now() >= deadline);
    }
}

#[test]
fn a_host_thread_sleeps_while_another_runs() {
    let live = live();
    let parked = spawn(|| ok!(unsafe { llam_sleep_ns(30 * MS) }));
    live.run_beside(|| {
        await_parked(parked);
        ok!(unsafe { llam_sleep_ns(5 * MS) });
    });
}

#[test]
fn a_duration_that_overflows_saturates() {
    run_in_task(|| {
        let token = token();
        let sleeper = spawn_with(&with_token(token), || {
            fails!(unsafe { llam_sleep_ns(u64::MAX) }, ECANCELED);
            fails!(unsafe { llam_sleep_ns(u64::MAX - 5) }, ECANCELED);
        });
        await_parked(sleeper);
        ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
        join(sleeper);
        ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let live = live_deterministic();
    let order = Arc::new(Mutex::new(Vec::new()));
    let start = after_ms(30);
    for step in [7, 2, 9, 0, 5, 3, 8, 1, 6, 4] {
        let order = Arc::clone(&order);
        spawn(move || {
            ok!(unsafe { llam_sleep_until(start + step * 10 * MS) });
            order.lock().expect("no panic").push(step);
        });
    }
    live.run();
    let order = order.lock().expect("no panic");
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(order.len(), 10);
}

#[test]
fn a_thousand_sleepers_sleep_at_the_same_time() {
    let before = now();
    run_in_task(|| {
        let tasks: Vec<Task> = (0..1000_u64)
            .map(|number| {
                spawn(move || {
                    let deadline = now() + (number % 50) * MS;
                    ok!(unsafe { llam_sleep_until(deadline) });
                    assert!(now() >= deadline);
                })
            })
            .collect();
        tasks.into_iter().for_each(join);
    });
    assert!(
        now() - before < 20_000 * MS,
        "they slept one after the other"
    );
}

#[test]
fn timer_create_refuses_in_this_order() {
    let _serial = serial();
    let mut opts = llam_timer_opts_t {
        first_deadline_ns: 0,
        interval_ns: 0,
        flags: 1,
        reserved0: 0,
    };
    unsafe {
        fails!(llam_timer_create_ex(null(), 0, null_mut()), EINVAL);
        fails!(llam_timer_create(MS, null_mut()), EINVAL);
        let mut out = std::ptr::without_provenance_mut(16);
        fails!(llam_timer_create_ex(null(), 24, &mut out), EINVAL);
        assert!(out.is_null(), "the output is cleared first");
        fails!(llam_timer_create_ex(&opts, 0, &mut out), EINVAL);
        fails!(llam_timer_create_ex(&opts, 24, &mut out), EINVAL);
        opts.interval_ns = MS;
        fails!(llam_timer_create_ex(&opts, 24, &mut out), ENOTSUP);
        out = std::ptr::without_provenance_mut(16);
        fails!(llam_timer_create(0, &mut out), EINVAL);
        assert!(out.is_null(), "the output is cleared first");
    }
}

#[test]
fn timer_calls_refuse_bad_handles() {
    let _live = live();
    let dead = timer(0, MS);
    destroy(dead);
    unsafe {
        for bad in [null_mut(), dead.raw()] {
            let mut ticks = 9;
            fails!(llam_timer_wait_until(bad, FOREVER, &mut ticks), EINVAL);
            assert_eq!(ticks, 0);
            fails!(llam_timer_wait(bad, &mut ticks), EINVAL);
            fails!(llam_timer_reset(bad, 0, MS), EINVAL);
            fails!(llam_timer_cancel(bad), EINVAL);
            fails!(llam_timer_destroy(bad), EINVAL);
        }
    }
}

#[test]
fn timer_wait_checks_output_then_deadline_0_then_the_handle() {
    let _live = live();
    let timer = timer(0, MS);
    unsafe {
        fails!(llam_timer_wait_until(timer.raw(), 0, null_mut()), EINVAL);
        fails!(llam_timer_wait(timer.raw(), null_mut()), EINVAL);
        let mut ticks = 5;
        fails!(llam_timer_wait_until(null_mut(), 0, &mut ticks), ETIMEDOUT);
        assert_eq!(ticks, 0);
        ticks = 5;
        fails!(llam_timer_wait_until(timer.raw(), 0, &mut ticks), ETIMEDOUT);
        assert_eq!(ticks, 0, "deadline 0 does not look for ticks");
    }
    destroy(timer);
}

#[test]
fn a_first_deadline_of_0_is_due_at_once() {
    run_in_task(|| {
        let timer = timer(0, 3_600_000 * MS);
        assert_eq!(wait(timer), 1);
        wait_fails(timer, after_ms(2), ETIMEDOUT);
        destroy(timer);
    });
}

#[test]
fn an_interval_timer_first_ticks_one_interval_from_now() {
    run_in_task(|| {
        let before = now();
        let mut out = null_mut();
        ok!(unsafe { llam_timer_create(10 * MS, &mut out) });
        wait(H::new(out));
        assert!(now() - before >= 10 * MS);
        destroy(H::new(out));
    });
}

#[test]
fn due_ticks_are_taken_even_when_the_deadline_has_passed() {
    run_in_task(|| unsafe {
        let timer = timer(1, 3_600_000 * MS);
        let mut ticks = 0;
        ok!(llam_timer_wait_until(timer.raw(), 1, &mut ticks));
        assert!(ticks >= 1);
        wait_fails(timer, 1, ETIMEDOUT);
        destroy(timer);
    });
}

#[test]
fn ticks_are_counted_on_the_original_grid() {
    run_in_task(|| {
        let (first, interval) = (after_ms(10), 10 * MS);
        let timer = timer(first, interval);
        let mut total = 0;
        for pause in [0, 25, 0, 3, 47, 0] {
            ok!(unsafe { llam_sleep_ns(pause * MS) });
            let before = now();
            total += wait(timer);
            let after = now();
            let due_before = if before < first {
                0
            } else {
                (before - first) / interval + 1
            };
            let due_after = (after - first) / interval + 1;
            assert!(
                total >= due_before,
                "{total} ticks taken, {due_before} were due"
            );
            assert!(
                total <= due_after,
                "{total} ticks taken, {due_after} are due"
            );
        }
        destroy(timer);
    });
}

#[test]
fn a_wait_never_times_out_early() {
    run_in_task(|| {
        let timer = idle_timer();
        let deadline = after_ms(15);
        wait_fails(timer, deadline, ETIMEDOUT);
        assert!(now() >= deadline);
        destroy(timer);
    });
}

#[test]
fn a_cancelled_timer_fails_even_with_ticks_due() {
    run_in_task(|| unsafe {
        let timer = timer(0, MS);
        ok!(llam_timer_cancel(timer.raw()));
        ok!(llam_timer_cancel(timer.raw()));
        wait_fails(timer, FOREVER, ECANCELED);
        wait_fails(timer, 1, ECANCELED);
        wait_fails(timer, 0, ETIMEDOUT);
        ok!(llam_timer_reset(timer.raw(), 0, 3_600_000 * MS));
        assert_eq!(wait(timer), 1);
        destroy(timer);
    });
}

#[test]
fn reset_forgets_due_ticks() {
    run_in_task(|| unsafe {
        let timer = timer(0, MS);
        ok!(llam_sleep_ns(5 * MS));
        let first = after_ms(10);
        ok!(llam_timer_reset(timer.raw(), first, 3_600_000 * MS));
        wait_fails(timer, 1, ETIMEDOUT);
        assert_eq!(wait(timer), 1);
        assert!(now() >= first);
        fails!(llam_timer_reset(timer.raw(), 0, 0), EINVAL);
        destroy(timer);
    });
}

#[test]
fn reset_wakes_a_waiter_to_the_new_schedule() {
    run_in_task(|| unsafe {
        let timer = idle_timer();
        let waiter = spawn(move || wait(timer));
        await_parked(waiter);
        ok!(llam_timer_reset(timer.raw(), 0, 3_600_000 * MS));
        join(waiter);
        destroy(timer);
    });
}

#[test]
fn cancel_of_the_timer_wakes_its_waiters() {
    run_in_task(|| unsafe {
        let timer = idle_timer();
        let waiters: Vec<Task> = (0..5)
            .map(|_| spawn(move || wait_fails(timer, FOREVER, ECANCELED)))
            .collect();
        waiters.iter().for_each(|w| await_parked(*w));
        fails!(llam_timer_destroy(timer.raw()), EBUSY);
        ok!(llam_timer_cancel(timer.raw()));
        waiters.into_iter().for_each(join);
        destroy(timer);
    });
}

#[test]
fn cancel_of_the_task_wakes_it_and_takes_no_tick() {
    run_in_task(|| unsafe {
        let token = token();
        let timer = idle_timer();
        let waiter = spawn_with(&with_token(token), move || {
            wait_fails(timer, FOREVER, ECANCELED)
        });
        await_parked(waiter);
        ok!(llam_cancel_token_cancel(token.raw()));
        join(waiter);
        ok!(llam_timer_reset(timer.raw(), 0, 3_600_000 * MS));
        assert_eq!(wait(timer), 1);
        destroy(timer);
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}

#[test]
fn each_tick_goes_to_one_of_several_waiters() {
    run_in_task(|| {
        let (first, interval) = (after_ms(5), 2 * MS);
        let timer = timer(first, interval);
        let taken = Arc::new(AtomicU64::new(0));
        let waiters: Vec<Task> = (0..4)
            .map(|_| {
                let taken = Arc::clone(&taken);
                spawn(move || {
                    for _ in 0..5 {
                        taken.fetch_add(wait(timer), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        waiters.into_iter().for_each(join);
        let due = (now() - first) / interval + 1;
        let taken = taken.load(Ordering::Relaxed);
        assert!(
            (20..=due).contains(&taken),
            "{taken} ticks taken, {due} were due"
        );
        destroy(timer);
    });
}

#[test]
fn a_host_thread_waits_for_a_timer() {
    let _live = live();
    let first = after_ms(10);
    let timer = timer(first, 3_600_000 * MS);
    assert_eq!(wait(timer), 1);
    assert!(now() >= first);
    let deadline = after_ms(10);
    wait_fails(timer, deadline, ETIMEDOUT);
    assert!(now() >= deadline);
    let started = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            started.store(true, Ordering::Release);
            wait_fails(timer, FOREVER, ECANCELED);
        });
        eventually("the other thread starts", || {
            started.load(Ordering::Acquire)
        });
        // Whether the wait has begun or begins after this, it fails.
        ok!(unsafe { llam_timer_cancel(timer.raw()) });
    });
    destroy(timer);
}
