//! A run that cannot start: an error, never a hang, and nothing lost.
#![cfg(target_os = "linux")]

mod common;
mod support_child;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::alone;
use support_child::{LIMIT, child, finish, is_child};

/// Leaves room for one more descriptor: the worker's bell, but not its driver.
fn leave_one_descriptor() -> Vec<std::fs::File> {
    let small = libc::rlimit {
        rlim_cur: 64,
        rlim_max: 64,
    };
    // SAFETY: sets a limit of this process from a valid structure.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &small) }, 0);
    let mut held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(held.pop().is_some(), "there was room before");
    held
}

#[test]
#[ignore = "the child of without_descriptors_a_run_fails"]
fn child_has_no_descriptors() {
    if !is_child() {
        return;
    }
    let _guard = alone();
    let _held = leave_one_descriptor();
    let ran = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ran);
    let error = llam::run(move || {
        told.store(true, Ordering::SeqCst);
        Ok(())
    })
    .unwrap_err();
    assert_eq!(error.errno(), libc::EMFILE, "{error}");
    assert!(!ran.load(Ordering::SeqCst));
    if !common::needs_bundled_engine("closures of tasks that never ran are dropped") {
        return;
    }
    assert_eq!(
        Arc::strong_count(&ran),
        1,
        "what the task had captured is dropped"
    );
}

// Seen failing (the watchdog) while `Runtime::run` joined a first task that nobody would ever run.
#[test]
fn without_descriptors_a_run_fails() {
    let mut command = child("child_has_no_descriptors");
    command.env("LLAM_WORKERS", "1");
    finish(command, LIMIT).expect_success();
}
