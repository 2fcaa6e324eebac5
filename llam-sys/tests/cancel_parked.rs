//! Cancellation of tasks that are parked: the second column of the table in `abi.md` 5.3. Each wait
//! is ended by the task's token and by a stop request, and nothing may be lost by it.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::io::{Fd, buf};
use common::*;
use libc::ECANCELED;
use llam_sys::*;

/// Runs `wait` in a task and cancels it once it is parked: first by its token, then, in a fresh
/// runtime, by a stop request. `wait` must require `ECANCELED` itself.
fn cancelled_while_parked(wait: impl Fn() + Send + Sync + 'static) {
    let wait = Arc::new(wait);
    let live = live();
    let by_token = Arc::clone(&wait);
    in_task(&live, move || {
        let token = token();
        let task = spawn_with(&with_token(token), move || by_token());
        await_parked(task);
        ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
        join(task);
        ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
    });
    let task = spawn(move || wait());
    spawn(move || {
        await_parked(task);
        ok!(unsafe { llam_runtime_request_stop() });
    });
    live.run();
    join(task);
}

#[test]
fn sleep() {
    cancelled_while_parked(|| fails!(unsafe { llam_sleep_ns(3_600_000 * MS) }, ECANCELED));
    cancelled_while_parked(|| fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED));
}

#[test]
fn join_leaves_the_target_running() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let target = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        await_parked(target);
        let token = token();
        let joiner = spawn_with(&with_token(token), move || {
            fails!(llam_join(target.raw()), ECANCELED)
        });
        await_parked(joiner);
        ok!(llam_cancel_token_cancel(token.raw()));
        join(joiner);
        assert_eq!(state(target), "PARKED");
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(target);
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}

#[test]
fn group_join_leaves_the_children() {
    run_in_task(|| unsafe {
        let channel = chan(1);
        let group = group();
        let child = move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        };
        ok!(llam_task_group_spawn_ex(
            group.raw(),
            Some(enter),
            boxed(child),
            null(),
            0
        ));
        let token = token();
        let joiner = spawn_with(&with_token(token), move || {
            fails!(llam_task_group_join(group.raw()), ECANCELED);
        });
        await_parked(joiner);
        ok!(llam_cancel_token_cancel(token.raw()));
        join(joiner);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        ok!(llam_task_group_join_until(group.raw(), soon()));
        ok!(llam_task_group_destroy(group.raw()));
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}

#[test]
fn mutex_lock_gives_up_its_place() {
    run_in_task(|| unsafe {
        let mutex = mutex();
        ok!(llam_mutex_lock(mutex.raw()));
        let token = token();
        let quitter = spawn_with(&with_token(token), move || {
            fails!(llam_mutex_lock(mutex.raw()), ECANCELED)
        });
        await_parked(quitter);
        let patient = spawn(move || {
            ok!(llam_mutex_lock(mutex.raw()));
            ok!(llam_mutex_unlock(mutex.raw()));
        });
        await_parked(patient);
        ok!(llam_cancel_token_cancel(token.raw()));
        join(quitter);
        ok!(llam_mutex_unlock(mutex.raw()));
        join(patient);
        ok!(llam_mutex_destroy(mutex.raw()));
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}

#[test]
fn mutex_lock_by_stop() {
    let live = live();
    let mutex = mutex();
    let owner = spawn(move || unsafe {
        ok!(llam_mutex_lock(mutex.raw()));
        let waiter = spawn(move || fails!(llam_mutex_lock(mutex.raw()), ECANCELED));
        fails!(llam_sleep_until(FOREVER), ECANCELED);
        eventually("the waiter ends", || state(waiter) == "DEAD");
        ok!(llam_mutex_unlock(mutex.raw()));
        ok!(llam_join(waiter.raw()));
    });
    spawn(move || {
        await_parked(owner);
        ok!(unsafe { llam_runtime_request_stop() });
    });
    live.run();
    ok!(unsafe { llam_mutex_destroy(mutex.raw()) });
}

#[test]
fn cond_wait_returns_with_the_mutex_held() {
    cancelled_while_parked(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        ok!(llam_mutex_lock(mutex.raw()));
        fails!(llam_cond_wait(cond.raw(), mutex.raw()), ECANCELED);
        ok!(llam_mutex_unlock(mutex.raw()));
        ok!(llam_cond_destroy(cond.raw()));
        ok!(llam_mutex_destroy(mutex.raw()));
    });
}

#[test]
fn cond_wait_takes_a_busy_mutex_back_although_stopping() {
    let live = live();
    let (cond, mutex) = (cond(), mutex());
    let waiter = spawn(move || unsafe {
        ok!(llam_mutex_lock(mutex.raw()));
        fails!(llam_cond_wait(cond.raw(), mutex.raw()), ECANCELED);
        ok!(llam_mutex_unlock(mutex.raw()));
    });
    spawn(move || unsafe {
        await_parked(waiter);
        ok!(llam_mutex_lock(mutex.raw()));
        ok!(llam_runtime_request_stop());
        for _ in 0..50 {
            llam_yield();
            assert_ne!(state(waiter), "DEAD", "it returned without the mutex");
        }
        ok!(llam_mutex_unlock(mutex.raw()));
    });
    live.run();
    join(waiter);
    ok!(unsafe { llam_cond_destroy(cond.raw()) });
    ok!(unsafe { llam_mutex_destroy(mutex.raw()) });
}

#[test]
fn channel_send_keeps_its_value() {
    cancelled_while_parked(|| unsafe {
        let channel = chan(1);
        ok!(llam_channel_send(channel.raw(), word(1)));
        fails!(llam_channel_send(channel.raw(), word(2)), ECANCELED);
        let mut out = null_mut();
        ok!(llam_channel_try_recv_result(channel.raw(), &mut out));
        assert_eq!(out, word(1));
        fails!(
            llam_channel_try_recv_result(channel.raw(), &mut out),
            libc::EAGAIN
        );
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn channel_receive_takes_nothing() {
    cancelled_while_parked(|| unsafe {
        let channel = chan(1);
        let mut out = word(5);
        fails!(llam_channel_recv_result(channel.raw(), &mut out), ECANCELED);
        assert!(out.is_null());
        ok!(llam_channel_try_send(channel.raw(), word(6)));
        ok!(llam_channel_try_recv_result(channel.raw(), &mut out));
        assert_eq!(out, word(6));
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn select_performs_no_arm() {
    cancelled_while_parked(|| unsafe {
        let (full, empty) = (chan(1), chan(1));
        ok!(llam_channel_send(full.raw(), word(1)));
        let mut out = word(5);
        let arm = |kind, channel: H<llam_channel_t>, recv_out| llam_select_op_t {
            kind,
            reserved0: 0,
            channel: channel.raw(),
            send_value: word(2),
            recv_out,
            result_errno: 99,
        };
        let mut arms = [
            arm(LLAM_SELECT_OP_SEND, full, null_mut()),
            arm(LLAM_SELECT_OP_RECV, empty, &raw mut out),
        ];
        let mut index = 7;
        fails!(
            llam_channel_select(arms.as_mut_ptr(), 2, FOREVER, &mut index),
            ECANCELED
        );
        assert_eq!(
            (index, arms[0].result_errno, arms[1].result_errno),
            (7, 0, 0)
        );
        ok!(llam_channel_try_recv_result(full.raw(), &mut out));
        assert_eq!(out, word(1));
        fails!(
            llam_channel_try_recv_result(full.raw(), &mut out),
            libc::EAGAIN
        );
        ok!(llam_channel_destroy(full.raw()));
        ok!(llam_channel_destroy(empty.raw()));
    });
}

/// Every way to wait for bytes, on blocking and non-blocking sockets; the bytes that come later must
/// all be there.
fn cancelled_read(
    read: impl Fn(i32, *mut core::ffi::c_void) -> isize + Copy + Send + Sync + 'static,
) {
    for nonblocking in [false, true] {
        cancelled_while_parked(move || {
            let (a, b) = common::io::pair();
            let a = a.nonblocking(nonblocking);
            let mut bytes = [0_u8; 4];
            fails!(read(a.raw(), buf(&mut bytes)), ECANCELED);
            assert_eq!(a.is_nonblocking(), nonblocking);
            b.put(b"data");
            assert_eq!(a.take(10), b"data");
        });
    }
}

#[test]
fn reads_take_nothing() {
    cancelled_read(|fd, to| unsafe { llam_read(fd, to, 4) });
    cancelled_read(|fd, to| unsafe { llam_read_handle(fd, to, 4) });
    cancelled_read(|fd, to| unsafe { llam_read_when_ready(fd, to, 4, -1) });
    cancelled_read(|fd, to| unsafe { llam_read_when_ready(fd, to, 4, 3_600_000) });
    cancelled_read(|fd, to| unsafe { llam_recvfrom(fd, to, 4, 0, null_mut(), null_mut()) });
}

#[test]
fn owned_reads_take_nothing() {
    cancelled_read(|fd, _| unsafe {
        let mut out = null_mut();
        let n = llam_read_owned(fd, 4, &mut out);
        assert!(out.is_null());
        n
    });
    cancelled_read(|fd, _| unsafe {
        let mut out = null_mut();
        let n = llam_recv_owned(fd, 4, 0, &mut out);
        assert!(out.is_null());
        n
    });
    cancelled_read(|fd, _| unsafe {
        let mut out = null_mut();
        let n = llam_recvfrom_owned(fd, 4, 0, null_mut(), null_mut(), &mut out);
        assert!(out.is_null());
        n
    });
}

/// Fills a socket so that nothing more can be written.
fn fill(fd: &Fd) -> usize {
    let block = [0_u8; 4096];
    let mut total = 0;
    loop {
        let flags = libc::MSG_DONTWAIT;
        let n = unsafe { libc::send(fd.raw(), block.as_ptr().cast(), block.len(), flags) };
        if n < 0 {
            return total;
        }
        total += n as usize;
    }
}

fn cancelled_write(write: impl Fn(i32, &[u8]) -> isize + Copy + Send + Sync + 'static) {
    for nonblocking in [false, true] {
        cancelled_while_parked(move || {
            let (a, b) = common::io::pair();
            let a = a.nonblocking(nonblocking);
            let before = fill(&a);
            fails!(write(a.raw(), b"lost?"), ECANCELED);
            let b = b.nonblocking(true);
            let mut total = 0;
            let mut block = vec![0_u8; 65536];
            loop {
                let n = unsafe { libc::read(b.raw(), buf(&mut block), block.len()) };
                if n <= 0 {
                    break;
                }
                total += n as usize;
            }
            assert_eq!(total, before, "a cancelled write wrote");
        });
    }
}

#[test]
fn writes_write_nothing() {
    cancelled_write(|fd, bytes| unsafe { llam_write(fd, bytes.as_ptr().cast(), bytes.len()) });
    cancelled_write(|fd, bytes| unsafe {
        llam_write_handle(fd, bytes.as_ptr().cast(), bytes.len())
    });
    cancelled_write(|fd, bytes| unsafe {
        let slice = llam_iovec_t {
            iov_base: bytes.as_ptr().cast(),
            iov_len: bytes.len(),
        };
        llam_writev(fd, &slice, 1)
    });
    cancelled_write(|fd, bytes| unsafe {
        llam_sendto(fd, bytes.as_ptr().cast(), bytes.len(), 0, null(), 0)
    });
}

#[test]
fn accept_takes_no_connection() {
    for nonblocking in [false, true] {
        cancelled_while_parked(move || unsafe {
            let (listener, addr) = common::io::listener();
            let listener = listener.nonblocking(nonblocking);
            fails!(
                llam_accept(listener.raw(), null_mut(), null_mut()),
                ECANCELED
            );
            let _client = common::io::connect_plain(&addr);
            Fd::new(llam_accept(listener.raw(), null_mut(), null_mut()));
        });
    }
}

#[test]
fn poll_clears_its_output() {
    cancelled_while_parked(|| unsafe {
        let (a, _b) = common::io::pair();
        let mut revents = 0x7FFF;
        fails!(
            llam_poll_fd(a.raw(), libc::POLLIN, -1, &mut revents),
            ECANCELED
        );
        assert_eq!(revents, 0);
    });
    cancelled_while_parked(|| unsafe {
        let (a, _b) = common::io::pair();
        let mut revents = 0x7FFF;
        fails!(
            llam_poll_handle(a.raw(), libc::POLLIN, 3_600_000, &mut revents),
            ECANCELED
        );
        assert_eq!(revents, 0);
        fails!(
            llam_poll_fd(a.raw(), libc::POLLIN, -1, null_mut()),
            ECANCELED
        );
    });
}

#[test]
fn connect_that_hangs() {
    // A listener whose queue is full leaves further connects waiting.
    cancelled_while_parked(|| unsafe {
        let fd = common::io::tcp();
        let mut addr = common::io::loopback(0);
        let mut len = common::io::INET_LEN;
        assert_eq!(libc::bind(fd.raw(), (&raw const addr).cast(), len), 0);
        assert_eq!(libc::listen(fd.raw(), 0), 0);
        assert_eq!(
            libc::getsockname(fd.raw(), (&raw mut addr).cast(), &mut len),
            0
        );
        let mut queued = Vec::new();
        loop {
            let client = common::io::tcp();
            let flags = libc::fcntl(client.raw(), libc::F_GETFL);
            libc::fcntl(client.raw(), libc::F_SETFL, flags | libc::O_NONBLOCK);
            libc::connect(client.raw(), (&raw const addr).cast(), len);
            let mut poll = libc::pollfd {
                fd: client.raw(),
                events: libc::POLLOUT,
                revents: 0,
            };
            queued.push(client);
            if libc::poll(&mut poll, 1, 100) == 0 {
                break;
            }
            assert!(queued.len() < 100, "the queue never fills");
        }
        let client = common::io::tcp();
        fails!(
            llam_connect(client.raw(), (&raw const addr).cast(), len),
            ECANCELED
        );
    });
}

#[test]
fn timer_wait() {
    cancelled_while_parked(|| unsafe {
        let mut timer = null_mut();
        ok!(llam_timer_create(3_600_000 * MS, &mut timer));
        let mut ticks = 5;
        fails!(llam_timer_wait(timer, &mut ticks), ECANCELED);
        assert_eq!(ticks, 0);
        ok!(llam_timer_destroy(timer));
    });
}

#[test]
fn a_running_blocking_callback_is_waited_for() {
    static ENTERED: AtomicU32 = AtomicU32::new(0);
    static LEFT: AtomicU32 = AtomicU32::new(0);
    static MAY_LEAVE: AtomicBool = AtomicBool::new(false);
    unsafe extern "C" fn callback(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        ENTERED.fetch_add(1, Ordering::AcqRel);
        while !MAY_LEAVE.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        LEFT.fetch_add(1, Ordering::AcqRel);
        word(3)
    }
    run_in_task(|| unsafe {
        let token = token();
        let task = spawn_with(&with_token(token), || {
            let mut out = word(1);
            fails!(
                llam_call_blocking_result(Some(callback), null_mut(), &mut out),
                ECANCELED
            );
            assert!(out.is_null());
            assert_eq!(
                LEFT.load(Ordering::Acquire),
                1,
                "returned before the callback"
            );
        });
        eventually("the callback runs", || ENTERED.load(Ordering::Acquire) == 1);
        ok!(llam_cancel_token_cancel(token.raw()));
        fails!(llam_join_until(task.raw(), after_ms(20)), libc::ETIMEDOUT);
        MAY_LEAVE.store(true, Ordering::Release);
        join(task);
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}

#[test]
fn a_cancel_that_races_with_a_send_loses_no_value() {
    run_in_task(|| unsafe {
        for round in 1..=300_usize {
            let channel = chan(1);
            let token = token();
            let received = Arc::new(AtomicBool::new(false));
            let mark = Arc::clone(&received);
            let receiver = spawn_with(&with_token(token), move || {
                let mut out = null_mut();
                if llam_channel_recv_result(channel.raw(), &mut out) == 0 {
                    assert_eq!(out, word(round));
                    mark.store(true, Ordering::Release);
                } else {
                    assert_eq!(errno(), ECANCELED);
                    assert!(out.is_null());
                }
            });
            let canceller = spawn(move || ok!(llam_cancel_token_cancel(token.raw())));
            ok!(llam_channel_send(channel.raw(), word(round)));
            join(receiver);
            join(canceller);
            let mut left = null_mut();
            let buffered = llam_channel_try_recv_result(channel.raw(), &mut left) == 0;
            assert_ne!(
                buffered,
                received.load(Ordering::Acquire),
                "lost or doubled"
            );
            ok!(llam_channel_destroy(channel.raw()));
            ok!(llam_cancel_token_destroy(token.raw()));
        }
    });
}

/// Lets a cancel and the arrival of a byte race, many times: the byte is either read or still there.
fn a_cancel_loses_no_byte(read: impl Fn(i32) -> isize + Copy + Send + 'static) {
    run_in_task(move || unsafe {
        for round in 0..200 {
            let (a, b) = common::io::pair();
            let a = a.nonblocking(round % 2 == 0);
            let token = token();
            let taken = Arc::new(AtomicBool::new(false));
            let (mark, theirs) = (Arc::clone(&taken), a.clone());
            let reader = spawn_with(&with_token(token), move || {
                let n = read(theirs.raw());
                assert!(
                    n == 1 || (n == -1 && errno() == ECANCELED),
                    "{n}, errno {}",
                    errno()
                );
                mark.store(n == 1, Ordering::Release);
            });
            await_parked(reader);
            let canceller = spawn(move || ok!(llam_cancel_token_cancel(token.raw())));
            if round % 3 == 0 {
                llam_yield();
            }
            b.put(b"x");
            join(canceller);
            join(reader);
            let mut byte = [0_u8; 1];
            let left = libc::recv(a.raw(), buf(&mut byte), 1, libc::MSG_DONTWAIT) == 1;
            assert_ne!(
                left,
                taken.load(Ordering::Acquire),
                "lost or doubled in round {round}"
            );
            ok!(llam_cancel_token_destroy(token.raw()));
        }
    });
}

#[test]
fn a_cancel_that_races_with_a_byte_loses_nothing() {
    a_cancel_loses_no_byte(|fd| unsafe {
        let mut byte = [0_u8; 1];
        llam_read(fd, buf(&mut byte), 1)
    });
    a_cancel_loses_no_byte(|fd| unsafe {
        let mut out = null_mut();
        let n = llam_read_owned(fd, 1, &mut out);
        llam_io_buffer_release(out);
        n
    });
}

#[test]
fn a_host_thread_cancels_a_parked_task() {
    let live = live();
    let token = token();
    let task = spawn_with(&with_token(token), || {
        fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED);
    });
    live.run_beside(|| {
        await_parked(task);
        ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
        join(task);
    });
    ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
}

#[test]
fn one_token_cancels_many_tasks() {
    run_in_task(|| {
        let token = token();
        let tasks: Vec<Task> = (0..500)
            .map(|_| {
                spawn_with(&with_token(token), || {
                    fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED);
                })
            })
            .collect();
        tasks.iter().for_each(|t| await_parked(*t));
        ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
        tasks.into_iter().for_each(join);
        ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
    });
}
