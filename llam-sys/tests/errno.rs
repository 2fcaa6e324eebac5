//! errno: rule R8 of `abi.md` 4.0. It travels with the task and success leaves it alone.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use llam_sys::*;

#[test]
fn a_new_task_sees_0() {
    let live = live();
    set_errno(12);
    in_task(&live, || {
        assert_eq!(errno(), 0);
        set_errno(34);
        join(spawn(|| assert_eq!(errno(), 0)));
        assert_eq!(errno(), 34);
    });
}

#[test]
fn values_of_tasks_do_not_mix() {
    run_in_task(|| {
        let tasks: Vec<Task> = (1000..1050)
            .map(|number| {
                spawn(move || {
                    set_errno(number);
                    for round in 0..20 {
                        if round % 3 == 0 {
                            ok!(unsafe { llam_sleep_ns(MS / 20) });
                        } else {
                            unsafe { llam_yield() };
                        }
                        assert_eq!(errno(), number);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(join);
    });
}

#[test]
fn failures_of_one_task_are_not_seen_by_another() {
    run_in_task(|| {
        set_errno(500);
        let failing = spawn(|| {
            for _ in 0..20 {
                fails!(unsafe { llam_join(null_mut()) }, libc::EINVAL);
                unsafe { llam_yield() };
            }
        });
        for _ in 0..20 {
            unsafe { llam_yield() };
            assert_eq!(errno(), 500);
        }
        join(failing);
    });
}

#[test]
fn calls_that_complete_at_once_keep_it() {
    run_in_task(|| unsafe {
        set_errno(77);
        llam_yield();
        llam_task_safepoint();
        assert_eq!(errno(), 77);
        keeps_errno!(llam_sleep_ns(0));
        keeps_errno!(llam_sleep_until(1));
        let mutex = keeps_errno!(llam_mutex_create());
        keeps_errno!(llam_mutex_lock(mutex));
        keeps_errno!(llam_mutex_unlock(mutex));
        keeps_errno!(llam_mutex_trylock(mutex));
        keeps_errno!(llam_mutex_unlock(mutex));
        keeps_errno!(llam_mutex_destroy(mutex));
        let cond = keeps_errno!(llam_cond_create());
        keeps_errno!(llam_cond_signal(cond));
        keeps_errno!(llam_cond_broadcast(cond));
        keeps_errno!(llam_cond_destroy(cond));
        let channel = keeps_errno!(llam_channel_create(100));
        let mut out = null_mut();
        keeps_errno!(llam_channel_send(channel, word(1)));
        keeps_errno!(llam_channel_try_send(channel, word(2)));
        keeps_errno!(llam_channel_recv_result(channel, &mut out));
        keeps_errno!(llam_channel_try_recv_result(channel, &mut out));
        keeps_errno!(llam_channel_send(channel, word(3)));
        keeps_errno!(llam_channel_recv(channel));
        keeps_errno!(llam_channel_close(channel));
        keeps_errno!(llam_channel_destroy(channel));
        let token = keeps_errno!(llam_cancel_token_create());
        keeps_errno!(llam_cancel_token_is_cancelled(token));
        keeps_errno!(llam_cancel_token_cancel(token));
        keeps_errno!(llam_cancel_token_destroy(token));
    });
}

#[test]
fn task_group_and_timer_calls_keep_it() {
    run_in_task(|| unsafe {
        let group = keeps_errno!(llam_task_group_create());
        keeps_errno!(llam_task_group_spawn_ex(
            group,
            Some(nothing),
            null_mut(),
            null(),
            0
        ));
        keeps_errno!(llam_task_group_cancel(group));
        keeps_errno!(llam_task_group_join(group));
        keeps_errno!(llam_task_group_destroy(group));
        let mut timer = null_mut();
        keeps_errno!(llam_timer_create(MS, &mut timer));
        let mut ticks = 0;
        keeps_errno!(llam_timer_wait(timer, &mut ticks));
        keeps_errno!(llam_timer_reset(timer, 0, MS));
        keeps_errno!(llam_timer_wait(timer, &mut ticks));
        keeps_errno!(llam_timer_cancel(timer));
        keeps_errno!(llam_timer_destroy(timer));
        let task = keeps_errno!(llam_spawn_ex(Some(nothing), null_mut(), null(), 0));
        keeps_errno!(llam_join(task));
        let task = keeps_errno!(llam_spawn(Some(nothing), null_mut(), null()));
        keeps_errno!(llam_detach(task));
        keeps_errno!(llam_task_set_class(1));
        keeps_errno!(llam_current_task());
    });
}

#[test]
fn calls_that_parked_keep_it() {
    run_in_task(|| unsafe {
        keeps_errno!(llam_sleep_ns(MS));
        let channel = chan(1);
        // Each helper acts only once the caller is parked, and leaves another errno behind.
        let me = H::new(llam_current_task());
        let after_park = |act: fn(H<llam_channel_t>)| {
            spawn(move || {
                await_parked(me);
                set_errno(999);
                act(channel);
            })
        };
        let mut out = null_mut();
        let helper = after_park(|c| {
            ok!(llam_channel_send(c.raw(), word(1)));
        });
        keeps_errno!(llam_channel_recv_result(channel.raw(), &mut out));
        join(helper);
        ok!(llam_channel_send(channel.raw(), word(2)));
        let helper = after_park(|c| {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(c.raw(), &mut out));
        });
        keeps_errno!(llam_channel_send(channel.raw(), word(3)));
        join(helper);
        ok!(llam_channel_recv_result(channel.raw(), &mut out));
        let helper = after_park(|_| set_errno(998));
        keeps_errno!(llam_join(helper.raw()));
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn a_contended_lock_keeps_it() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        let me = H::new(llam_current_task());
        let held = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&held);
        let owner = spawn(move || {
            ok!(llam_mutex_lock(mutex.raw()));
            mark.store(true, Ordering::Release);
            await_parked(me);
            set_errno(999);
            ok!(llam_mutex_unlock(mutex.raw()));
        });
        // Yields alone, so that the owner sees this task parked in the lock and nowhere else.
        while !held.load(Ordering::Acquire) {
            llam_yield();
        }
        keeps_errno!(llam_mutex_lock(mutex.raw()));
        ok!(llam_mutex_unlock(mutex.raw()));
        join(owner);
        ok!(llam_mutex_destroy(mutex.raw()));
    });
}

#[test]
fn a_condition_wait_keeps_it() {
    run_in_task(|| unsafe {
        let (mutex, cond) = (mutex(), cond());
        ok!(llam_mutex_lock(mutex.raw()));
        let waker = spawn(move || {
            ok!(llam_mutex_lock(mutex.raw()));
            ok!(llam_cond_signal(cond.raw()));
            set_errno(999);
            ok!(llam_mutex_unlock(mutex.raw()));
        });
        keeps_errno!(llam_cond_wait(cond.raw(), mutex.raw()));
        ok!(llam_mutex_unlock(mutex.raw()));
        join(waker);
        ok!(llam_mutex_destroy(mutex.raw()));
        ok!(llam_cond_destroy(cond.raw()));
    });
}

#[test]
fn shutdown_and_destroy_keep_it() {
    let _serial = serial();
    unsafe {
        ok!(llam_runtime_init_ex(null(), 0));
        set_errno(66);
        llam_runtime_shutdown();
        assert_eq!(errno(), 66);
        let runtime = Runtime::create();
        set_errno(66);
        drop(runtime);
        assert_eq!(errno(), 66);
    }
}

#[test]
fn failures_after_a_park_arrive() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let mut out = null_mut();
        fails!(
            llam_channel_recv_until_result(channel.raw(), after_ms(2), &mut out),
            libc::ETIMEDOUT
        );
        let me = H::new(llam_current_task());
        let closer = spawn(move || {
            await_parked(me);
            ok!(llam_channel_close(channel.raw()));
            set_errno(999);
        });
        fails!(
            llam_channel_recv_result(channel.raw(), &mut out),
            libc::EPIPE
        );
        join(closer);
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn a_failed_read_after_a_park_has_its_own_code() {
    run_in_task(|| unsafe {
        let (listener, addr) = common::io::listener();
        let client = common::io::connect_plain(&addr);
        let served = common::io::Fd::new(libc::accept(listener.raw(), null_mut(), null_mut()));
        let reader = spawn(move || {
            let mut byte = [0_u8; 1];
            fails!(
                llam_read(served.raw(), byte.as_mut_ptr().cast(), 1),
                libc::ECONNRESET
            );
        });
        await_parked(reader);
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let size = size_of::<libc::linger>() as libc::socklen_t;
        let option = (&raw const linger).cast();
        libc::setsockopt(
            client.raw(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            option,
            size,
        );
        drop(client);
        set_errno(999);
        join(reader);
    });
}
