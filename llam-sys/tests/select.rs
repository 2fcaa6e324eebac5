//! Select over channels: `abi.md` 4.13 and 5.7.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::*;
use libc::{EINVAL, ENOTSUP, EPIPE, ETIMEDOUT};
use llam_sys::*;

type Channel = H<llam_channel_t>;

/// A stale value that every path which looks at the arms must reset.
const STALE: i32 = 4444;

fn recv(channel: Channel, out: &mut *mut core::ffi::c_void) -> llam_select_op_t {
    llam_select_op_t {
        kind: LLAM_SELECT_OP_RECV,
        reserved0: u32::MAX,
        channel: channel.raw(),
        send_value: null_mut(),
        recv_out: out,
        result_errno: STALE,
    }
}

fn send(channel: Channel, value: usize) -> llam_select_op_t {
    llam_select_op_t {
        kind: LLAM_SELECT_OP_SEND,
        reserved0: u32::MAX,
        channel: channel.raw(),
        send_value: word(value),
        recv_out: null_mut(),
        result_errno: STALE,
    }
}

/// Selects and gives the winner and its errno; the losers' must be 0.
fn select(arms: &mut [llam_select_op_t], deadline: u64) -> (usize, i32) {
    let mut index = usize::MAX;
    ok!(unsafe { llam_channel_select(arms.as_mut_ptr(), arms.len(), deadline, &mut index) });
    for (number, arm) in arms.iter().enumerate() {
        assert!(
            number == index || arm.result_errno == 0,
            "loser {number}: {}",
            arm.result_errno
        );
    }
    (index, arms[index].result_errno)
}

/// Requires that select fails with this code, leaves the index alone and resets all arms.
fn select_fails(arms: &mut [llam_select_op_t], deadline: u64, code: i32) {
    let mut index = 12_345;
    fails!(
        unsafe { llam_channel_select(arms.as_mut_ptr(), arms.len(), deadline, &mut index) },
        code
    );
    assert_eq!(index, 12_345, "the index was written");
    assert!(
        arms.iter().all(|a| a.result_errno == 0),
        "stale result_errno"
    );
}

fn put(channel: Channel, value: usize) {
    ok!(unsafe { llam_channel_try_send(channel.raw(), word(value)) });
}

fn take(channel: Channel) -> Option<usize> {
    let mut out = null_mut();
    let code = unsafe { llam_channel_try_recv_result(channel.raw(), &mut out) };
    (code == 0).then(|| out.addr())
}

fn close(channel: Channel) {
    ok!(unsafe { llam_channel_close(channel.raw()) });
}

fn destroy(channel: Channel) {
    ok!(unsafe { llam_channel_destroy(channel.raw()) });
}

#[test]
fn bad_outer_arguments_leave_the_arms_untouched() {
    let live = live();
    let channel = chan(1);
    let check = move || unsafe {
        let mut arms = [send(channel, 1)];
        let mut index = 7;
        fails!(
            llam_channel_select(null_mut(), 1, FOREVER, &mut index),
            EINVAL
        );
        fails!(
            llam_channel_select(arms.as_mut_ptr(), 0, FOREVER, &mut index),
            EINVAL
        );
        fails!(
            llam_channel_select(arms.as_mut_ptr(), 4097, FOREVER, &mut index),
            EINVAL
        );
        fails!(
            llam_channel_select(arms.as_mut_ptr(), usize::MAX, FOREVER, &mut index),
            EINVAL
        );
        fails!(
            llam_channel_select(arms.as_mut_ptr(), 1, FOREVER, null_mut()),
            EINVAL
        );
        // Too many arms: not even the pointer is looked at.
        fails!(
            llam_channel_select(word(8).cast(), 4097, FOREVER, &mut index),
            EINVAL
        );
        assert_eq!((index, arms[0].result_errno), (7, STALE));
    };
    check();
    in_task(&live, check);
    assert_eq!(take(channel), None);
    destroy(channel);
}

#[test]
fn a_host_thread_gets_enotsup_and_reset_arms() {
    let _live = live();
    let channel = chan(1);
    select_fails(&mut [send(channel, 1)], FOREVER, ENOTSUP);
    // The thread is checked before the arms are.
    let mut bad = send(channel, 1);
    bad.kind = 9;
    select_fails(&mut [bad], FOREVER, ENOTSUP);
    destroy(channel);
}

#[test]
fn one_bad_arm_prevents_all_others() {
    run_in_task(|| {
        let (ready, dead) = (chan(1), chan(1));
        put(ready, 1);
        destroy(dead);
        let mut out = null_mut();
        let mut bad_arms = vec![
            send(ready, 1),
            send(ready, 1),
            recv(ready, &mut out),
            send(dead, 1),
            recv(dead, &mut out),
        ];
        bad_arms[0].channel = null_mut();
        bad_arms[1].kind = 0;
        bad_arms[2].recv_out = null_mut();
        let mut kind3 = recv(ready, &mut out);
        kind3.kind = 3;
        bad_arms.push(kind3);
        for bad in bad_arms {
            for place in [0, 1, 5, 19] {
                let mut arms: Vec<_> = (0..20).map(|_| recv(ready, &mut out)).collect();
                arms[place] = bad;
                select_fails(&mut arms, FOREVER, EINVAL);
                select_fails(&mut arms, 0, EINVAL);
            }
        }
        assert_eq!(take(ready), Some(1), "the ready arm was performed");
        destroy(ready);
    });
}

#[test]
fn a_value_is_received() {
    run_in_task(|| {
        let channel = chan(2);
        put(channel, 5);
        let mut out = null_mut();
        assert_eq!(select(&mut [recv(channel, &mut out)], 0), (0, 0));
        assert_eq!(out, word(5));
        destroy(channel);
    });
}

#[test]
fn a_value_is_sent_when_there_is_room() {
    run_in_task(|| {
        let channel = chan(1);
        assert_eq!(select(&mut [send(channel, 6)], 0), (0, 0));
        select_fails(&mut [send(channel, 7)], 0, ETIMEDOUT);
        assert_eq!(take(channel), Some(6));
        destroy(channel);
    });
}

#[test]
fn the_lowest_ready_index_wins_every_time() {
    run_in_task(|| {
        let channels = [chan(1), chan(1), chan(1), chan(1)];
        for _ in 0..100 {
            for ready in 0..16_usize {
                let mut outs = [null_mut(); 4];
                for (number, channel) in channels.iter().enumerate() {
                    if ready & (1 << number) != 0 {
                        put(*channel, number + 1);
                    }
                }
                let mut arms: Vec<_> = channels
                    .iter()
                    .zip(&mut outs)
                    .map(|(c, out)| recv(*c, out))
                    .collect();
                if ready == 0 {
                    select_fails(&mut arms, 0, ETIMEDOUT);
                    continue;
                }
                let lowest = ready.trailing_zeros() as usize;
                assert_eq!(select(&mut arms, FOREVER), (lowest, 0));
                assert_eq!(outs[lowest], word(lowest + 1));
                for (number, channel) in channels.iter().enumerate() {
                    let expected = ready & (1 << number) != 0 && number != lowest;
                    assert_eq!(
                        take(*channel).is_some(),
                        expected,
                        "arm {number} of {ready:b}"
                    );
                }
            }
        }
        channels.into_iter().for_each(destroy);
    });
}

#[test]
fn a_parked_sender_makes_a_receive_ready() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        put(channel, 1);
        let sender = spawn(move || ok!(llam_channel_send(channel.raw(), word(2))));
        await_parked(sender);
        let mut out = null_mut();
        assert_eq!(select(&mut [recv(channel, &mut out)], 0), (0, 0));
        assert_eq!(out, word(1));
        join(sender);
        assert_eq!(take(channel), Some(2));
        destroy(channel);
    });
}

#[test]
fn a_parked_receiver_gets_the_value_of_a_send_arm() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let receiver = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
            assert_eq!(out, word(8));
        });
        await_parked(receiver);
        assert_eq!(select(&mut [send(channel, 8)], 0), (0, 0));
        join(receiver);
        destroy(channel);
    });
}

#[test]
fn closed_channels_are_ready_with_epipe() {
    run_in_task(|| {
        let (open, closed) = (chan(1), chan(1));
        close(closed);
        let mut out = word(9);
        assert_eq!(select(&mut [recv(closed, &mut out)], FOREVER), (0, EPIPE));
        assert!(out.is_null());
        assert_eq!(select(&mut [send(closed, 1)], FOREVER), (0, EPIPE));
        let mut other = null_mut();
        let mut arms = [recv(open, &mut other), recv(closed, &mut out)];
        assert_eq!(select(&mut arms, FOREVER), (1, EPIPE));
        destroy(open);
        destroy(closed);
    });
}

#[test]
fn a_closed_channel_with_values_gives_them_first() {
    run_in_task(|| {
        let channel = chan(2);
        put(channel, 1);
        put(channel, 2);
        close(channel);
        let mut out = null_mut();
        assert_eq!(select(&mut [recv(channel, &mut out)], FOREVER), (0, 0));
        assert_eq!(out, word(1));
        assert_eq!(select(&mut [recv(channel, &mut out)], FOREVER), (0, 0));
        assert_eq!(out, word(2));
        assert_eq!(select(&mut [recv(channel, &mut out)], FOREVER), (0, EPIPE));
        destroy(channel);
    });
}

#[test]
fn a_timeout_performs_nothing_and_is_never_early() {
    run_in_task(|| unsafe {
        let (empty, full) = (chan(1), chan(1));
        put(full, 1);
        let mut out = word(3);
        let mut arms = [recv(empty, &mut out), send(full, 2)];
        select_fails(&mut arms, 1, ETIMEDOUT);
        let deadline = after_ms(10);
        arms[0].result_errno = STALE;
        arms[1].result_errno = STALE;
        select_fails(&mut arms, deadline, ETIMEDOUT);
        assert!(llam_now_ns() >= deadline);
        assert_eq!(take(full), Some(1));
        assert_eq!(take(full), None);
        destroy(empty);
        destroy(full);
    });
}

/// Parks a select over two receives and one send, does `act`, and requires this winner.
fn parked_select(
    act: impl FnOnce([Channel; 3]) + Send + 'static,
    winner: (usize, i32),
    value: Option<usize>,
) {
    run_in_task(move || {
        let channels = [chan(1), chan(1), chan(1)];
        put(channels[2], 99);
        let task = spawn(move || {
            let (mut first, mut second) = (word(77), word(77));
            let mut arms = [
                recv(channels[0], &mut first),
                recv(channels[1], &mut second),
                send(channels[2], 5),
            ];
            assert_eq!(select(&mut arms, FOREVER), winner);
            let outs = [first, second];
            if let Some(value) = value {
                assert_eq!(outs[winner.0], word(value));
            }
        });
        await_parked(task);
        act(channels);
        join(task);
        for channel in channels {
            while take(channel).is_some() {}
            destroy(channel);
        }
    });
}

#[test]
fn parked_until_a_value_arrives() {
    parked_select(|c| put(c[0], 1), (0, 0), Some(1));
    parked_select(|c| put(c[1], 2), (1, 0), Some(2));
}

#[test]
fn parked_until_there_is_room() {
    parked_select(
        |c| {
            assert_eq!(take(c[2]), Some(99));
            eventually("the value of the arm arrives", || take(c[2]) == Some(5));
        },
        (2, 0),
        None,
    );
}

#[test]
fn parked_until_a_channel_is_closed() {
    parked_select(|c| close(c[1]), (1, EPIPE), Some(0));
    parked_select(
        |c| {
            close(c[2]);
            assert_eq!(take(c[2]), Some(99));
            assert_eq!(take(c[2]), None, "the value of the arm was sent");
        },
        (2, EPIPE),
        None,
    );
}

#[test]
fn after_a_parked_select_the_other_channels_are_free() {
    run_in_task(|| {
        let (a, b) = (chan(1), chan(1));
        let task = spawn(move || {
            let (mut x, mut y) = (null_mut(), null_mut());
            assert_eq!(
                select(&mut [recv(a, &mut x), recv(b, &mut y)], FOREVER),
                (0, 0)
            );
        });
        await_parked(task);
        put(a, 1);
        join(task);
        // A value for the loser must not go to the select that is over.
        put(b, 2);
        assert_eq!(take(b), Some(2));
        destroy(a);
        destroy(b);
    });
}

#[test]
fn one_channel_in_both_directions_never_parks() {
    run_in_task(|| {
        let channel = chan(1);
        let mut out = null_mut();
        assert_eq!(
            select(&mut [recv(channel, &mut out), send(channel, 1)], FOREVER),
            (1, 0)
        );
        assert_eq!(
            select(&mut [recv(channel, &mut out), send(channel, 2)], FOREVER),
            (0, 0)
        );
        assert_eq!(out, word(1));
        let wide = chan(2);
        put(wide, 3);
        assert_eq!(
            select(&mut [send(wide, 4), recv(wide, &mut out)], FOREVER),
            (0, 0)
        );
        assert_eq!((take(wide), take(wide)), (Some(3), Some(4)));
        destroy(channel);
        destroy(wide);
    });
}

#[test]
fn one_channel_in_several_arms_is_received_once() {
    run_in_task(|| {
        let channel = chan(4);
        let task = spawn(move || {
            let mut outs = [null_mut(); 3];
            let [a, b, c] = &mut outs;
            let mut arms = [recv(channel, a), recv(channel, b), recv(channel, c)];
            let (index, code) = select(&mut arms, FOREVER);
            assert_eq!(code, 0);
            assert_eq!(outs[index], word(1));
        });
        await_parked(task);
        put(channel, 1);
        put(channel, 2);
        join(task);
        assert_eq!(take(channel), Some(2));
        assert_eq!(take(channel), None);
        destroy(channel);
    });
}

#[test]
fn select_works_with_4096_arms() {
    run_in_task(|| {
        let (empty, last) = (chan(1), chan(1));
        let mut out = null_mut();
        let mut arms: Vec<_> = (0..4096).map(|_| recv(empty, &mut out)).collect();
        arms[4095] = recv(last, &mut out);
        select_fails(&mut arms, 0, ETIMEDOUT);
        let task = spawn(move || {
            let mut out = null_mut();
            let mut arms: Vec<_> = (0..4096).map(|_| recv(empty, &mut out)).collect();
            arms[4095] = recv(last, &mut out);
            assert_eq!(select(&mut arms, FOREVER), (4095, 0));
            assert_eq!(out, word(1));
        });
        await_parked(task);
        put(last, 1);
        join(task);
        destroy(empty);
        destroy(last);
    });
}

#[test]
fn a_host_thread_completes_a_parked_select() {
    let live = live();
    let (a, b) = (chan(1), chan(1));
    let task = spawn(move || {
        let (mut x, mut y) = (null_mut(), null_mut());
        assert_eq!(
            select(&mut [recv(a, &mut x), recv(b, &mut y)], FOREVER),
            (1, 0)
        );
        assert_eq!(y, word(6));
    });
    live.run_beside(|| {
        await_parked(task);
        put(b, 6);
        join(task);
    });
    destroy(a);
    destroy(b);
}

#[test]
fn two_selects_meet_each_other() {
    run_in_task(|| {
        for _ in 0..100 {
            let (a, b) = (chan(1), chan(1));
            put(a, 100);
            put(b, 100);
            let sender = spawn(move || select(&mut [send(a, 1), send(b, 2)], FOREVER).0);
            await_parked(sender);
            let mut out = null_mut();
            assert_eq!(select(&mut [recv(b, &mut out)], FOREVER), (0, 0));
            assert_eq!(out, word(100));
            join(sender);
            assert_eq!(take(b), Some(2));
            assert_eq!(take(a), Some(100));
            assert_eq!((take(a), take(b)), (None, None));
            destroy(a);
            destroy(b);
        }
    });
}

#[test]
fn racing_selects_lose_and_double_nothing() {
    run_in_task(|| {
        let channels = [chan(1), chan(2), chan(3)];
        let sum = Arc::new(AtomicU64::new(0));
        let senders: Vec<Task> = (0..4_usize)
            .map(|sender| {
                spawn(move || {
                    for item in 1..=300 {
                        let value = sender * 300 + item;
                        let turn = item % 3;
                        let mut arms = [0, 1, 2].map(|n| send(channels[(n + turn) % 3], value));
                        assert_eq!(select(&mut arms, FOREVER).1, 0);
                    }
                })
            })
            .collect();
        let receivers: Vec<Task> = (0..4)
            .map(|_| {
                let sum = Arc::clone(&sum);
                spawn(move || {
                    for _ in 0..300 {
                        let mut outs = [null_mut(); 3];
                        let [x, y, z] = &mut outs;
                        let mut arms = [
                            recv(channels[0], x),
                            recv(channels[1], y),
                            recv(channels[2], z),
                        ];
                        let (index, code) = select(&mut arms, FOREVER);
                        assert_eq!(code, 0);
                        sum.fetch_add(outs[index].addr() as u64, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        senders.into_iter().chain(receivers).for_each(join);
        assert_eq!(sum.load(Ordering::Relaxed), 1200 * 1201 / 2);
        channels.into_iter().for_each(destroy);
    });
}
