//! A host thread that consumes a task's handle while another destroys its runtime: the slot is
//! freed once, whoever comes first (`abi.md` 4.2, 4.3).
//!
//! Seen failing while the teardown looked whether a slot is live without its lock: two live tasks
//! then shared a slot after some hundred rounds.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use common::*;
use llam_sys::*;

const ROUNDS: usize = 1200;
const TASKS: usize = 64;

static RUNS: [AtomicU32; TASKS] = [const { AtomicU32::new(0) }; TASKS];

unsafe extern "C" fn nothing(_: *mut c_void) {}

unsafe extern "C" fn count(index: *mut c_void) {
    RUNS[index.addr()].fetch_add(1, Ordering::SeqCst);
}

/// One runtime with one ended task; `consume` and the destruction start together.
fn race(barrier: &Barrier, task: &AtomicUsize, pause: usize) {
    let mut runtime = null_mut();
    ok!(unsafe { ext::runtime_create(null(), 0, 1, &raw mut runtime) });
    let ended = unsafe { llam_runtime_spawn_ex(runtime, Some(nothing), null_mut(), null(), 0) };
    ok!(unsafe { llam_runtime_run_handle(runtime) });
    task.store(ended.addr(), Ordering::SeqCst);
    barrier.wait();
    for _ in 0..pause {
        std::hint::spin_loop();
    }
    unsafe { llam_runtime_destroy(runtime) };
    barrier.wait();
}

/// As many tasks as there are must have as many handles, and each must run once.
fn slots_are_not_shared(round: usize) {
    ok!(unsafe { llam_runtime_init(null()) });
    RUNS.iter().for_each(|runs| runs.store(0, Ordering::SeqCst));
    let mut handles: Vec<usize> = (0..TASKS)
        .map(|index| unsafe { llam_spawn_ex(Some(count), word(index), null(), 0) }.addr())
        .collect();
    handles.sort_unstable();
    handles.dedup();
    assert_eq!(
        handles.len(),
        TASKS,
        "two live tasks have one handle, round {round}"
    );
    ok!(unsafe { llam_run() });
    for (index, runs) in RUNS.iter().enumerate() {
        assert_eq!(
            runs.load(Ordering::SeqCst),
            1,
            "task {index}, round {round}"
        );
    }
    unsafe { llam_runtime_shutdown() };
}

fn consume_races_destroy(consume: unsafe extern "C" fn(*mut llam_task_t) -> i32) {
    let _serial = serial();
    let (barrier, task) = (Barrier::new(2), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                barrier.wait();
                unsafe { consume(task.load(Ordering::SeqCst) as *mut llam_task_t) };
                barrier.wait();
            }
        });
        for round in 0..ROUNDS {
            race(&barrier, &task, round % 40 * 20);
            slots_are_not_shared(round);
        }
    });
}

#[test]
fn detach_races_destroy() {
    consume_races_destroy(llam_detach);
}

#[test]
fn join_races_destroy() {
    consume_races_destroy(llam_join);
}
