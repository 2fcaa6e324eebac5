//! Mutexes between tasks: `abi.md` 4.10 and 5.8.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex as StdMutex};

use common::*;
use libc::{EBUSY, EDEADLK, EINVAL, ENOTSUP, EPERM, ETIMEDOUT};
use llam_sys::*;

fn lock(mutex: H<llam_mutex_t>) {
    ok!(unsafe { llam_mutex_lock_until(mutex.raw(), soon()) });
}

fn unlock(mutex: H<llam_mutex_t>) {
    ok!(unsafe { llam_mutex_unlock(mutex.raw()) });
}

fn destroy(mutex: H<llam_mutex_t>) {
    ok!(unsafe { llam_mutex_destroy(mutex.raw()) });
}

#[test]
fn bad_handles_are_einval_on_every_thread() {
    let live = live();
    let dead = mutex();
    destroy(dead);
    let check = move || unsafe {
        for bad in [null_mut(), dead.raw()] {
            fails!(llam_mutex_lock(bad), EINVAL);
            fails!(llam_mutex_lock_until(bad, 0), EINVAL);
            fails!(llam_mutex_trylock(bad), EINVAL);
            fails!(llam_mutex_unlock(bad), EINVAL);
            fails!(llam_mutex_destroy(bad), EINVAL);
        }
    };
    check();
    in_task(&live, check);
}

#[test]
fn a_host_thread_cannot_lock() {
    let _live = live();
    let mutex = mutex();
    unsafe {
        fails!(llam_mutex_lock(mutex.raw()), ENOTSUP);
        fails!(llam_mutex_lock_until(mutex.raw(), 0), ENOTSUP);
        fails!(llam_mutex_trylock(mutex.raw()), ENOTSUP);
        fails!(llam_mutex_unlock(mutex.raw()), ENOTSUP);
    }
    destroy(mutex);
}

#[test]
fn made_before_init_and_destroyed_after_shutdown() {
    let serial_guard = serial();
    let mutex = mutex();
    drop(serial_guard);
    run_in_task(move || {
        lock(mutex);
        unlock(mutex);
    });
    destroy(mutex);
}

#[test]
fn it_is_not_recursive() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        lock(mutex);
        fails!(llam_mutex_lock(mutex.raw()), EDEADLK);
        fails!(llam_mutex_lock_until(mutex.raw(), 0), EDEADLK);
        fails!(llam_mutex_lock_until(mutex.raw(), after_ms(5)), EDEADLK);
        fails!(llam_mutex_trylock(mutex.raw()), EBUSY);
        unlock(mutex);
        destroy(mutex);
    });
}

#[test]
fn a_free_mutex_is_locked_whatever_the_deadline() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        ok!(llam_mutex_lock_until(mutex.raw(), 0));
        unlock(mutex);
        ok!(llam_mutex_lock_until(mutex.raw(), 1));
        unlock(mutex);
        destroy(mutex);
    });
}

#[test]
fn a_held_mutex_times_out_and_never_early() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        lock(mutex);
        join(spawn(move || {
            fails!(llam_mutex_trylock(mutex.raw()), EBUSY);
            fails!(llam_mutex_lock_until(mutex.raw(), 0), ETIMEDOUT);
            let deadline = after_ms(10);
            fails!(llam_mutex_lock_until(mutex.raw(), deadline), ETIMEDOUT);
            assert!(llam_now_ns() >= deadline);
            fails!(llam_mutex_unlock(mutex.raw()), EPERM);
        }));
        unlock(mutex);
        destroy(mutex);
    });
}

#[test]
fn only_the_owner_unlocks() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        fails!(llam_mutex_unlock(mutex.raw()), EPERM);
        lock(mutex);
        join(spawn(move || fails!(llam_mutex_unlock(mutex.raw()), EPERM)));
        unlock(mutex);
        fails!(llam_mutex_unlock(mutex.raw()), EPERM);
        destroy(mutex);
    });
}

#[test]
fn waiters_are_served_in_order() {
    run_in_task(|| {
        let mutex = mutex();
        let order = Arc::new(StdMutex::new(Vec::new()));
        lock(mutex);
        let tasks: Vec<Task> = (0..10)
            .map(|number| {
                let order = Arc::clone(&order);
                let task = spawn(move || {
                    lock(mutex);
                    order.lock().expect("no panic").push(number);
                    unlock(mutex);
                });
                await_parked(task);
                task
            })
            .collect();
        unlock(mutex);
        tasks.into_iter().for_each(join);
        assert_eq!(
            *order.lock().expect("no panic"),
            (0..10).collect::<Vec<_>>()
        );
        destroy(mutex);
    });
}

#[test]
fn unlock_hands_over_to_the_longest_waiter() {
    run_in_task(|| {
        let mutex = mutex();
        let order = Arc::new(StdMutex::new(Vec::new()));
        lock(mutex);
        let theirs = Arc::clone(&order);
        let waiter = spawn(move || {
            lock(mutex);
            theirs.lock().expect("no panic").push("waiter");
            unlock(mutex);
        });
        await_parked(waiter);
        unlock(mutex);
        // The mutex is the waiter's already, whether it has run or not.
        lock(mutex);
        order.lock().expect("no panic").push("first owner");
        unlock(mutex);
        join(waiter);
        assert_eq!(*order.lock().expect("no panic"), ["waiter", "first owner"]);
        destroy(mutex);
    });
}

#[test]
fn a_timed_out_waiter_leaves_the_line() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        lock(mutex);
        let quitter = spawn(move || {
            fails!(llam_mutex_lock_until(mutex.raw(), after_ms(10)), ETIMEDOUT);
        });
        await_parked(quitter);
        let patient = spawn(move || {
            lock(mutex);
            unlock(mutex);
        });
        await_parked(patient);
        join(quitter);
        unlock(mutex);
        join(patient);
        destroy(mutex);
    });
}

#[test]
fn destroy_is_ebusy_while_locked_or_waited_for() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        lock(mutex);
        fails!(llam_mutex_destroy(mutex.raw()), EBUSY);
        let waiter = spawn(move || {
            lock(mutex);
            fails!(llam_mutex_destroy(mutex.raw()), EBUSY);
            unlock(mutex);
        });
        await_parked(waiter);
        fails!(llam_mutex_destroy(mutex.raw()), EBUSY);
        unlock(mutex);
        join(waiter);
        destroy(mutex);
    });
}

#[test]
fn a_task_that_ends_with_it_leaves_it_locked() {
    let live = live();
    let mutex = mutex();
    in_task(&live, move || {
        join(spawn(move || lock(mutex)));
        fails!(
            unsafe { llam_mutex_lock_until(mutex.raw(), after_ms(5)) },
            ETIMEDOUT
        );
        fails!(unsafe { llam_mutex_trylock(mutex.raw()) }, EBUSY);
    });
    fails!(unsafe { llam_mutex_destroy(mutex.raw()) }, EBUSY);
}

/// A counter that only the mutex protects.
struct Guarded(UnsafeCell<u64>);

// SAFETY: every access happens with the mutex under test held.
unsafe impl Sync for Guarded {}

#[test]
fn it_excludes_and_publishes() {
    run_in_task(|| {
        let mutex = mutex();
        let counter = Arc::new(Guarded(UnsafeCell::new(0)));
        let tasks: Vec<Task> = (0..8)
            .map(|number| {
                let counter = Arc::clone(&counter);
                spawn(move || {
                    for round in 0..500 {
                        lock(mutex);
                        let value = unsafe { *counter.0.get() };
                        if (round + number) % 50 == 0 {
                            unsafe { llam_yield() };
                        }
                        unsafe { *counter.0.get() = value + 1 };
                        unlock(mutex);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(join);
        assert_eq!(unsafe { *counter.0.get() }, 4000);
        destroy(mutex);
    });
}
