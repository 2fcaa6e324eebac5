//! Signal sets: `abi.md` 4.6.
//!
//! Signals are sent to the process while every thread that could take them has them blocked: the set
//! is made by the first thread of a child process, because a signal that any thread leaves unblocked
//! would end the test. The children are ignored tests of this file, run one by one.

#![cfg(target_os = "linux")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::process::Command;
use std::ptr::{null, null_mut};

use common::*;
use libc::{EBUSY, ECANCELED, EINVAL, ENOTSUP, ETIMEDOUT, SIGUSR1, SIGUSR2};
use llam_sys::*;

type Set = H<llam_signal_set_t>;

fn try_create(signos: &[i32], out: &mut *mut llam_signal_set_t) -> i32 {
    unsafe { llam_signal_set_create_ex(signos.as_ptr(), signos.len(), null(), 0, out) }
}

fn create(signos: &[i32]) -> Set {
    let mut out = null_mut();
    ok!(try_create(signos, &mut out));
    H::new(out)
}

fn destroy(set: Set) {
    ok!(unsafe { llam_signal_set_destroy(set.raw()) });
}

fn event() -> llam_signal_event_t {
    llam_signal_event_t {
        signo: 99,
        reserved0: 99,
        sequence: 99,
    }
}

/// Waits within [`PATIENCE`] and gives `(signo, sequence)`.
fn wait(set: Set) -> (i32, u64) {
    let mut event = event();
    ok!(unsafe { llam_signal_wait_until(set.raw(), soon(), &mut event) });
    assert_eq!(event.reserved0, 0);
    (event.signo, event.sequence)
}

fn wait_fails(set: Set, deadline: u64, code: i32) {
    let mut event = event();
    fails!(
        unsafe { llam_signal_wait_until(set.raw(), deadline, &mut event) },
        code
    );
    assert_eq!(
        (event.signo, event.reserved0, event.sequence),
        (0, 0, 0),
        "not cleared"
    );
}

/// Sends a signal to the process.
fn raise(signo: i32) {
    assert_eq!(unsafe { libc::kill(libc::getpid(), signo) }, 0);
}

/// Runs one ignored test of this file in a process of its own, where these signals are blocked in
/// every thread from the start.
fn in_a_child(name: &str) {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args([
        "--exact",
        name,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    // SAFETY: between fork and exec only sigprocmask is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, SIGUSR1);
            libc::sigaddset(&mut set, SIGUSR2);
            libc::sigprocmask(libc::SIG_BLOCK, &set, null_mut());
            Ok(())
        });
    }
    let output = command.output().expect("the child runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{text}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{name} did not run: {text}");
}

#[test]
fn create_refuses_in_this_order() {
    let _serial = serial();
    let good = [SIGUSR1];
    let opts = llam_signal_opts_t {
        flags: 1,
        reserved0: 0,
    };
    let no_flags = llam_signal_opts_t {
        flags: 0,
        reserved0: 9,
    };
    unsafe {
        fails!(
            llam_signal_set_create_ex(null(), 0, &opts, 0, null_mut()),
            EINVAL
        );
        let mut out = word(8).cast();
        fails!(
            llam_signal_set_create_ex(null(), 0, &opts, 0, &mut out),
            EINVAL
        );
        assert!(out.is_null(), "the output is cleared first");
        fails!(
            llam_signal_set_create_ex(null(), 0, &opts, 8, &mut out),
            ENOTSUP
        );
        fails!(
            llam_signal_set_create_ex(null(), 1, &no_flags, 8, &mut out),
            EINVAL
        );
        fails!(
            llam_signal_set_create_ex(good.as_ptr(), 0, null(), 0, &mut out),
            EINVAL
        );
        let many: Vec<i32> = (34..51).collect();
        fails!(try_create(&many, &mut out), EINVAL);
        let nsig = 65;
        for bad in [0, -1, nsig, 1000, libc::SIGKILL, libc::SIGSTOP] {
            fails!(try_create(&[SIGUSR1, bad], &mut out), EINVAL);
        }
        fails!(try_create(&[SIGUSR1, SIGUSR2, SIGUSR1], &mut out), EINVAL);
    }
}

#[test]
fn sixteen_signals_fit() {
    let _serial = serial();
    let signos: Vec<i32> = (35..51).collect();
    destroy(create(&signos));
}

#[test]
fn a_signal_belongs_to_one_set() {
    let _serial = serial();
    let first = create(&[SIGUSR1]);
    let mut out = null_mut();
    fails!(try_create(&[SIGUSR2, SIGUSR1], &mut out), EBUSY);
    assert!(out.is_null());
    let second = create(&[SIGUSR2]);
    destroy(first);
    let third = create(&[SIGUSR1]);
    destroy(second);
    destroy(third);
}

#[test]
fn a_signal_belongs_to_one_set_of_all_runtimes() {
    let _serial = serial();
    let runtime = Runtime::create();
    let set = runtime.in_task(|| create(&[SIGUSR1]));
    let mut out = null_mut();
    fails!(try_create(&[SIGUSR1], &mut out), EBUSY);
    runtime.in_task(move || destroy(set));
    destroy(create(&[SIGUSR1]));
}

#[test]
fn create_blocks_and_destroy_unblocks_in_the_calling_thread() {
    let _serial = serial();
    let blocked = || unsafe {
        let mut set = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, null(), &mut set);
        libc::sigismember(&set, SIGUSR2) == 1
    };
    assert!(!blocked());
    let set = create(&[SIGUSR2]);
    assert!(blocked());
    destroy(set);
    assert!(!blocked());
}

#[test]
fn waits_check_output_then_handle() {
    let _live = live();
    let dead = create(&[SIGUSR1]);
    destroy(dead);
    unsafe {
        fails!(llam_signal_wait(null_mut(), null_mut()), EINVAL);
        fails!(llam_signal_wait_until(dead.raw(), 0, null_mut()), EINVAL);
        for bad in [null_mut(), dead.raw()] {
            let mut out = event();
            fails!(llam_signal_wait_until(bad, 0, &mut out), EINVAL);
            assert_eq!(
                (out.signo, out.sequence),
                (0, 0),
                "the output is cleared first"
            );
            fails!(llam_signal_wait(bad, &mut out), EINVAL);
            fails!(llam_signal_set_destroy(bad), EINVAL);
        }
    }
}

#[test]
fn a_host_thread_waits_only_while_live() {
    let _serial = serial();
    let set = create(&[SIGUSR1]);
    wait_fails(set, 0, EINVAL);
    wait_fails(set, FOREVER, EINVAL);
    destroy(set);
}

#[test]
fn a_wait_times_out_and_never_early() {
    let live = live();
    let set = create(&[SIGUSR1]);
    let check = move || {
        wait_fails(set, 0, ETIMEDOUT);
        wait_fails(set, 1, ETIMEDOUT);
        let deadline = after_ms(20);
        wait_fails(set, deadline, ETIMEDOUT);
        assert!(unsafe { llam_now_ns() } >= deadline);
    };
    check();
    in_task(&live, check);
    destroy(set);
}

#[test]
fn a_waiting_task_is_cancelled_by_token_and_by_stop() {
    let live = live();
    let set = create(&[SIGUSR1]);
    in_task(&live, move || {
        in_cancelled_task(move || {
            wait_fails(set, FOREVER, ECANCELED);
            wait_fails(set, 1, ETIMEDOUT);
        });
        let token = token();
        let task = spawn_with(&with_token(token), move || {
            wait_fails(set, FOREVER, ECANCELED)
        });
        await_parked(task);
        fails!(unsafe { llam_signal_set_destroy(set.raw()) }, EBUSY);
        ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
        join(task);
        ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
        let task = spawn(move || wait_fails(set, FOREVER, ECANCELED));
        await_parked(task);
        ok!(unsafe { llam_runtime_request_stop() });
        eventually("the stopped task ends", || state(task) == "DEAD");
        ok!(unsafe { llam_join(task.raw()) });
    });
    destroy(set);
}

#[test]
fn a_waiting_host_thread_is_cancelled_by_a_stop() {
    let live = live();
    let set = create(&[SIGUSR1]);
    std::thread::scope(|scope| {
        scope.spawn(move || wait_fails(set, FOREVER, ECANCELED));
        // Whether the wait has begun or begins after this, it fails.
        ok!(unsafe { llam_runtime_request_stop() });
    });
    live.run();
    destroy(set);
}

#[test]
#[ignore = "sends signals; run by signals_reach_tasks_and_host_threads"]
fn child_receives_signals() {
    let signals = create(&[SIGUSR1, SIGUSR2]);
    let live = live();
    // Pending before the wait, by a host thread; an expired deadline leaves it pending.
    raise(SIGUSR1);
    wait_fails(signals, 1, ETIMEDOUT);
    assert_eq!(wait(signals), (SIGUSR1, 1));
    // Identical signals are merged while pending.
    raise(SIGUSR2);
    raise(SIGUSR2);
    assert_eq!(wait(signals), (SIGUSR2, 2));
    wait_fails(signals, after_ms(5), ETIMEDOUT);
    in_task(&live, move || {
        let task = spawn(move || assert_eq!(wait(signals), (SIGUSR1, 3)));
        await_parked(task);
        raise(SIGUSR1);
        join(task);
        raise(SIGUSR2);
        assert_eq!(wait(signals), (SIGUSR2, 4));
        // A cancelled wait consumes nothing.
        let token = token();
        let task = spawn_with(&with_token(token), move || {
            wait_fails(signals, FOREVER, ECANCELED)
        });
        await_parked(task);
        ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
        join(task);
        raise(SIGUSR1);
        assert_eq!(wait(signals), (SIGUSR1, 5));
    });
    destroy(signals);
}

#[test]
fn signals_reach_tasks_and_host_threads() {
    in_a_child("child_receives_signals");
}

#[test]
#[ignore = "sends signals; run by each_signal_goes_to_one_waiter"]
fn child_shares_a_set() {
    let signals = create(&[SIGUSR1]);
    let live = live();
    in_task(&live, move || {
        let (send, receive) = std::sync::mpsc::channel();
        let tasks: Vec<Task> = (0..3)
            .map(|_| {
                let send = send.clone();
                let task = spawn(move || send.send(wait(signals)).expect("the test waits"));
                await_parked(task);
                task
            })
            .collect();
        for number in 1..=3 {
            raise(SIGUSR1);
            let mut got = None;
            eventually("a task takes the signal", || {
                got = receive.try_recv().ok();
                got.is_some()
            });
            assert_eq!(got, Some((SIGUSR1, number)));
        }
        tasks.into_iter().for_each(join);
    });
    destroy(signals);
}

#[test]
fn each_signal_goes_to_one_waiter() {
    in_a_child("child_shares_a_set");
}
