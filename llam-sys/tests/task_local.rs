//! Task-local values: `abi.md` 4.8 and 5.10.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use libc::{EINVAL, ENOSPC, ENOTSUP};
use llam_sys::*;

type Key = llam_task_local_key_t;

fn key() -> Key {
    let mut key = 0;
    ok!(unsafe { llam_task_local_key_create(&mut key) });
    assert!((1..=65_535).contains(&key), "key {key}");
    key
}

fn delete(key: Key) {
    ok!(unsafe { llam_task_local_key_delete(key) });
}

fn set(key: Key, value: usize) {
    ok!(unsafe { llam_task_local_set(key, word(value)) });
}

/// The value; `errno` must be 0 afterwards.
fn value(key: Key) -> usize {
    set_errno(33);
    let value = unsafe { llam_task_local_get(key) };
    assert_eq!(errno(), 0, "errno is 0 after a successful get");
    value.addr()
}

#[test]
fn keys_need_no_runtime() {
    everywhere(|| {
        let key = key();
        delete(key);
        fails!(unsafe { llam_task_local_key_delete(key) }, EINVAL);
    });
}

#[test]
fn bad_keys_are_einval() {
    everywhere(|| unsafe {
        fails!(llam_task_local_key_create(null_mut()), EINVAL);
        for bad in [0, LLAM_TASK_LOCAL_INVALID_KEY, 60_000, 70_000] {
            fails!(llam_task_local_key_delete(bad), EINVAL);
            if is_task() {
                fails!(llam_task_local_get(bad), EINVAL);
                fails!(llam_task_local_set(bad, word(1)), EINVAL);
                fails!(llam_task_local_set(bad, null_mut()), EINVAL);
            }
        }
    });
}

#[test]
fn a_host_thread_has_no_values() {
    let _live = live();
    let key = key();
    unsafe {
        fails!(llam_task_local_get(key), ENOTSUP);
        fails!(llam_task_local_set(key, word(1)), ENOTSUP);
        fails!(llam_task_local_set(key, null_mut()), ENOTSUP);
    }
    delete(key);
}

#[test]
fn the_lowest_free_id_comes_next() {
    let _serial = serial();
    let first = key();
    let second = key();
    let third = key();
    assert!(first < second && second < third, "{first} {second} {third}");
    delete(second);
    assert_eq!(key(), second);
    delete(first);
    delete(third);
    assert_eq!(key(), first);
    assert_eq!(key(), third);
    [first, second, third].into_iter().for_each(delete);
}

#[test]
fn values_are_per_task_and_survive_parks() {
    run_in_task(|| {
        let key = key();
        assert_eq!(value(key), 0);
        set(key, 1);
        let tasks: Vec<Task> = (10..20)
            .map(|number| {
                spawn(move || {
                    assert_eq!(value(key), 0, "nothing is inherited");
                    set(key, number);
                    for _ in 0..5 {
                        unsafe { llam_yield() };
                        ok!(unsafe { llam_sleep_ns(MS / 10) });
                        assert_eq!(value(key), number);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(join);
        assert_eq!(value(key), 1);
        set(key, 0);
        assert_eq!(value(key), 0);
        set(key, 0);
        delete(key);
    });
}

#[test]
fn a_task_holds_many_values() {
    run_in_task(|| {
        let keys: Vec<Key> = (0..500).map(|_| key()).collect();
        for (number, key) in keys.iter().enumerate() {
            set(*key, number + 1);
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(value(*key), number + 1);
        }
        keys.iter().for_each(|key| set(*key, 0));
        keys.into_iter().for_each(delete);
    });
}

#[test]
fn a_deleted_key_only_lets_its_entry_be_removed() {
    run_in_task(|| unsafe {
        let key = key();
        set(key, 5);
        delete(key);
        fails!(llam_task_local_get(key), EINVAL);
        fails!(llam_task_local_set(key, word(6)), EINVAL);
        join(spawn(move || {
            fails!(llam_task_local_get(key), EINVAL);
            fails!(llam_task_local_set(key, null_mut()), EINVAL);
        }));
        ok!(llam_task_local_set(key, null_mut()));
        fails!(llam_task_local_set(key, null_mut()), EINVAL);
    });
}

#[test]
fn an_id_is_not_reused_while_an_entry_is_left() {
    run_in_task(|| unsafe {
        let (old, channel) = (key(), chan(1));
        let holder = spawn(move || {
            set(old, 7);
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        await_parked(holder);
        delete(old);
        let other = key();
        assert_ne!(other, old, "a task still holds an entry");
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(holder);
        let again = key();
        assert_eq!(again, old, "the entry is gone with its task");
        assert_eq!(value(again), 0);
        delete(other);
        delete(again);
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn removing_the_last_entry_frees_the_id() {
    run_in_task(|| unsafe {
        let old = key();
        set(old, 7);
        delete(old);
        let other = key();
        assert_ne!(other, old);
        ok!(llam_task_local_set(old, null_mut()));
        let again = key();
        assert_eq!(again, old);
        assert_eq!(value(again), 0);
        delete(other);
        delete(again);
    });
}

#[test]
fn keys_are_shared_by_all_runtimes() {
    let live = live();
    let runtime = Runtime::create();
    let key = runtime.in_task(|| {
        let key = key();
        set(key, 3);
        assert_eq!(value(key), 3);
        key
    });
    in_task(&live, move || {
        assert_eq!(value(key), 0);
        set(key, 4);
        assert_eq!(value(key), 4);
    });
    delete(key);
}

#[test]
fn there_are_65535_keys() {
    let _serial = serial();
    let keys: Vec<Key> = (0..65_535).map(|_| key()).collect();
    let mut out = 5;
    fails!(unsafe { llam_task_local_key_create(&mut out) }, ENOSPC);
    assert_eq!(out, LLAM_TASK_LOCAL_INVALID_KEY);
    delete(keys[12_345]);
    assert_eq!(key(), keys[12_345]);
    keys.into_iter().for_each(delete);
}

#[test]
fn delete_that_races_with_get_and_set() {
    let live = live();
    let stop = Arc::new(AtomicBool::new(false));
    let current = Arc::new(std::sync::atomic::AtomicU32::new(key()));
    let users: Vec<Task> = (0..4)
        .map(|_| {
            let (stop, current) = (Arc::clone(&stop), Arc::clone(&current));
            spawn(move || unsafe {
                while !stop.load(Ordering::Acquire) {
                    let key = current.load(Ordering::Acquire);
                    if llam_task_local_set(key, word(9)) != 0 {
                        assert_eq!(errno(), EINVAL);
                    }
                    set_errno(0);
                    let value = llam_task_local_get(key);
                    let code = errno();
                    assert!(code == 0 || code == EINVAL, "errno {code}");
                    assert!(value.is_null() || value == word(9));
                    llam_task_local_set(key, null_mut());
                    llam_yield();
                }
            })
        })
        .collect();
    live.run_beside(|| {
        for _ in 0..2000 {
            let old = current.load(Ordering::Acquire);
            delete(old);
            current.store(key(), Ordering::Release);
        }
        stop.store(true, Ordering::Release);
    });
    users.into_iter().for_each(join);
    delete(current.load(Ordering::Acquire));
}
