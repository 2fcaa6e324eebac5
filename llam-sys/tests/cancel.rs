//! Cancellation of tasks that are cancelled already: the first column of the table in `abi.md` 5.3,
//! row by row, with R5 and R6. What happens to parked tasks is in `cancel_parked.rs`.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::io::{TempFile, buf};
use common::*;
use libc::{EAGAIN, EBUSY, ECANCELED, EINVAL, EPERM, EPIPE, ETIMEDOUT};
use llam_sys::*;

#[test]
fn token_calls_refuse_bad_handles() {
    let _live = live();
    let dead = token();
    ok!(unsafe { llam_cancel_token_destroy(dead.raw()) });
    unsafe {
        for bad in [null_mut(), dead.raw()] {
            fails!(llam_cancel_token_cancel(bad), EINVAL);
            fails!(llam_cancel_token_is_cancelled(bad), EINVAL);
            fails!(llam_cancel_token_destroy(bad), EINVAL);
        }
    }
}

#[test]
fn a_token_is_cancelled_once_and_for_good() {
    let _serial = serial();
    let token = token();
    unsafe {
        assert_eq!(llam_cancel_token_is_cancelled(token.raw()), 0);
        ok!(llam_cancel_token_cancel(token.raw()));
        assert_eq!(llam_cancel_token_is_cancelled(token.raw()), 1);
        ok!(llam_cancel_token_cancel(token.raw()));
        assert_eq!(llam_cancel_token_is_cancelled(token.raw()), 1);
        ok!(llam_cancel_token_destroy(token.raw()));
    }
}

#[test]
fn a_token_is_busy_until_its_last_task_is_joined() {
    run_in_task(|| unsafe {
        let token = token();
        let tasks = [0, 1].map(|_| spawn_with(&with_token(token), || {}));
        for task in tasks {
            fails!(llam_cancel_token_destroy(token.raw()), EBUSY);
            eventually("the task ends", || state(task) == "DEAD");
            fails!(llam_cancel_token_destroy(token.raw()), EBUSY);
            join(task);
        }
        ok!(llam_cancel_token_destroy(token.raw()));
    });
}

#[test]
fn a_token_is_free_when_its_detached_task_has_ended() {
    run_in_task(|| unsafe {
        let token = token();
        let task = spawn_with(&with_token(token), || {});
        ok!(llam_detach(task.raw()));
        eventually("the detached task lets go", || {
            llam_cancel_token_destroy(token.raw()) == 0 || errno() != EBUSY
        });
        fails!(llam_cancel_token_destroy(token.raw()), EINVAL);
    });
}

#[test]
fn cancel_and_destroy_may_race() {
    let _live = live();
    for _ in 0..200 {
        let token = token();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let code = unsafe { llam_cancel_token_cancel(token.raw()) };
                assert!(code == 0 || errno() == EINVAL, "errno {}", errno());
            });
            if unsafe { llam_cancel_token_destroy(token.raw()) } != 0 {
                assert_eq!(errno(), EBUSY);
                eventually("destroy succeeds", || unsafe {
                    llam_cancel_token_destroy(token.raw()) == 0
                });
            }
        });
    }
}

#[test]
fn a_task_sees_its_own_cancellation() {
    let live = live();
    let token = token();
    let task = spawn_with(&with_token(token), move || unsafe {
        assert_eq!(llam_cancel_token_is_cancelled(token.raw()), 0);
        ok!(llam_cancel_token_cancel(token.raw()));
        assert_eq!(llam_cancel_token_is_cancelled(token.raw()), 1);
        for _ in 0..3 {
            fails!(llam_sleep_ns(3_600_000 * MS), ECANCELED);
        }
    });
    live.run();
    join(task);
    ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
}

#[test]
fn sleep() {
    run_cancelled(|| unsafe {
        fails!(llam_sleep_ns(u64::MAX), ECANCELED);
        fails!(llam_sleep_ns(3_600_000 * MS), ECANCELED);
        fails!(llam_sleep_until(after_ms(3_600_000)), ECANCELED);
        ok!(llam_sleep_ns(0));
        ok!(llam_sleep_until(0));
        ok!(llam_sleep_until(llam_now_ns() - 1));
    });
}

#[test]
fn join_of_running_and_ended_tasks() {
    run_cancelled(|| unsafe {
        let running = spawn(|| ok!(llam_sleep_ns(20 * MS)));
        fails!(llam_join(running.raw()), ECANCELED);
        fails!(llam_join_until(running.raw(), 0), ETIMEDOUT);
        eventually("the task ends", || state(running) == "DEAD");
        ok!(llam_join(running.raw()));
    });
}

#[test]
fn group_join_of_running_and_ended_children() {
    run_cancelled(|| unsafe {
        let group = group();
        let child = || ok!(llam_sleep_ns(20 * MS));
        let task = llam_task_group_spawn_ex(group.raw(), Some(enter), boxed(child), null(), 0);
        let task = H::new(task);
        fails!(llam_task_group_join(group.raw()), ECANCELED);
        fails!(llam_task_group_join_until(group.raw(), 1), ETIMEDOUT);
        eventually("the child ends", || state(task) == "DEAD");
        ok!(llam_task_group_join(group.raw()));
        ok!(llam_task_group_destroy(group.raw()));
    });
}

#[test]
fn mutex_free_and_held() {
    run_cancelled(|| unsafe {
        let mutex = mutex();
        ok!(llam_mutex_lock(mutex.raw()));
        ok!(llam_mutex_unlock(mutex.raw()));
        ok!(llam_mutex_trylock(mutex.raw()));
        ok!(llam_mutex_unlock(mutex.raw()));
        let channel = chan(1);
        let owner = spawn(move || {
            ok!(llam_mutex_lock(mutex.raw()));
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
            ok!(llam_mutex_unlock(mutex.raw()));
        });
        eventually("the owner waits", || state(owner) == "PARKED");
        fails!(llam_mutex_lock(mutex.raw()), ECANCELED);
        fails!(
            llam_mutex_lock_until(mutex.raw(), after_ms(3_600_000)),
            ECANCELED
        );
        fails!(llam_mutex_lock_until(mutex.raw(), 0), ETIMEDOUT);
        fails!(llam_mutex_trylock(mutex.raw()), EBUSY);
        fails!(llam_mutex_unlock(mutex.raw()), EPERM);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        eventually("the owner ends", || state(owner) == "DEAD");
        ok!(llam_join(owner.raw()));
        ok!(llam_mutex_lock_until(mutex.raw(), 0));
        ok!(llam_mutex_unlock(mutex.raw()));
        ok!(llam_mutex_destroy(mutex.raw()));
    });
}

#[test]
fn cond_wait_keeps_the_mutex() {
    run_cancelled(|| unsafe {
        let (cond, mutex) = (cond(), mutex());
        ok!(llam_mutex_lock(mutex.raw()));
        fails!(llam_cond_wait(cond.raw(), mutex.raw()), ECANCELED);
        fails!(llam_cond_wait_until(cond.raw(), mutex.raw(), 0), ETIMEDOUT);
        ok!(llam_mutex_unlock(mutex.raw()));
        ok!(llam_cond_destroy(cond.raw()));
        ok!(llam_mutex_destroy(mutex.raw()));
    });
}

#[test]
fn channel_send() {
    run_cancelled(|| unsafe {
        let channel = chan(1);
        ok!(llam_channel_send(channel.raw(), word(1)));
        fails!(llam_channel_send(channel.raw(), word(2)), ECANCELED);
        fails!(
            llam_channel_send_until(channel.raw(), word(2), 0),
            ETIMEDOUT
        );
        fails!(llam_channel_try_send(channel.raw(), word(2)), EAGAIN);
        ok!(llam_channel_close(channel.raw()));
        fails!(llam_channel_send(channel.raw(), word(2)), EPIPE);
        let mut out = null_mut();
        ok!(llam_channel_recv_result(channel.raw(), &mut out));
        assert_eq!(out, word(1));
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn channel_receive() {
    run_cancelled(|| unsafe {
        let channel = chan(1);
        let mut out = word(9);
        fails!(llam_channel_recv_result(channel.raw(), &mut out), ECANCELED);
        assert!(out.is_null());
        fails!(
            llam_channel_recv_until_result(channel.raw(), 0, &mut out),
            ETIMEDOUT
        );
        fails!(llam_channel_recv(channel.raw()), ECANCELED);
        fails!(
            llam_channel_try_recv_result(channel.raw(), &mut out),
            EAGAIN
        );
        ok!(llam_channel_send(channel.raw(), word(3)));
        ok!(llam_channel_recv_result(channel.raw(), &mut out));
        assert_eq!(out, word(3));
        ok!(llam_channel_close(channel.raw()));
        fails!(llam_channel_recv_result(channel.raw(), &mut out), EPIPE);
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn select() {
    run_cancelled(|| unsafe {
        let channel = chan(1);
        let mut out = null_mut();
        let mut index = 5;
        let mut arm = llam_select_op_t {
            kind: LLAM_SELECT_OP_RECV,
            reserved0: 0,
            channel: channel.raw(),
            send_value: null_mut(),
            recv_out: &mut out,
            result_errno: 99,
        };
        fails!(
            llam_channel_select(&mut arm, 1, FOREVER, &mut index),
            ECANCELED
        );
        assert_eq!((index, arm.result_errno), (5, 0));
        fails!(llam_channel_select(&mut arm, 1, 0, &mut index), ETIMEDOUT);
        ok!(llam_channel_send(channel.raw(), word(4)));
        ok!(llam_channel_select(&mut arm, 1, FOREVER, &mut index));
        assert_eq!((index, out), (0, word(4)));
        ok!(llam_channel_destroy(channel.raw()));
    });
}

#[test]
fn class_a_reads() {
    run_cancelled(|| unsafe {
        let (a, b) = common::io::pair();
        let mut bytes = [0_u8; 8];
        fails!(llam_read(a.raw(), buf(&mut bytes), 8), ECANCELED);
        fails!(llam_read_handle(a.raw(), buf(&mut bytes), 8), ECANCELED);
        fails!(
            llam_read_when_ready(a.raw(), buf(&mut bytes), 8, -1),
            ECANCELED
        );
        fails!(
            llam_read_when_ready(a.raw(), buf(&mut bytes), 8, 0),
            ETIMEDOUT
        );
        fails!(
            llam_recvfrom(a.raw(), buf(&mut bytes), 8, 0, null_mut(), null_mut()),
            ECANCELED
        );
        b.put(b"abcdefgh");
        assert_eq!(ok!(llam_read(a.raw(), buf(&mut bytes), 2)), 2);
        assert_eq!(ok!(llam_read_handle(a.raw(), buf(&mut bytes), 2)), 2);
        assert_eq!(
            ok!(llam_read_when_ready(a.raw(), buf(&mut bytes), 2, -1)),
            2
        );
        let n = llam_recvfrom(a.raw(), buf(&mut bytes), 2, 0, null_mut(), null_mut());
        assert_eq!(n, 2);
        assert_eq!(&bytes[..2], b"gh");
    });
}

#[test]
fn class_a_writes() {
    run_cancelled(|| unsafe {
        let (a, b) = common::io::pair();
        let block = vec![7_u8; 1 << 16];
        let slice = llam_iovec_t {
            iov_base: block.as_ptr().cast(),
            iov_len: 100,
        };
        assert_eq!(ok!(llam_write(a.raw(), block.as_ptr().cast(), 100)), 100);
        assert_eq!(
            ok!(llam_write_handle(a.raw(), block.as_ptr().cast(), 100)),
            100
        );
        assert_eq!(ok!(llam_writev(a.raw(), &slice, 1)), 100);
        assert_eq!(
            ok!(llam_sendto(
                a.raw(),
                block.as_ptr().cast(),
                100,
                0,
                null(),
                0
            )),
            100
        );
        while llam_write(a.raw(), block.as_ptr().cast(), block.len()) > 0 {}
        assert_eq!(errno(), ECANCELED, "the socket is full");
        fails!(
            llam_write_handle(a.raw(), block.as_ptr().cast(), block.len()),
            ECANCELED
        );
        fails!(llam_writev(a.raw(), &slice, 1), ECANCELED);
        fails!(
            llam_sendto(a.raw(), block.as_ptr().cast(), block.len(), 0, null(), 0),
            ECANCELED
        );
        assert_eq!(b.take(10).len(), 10);
    });
}

#[test]
fn class_a_accept() {
    run_cancelled(|| unsafe {
        let (listener, addr) = common::io::listener();
        fails!(
            llam_accept(listener.raw(), null_mut(), null_mut()),
            ECANCELED
        );
        let _client = common::io::connect_plain(&addr);
        let fd = llam_accept(listener.raw(), null_mut(), null_mut());
        assert!(fd >= 0, "errno {}", errno());
        ok!(llam_close(fd));
    });
}

#[test]
fn poll_ready_waiting_and_probing() {
    run_cancelled(|| unsafe {
        let (a, b) = common::io::pair();
        let mut revents = 0x7FFF;
        fails!(
            llam_poll_fd(a.raw(), libc::POLLIN, -1, &mut revents),
            ECANCELED
        );
        assert_eq!(revents, 0, "the output is cleared");
        revents = 0x7FFF;
        fails!(
            llam_poll_handle(a.raw(), libc::POLLIN, 3_600_000, &mut revents),
            ECANCELED
        );
        assert_eq!(revents, 0, "the output is cleared");
        assert_eq!(llam_poll_fd(a.raw(), libc::POLLIN, 0, &mut revents), 0);
        b.put(b"x");
        assert_eq!(llam_poll_fd(a.raw(), libc::POLLIN, -1, &mut revents), 1);
        assert_eq!(revents, libc::POLLIN);
    });
}

#[test]
fn class_b_connect() {
    run_cancelled(|| unsafe {
        let (_listener, addr) = common::io::listener();
        let fd = common::io::tcp();
        let addr = std::ptr::from_ref(&addr).cast();
        fails!(llam_connect(fd.raw(), null(), common::io::INET_LEN), EINVAL);
        fails!(
            llam_connect(fd.raw(), addr, common::io::INET_LEN),
            ECANCELED
        );
        assert_eq!(
            libc::connect(fd.raw(), addr, common::io::INET_LEN),
            0,
            "nothing was done"
        );
    });
}

#[test]
fn class_b_owned_reads() {
    run_cancelled(|| unsafe {
        let (a, b) = common::io::pair();
        b.put(b"data");
        let mut out = word(1).cast();
        fails!(llam_read_owned(a.raw(), 4, &mut out), ECANCELED);
        assert!(out.is_null());
        fails!(llam_recv_owned(a.raw(), 4, 0, &mut out), ECANCELED);
        let file = TempFile::with(b"data");
        let fd = file.open(libc::O_RDONLY);
        fails!(
            llam_pread_owned_aligned(fd.raw(), 4, 0, 0, &mut out),
            ECANCELED
        );
        fails!(
            llam_pread_handle_owned_aligned(fd.raw(), 4, 0, 0, &mut out),
            ECANCELED
        );
        assert_eq!(a.take(4), b"data", "nothing was taken");
    });
}

#[test]
fn class_a_owned_datagrams() {
    run_cancelled(|| unsafe {
        let (a, b) = common::io::datagram_pair();
        let mut out = null_mut();
        fails!(
            llam_recvfrom_owned(a.raw(), 4, 0, null_mut(), null_mut(), &mut out),
            ECANCELED
        );
        b.put(b"data");
        let n = llam_recvfrom_owned(a.raw(), 4, 0, null_mut(), null_mut(), &mut out);
        assert_eq!(n, 4, "errno {}", errno());
        llam_io_buffer_release(out);
    });
}

#[test]
fn class_b_positional_io() {
    run_cancelled(|| unsafe {
        let file = TempFile::with(b"unchanged");
        let fd = file.open(libc::O_RDWR);
        let mut bytes = *b"new bytes";
        let into = llam_mut_iovec_t {
            iov_base: buf(&mut bytes),
            iov_len: 9,
        };
        let from = llam_iovec_t {
            iov_base: buf(&mut bytes),
            iov_len: 9,
        };
        fails!(llam_pwrite(fd.raw(), buf(&mut bytes), 9, 0), ECANCELED);
        fails!(
            llam_pwrite_handle(fd.raw(), buf(&mut bytes), 9, 0),
            ECANCELED
        );
        fails!(llam_pwritev(fd.raw(), &from, 1, 0), ECANCELED);
        fails!(llam_pwritev_handle(fd.raw(), &from, 1, 0), ECANCELED);
        fails!(llam_pread(fd.raw(), buf(&mut bytes), 9, 0), ECANCELED);
        fails!(
            llam_pread_handle(fd.raw(), buf(&mut bytes), 9, 0),
            ECANCELED
        );
        fails!(llam_preadv(fd.raw(), &into, 1, 0), ECANCELED);
        fails!(llam_preadv_handle(fd.raw(), &into, 1, 0), ECANCELED);
        assert_eq!(&bytes, b"new bytes");
        assert_eq!(file.content(), b"unchanged");
    });
}

#[test]
fn class_b_names_and_files() {
    run_cancelled(|| unsafe {
        let file = TempFile::with(b"x");
        let mut list = null_mut();
        let mut verdict = 5;
        fails!(
            llam_getaddrinfo_result(
                c"127.0.0.1".as_ptr(),
                null(),
                null(),
                &mut list,
                &mut verdict
            ),
            ECANCELED
        );
        assert!(list.is_null() && verdict == 0, "the outputs are cleared");
        let mut fd = 77;
        fails!(
            llam_open_async(file.c_path().as_ptr(), libc::O_RDONLY, 0, &mut fd),
            ECANCELED
        );
        assert_eq!(fd, LLAM_INVALID_HANDLE);
        let mut stat = std::mem::MaybeUninit::<llam_file_stat_t>::zeroed();
        fails!(
            llam_stat_path_ex(file.c_path().as_ptr(), stat.as_mut_ptr(), 48),
            ECANCELED
        );
    });
}

#[test]
fn timer_with_and_without_ticks() {
    run_cancelled(|| unsafe {
        let mut timer = null_mut();
        ok!(llam_timer_create(3_600_000 * MS, &mut timer));
        let mut ticks = 0;
        fails!(llam_timer_wait(timer, &mut ticks), ECANCELED);
        fails!(llam_timer_wait_until(timer, 1, &mut ticks), ETIMEDOUT);
        ok!(llam_timer_reset(timer, 0, 3_600_000 * MS));
        ok!(llam_timer_wait(timer, &mut ticks));
        assert_eq!(ticks, 1);
        ok!(llam_timer_destroy(timer));
    });
}

#[test]
fn blocking_call_does_not_call() {
    static CALLED: AtomicBool = AtomicBool::new(false);
    unsafe extern "C" fn callback(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        CALLED.store(true, Ordering::Relaxed);
        word(1)
    }
    run_cancelled(|| unsafe {
        let mut out = word(2);
        fails!(
            llam_call_blocking_result(Some(callback), null_mut(), &mut out),
            ECANCELED
        );
        assert!(out.is_null());
        fails!(llam_call_blocking(Some(callback), null_mut()), ECANCELED);
    });
    assert!(!CALLED.load(Ordering::Relaxed));
}

#[test]
fn a_stopping_runtime_is_as_good_as_a_token() {
    let live = live();
    spawn(|| unsafe {
        ok!(llam_runtime_request_stop());
        let (a, b) = common::io::pair();
        b.put(b"bytes");
        let mut bytes = [0_u8; 2];
        assert_eq!(ok!(llam_read(a.raw(), buf(&mut bytes), 2)), 2);
        let mut out = null_mut();
        fails!(llam_read_owned(a.raw(), 2, &mut out), ECANCELED);
        assert!(out.is_null());
        assert_eq!(a.take(9), b"tes", "class B took something");
        fails!(llam_read(a.raw(), buf(&mut bytes), 2), ECANCELED);
        let mut stat = std::mem::MaybeUninit::<llam_file_stat_t>::zeroed();
        fails!(
            llam_stat_path_ex(c"/".as_ptr(), stat.as_mut_ptr(), 48),
            ECANCELED
        );
        let mutex = mutex();
        ok!(llam_mutex_lock(mutex.raw()));
        ok!(llam_mutex_unlock(mutex.raw()));
        ok!(llam_mutex_destroy(mutex.raw()));
    });
    live.run();
}

#[test]
fn what_never_parks_works_as_ever() {
    run_cancelled(|| unsafe {
        llam_yield();
        llam_task_safepoint();
        let ran = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&ran);
        let task = spawn(move || mark.store(true, Ordering::Relaxed));
        ok!(llam_detach(task.raw()));
        eventually("the child runs", || ran.load(Ordering::Relaxed));
        let (cond, mutex, token, group) = (cond(), mutex(), token(), group());
        ok!(llam_cond_signal(cond.raw()));
        ok!(llam_cond_broadcast(cond.raw()));
        ok!(llam_cond_destroy(cond.raw()));
        ok!(llam_mutex_destroy(mutex.raw()));
        ok!(llam_cancel_token_destroy(token.raw()));
        ok!(llam_task_group_destroy(group.raw()));
        ok!(llam_enter_blocking());
        ok!(llam_leave_blocking());
        ok!(llam_task_set_class(0));
    });
}
