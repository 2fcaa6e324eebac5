//! Host threads that use tasks while their runtime ends: every call gets an answer, none a dead handle.
//!
//! On an engine that checks handles the answers are all that is looked at. On an SDK 1.x, which does not,
//! a dead handle would end the process.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::alone;
use llam::{JoinError, TaskGroup};

const ROUNDS: u32 = 150;

fn is_answer(outcome: Result<u32, JoinError>) -> bool {
    match outcome {
        Ok(value) => value == 7,
        Err(JoinError::Runtime(error)) => error.errno() == libc::EINVAL,
        Err(_) => false,
    }
}

// Seen failing on an SDK that behaves as 1.0.1 before such calls were kept apart from the runtime's end:
// `llam_join_until was given the dead handle`.
#[test]
fn joins_while_the_run_ends() {
    let _turn = alone();
    for round in 0..ROUNDS {
        let (handles, given) = mpsc::channel::<llam::JoinHandle<u32>>();
        let host = thread::spawn(move || {
            for mut task in given {
                if task.state_name().is_none() || round % 2 == 0 {
                    assert!(is_answer(task.join()));
                } else if let Ok(Some(value)) = task.join_timeout(Duration::from_micros(20)) {
                    assert_eq!(value, 7);
                }
            }
        });
        llam::run(move || {
            for _ in 0..8 {
                handles.send(llam::spawn(|| 7)).unwrap();
            }
            Ok(())
        })
        .unwrap();
        host.join().unwrap();
    }
}

// Seen failing likewise: `llam_detach was given the dead handle`.
#[test]
fn spawns_while_the_run_ends() {
    let _turn = alone();
    for _ in 0..ROUNDS {
        let (started, is_started) = mpsc::channel();
        let host = thread::spawn(move || {
            is_started.recv().unwrap();
            let mut spawned = 0;
            while let Ok(task) = llam::task::try_spawn(|| ()) {
                spawned += 1;
                if spawned % 2 == 0 {
                    drop(task);
                }
                if spawned == 1000 {
                    break;
                }
            }
        });
        llam::run(move || {
            started.send(()).unwrap();
            Ok(())
        })
        .unwrap();
        host.join().unwrap();
    }
}

// Seen failing likewise: `llam_task_group_join_until was given the dead handle`.
#[test]
fn group_joins_while_the_run_ends() {
    let _turn = alone();
    for _ in 0..ROUNDS {
        let (groups, given) = mpsc::channel::<TaskGroup>();
        let host = thread::spawn(move || {
            for mut group in given {
                let _ = group.join_timeout(Duration::from_micros(50));
                match group.join() {
                    Ok(()) => {}
                    Err(JoinError::Runtime(error)) => assert_eq!(error.errno(), libc::EINVAL),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        llam::run(move || {
            let mut group = TaskGroup::new()?;
            group.spawn(|| llam::time::sleep(Duration::from_micros(30)).unwrap())?;
            group.spawn(|| ())?;
            groups.send(group).unwrap();
            Ok(())
        })
        .unwrap();
        host.join().unwrap();
    }
}
