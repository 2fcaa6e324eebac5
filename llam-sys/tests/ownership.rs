//! Who may use which object: rules R2 and R4 of `abi.md` 4.0.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};

use common::*;
use libc::{EAGAIN, EINVAL, ENOTSUP, EXDEV};
use llam_sys::*;

/// One object of every kind that has an owner.
#[derive(Clone, Copy)]
struct Objects {
    mutex: H<llam_mutex_t>,
    cond: H<llam_cond_t>,
    channel: H<llam_channel_t>,
    token: H<llam_cancel_token_t>,
    group: H<llam_task_group_t>,
    timer: H<llam_timer_t>,
    task: Task,
}

impl Objects {
    /// Creates them, owned as the caller is; the channel holds one value.
    fn create(runtime: *mut llam_runtime_t) -> Self {
        let mut timer = null_mut();
        ok!(unsafe { llam_timer_create(3_600_000 * MS, &mut timer) });
        let channel = chan(1);
        if is_task() {
            ok!(unsafe { llam_channel_send(channel.raw(), word(1)) });
        } else {
            ok!(unsafe { llam_channel_try_send(channel.raw(), word(1)) });
        }
        let task = unsafe { llam_runtime_spawn_ex(runtime, Some(nothing), null_mut(), null(), 0) };
        Objects {
            mutex: mutex(),
            cond: cond(),
            channel,
            token: token(),
            group: group(),
            timer: H::new(timer),
            task: H::new(task),
        }
    }

    /// Every cleanup call works.
    fn destroy(self) {
        unsafe {
            ok!(llam_mutex_destroy(self.mutex.raw()));
            ok!(llam_cond_destroy(self.cond.raw()));
            let mut out = null_mut();
            if llam_channel_try_recv_result(self.channel.raw(), &mut out) == 0 {
                assert_eq!(out, word(1));
            }
            ok!(llam_channel_close(self.channel.raw()));
            ok!(llam_channel_destroy(self.channel.raw()));
            ok!(llam_cancel_token_destroy(self.token.raw()));
            ok!(llam_task_group_destroy(self.group.raw()));
            ok!(llam_timer_destroy(self.timer.raw()));
        }
    }
}

/// From a task of another runtime every operation fails with `EXDEV`.
fn every_operation_is_exdev(objects: Objects) {
    let Objects {
        mutex,
        cond,
        channel,
        token,
        group,
        timer,
        task,
    } = objects;
    let (mutex, cond, channel) = (mutex.raw(), cond.raw(), channel.raw());
    let mut out = null_mut();
    let mut ticks = 0;
    unsafe {
        fails!(llam_mutex_lock(mutex), EXDEV);
        fails!(llam_mutex_lock_until(mutex, 0), EXDEV);
        fails!(llam_mutex_trylock(mutex), EXDEV);
        fails!(llam_mutex_unlock(mutex), EXDEV);
        fails!(llam_mutex_destroy(mutex), EXDEV);
        fails!(llam_cond_signal(cond), EXDEV);
        fails!(llam_cond_broadcast(cond), EXDEV);
        fails!(llam_cond_destroy(cond), EXDEV);
        fails!(llam_channel_send(channel, null_mut()), EXDEV);
        fails!(llam_channel_send_until(channel, null_mut(), 0), EXDEV);
        fails!(llam_channel_try_send(channel, null_mut()), EXDEV);
        fails!(llam_channel_recv_result(channel, &mut out), EXDEV);
        fails!(llam_channel_recv_until_result(channel, 0, &mut out), EXDEV);
        fails!(llam_channel_try_recv_result(channel, &mut out), EXDEV);
        fails!(llam_channel_recv(channel), EXDEV);
        fails!(llam_channel_recv_until(channel, 0), EXDEV);
        fails!(llam_channel_close(channel), EXDEV);
        fails!(llam_channel_destroy(channel), EXDEV);
        fails!(llam_cancel_token_cancel(token.raw()), EXDEV);
        fails!(llam_cancel_token_is_cancelled(token.raw()), EXDEV);
        fails!(llam_cancel_token_destroy(token.raw()), EXDEV);
        fails!(
            llam_task_group_spawn_ex(group.raw(), Some(nothing), null_mut(), null(), 0),
            EXDEV
        );
        fails!(llam_task_group_cancel(group.raw()), EXDEV);
        fails!(llam_task_group_join(group.raw()), EXDEV);
        fails!(llam_task_group_join_until(group.raw(), 0), EXDEV);
        fails!(llam_task_group_destroy(group.raw()), EXDEV);
        fails!(llam_timer_wait(timer.raw(), &mut ticks), EXDEV);
        fails!(llam_timer_wait_until(timer.raw(), 1, &mut ticks), EXDEV);
        fails!(llam_timer_reset(timer.raw(), 0, MS), EXDEV);
        fails!(llam_timer_cancel(timer.raw()), EXDEV);
        fails!(llam_timer_destroy(timer.raw()), EXDEV);
        fails!(llam_join(task.raw()), EXDEV);
        fails!(llam_join_until(task.raw(), 0), EXDEV);
        fails!(llam_detach(task.raw()), EXDEV);
        assert_eq!(llam_task_id(task.raw()), 0);
        assert_eq!(state(task), "UNKNOWN");
        assert_eq!(llam_task_class(task.raw()), 1);
        assert_eq!(llam_task_flags(task.raw()), 0);
    }
}

/// A condition and a mutex of which one is foreign.
fn mixed_waits_are_exdev(foreign: Objects) {
    let (own_mutex, own_cond) = (mutex(), cond());
    unsafe {
        ok!(llam_mutex_lock(own_mutex.raw()));
        fails!(
            llam_cond_wait_until(foreign.cond.raw(), own_mutex.raw(), 0),
            EXDEV
        );
        ok!(llam_mutex_unlock(own_mutex.raw()));
        fails!(
            llam_cond_wait_until(own_cond.raw(), foreign.mutex.raw(), 0),
            EXDEV
        );
        ok!(llam_mutex_destroy(own_mutex.raw()));
        ok!(llam_cond_destroy(own_cond.raw()));
    }
}

/// A select whose first arm is ready and whose second is foreign performs nothing.
fn a_foreign_arm_prevents_the_select(foreign: Objects) {
    let own = chan(1);
    let arm = |channel: H<llam_channel_t>| llam_select_op_t {
        kind: LLAM_SELECT_OP_SEND,
        reserved0: 0,
        channel: channel.raw(),
        send_value: word(1),
        recv_out: null_mut(),
        result_errno: 5,
    };
    let mut arms = [arm(own), arm(foreign.channel)];
    let mut index = 9;
    unsafe {
        fails!(
            llam_channel_select(arms.as_mut_ptr(), 2, 0, &mut index),
            EXDEV
        );
        assert_eq!(
            (index, arms[0].result_errno, arms[1].result_errno),
            (9, 0, 0)
        );
        let mut out = null_mut();
        fails!(llam_channel_try_recv_result(own.raw(), &mut out), EAGAIN);
        ok!(llam_channel_destroy(own.raw()));
    }
}

#[test]
fn a_task_cannot_touch_objects_of_the_default_runtime() {
    let live = live();
    let runtime = Runtime::create();
    let objects = Objects::create(unsafe { llam_runtime_default() });
    runtime.in_task(move || {
        every_operation_is_exdev(objects);
        mixed_waits_are_exdev(objects);
        a_foreign_arm_prevents_the_select(objects);
    });
    live.run();
    ok!(unsafe { llam_join(objects.task.raw()) });
    objects.destroy();
}

#[test]
fn a_task_cannot_touch_objects_of_an_explicit_runtime() {
    let live = live();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    let objects = runtime.in_task(move || Objects::create(handle.raw()));
    in_task(&live, move || {
        every_operation_is_exdev(objects);
        mixed_waits_are_exdev(objects);
        a_foreign_arm_prevents_the_select(objects);
    });
    let other = Runtime::create();
    other.in_task(move || every_operation_is_exdev(objects));
    ok!(unsafe { llam_join(objects.task.raw()) });
    runtime.in_task(move || objects.destroy());
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_cannot_touch_signal_sets_of_another_runtime() {
    let live = live();
    let runtime = Runtime::create();
    let signo = libc::SIGUSR2;
    let mut set = null_mut();
    ok!(unsafe { llam_signal_set_create_ex(&signo, 1, null(), 0, &mut set) });
    let set = H::new(set);
    runtime.in_task(move || unsafe {
        let mut event: llam_signal_event_t = std::mem::zeroed();
        fails!(llam_signal_wait(set.raw(), &mut event), EXDEV);
        fails!(llam_signal_wait_until(set.raw(), 0, &mut event), EXDEV);
        fails!(llam_signal_set_destroy(set.raw()), EXDEV);
    });
    in_task(&live, || {});
    ok!(unsafe { llam_signal_set_destroy(set.raw()) });
}

#[test]
fn a_token_in_the_options_must_have_the_same_owner() {
    let live = live();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    let host_token = token();
    let their_token = runtime.in_task(token);
    unsafe {
        // From a host thread.
        let opts = with_token(host_token);
        fails!(
            llam_runtime_spawn_ex(handle.raw(), Some(nothing), null_mut(), &opts, 32),
            EXDEV
        );
        let opts = with_token(their_token);
        fails!(llam_spawn_ex(Some(nothing), null_mut(), &opts, 32), EXDEV);
        let group = group();
        fails!(
            llam_task_group_spawn_ex(group.raw(), Some(nothing), null_mut(), &opts, 32),
            EXDEV
        );
        ok!(llam_task_group_destroy(group.raw()));
        let task = llam_runtime_spawn_ex(handle.raw(), Some(nothing), null_mut(), &opts, 32);
        assert!(!task.is_null(), "a token of that runtime is accepted");
        runtime.run();
        ok!(llam_join(task));
        // A failed spawn has left no reference.
        ok!(llam_cancel_token_destroy(their_token.raw()));
    }
    runtime.in_task(move || unsafe {
        let opts = with_token(host_token);
        fails!(llam_spawn_ex(Some(nothing), null_mut(), &opts, 32), EXDEV);
    });
    in_task(&live, move || unsafe {
        let opts = with_token(host_token);
        let task = ok!(llam_spawn_ex(Some(nothing), null_mut(), &opts, 32));
        join(H::new(task));
    });
    ok!(unsafe { llam_cancel_token_destroy(host_token.raw()) });
}

#[test]
fn a_host_thread_may_use_objects_of_a_live_explicit_runtime() {
    let _serial = serial();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    let objects = runtime.in_task(move || Objects::create(handle.raw()));
    runtime.run();
    unsafe {
        let mut out = null_mut();
        ok!(llam_channel_try_recv_result(
            objects.channel.raw(),
            &mut out
        ));
        fails!(
            llam_channel_try_recv_result(objects.channel.raw(), &mut out),
            EAGAIN
        );
        ok!(llam_channel_try_send(objects.channel.raw(), word(1)));
        ok!(llam_cond_signal(objects.cond.raw()));
        ok!(llam_cond_broadcast(objects.cond.raw()));
        assert_eq!(llam_cancel_token_is_cancelled(objects.token.raw()), 0);
        ok!(llam_cancel_token_cancel(objects.token.raw()));
        ok!(llam_task_group_cancel(objects.group.raw()));
        ok!(llam_task_group_join(objects.group.raw()));
        ok!(llam_timer_reset(objects.timer.raw(), 0, MS));
        let mut ticks = 0;
        ok!(llam_timer_wait(objects.timer.raw(), &mut ticks));
        ok!(llam_timer_cancel(objects.timer.raw()));
        ok!(llam_join(objects.task.raw()));
    }
    objects.destroy();
}

#[test]
fn after_destroy_only_cleanup_is_left() {
    let _serial = serial();
    let runtime = Runtime::create();
    let handle = runtime.handle;
    let (objects, empty) = runtime.in_task(move || (Objects::create(handle.raw()), chan(1)));
    drop(runtime);
    unsafe {
        let mut out = null_mut();
        let mut ticks = 0;
        fails!(llam_channel_try_send(empty.raw(), null_mut()), EXDEV);
        fails!(llam_channel_try_recv_result(empty.raw(), &mut out), ENOTSUP);
        fails!(llam_cond_signal(objects.cond.raw()), EXDEV);
        fails!(llam_cond_broadcast(objects.cond.raw()), EXDEV);
        fails!(llam_cancel_token_cancel(objects.token.raw()), EXDEV);
        fails!(llam_cancel_token_is_cancelled(objects.token.raw()), EXDEV);
        fails!(llam_timer_wait(objects.timer.raw(), &mut ticks), EXDEV);
        fails!(llam_timer_reset(objects.timer.raw(), 0, MS), EXDEV);
        fails!(llam_timer_cancel(objects.timer.raw()), EXDEV);
        fails!(
            llam_task_group_spawn_ex(objects.group.raw(), Some(nothing), null_mut(), null(), 0),
            EXDEV
        );
        fails!(llam_task_group_cancel(objects.group.raw()), EXDEV);
        fails!(llam_task_group_join(objects.group.raw()), EXDEV);
        fails!(llam_task_group_join_until(objects.group.raw(), 0), EXDEV);
        fails!(llam_join(objects.task.raw()), EINVAL);
        ok!(llam_channel_destroy(empty.raw()));
    }
    objects.destroy();
}

#[test]
fn without_a_live_default_runtime() {
    let serial_live = live();
    let objects = Objects::create(unsafe { llam_runtime_default() });
    drop(serial_live);
    let _serial = serial();
    unsafe {
        let mut ticks = 0;
        let empty = chan(1);
        let mut out = null_mut();
        fails!(llam_channel_try_send(empty.raw(), null_mut()), ENOTSUP);
        fails!(llam_channel_try_recv_result(empty.raw(), &mut out), ENOTSUP);
        fails!(llam_cond_signal(objects.cond.raw()), ENOTSUP);
        fails!(llam_cond_broadcast(objects.cond.raw()), ENOTSUP);
        assert_eq!(llam_cancel_token_is_cancelled(objects.token.raw()), 0);
        ok!(llam_cancel_token_cancel(objects.token.raw()));
        assert_eq!(llam_cancel_token_is_cancelled(objects.token.raw()), 1);
        fails!(llam_timer_wait(objects.timer.raw(), &mut ticks), EINVAL);
        fails!(
            llam_timer_wait_until(objects.timer.raw(), 1, &mut ticks),
            EINVAL
        );
        fails!(llam_timer_reset(objects.timer.raw(), 0, MS), EINVAL);
        fails!(llam_timer_cancel(objects.timer.raw()), EINVAL);
        fails!(
            llam_task_group_spawn_ex(objects.group.raw(), Some(nothing), null_mut(), null(), 0),
            EINVAL
        );
        ok!(llam_task_group_cancel(objects.group.raw()));
        ok!(llam_task_group_join(objects.group.raw()));
        ok!(llam_task_group_join_until(objects.group.raw(), 0));
        ok!(llam_channel_destroy(empty.raw()));
    }
    objects.destroy();
}

#[test]
fn objects_made_by_a_host_thread_serve_every_life_of_the_default_runtime() {
    let channel = chan(1);
    for round in 0..3 {
        run_in_task(move || unsafe {
            ok!(llam_channel_send(channel.raw(), word(round)));
            assert_eq!(llam_channel_recv(channel.raw()), word(round));
        });
    }
    ok!(unsafe { llam_channel_destroy(channel.raw()) });
}

#[test]
fn objects_made_by_a_callback_belong_to_the_default_runtime() {
    unsafe extern "C" fn create(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        unsafe { llam_channel_create(1).cast() }
    }
    let _live = live();
    let runtime = Runtime::create();
    let channel = runtime.in_task(|| unsafe {
        let channel: *mut llam_channel_t = llam_call_blocking(Some(create), null_mut()).cast();
        fails!(llam_channel_send(channel, word(1)), EXDEV);
        H::new(channel)
    });
    ok!(unsafe { llam_channel_destroy(channel.raw()) });
}
