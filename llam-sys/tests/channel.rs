//! Channels: `abi.md` 4.12 and 5.6.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::*;
use libc::{EAGAIN, EBUSY, EINVAL, ENOMEM, ENOTSUP, EPIPE, ETIMEDOUT};
use llam_sys::*;

type Channel = H<llam_channel_t>;

fn send(channel: Channel, value: usize) {
    ok!(unsafe { llam_channel_send_until(channel.raw(), word(value), soon()) });
}

fn receive(channel: Channel) -> usize {
    let mut out = word(usize::MAX);
    ok!(unsafe { llam_channel_recv_until_result(channel.raw(), soon(), &mut out) });
    out.addr()
}

/// Receives without parking; `None` when there is nothing.
fn try_receive(channel: Channel) -> Option<usize> {
    let mut out = word(usize::MAX);
    let code = unsafe { llam_channel_try_recv_result(channel.raw(), &mut out) };
    if code == 0 {
        return Some(out.addr());
    }
    assert!([EAGAIN, EPIPE].contains(&errno()), "errno {}", errno());
    assert!(out.is_null());
    None
}

fn close(channel: Channel) {
    ok!(unsafe { llam_channel_close(channel.raw()) });
}

fn destroy(channel: Channel) {
    ok!(unsafe { llam_channel_destroy(channel.raw()) });
}

/// Every receive that has an output, as `(code, errno, *out)`.
fn every_receive(channel: *mut llam_channel_t) -> Vec<(i32, i32, usize)> {
    let calls: [unsafe extern "C" fn(*mut llam_channel_t, *mut *mut core::ffi::c_void) -> i32; 2] =
        [llam_channel_recv_result, llam_channel_try_recv_result];
    let mut results = Vec::new();
    for call in calls {
        let mut out = word(1);
        set_errno(0);
        let code = unsafe { call(channel, &mut out) };
        results.push((code, errno(), out.addr()));
    }
    let mut out = word(1);
    set_errno(0);
    let code = unsafe { llam_channel_recv_until_result(channel, 0, &mut out) };
    results.push((code, errno(), out.addr()));
    results
}

#[test]
fn capacity_0_is_einval_and_huge_ones_are_enomem() {
    let _serial = serial();
    unsafe {
        fails!(llam_channel_create(0), EINVAL);
        fails!(llam_channel_create(usize::MAX / 2 + 1), ENOMEM);
        fails!(llam_channel_create(usize::MAX / 2 + 2), ENOMEM);
        fails!(llam_channel_create(usize::MAX), ENOMEM);
    }
}

#[test]
fn the_capacity_is_exact() {
    run_in_task(|| {
        for capacity in [1, 2, 3, 7, 64, 100] {
            let channel = chan(capacity);
            for value in 0..capacity {
                send(channel, value);
            }
            fails!(
                unsafe { llam_channel_try_send(channel.raw(), word(1)) },
                EAGAIN
            );
            fails!(
                unsafe { llam_channel_send_until(channel.raw(), word(1), 0) },
                ETIMEDOUT
            );
            for value in 0..capacity {
                assert_eq!(receive(channel), value);
            }
            assert_eq!(try_receive(channel), None);
            destroy(channel);
        }
    });
}

#[test]
fn bad_handles_are_einval_and_clear_the_output() {
    let live = live();
    let dead = chan(3);
    destroy(dead);
    let _newer: Vec<Channel> = (0..64).map(|_| chan(1)).collect();
    let check = move || unsafe {
        for bad in [null_mut(), dead.raw()] {
            fails!(llam_channel_send(bad, null_mut()), EINVAL);
            fails!(llam_channel_send_until(bad, null_mut(), 0), EINVAL);
            fails!(llam_channel_try_send(bad, null_mut()), EINVAL);
            assert_eq!(every_receive(bad), [(-1, EINVAL, 0); 3]);
            fails!(llam_channel_recv(bad), EINVAL);
            fails!(llam_channel_recv_until(bad, 0), EINVAL);
            fails!(llam_channel_close(bad), EINVAL);
            fails!(llam_channel_destroy(bad), EINVAL);
        }
    };
    check();
    in_task(&live, check);
}

#[test]
fn a_null_output_is_einval_before_anything_else() {
    let live = live();
    let channel = chan(1);
    let check = move || unsafe {
        for target in [channel.raw(), null_mut()] {
            fails!(llam_channel_recv_result(target, null_mut()), EINVAL);
            fails!(
                llam_channel_recv_until_result(target, 0, null_mut()),
                EINVAL
            );
            fails!(llam_channel_try_recv_result(target, null_mut()), EINVAL);
        }
    };
    check();
    in_task(&live, check);
    destroy(channel);
}

#[test]
fn a_host_thread_only_tries() {
    let _live = live();
    let channel = chan(1);
    unsafe {
        fails!(llam_channel_send(channel.raw(), word(1)), ENOTSUP);
        fails!(llam_channel_send_until(channel.raw(), word(1), 0), ENOTSUP);
        let mut out = word(1);
        fails!(llam_channel_recv_result(channel.raw(), &mut out), ENOTSUP);
        assert!(out.is_null(), "cleared before the thread is looked at");
        out = word(1);
        fails!(
            llam_channel_recv_until_result(channel.raw(), 0, &mut out),
            ENOTSUP
        );
        assert!(out.is_null(), "cleared before the thread is looked at");
        fails!(llam_channel_recv(channel.raw()), ENOTSUP);
        fails!(llam_channel_recv_until(channel.raw(), 0), ENOTSUP);
        ok!(llam_channel_try_send(channel.raw(), word(5)));
        fails!(llam_channel_try_send(channel.raw(), word(6)), EAGAIN);
        assert_eq!(try_receive(channel), Some(5));
        fails!(
            llam_channel_try_recv_result(channel.raw(), &mut out),
            EAGAIN
        );
        close(channel);
        fails!(llam_channel_try_send(channel.raw(), word(6)), EPIPE);
        fails!(llam_channel_try_recv_result(channel.raw(), &mut out), EPIPE);
    }
    destroy(channel);
}

#[test]
fn a_host_thread_wakes_parked_tasks() {
    let live = live();
    let (to_task, from_task) = (chan(1), chan(1));
    let receiver = spawn(move || {
        assert_eq!(receive(to_task), 7);
        send(from_task, 1);
        send(from_task, 2);
    });
    live.run_beside(|| {
        await_parked(receiver);
        ok!(unsafe { llam_channel_try_send(to_task.raw(), word(7)) });
        await_parked(receiver);
        assert_eq!(try_receive(from_task), Some(1));
        join(receiver);
        assert_eq!(try_receive(from_task), Some(2));
    });
    destroy(to_task);
    destroy(from_task);
}

#[test]
fn null_is_a_payload() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        set_errno(33);
        assert!(llam_channel_recv(channel.raw()).is_null());
        assert_eq!(errno(), 0, "a NULL payload, not a failure");
        ok!(llam_channel_send(channel.raw(), null_mut()));
        set_errno(33);
        assert!(llam_channel_recv_until(channel.raw(), soon()).is_null());
        assert_eq!(errno(), 0, "a NULL payload, not a failure");
        ok!(llam_channel_send(channel.raw(), null_mut()));
        let mut out = word(4);
        ok!(llam_channel_recv_result(channel.raw(), &mut out));
        assert!(out.is_null());
        fails!(llam_channel_recv_until(channel.raw(), 0), ETIMEDOUT);
        destroy(channel);
    });
}

#[test]
fn recv_returns_the_payload() {
    run_in_task(|| unsafe {
        let channel = chan(2);
        send(channel, 11);
        send(channel, 12);
        assert_eq!(llam_channel_recv(channel.raw()), word(11));
        assert_eq!(llam_channel_recv_until(channel.raw(), 0), word(12));
        destroy(channel);
    });
}

#[test]
fn deadlines_matter_only_when_it_cannot_complete() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        ok!(llam_channel_send_until(channel.raw(), word(1), 0));
        fails!(
            llam_channel_send_until(channel.raw(), word(2), 1),
            ETIMEDOUT
        );
        let mut out = null_mut();
        ok!(llam_channel_recv_until_result(channel.raw(), 0, &mut out));
        assert_eq!(out, word(1));
        fails!(
            llam_channel_recv_until_result(channel.raw(), 1, &mut out),
            ETIMEDOUT
        );
        assert!(out.is_null());
        let deadline = after_ms(10);
        fails!(
            llam_channel_recv_until_result(channel.raw(), deadline, &mut out),
            ETIMEDOUT
        );
        assert!(llam_now_ns() >= deadline);
        send(channel, 3);
        let deadline = after_ms(10);
        fails!(
            llam_channel_send_until(channel.raw(), word(4), deadline),
            ETIMEDOUT
        );
        assert!(llam_now_ns() >= deadline);
        assert_eq!(receive(channel), 3);
        destroy(channel);
    });
}

#[test]
fn parked_receivers_are_served_in_order() {
    run_in_task(|| {
        let channel = chan(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<Task> = (0..8)
            .map(|number| {
                let order = Arc::clone(&order);
                let task = spawn(move || {
                    let value = receive(channel);
                    order.lock().expect("no panic").push((number, value));
                });
                await_parked(task);
                task
            })
            .collect();
        for value in 0..8 {
            // With a receiver parked a send hands over, however small the buffer.
            ok!(unsafe { llam_channel_send_until(channel.raw(), word(value), 0) });
        }
        tasks.into_iter().for_each(join);
        let mut order = order.lock().expect("no panic").clone();
        order.sort_unstable();
        assert_eq!(order, (0..8).map(|n| (n, n)).collect::<Vec<_>>());
        destroy(channel);
    });
}

#[test]
fn parked_senders_are_served_in_order() {
    run_in_task(|| {
        let channel = chan(2);
        send(channel, 100);
        send(channel, 101);
        let tasks: Vec<Task> = (0..6)
            .map(|number| {
                let task = spawn(move || send(channel, number));
                await_parked(task);
                task
            })
            .collect();
        let values: Vec<usize> = (0..8).map(|_| receive(channel)).collect();
        assert_eq!(values, [100, 101, 0, 1, 2, 3, 4, 5]);
        tasks.into_iter().for_each(join);
        destroy(channel);
    });
}

#[test]
fn taking_a_value_lets_the_first_parked_sender_in_at_once() {
    let live = live_deterministic();
    in_task(&live, || {
        let channel = chan(1);
        send(channel, 1);
        let sender = spawn(move || send(channel, 2));
        await_parked(sender);
        assert_eq!(try_receive(channel), Some(1));
        // No switch has happened: the value was moved by the receive itself.
        fails!(
            unsafe { llam_channel_try_send(channel.raw(), word(3)) },
            EAGAIN
        );
        assert_eq!(try_receive(channel), Some(2));
        join(sender);
        destroy(channel);
    });
}

#[test]
fn close_refuses_senders_and_lets_receivers_drain() {
    run_in_task(|| unsafe {
        let channel = chan(3);
        send(channel, 1);
        send(channel, 2);
        close(channel);
        close(channel);
        fails!(llam_channel_send(channel.raw(), word(3)), EPIPE);
        fails!(llam_channel_send_until(channel.raw(), word(3), 0), EPIPE);
        fails!(llam_channel_try_send(channel.raw(), word(3)), EPIPE);
        fails!(llam_channel_destroy(channel.raw()), EBUSY);
        assert_eq!(receive(channel), 1);
        assert_eq!(try_receive(channel), Some(2));
        assert_eq!(every_receive(channel.raw()), [(-1, EPIPE, 0); 3]);
        fails!(llam_channel_recv(channel.raw()), EPIPE);
        destroy(channel);
    });
}

#[test]
fn close_wakes_parked_receivers() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let tasks: Vec<Task> = (0..4)
            .map(|_| {
                let task = spawn(move || {
                    let mut out = word(1);
                    fails!(llam_channel_recv_result(channel.raw(), &mut out), EPIPE);
                    assert!(out.is_null());
                });
                await_parked(task);
                task
            })
            .collect();
        close(channel);
        tasks.into_iter().for_each(join);
        destroy(channel);
    });
}

#[test]
fn close_wakes_parked_senders_whose_values_stay_theirs() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        send(channel, 1);
        let tasks: Vec<Task> = (2..5)
            .map(|value| {
                let task =
                    spawn(move || fails!(llam_channel_send(channel.raw(), word(value)), EPIPE));
                await_parked(task);
                task
            })
            .collect();
        close(channel);
        tasks.into_iter().for_each(join);
        assert_eq!(try_receive(channel), Some(1));
        assert_eq!(try_receive(channel), None);
        destroy(channel);
    });
}

#[test]
fn close_by_a_host_thread_wakes_tasks() {
    let live = live();
    let channel = chan(1);
    let task = spawn(move || {
        let mut out = null_mut();
        fails!(
            unsafe { llam_channel_recv_result(channel.raw(), &mut out) },
            EPIPE
        );
    });
    live.run_beside(|| {
        await_parked(task);
        close(channel);
    });
    destroy(channel);
}

#[test]
fn destroy_is_ebusy_with_values_or_waiters() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        send(channel, 1);
        fails!(llam_channel_destroy(channel.raw()), EBUSY);
        assert_eq!(receive(channel), 1);
        let receiver = spawn(move || assert_eq!(receive(channel), 2));
        await_parked(receiver);
        fails!(llam_channel_destroy(channel.raw()), EBUSY);
        send(channel, 2);
        join(receiver);
        destroy(channel);
    });
}

#[test]
fn destroy_is_ebusy_until_close_woken_tasks_have_returned() {
    let live = live_deterministic();
    in_task(&live, || unsafe {
        let channel = chan(1);
        let receiver = spawn(move || {
            let mut out = null_mut();
            fails!(llam_channel_recv_result(channel.raw(), &mut out), EPIPE);
        });
        await_parked(receiver);
        close(channel);
        fails!(llam_channel_destroy(channel.raw()), EBUSY);
        join(receiver);
        destroy(channel);
    });
}

#[test]
fn made_before_init_and_destroyed_after_shutdown() {
    let serial_guard = serial();
    let channel = chan(1);
    let unused = chan(5);
    drop(serial_guard);
    run_in_task(move || {
        send(channel, 1);
        assert_eq!(receive(channel), 1);
    });
    destroy(channel);
    destroy(unused);
}

#[test]
fn a_host_thread_drains_after_shutdown() {
    let serial_live = live();
    let channel = chan(3);
    in_task(&serial_live, move || {
        send(channel, 1);
        send(channel, 2);
    });
    drop(serial_live);
    let _serial = serial();
    assert_eq!(try_receive(channel), Some(1));
    assert_eq!(try_receive(channel), Some(2));
    let mut out = word(1);
    fails!(
        unsafe { llam_channel_try_recv_result(channel.raw(), &mut out) },
        ENOTSUP
    );
    fails!(
        unsafe { llam_channel_try_send(channel.raw(), word(3)) },
        ENOTSUP
    );
    close(channel);
    fails!(
        unsafe { llam_channel_try_send(channel.raw(), word(3)) },
        ENOTSUP
    );
    destroy(channel);
}

#[test]
fn many_senders_and_receivers_lose_nothing() {
    run_in_task(|| {
        let channel = chan(4);
        let sum = Arc::new(AtomicU64::new(0));
        let senders: Vec<Task> = (0..8_u64)
            .map(|sender| {
                spawn(move || {
                    for item in 0..500 {
                        send(channel, (sender * 500 + item + 1) as usize);
                    }
                })
            })
            .collect();
        let receivers: Vec<Task> = (0..8)
            .map(|_| {
                let sum = Arc::clone(&sum);
                spawn(move || {
                    for _ in 0..500 {
                        sum.fetch_add(receive(channel) as u64, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        senders.into_iter().chain(receivers).for_each(join);
        assert_eq!(sum.load(Ordering::Relaxed), 4000 * 4001 / 2);
        destroy(channel);
    });
}

#[test]
fn values_of_one_sender_keep_their_order() {
    run_in_task(|| {
        let channel = chan(3);
        let senders: Vec<Task> = (0..4_usize)
            .map(|sender| {
                spawn(move || {
                    for item in 0..200 {
                        send(channel, sender * 1000 + item);
                    }
                })
            })
            .collect();
        let mut next = [0; 4];
        for _ in 0..800 {
            let value = receive(channel);
            assert_eq!(value % 1000, next[value / 1000]);
            next[value / 1000] += 1;
        }
        senders.into_iter().for_each(join);
        destroy(channel);
    });
}

#[test]
fn host_threads_and_tasks_share_a_channel() {
    let live = live();
    let channel = chan(8);
    let sum = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&sum);
    let receiver = spawn(move || {
        for _ in 0..2000 {
            total.fetch_add(receive(channel) as u64, Ordering::Relaxed);
        }
    });
    live.run_beside(|| {
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                scope.spawn(move || {
                    for item in 1..=500 {
                        eventually("there is room", || unsafe {
                            llam_channel_try_send(channel.raw(), word(thread * 500 + item)) == 0
                        });
                    }
                });
            }
        });
        join(receiver);
    });
    assert_eq!(sum.load(Ordering::Relaxed), 2000 * 2001 / 2);
    destroy(channel);
}
