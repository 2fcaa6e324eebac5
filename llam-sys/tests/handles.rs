//! Handles: rule R1 of `abi.md` 4.0. Null, forged, stale and mistaken handles of every kind.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::collections::BTreeSet;
use std::ptr::{null, null_mut};

use common::*;
use core::ffi::c_void;
use libc::EINVAL;
use llam_sys::*;

/// Calls every function that takes a handle with this value and requires `EINVAL`, in a task and on
/// a host thread. `kinds` says which kinds the value must not be tried as, because it is one.
fn refused_everywhere(value: usize, is: &str) {
    let raw = word(value);
    if is != "mutex" {
        refused_as_mutex(raw.cast());
    }
    if is != "cond" {
        refused_as_cond(raw.cast());
    }
    if is != "channel" {
        refused_as_channel(raw.cast());
    }
    if is != "token" {
        refused_as_token(raw.cast());
    }
    if is != "group" {
        refused_as_group(raw.cast());
    }
    if is != "timer" {
        refused_as_timer(raw.cast());
    }
    if is != "set" {
        refused_as_signal_set(raw.cast());
    }
    if is != "task" {
        refused_as_task(raw.cast());
    }
    if is != "buffer" {
        refused_as_buffer(raw.cast());
    }
    if is != "runtime" {
        refused_as_runtime(raw.cast());
    }
}

fn refused_as_mutex(mutex: *mut llam_mutex_t) {
    unsafe {
        fails!(llam_mutex_lock(mutex), EINVAL);
        fails!(llam_mutex_lock_until(mutex, 0), EINVAL);
        fails!(llam_mutex_trylock(mutex), EINVAL);
        fails!(llam_mutex_unlock(mutex), EINVAL);
        fails!(llam_mutex_destroy(mutex), EINVAL);
    }
}

fn refused_as_cond(cond: *mut llam_cond_t) {
    unsafe {
        let mutex = mutex();
        fails!(llam_cond_wait(cond, mutex.raw()), EINVAL);
        fails!(llam_cond_wait_until(cond, mutex.raw(), 0), EINVAL);
        fails!(llam_cond_signal(cond), EINVAL);
        fails!(llam_cond_broadcast(cond), EINVAL);
        fails!(llam_cond_destroy(cond), EINVAL);
        ok!(llam_mutex_destroy(mutex.raw()));
    }
}

fn refused_as_channel(channel: *mut llam_channel_t) {
    unsafe {
        let mut out = word(1);
        fails!(llam_channel_send(channel, null_mut()), EINVAL);
        fails!(llam_channel_send_until(channel, null_mut(), 0), EINVAL);
        fails!(llam_channel_try_send(channel, null_mut()), EINVAL);
        fails!(llam_channel_recv_result(channel, &mut out), EINVAL);
        fails!(llam_channel_recv_until_result(channel, 0, &mut out), EINVAL);
        fails!(llam_channel_try_recv_result(channel, &mut out), EINVAL);
        fails!(llam_channel_recv(channel), EINVAL);
        fails!(llam_channel_recv_until(channel, 0), EINVAL);
        fails!(llam_channel_close(channel), EINVAL);
        fails!(llam_channel_destroy(channel), EINVAL);
        if is_task() {
            let mut arm = llam_select_op_t {
                kind: LLAM_SELECT_OP_SEND,
                reserved0: 0,
                channel,
                send_value: null_mut(),
                recv_out: null_mut(),
                result_errno: 0,
            };
            let mut index = 0;
            fails!(llam_channel_select(&mut arm, 1, 0, &mut index), EINVAL);
        }
    }
}

fn refused_as_token(token: *mut llam_cancel_token_t) {
    unsafe {
        fails!(llam_cancel_token_cancel(token), EINVAL);
        fails!(llam_cancel_token_is_cancelled(token), EINVAL);
        fails!(llam_cancel_token_destroy(token), EINVAL);
        if !token.is_null() {
            let mut opts = spawn_opts();
            opts.cancel_token = token;
            fails!(llam_spawn_ex(Some(nothing), null_mut(), &opts, 32), EINVAL);
        }
    }
}

fn refused_as_group(group: *mut llam_task_group_t) {
    unsafe {
        fails!(
            llam_task_group_spawn_ex(group, Some(nothing), null_mut(), null(), 0),
            EINVAL
        );
        fails!(llam_task_group_cancel(group), EINVAL);
        fails!(llam_task_group_join(group), EINVAL);
        fails!(llam_task_group_join_until(group, 0), EINVAL);
        fails!(llam_task_group_destroy(group), EINVAL);
    }
}

fn refused_as_timer(timer: *mut llam_timer_t) {
    unsafe {
        let mut ticks = 0;
        fails!(llam_timer_wait(timer, &mut ticks), EINVAL);
        fails!(llam_timer_wait_until(timer, 1, &mut ticks), EINVAL);
        fails!(llam_timer_reset(timer, 0, MS), EINVAL);
        fails!(llam_timer_cancel(timer), EINVAL);
        fails!(llam_timer_destroy(timer), EINVAL);
    }
}

fn refused_as_signal_set(set: *mut llam_signal_set_t) {
    unsafe {
        let mut event: llam_signal_event_t = std::mem::zeroed();
        fails!(llam_signal_wait(set, &mut event), EINVAL);
        fails!(llam_signal_wait_until(set, 0, &mut event), EINVAL);
        fails!(llam_signal_set_destroy(set), EINVAL);
    }
}

fn refused_as_task(task: *mut llam_task_t) {
    unsafe {
        fails!(llam_join(task), EINVAL);
        fails!(llam_join_until(task, 0), EINVAL);
        fails!(llam_detach(task), EINVAL);
        assert_eq!(llam_task_id(task), 0);
        assert_eq!(llam_task_class(task), 1);
        assert_eq!(llam_task_flags(task), 0);
        let name = std::ffi::CStr::from_ptr(llam_task_state_name(task));
        assert_eq!(name, c"UNKNOWN");
    }
}

fn refused_as_buffer(buffer: *mut llam_io_buffer_t) {
    unsafe {
        fails!(llam_io_buffer_data(buffer), EINVAL);
        set_errno(0);
        assert_eq!(llam_io_buffer_size(buffer), 0);
        assert_eq!(errno(), EINVAL);
        set_errno(0);
        assert_eq!(llam_io_buffer_capacity(buffer), 0);
        assert_eq!(errno(), EINVAL);
        llam_io_buffer_release(buffer);
    }
}

fn refused_as_runtime(runtime: *mut llam_runtime_t) {
    unsafe {
        fails!(llam_runtime_run_handle(runtime), EINVAL);
        fails!(
            llam_runtime_spawn_ex(runtime, Some(nothing), null_mut(), null(), 0),
            EINVAL
        );
        let mut stats = std::mem::MaybeUninit::<llam_runtime_stats_t>::uninit();
        fails!(
            llam_runtime_collect_stats_ex_handle(runtime, stats.as_mut_ptr(), 384),
            EINVAL
        );
        if !runtime.is_null() {
            llam_runtime_destroy(runtime);
        }
    }
}

/// One live object of every kind, by name and value. The task waits on the channel.
fn one_of_each() -> Vec<(&'static str, usize)> {
    unsafe {
        let mut timer = null_mut();
        ok!(llam_timer_create(MS, &mut timer));
        let mut buffer = null_mut();
        ok!(llam_io_buffer_alloc(10, &mut buffer));
        let mut set = null_mut();
        let signo = libc::SIGUSR2;
        ok!(llam_signal_set_create_ex(&signo, 1, null(), 0, &mut set));
        let mut runtime = null_mut();
        ok!(llam_runtime_create(null(), 0, &mut runtime));
        vec![
            ("mutex", mutex().raw().addr()),
            ("cond", cond().raw().addr()),
            ("channel", chan(1).raw().addr()),
            ("token", token().raw().addr()),
            ("group", group().raw().addr()),
            ("timer", timer.addr()),
            ("set", set.addr()),
            ("task", spawn(|| {}).raw().addr()),
            ("buffer", buffer.addr()),
            ("runtime", runtime.addr()),
        ]
    }
}

/// Ends the objects of [`one_of_each`]; the task must have been run.
fn end_each(objects: &[(&'static str, usize)]) {
    for (kind, value) in objects {
        let raw: *mut c_void = word(*value);
        unsafe {
            match *kind {
                "mutex" => ok!(llam_mutex_destroy(raw.cast())),
                "cond" => ok!(llam_cond_destroy(raw.cast())),
                "channel" => ok!(llam_channel_destroy(raw.cast())),
                "token" => ok!(llam_cancel_token_destroy(raw.cast())),
                "group" => ok!(llam_task_group_destroy(raw.cast())),
                "timer" => ok!(llam_timer_destroy(raw.cast())),
                "set" => ok!(llam_signal_set_destroy(raw.cast())),
                "task" => ok!(llam_join(raw.cast())),
                "buffer" => {
                    llam_io_buffer_release(raw.cast());
                    0
                }
                _ => {
                    llam_runtime_destroy(raw.cast());
                    0
                }
            }
        };
    }
}

#[test]
fn null_is_refused_by_everything() {
    let live = live();
    refused_everywhere(0, "");
    in_task(&live, || refused_everywhere(0, ""));
}

#[test]
fn values_that_were_never_handed_out_are_refused() {
    let live = live();
    let check = || {
        let on_stack = 5_u64;
        let forged = [
            1,
            2,
            7,
            8,
            0x1000,
            0xDEAD_BEEF,
            usize::MAX,
            usize::MAX / 2 + 1,
            isize::MAX as usize,
            (&raw const on_stack).addr(),
            (&raw const on_stack).addr() + 3,
        ];
        for value in forged {
            refused_everywhere(value, "");
        }
    };
    check();
    in_task(&live, check);
}

#[test]
fn neighbours_of_live_handles_are_refused() {
    let live = live();
    let mut objects = one_of_each();
    // A group has a token inside, whose value is a neighbour of the token's.
    let group = objects
        .iter()
        .position(|(kind, _)| *kind == "group")
        .expect("there is one");
    end_each(&[objects.remove(group)]);
    let taken: BTreeSet<usize> = objects.iter().map(|(_, value)| *value).collect();
    let check = move || {
        for value in &taken {
            for bit in 0..usize::BITS {
                let near = value ^ (1 << bit);
                if !taken.contains(&near) && near != unsafe { llam_runtime_default() }.addr() {
                    refused_everywhere(near, "");
                }
            }
        }
    };
    check();
    live.run();
    end_each(&objects);
}

#[test]
fn a_handle_of_one_kind_is_refused_as_any_other() {
    let live = live();
    let objects = one_of_each();
    let mut values: Vec<usize> = objects.iter().map(|(_, value)| *value).collect();
    values.push(unsafe { llam_runtime_default() }.addr());
    let distinct: BTreeSet<usize> = values.iter().copied().collect();
    assert_eq!(
        distinct.len(),
        values.len(),
        "live handles of two kinds are equal"
    );
    let tried = objects.clone();
    for (kind, value) in &tried {
        refused_everywhere(*value, kind);
    }
    in_task(&live, move || {
        for (kind, value) in tried {
            if kind != "task" {
                refused_everywhere(value, kind);
            }
        }
        refused_everywhere(unsafe { llam_current_task() }.addr(), "task");
    });
    end_each(&objects);
}

#[test]
fn dead_handles_are_refused_while_new_objects_come_and_go() {
    let live = live();
    let dead = one_of_each();
    live.run();
    end_each(&dead);
    for _ in 0..64 {
        let newer = one_of_each();
        for (_, value) in &dead {
            refused_everywhere(*value, "");
        }
        live.run();
        end_each(&newer);
    }
    in_task(&live, move || {
        for (_, value) in dead {
            refused_everywhere(value, "");
        }
    });
}

#[test]
fn dead_handles_are_refused_after_shutdown_and_init() {
    let first = live();
    let dead = one_of_each();
    first.run();
    end_each(&dead);
    drop(first);
    for _ in 0..3 {
        let live = live();
        for (_, value) in &dead {
            refused_everywhere(*value, "");
        }
        let dead = dead.clone();
        in_task(&live, move || {
            for (_, value) in dead {
                refused_everywhere(value, "");
            }
        });
    }
}

#[test]
fn values_are_not_given_out_again_soon() {
    let _live = live();
    let mut seen = BTreeSet::new();
    for _ in 0..64 {
        let channel = chan(1);
        assert!(
            seen.insert(channel.raw().addr()),
            "a dead value was given out again"
        );
        ok!(unsafe { llam_channel_destroy(channel.raw()) });
    }
}

#[test]
fn joined_task_values_are_not_given_out_again_soon() {
    run_in_task(|| {
        let mut seen = BTreeSet::new();
        for _ in 0..64 {
            let task = spawn(|| {});
            assert!(
                seen.insert(task.raw().addr()),
                "a dead value was given out again"
            );
            join(task);
        }
    });
}

#[test]
fn destroy_that_races_with_use_never_crashes() {
    let live = live();
    for _ in 0..100 {
        let channel = chan(1);
        let task = spawn(move || unsafe {
            for _ in 0..20 {
                let mut out = null_mut();
                let code = llam_channel_try_recv_result(channel.raw(), &mut out);
                assert!(
                    code == 0 || [libc::EAGAIN, EINVAL].contains(&errno()),
                    "{}",
                    errno()
                );
                llam_yield();
            }
        });
        live.run_beside(|| {
            eventually("destroy succeeds", || unsafe {
                let code = llam_channel_destroy(channel.raw());
                assert!(code == 0 || errno() == libc::EBUSY, "{}", errno());
                code == 0
            });
        });
        join(task);
    }
}
