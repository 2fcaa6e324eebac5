//! Task groups: `abi.md` 4.4 and 5.9.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::*;
use libc::{EBUSY, ECANCELED, EDEADLK, EINVAL, ETIMEDOUT};
use llam_sys::*;

type Group = H<llam_task_group_t>;

/// Spawns a child with default options.
fn child<R>(group: Group, f: impl FnOnce() -> R + Send + 'static) -> Task {
    H::new(unsafe { llam_task_group_spawn_ex(group.raw(), Some(enter), boxed(f), null(), 0) })
}

/// Spawns a child with a token of its own.
fn child_with<R>(
    group: Group,
    token: H<llam_cancel_token_t>,
    f: impl FnOnce() -> R + Send + 'static,
) -> Task {
    let opts = with_token(token);
    H::new(unsafe { llam_task_group_spawn(group.raw(), Some(enter), boxed(f), &opts) })
}

fn join_group(group: Group) {
    ok!(unsafe { llam_task_group_join_until(group.raw(), soon()) });
}

fn destroy(group: Group) {
    ok!(unsafe { llam_task_group_destroy(group.raw()) });
}

fn await_end(task: Task) {
    eventually("the child ends", || state(task) == "DEAD");
}

#[test]
fn an_empty_group_needs_no_runtime() {
    let _serial = serial();
    let group = group();
    unsafe {
        ok!(llam_task_group_cancel(group.raw()));
        ok!(llam_task_group_join(group.raw()));
        ok!(llam_task_group_join_until(group.raw(), 0));
        ok!(llam_runtime_init_ex(null(), 0));
        llam_runtime_shutdown();
    }
    destroy(group);
}

#[test]
fn null_and_dead_groups_are_einval() {
    let _live = live();
    let dead = group();
    destroy(dead);
    unsafe {
        for bad in [null_mut(), dead.raw()] {
            fails!(
                llam_task_group_spawn_ex(bad, Some(nothing), null_mut(), null(), 0),
                EINVAL
            );
            fails!(
                llam_task_group_spawn(bad, Some(nothing), null_mut(), null()),
                EINVAL
            );
            fails!(llam_task_group_cancel(bad), EINVAL);
            fails!(llam_task_group_join(bad), EINVAL);
            fails!(llam_task_group_join_until(bad, 0), EINVAL);
            fails!(llam_task_group_destroy(bad), EINVAL);
        }
    }
}

#[test]
fn spawn_refuses_bad_arguments() {
    let _live = live();
    let group = group();
    unsafe {
        fails!(
            llam_task_group_spawn_ex(group.raw(), None, null_mut(), null(), 0),
            EINVAL
        );
        let mut opts = spawn_opts();
        fails!(
            llam_task_group_spawn_ex(group.raw(), Some(nothing), null_mut(), &opts, 0),
            EINVAL
        );
        opts.task_class = 3;
        fails!(
            llam_task_group_spawn(group.raw(), Some(nothing), null_mut(), &opts),
            EINVAL
        );
        opts.task_class = 1;
        opts.cancel_token = std::ptr::without_provenance_mut(40);
        fails!(
            llam_task_group_spawn(group.raw(), Some(nothing), null_mut(), &opts),
            EINVAL
        );
    }
    destroy(group);
}

#[test]
fn spawn_needs_a_live_runtime() {
    let _serial = serial();
    let group = group();
    fails!(
        unsafe { llam_task_group_spawn_ex(group.raw(), Some(nothing), null_mut(), null(), 0) },
        EINVAL
    );
    destroy(group);
}

#[test]
fn join_waits_for_all_children_and_the_group_is_usable_again() {
    run_in_task(|| {
        let group = group();
        let done = Arc::new(AtomicU32::new(0));
        for round in 1..=3 {
            let tasks: Vec<Task> = (0..10)
                .map(|number| {
                    let done = Arc::clone(&done);
                    child(group, move || {
                        ok!(unsafe { llam_sleep_ns((10 - number) * MS / 5) });
                        done.fetch_add(1, Ordering::Relaxed);
                    })
                })
                .collect();
            join_group(group);
            assert_eq!(done.load(Ordering::Relaxed), round * 10);
            for task in tasks {
                assert_eq!(state(task), "UNKNOWN");
                assert_eq!(unsafe { llam_task_id(task.raw()) }, 0);
            }
        }
        destroy(group);
    });
}

#[test]
fn borrowed_children_cannot_be_joined_or_detached() {
    let live = live();
    let group = group();
    let task = child(group, || unsafe {
        let me = llam_current_task();
        fails!(llam_join(me), EBUSY);
        fails!(llam_join_until(me, 0), EBUSY);
        fails!(llam_detach(me), EBUSY);
    });
    let refused = move || unsafe {
        fails!(llam_join(task.raw()), EBUSY);
        fails!(llam_join_until(task.raw(), 0), EBUSY);
        fails!(llam_detach(task.raw()), EBUSY);
        assert_ne!(llam_task_id(task.raw()), 0);
    };
    refused();
    in_task(&live, refused);
    assert_eq!(state(task), "DEAD");
    refused();
    join_group(group);
    fails!(unsafe { llam_detach(task.raw()) }, EINVAL);
    destroy(group);
}

#[test]
fn join_of_ended_children_ignores_the_deadline() {
    run_in_task(|| {
        let group = group();
        let tasks: Vec<Task> = (0..5).map(|_| child(group, || {})).collect();
        tasks.into_iter().for_each(await_end);
        ok!(unsafe { llam_task_group_join_until(group.raw(), 0) });
        destroy(group);
    });
}

#[test]
fn a_timed_out_join_keeps_the_rest_of_the_children() {
    run_in_task(|| unsafe {
        let group = group();
        let channel = chan(1);
        let first = child(group, || {});
        let second = child(group, move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        let third = child(group, || {});
        await_end(first);
        await_end(third);
        fails!(
            llam_task_group_join_until(group.raw(), after_ms(5)),
            ETIMEDOUT
        );
        assert_eq!(state(first), "UNKNOWN");
        assert_ne!(state(second), "UNKNOWN");
        assert_eq!(state(third), "DEAD");
        fails!(llam_task_group_destroy(group.raw()), EBUSY);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join_group(group);
        assert_eq!(state(third), "UNKNOWN");
        destroy(group);
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn a_cancelled_join_keeps_the_children() {
    run_in_task(|| {
        let group = group();
        child(group, || ok!(unsafe { llam_sleep_ns(30 * MS) }));
        in_cancelled_task(move || fails!(unsafe { llam_task_group_join(group.raw()) }, ECANCELED));
        join_group(group);
        in_cancelled_task(move || ok!(unsafe { llam_task_group_join(group.raw()) }));
        destroy(group);
    });
}

#[test]
fn destroy_with_unjoined_children_is_ebusy_even_when_they_ended() {
    run_in_task(|| {
        let group = group();
        let task = child(group, || {});
        fails!(unsafe { llam_task_group_destroy(group.raw()) }, EBUSY);
        await_end(task);
        fails!(unsafe { llam_task_group_destroy(group.raw()) }, EBUSY);
        join_group(group);
        destroy(group);
    });
}

#[test]
fn cancel_reaches_children_now_and_later() {
    run_in_task(|| unsafe {
        let group = group();
        let parked = child(group, || fails!(llam_sleep_until(FOREVER), ECANCELED));
        await_parked(parked);
        ok!(llam_task_group_cancel(group.raw()));
        ok!(llam_task_group_cancel(group.raw()));
        child(group, || fails!(llam_sleep_until(FOREVER), ECANCELED));
        join_group(group);
        child(group, || fails!(llam_sleep_ns(MS), ECANCELED));
        join_group(group);
        destroy(group);
    });
}

#[test]
fn cancel_spares_children_with_a_token_of_their_own() {
    run_in_task(|| unsafe {
        let group = group();
        let token = token();
        let channel = chan(1);
        let task = child_with(group, token, move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        await_parked(task);
        ok!(llam_task_group_cancel(group.raw()));
        ok!(llam_sleep_ns(5 * MS));
        assert_eq!(state(task), "PARKED");
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join_group(group);
        fails!(llam_task_group_destroy(null_mut()), EINVAL);
        ok!(llam_cancel_token_destroy(token.raw()));
        destroy(group);
    });
}

#[test]
fn the_explicit_token_of_a_child_cancels_it() {
    run_in_task(|| unsafe {
        let group = group();
        let token = token();
        let task = child_with(group, token, || {
            fails!(llam_sleep_until(FOREVER), ECANCELED)
        });
        await_parked(task);
        ok!(llam_cancel_token_cancel(token.raw()));
        fails!(llam_cancel_token_destroy(token.raw()), EBUSY);
        join_group(group);
        ok!(llam_cancel_token_destroy(token.raw()));
        destroy(group);
    });
}

#[test]
fn during_a_join_only_cancel_works() {
    run_in_task(|| unsafe {
        let group = group();
        let waiting = child(group, || fails!(llam_sleep_until(FOREVER), ECANCELED));
        await_parked(waiting);
        let joiner = spawn(move || join_group(group));
        await_parked(joiner);
        fails!(
            llam_task_group_spawn_ex(group.raw(), Some(nothing), null_mut(), null(), 0),
            EBUSY
        );
        fails!(llam_task_group_join(group.raw()), EBUSY);
        fails!(llam_task_group_join_until(group.raw(), 0), EBUSY);
        fails!(llam_task_group_destroy(group.raw()), EBUSY);
        ok!(llam_task_group_cancel(group.raw()));
        join(joiner);
        destroy(group);
    });
}

#[test]
fn a_child_that_joins_its_own_group_is_edeadlk() {
    run_in_task(|| unsafe {
        let group = group();
        let task = child(group, move || {
            fails!(llam_task_group_join(group.raw()), EDEADLK);
            fails!(llam_task_group_join_until(group.raw(), 0), EDEADLK);
        });
        await_end(task);
        join_group(group);
        destroy(group);
    });
}

#[test]
fn a_child_that_joins_while_the_parent_does_is_ebusy() {
    run_in_task(|| unsafe {
        let group = group();
        let channel = chan(1);
        child(group, move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
            fails!(llam_task_group_join(group.raw()), EBUSY);
        });
        let joiner = spawn(move || join_group(group));
        await_parked(joiner);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(joiner);
        destroy(group);
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn a_host_thread_joins_a_group_while_another_runs() {
    let live = live();
    let group = group();
    let done = Arc::new(AtomicU32::new(0));
    for _ in 0..5 {
        let done = Arc::clone(&done);
        child(group, move || {
            ok!(unsafe { llam_sleep_ns(5 * MS) });
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    live.run_beside(|| join_group(group));
    assert_eq!(done.load(Ordering::Relaxed), 5);
    destroy(group);
}

#[test]
fn with_nobody_running_a_timed_host_join_times_out() {
    let live = live();
    let group = group();
    child(group, || {});
    fails!(
        unsafe { llam_task_group_join_until(group.raw(), after_ms(10)) },
        ETIMEDOUT
    );
    live.run();
    ok!(unsafe { llam_task_group_join_until(group.raw(), 0) });
    destroy(group);
}

#[test]
fn several_threads_spawn_into_one_group() {
    let live = live();
    let group = group();
    let done = Arc::new(AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let done = Arc::clone(&done);
                    child(group, move || done.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
    });
    live.run();
    join_group(group);
    assert_eq!(done.load(Ordering::Relaxed), 200);
    destroy(group);
}

#[test]
fn a_host_thread_cancels_a_group() {
    let live = live();
    let group = group();
    let task = child(group, || {
        fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED)
    });
    live.run_beside(|| {
        await_parked(task);
        ok!(unsafe { llam_task_group_cancel(group.raw()) });
    });
    join_group(group);
    destroy(group);
}

#[test]
fn an_idle_child_is_dropped_with_its_runtime() {
    let serial_live = live();
    let group = group();
    let task = child(group, || {});
    drop(serial_live);
    assert_eq!(state(task), "UNKNOWN");
    destroy(group);
}
