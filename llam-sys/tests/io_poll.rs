//! Waiting for readiness: `llam_poll_fd` and `llam_poll_handle` (`abi.md` 4.14).

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::null_mut;

use common::io::{Fd, TempFile, pair, pipe};
use common::*;
use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, c_short};
use llam_sys::*;

/// A value that the call must overwrite.
const GARBAGE: c_short = 0x5A5A;

fn poll(fd: i32, events: c_short, timeout_ms: i32) -> (i32, c_short) {
    let mut revents = GARBAGE;
    let code = unsafe { llam_poll_fd(fd, events, timeout_ms, &mut revents) };
    assert_ne!(revents, GARBAGE, "not written");
    (code, revents)
}

#[test]
fn ready_bits_are_those_asked_for() {
    everywhere(|| {
        let (a, b) = pair();
        assert_eq!(poll(a.raw(), POLLIN, 0), (0, 0));
        assert_eq!(poll(a.raw(), POLLOUT, 0), (1, POLLOUT));
        assert_eq!(poll(a.raw(), POLLIN | POLLOUT, -1), (1, POLLOUT));
        assert_eq!(poll(a.raw(), 0, 0), (0, 0));
        b.put(b"x");
        assert_eq!(poll(a.raw(), POLLIN, -1), (1, POLLIN));
        assert_eq!(poll(a.raw(), POLLIN | POLLOUT, 10), (1, POLLIN | POLLOUT));
        assert_eq!(poll(a.raw(), POLLOUT, 10), (1, POLLOUT));
    });
}

#[test]
fn an_invalid_or_closed_descriptor_is_pollnval() {
    everywhere(|| {
        for timeout in [0, 10, -1] {
            assert_eq!(poll(LLAM_INVALID_FD, POLLIN, timeout), (1, POLLNVAL));
            assert_eq!(poll(1_000_000, POLLIN, timeout), (1, POLLNVAL));
            assert_eq!(
                unsafe { llam_poll_fd(LLAM_INVALID_FD, POLLIN, timeout, null_mut()) },
                1
            );
        }
    });
}

#[test]
fn hangup_and_error_are_reported_unasked() {
    everywhere(|| {
        let (reader, writer) = pipe();
        drop(writer);
        assert_eq!(poll(reader.raw(), 0, -1), (1, POLLHUP));
        let (code, revents) = poll(reader.raw(), POLLIN, -1);
        assert_eq!((code, revents & POLLHUP), (1, POLLHUP));
        let (reader, writer) = pipe();
        drop(reader);
        let (code, revents) = poll(writer.raw(), 0, -1);
        assert_eq!((code, revents & POLLERR), (1, POLLERR));
        let (a, b) = pair();
        drop(b);
        let (code, revents) = poll(a.raw(), POLLIN, -1);
        assert_eq!((code, revents & (POLLIN | POLLHUP)), (1, POLLIN | POLLHUP));
    });
}

#[test]
fn a_timeout_is_0_and_never_early() {
    everywhere(|| unsafe {
        let (a, _b) = pair();
        let before = llam_now_ns();
        assert_eq!(poll(a.raw(), POLLIN, 15), (0, 0));
        assert!(llam_now_ns() - before >= 15 * MS);
        assert_eq!(llam_poll_fd(a.raw(), POLLIN, 1, null_mut()), 0);
    });
}

#[test]
fn regular_files_are_always_ready() {
    everywhere(|| {
        let file = TempFile::with(b"x");
        let fd = file.open(libc::O_RDWR);
        assert_eq!(poll(fd.raw(), POLLIN, -1), (1, POLLIN));
        assert_eq!(poll(fd.raw(), POLLIN | POLLOUT, 0), (1, POLLIN | POLLOUT));
    });
}

#[test]
fn a_task_waits_for_readability() {
    run_in_task(|| {
        for nonblocking in [false, true] {
            for (reader, writer) in [pair(), pipe()] {
                let reader = reader.nonblocking(nonblocking);
                let theirs = reader.clone();
                let task = spawn(move || assert_eq!(poll(theirs.raw(), POLLIN, -1), (1, POLLIN)));
                await_parked(task);
                writer.put(b"x");
                join(task);
                assert_eq!(reader.is_nonblocking(), nonblocking);
                assert_eq!(reader.take(5), b"x", "poll takes nothing");
            }
        }
    });
}

#[test]
fn a_task_waits_for_room() {
    run_in_task(|| {
        let (a, b) = pair();
        let block = vec![0_u8; 65536];
        loop {
            let flags = libc::MSG_DONTWAIT;
            if unsafe { libc::send(a.raw(), block.as_ptr().cast(), block.len(), flags) } < 0 {
                break;
            }
        }
        let theirs = a.clone();
        let task = spawn(move || assert_eq!(poll(theirs.raw(), POLLOUT, 20_000), (1, POLLOUT)));
        await_parked(task);
        while poll(b.raw(), POLLIN, 0).0 == 1 {
            b.take(1 << 20);
        }
        join(task);
    });
}

#[test]
fn a_waiting_task_sees_the_hangup() {
    run_in_task(|| {
        let (reader, writer) = pipe();
        let task = spawn(move || {
            let (code, revents) = poll(reader.raw(), POLLIN, -1);
            assert_eq!((code, revents & POLLHUP), (1, POLLHUP));
        });
        await_parked(task);
        drop(writer);
        join(task);
    });
}

#[test]
fn several_tasks_wait_on_one_descriptor() {
    run_in_task(|| {
        let (a, b) = pair();
        let tasks: Vec<Task> = (0..4)
            .map(|_| {
                let a: Fd = a.clone();
                let task = spawn(move || assert_eq!(poll(a.raw(), POLLIN, -1), (1, POLLIN)));
                await_parked(task);
                task
            })
            .collect();
        b.put(b"x");
        tasks.into_iter().for_each(join);
    });
}

#[test]
fn a_poll_that_timed_out_leaves_nothing_behind() {
    run_in_task(|| {
        let (a, b) = pair();
        for _ in 0..20 {
            assert_eq!(poll(a.raw(), POLLIN, 1), (0, 0));
        }
        b.put(b"x");
        assert_eq!(poll(a.raw(), POLLIN, 1000), (1, POLLIN));
        a.take(1);
        assert_eq!(poll(a.raw(), POLLIN, 1), (0, 0));
    });
}

#[test]
fn the_handle_form_is_the_same_call() {
    everywhere(|| unsafe {
        let (a, b) = pair();
        let mut revents = GARBAGE;
        assert_eq!(llam_poll_handle(a.raw(), POLLIN, 1, &mut revents), 0);
        assert_eq!(revents, 0);
        b.put(b"x");
        assert_eq!(llam_poll_handle(a.raw(), POLLIN, -1, &mut revents), 1);
        assert_eq!(revents, POLLIN);
        assert_eq!(
            llam_poll_handle(LLAM_INVALID_HANDLE, POLLIN, -1, &mut revents),
            1
        );
        assert_eq!(revents, POLLNVAL);
    });
}
