//! Condition variables between tasks: `abi.md` 4.11 and 5.8.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use common::*;
use libc::{EBUSY, EINVAL, ENOTSUP, EPERM, ETIMEDOUT};
use llam_sys::*;

type Cond = H<llam_cond_t>;
type Mutex = H<llam_mutex_t>;

fn lock(mutex: Mutex) {
    ok!(unsafe { llam_mutex_lock_until(mutex.raw(), soon()) });
}

fn unlock(mutex: Mutex) {
    ok!(unsafe { llam_mutex_unlock(mutex.raw()) });
}

/// Waits within [`PATIENCE`]; the mutex must be held.
fn wait(cond: Cond, mutex: Mutex) {
    ok!(unsafe { llam_cond_wait_until(cond.raw(), mutex.raw(), soon()) });
}

fn destroy(cond: Cond, mutex: Mutex) {
    ok!(unsafe { llam_cond_destroy(cond.raw()) });
    ok!(unsafe { llam_mutex_destroy(mutex.raw()) });
}

/// Spawns a task that waits on the condition, then does `after` with the mutex held; returns when it
/// is in the wait. The caller must not hold the mutex.
fn waiter(cond: Cond, mutex: Mutex, after: impl FnOnce() + Send + 'static) -> Task {
    let about_to_wait = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&about_to_wait);
    let task = spawn(move || {
        lock(mutex);
        mark.store(true, Ordering::Relaxed);
        wait(cond, mutex);
        after();
        unlock(mutex);
    });
    // Who sees the mark with the mutex held knows that the wait has released it.
    eventually("the task waits", || {
        lock(mutex);
        let waits = about_to_wait.load(Ordering::Relaxed);
        unlock(mutex);
        waits
    });
    task
}

#[test]
fn bad_handles_are_einval() {
    let live = live();
    let (cond_dead, mutex_dead) = (cond(), mutex());
    destroy(cond_dead, mutex_dead);
    let (good_cond, good_mutex) = (cond(), mutex());
    let check = move || unsafe {
        for bad in [null_mut(), cond_dead.raw()] {
            fails!(llam_cond_wait(bad, good_mutex.raw()), EINVAL);
            fails!(llam_cond_wait_until(bad, good_mutex.raw(), 0), EINVAL);
            fails!(llam_cond_signal(bad), EINVAL);
            fails!(llam_cond_broadcast(bad), EINVAL);
            fails!(llam_cond_destroy(bad), EINVAL);
        }
        for bad in [null_mut(), mutex_dead.raw()] {
            fails!(llam_cond_wait(good_cond.raw(), bad), EINVAL);
            fails!(llam_cond_wait_until(good_cond.raw(), bad, 0), EINVAL);
        }
    };
    check();
    in_task(&live, check);
    destroy(good_cond, good_mutex);
}

#[test]
fn a_host_thread_cannot_wait_but_may_signal() {
    let _live = live();
    let (cond, mutex) = (cond(), mutex());
    unsafe {
        fails!(llam_cond_wait(cond.raw(), mutex.raw()), ENOTSUP);
        fails!(llam_cond_wait_until(cond.raw(), mutex.raw(), 0), ENOTSUP);
        ok!(llam_cond_signal(cond.raw()));
        ok!(llam_cond_broadcast(cond.raw()));
    }
    destroy(cond, mutex);
}

#[test]
fn a_host_thread_signals_only_while_live() {
    let _serial = serial();
    let cond = cond();
    fails!(unsafe { llam_cond_signal(cond.raw()) }, ENOTSUP);
    fails!(unsafe { llam_cond_broadcast(cond.raw()) }, ENOTSUP);
    ok!(unsafe { llam_cond_destroy(cond.raw()) });
}

#[test]
fn wait_without_the_mutex_is_eperm_before_the_deadline() {
    run_in_task(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        fails!(llam_cond_wait(cond.raw(), mutex.raw()), EPERM);
        fails!(llam_cond_wait_until(cond.raw(), mutex.raw(), 0), EPERM);
        lock(mutex);
        join(spawn(move || {
            fails!(llam_cond_wait_until(cond.raw(), mutex.raw(), 0), EPERM)
        }));
        unlock(mutex);
        destroy(cond, mutex);
    });
}

#[test]
fn an_expired_deadline_never_releases_the_mutex() {
    let live = live_deterministic();
    in_task(&live, || unsafe {
        let (cond, mutex) = (cond(), mutex());
        let entered = Arc::new(AtomicU32::new(0));
        lock(mutex);
        let count = Arc::clone(&entered);
        let rival = spawn(move || {
            lock(mutex);
            count.fetch_add(1, Ordering::Relaxed);
            unlock(mutex);
        });
        await_parked(rival);
        fails!(llam_cond_wait_until(cond.raw(), mutex.raw(), 0), ETIMEDOUT);
        fails!(llam_cond_wait_until(cond.raw(), mutex.raw(), 1), ETIMEDOUT);
        llam_yield();
        assert_eq!(entered.load(Ordering::Relaxed), 0);
        unlock(mutex);
        join(rival);
        destroy(cond, mutex);
    });
}

#[test]
fn a_timeout_is_never_early_and_returns_with_the_mutex() {
    run_in_task(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        lock(mutex);
        let deadline = after_ms(10);
        fails!(
            llam_cond_wait_until(cond.raw(), mutex.raw(), deadline),
            ETIMEDOUT
        );
        assert!(llam_now_ns() >= deadline);
        unlock(mutex);
        destroy(cond, mutex);
    });
}

#[test]
fn wait_releases_the_mutex_and_takes_it_back() {
    run_in_task(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        let task = waiter(cond, mutex, move || {
            fails!(llam_mutex_trylock(mutex.raw()), EBUSY);
        });
        lock(mutex);
        ok!(llam_cond_signal(cond.raw()));
        unlock(mutex);
        join(task);
        destroy(cond, mutex);
    });
}

#[test]
fn signals_wake_one_each_in_order() {
    run_in_task(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        let order = Arc::new(StdMutex::new(Vec::new()));
        let tasks: Vec<Task> = (0..5)
            .map(|number| {
                let order = Arc::clone(&order);
                waiter(cond, mutex, move || {
                    order.lock().expect("no panic").push(number)
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            ok!(llam_cond_signal(cond.raw()));
            join(task);
            assert_eq!(order.lock().expect("no panic").len(), number + 1);
        }
        assert_eq!(*order.lock().expect("no panic"), [0, 1, 2, 3, 4]);
        destroy(cond, mutex);
    });
}

#[test]
fn broadcast_wakes_all() {
    run_in_task(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        let tasks: Vec<Task> = (0..20).map(|_| waiter(cond, mutex, || {})).collect();
        ok!(llam_cond_broadcast(cond.raw()));
        tasks.into_iter().for_each(join);
        destroy(cond, mutex);
    });
}

#[test]
fn a_signal_without_waiters_is_lost() {
    run_in_task(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        ok!(llam_cond_signal(cond.raw()));
        ok!(llam_cond_broadcast(cond.raw()));
        lock(mutex);
        fails!(
            llam_cond_wait_until(cond.raw(), mutex.raw(), after_ms(5)),
            ETIMEDOUT
        );
        unlock(mutex);
        destroy(cond, mutex);
    });
}

#[test]
fn destroy_is_ebusy_until_the_wait_has_returned() {
    let live = live_deterministic();
    in_task(&live, || unsafe {
        let (cond, mutex) = (cond(), mutex());
        let task = waiter(cond, mutex, || {});
        fails!(llam_cond_destroy(cond.raw()), EBUSY);
        fails!(llam_mutex_destroy(mutex.raw()), EBUSY);
        ok!(llam_cond_signal(cond.raw()));
        fails!(llam_cond_destroy(cond.raw()), EBUSY);
        fails!(llam_mutex_destroy(mutex.raw()), EBUSY);
        join(task);
        destroy(cond, mutex);
    });
}

#[test]
fn a_host_thread_wakes_a_waiter() {
    let live = live();
    let (cond, mutex) = (cond(), mutex());
    let waiting = Arc::new(AtomicU32::new(0));
    let tasks = [0, 1].map(|_| {
        let waiting = Arc::clone(&waiting);
        spawn(move || {
            lock(mutex);
            waiting.fetch_add(1, Ordering::Relaxed);
            wait(cond, mutex);
            unlock(mutex);
        })
    });
    live.run_beside(|| {
        eventually("both have had the mutex", || {
            waiting.load(Ordering::Relaxed) == 2
        });
        tasks.iter().for_each(|t| await_parked(*t));
        ok!(unsafe { llam_cond_signal(cond.raw()) });
        ok!(unsafe { llam_cond_broadcast(cond.raw()) });
    });
    tasks.into_iter().for_each(join);
    destroy(cond, mutex);
}

#[test]
fn producers_and_consumers_meet() {
    run_in_task(|| {
        let (cond, mutex) = (cond(), mutex());
        let queue = Arc::new(StdMutex::new(Vec::new()));
        let consumers: Vec<Task> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(move || {
                    for _ in 0..100 {
                        lock(mutex);
                        while queue.lock().expect("no panic").is_empty() {
                            wait(cond, mutex);
                        }
                        queue.lock().expect("no panic").pop();
                        unlock(mutex);
                    }
                })
            })
            .collect();
        let producers: Vec<Task> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                spawn(move || {
                    for item in 0..100 {
                        lock(mutex);
                        queue.lock().expect("no panic").push(item);
                        ok!(unsafe { llam_cond_signal(cond.raw()) });
                        unlock(mutex);
                    }
                })
            })
            .collect();
        consumers.into_iter().chain(producers).for_each(join);
        assert!(queue.lock().expect("no panic").is_empty());
        destroy(cond, mutex);
    });
}

#[test]
fn a_signal_that_races_with_a_timeout_is_not_lost() {
    run_in_task(|| unsafe {
        for round in 0..100 {
            let (cond, mutex) = (cond(), mutex());
            let woken = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&woken);
            let hasty = spawn(move || {
                lock(mutex);
                if llam_cond_wait_until(cond.raw(), mutex.raw(), after_ms(2)) == 0 {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                unlock(mutex);
            });
            eventually("the hasty one waits or is through", || {
                ["PARKED", "DEAD"].contains(&state(hasty))
            });
            let count = Arc::clone(&woken);
            let patient = waiter(cond, mutex, move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
            ok!(llam_sleep_ns(MS * (round % 4) / 2));
            ok!(llam_cond_signal(cond.raw()));
            join(hasty);
            if woken.load(Ordering::Relaxed) == 1 && state(patient) == "PARKED" {
                ok!(llam_cond_signal(cond.raw()));
            }
            join(patient);
            destroy(cond, mutex);
        }
    });
}
