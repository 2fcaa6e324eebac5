//! `llam::task`: spawning, joining, asking.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{Drops, SOON, alone, quiet_panics, run, until};
use llam::task::{self, Builder};
use llam::{JoinError, SpawnOptions, StackClass, TaskClass};

#[test]
fn spawn_and_join() {
    run(|| {
        assert_eq!(llam::spawn(|| 1 + 1).join()?, 2);
        assert_eq!(llam::try_spawn(|| "a".repeat(3))?.join()?, "aaa");
        let text = String::from("moved");
        assert_eq!(
            task::spawn_with(SpawnOptions::new(), move || text.len()).join()?,
            5
        );
        Ok(())
    });
}

#[test]
fn spawn_without_a_runtime_fails() {
    let _turn = alone();
    assert_eq!(task::try_spawn(|| ()).unwrap_err().errno(), libc::EINVAL);
    // The panic of the infallible form names the errno.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let payload = catch_unwind(|| llam::spawn(|| ())).unwrap_err();
    std::panic::set_hook(hook);
    let text = payload.downcast_ref::<String>().unwrap();
    assert!(text.contains(&format!("errno={}", libc::EINVAL)), "{text}");
}

#[test]
fn a_failed_spawn_drops_its_closure_once() {
    let _turn = alone();
    let drops = Drops::default();
    let token = drops.token();
    assert!(task::try_spawn(move || drop(token)).is_err());
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_panic_reaches_the_joiner() {
    quiet_panics();
    run(|| {
        let error = llam::spawn(|| -> () { panic!("expected: boom") })
            .join()
            .unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.panic_message(), Some("expected: boom"));
        assert_eq!(error.to_string(), "the task panicked: expected: boom");
        assert_eq!(error.errno(), libc::EIO);
        match error {
            JoinError::Panic(payload) => {
                assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected: boom"));
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    });
}

#[test]
fn a_panic_does_not_hurt_other_tasks_of_the_worker() {
    quiet_panics();
    run(|| {
        for _ in 0..50 {
            let fails = llam::spawn(|| -> () { panic!("expected: boom") });
            let works = llam::spawn(|| 3);
            assert!(fails.join().is_err());
            assert_eq!(works.join()?, 3);
        }
        Ok(())
    });
}

#[test]
fn join_until_can_be_repeated_after_a_timeout() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<u8>(1)?;
        let mut task = llam::spawn(move || rx.recv().unwrap());
        assert_eq!(task.join_until(0)?, None);
        assert_eq!(task.join_timeout(Duration::from_millis(2))?, None);
        assert!(!task.is_finished());
        tx.send(9)?;
        assert_eq!(task.join_timeout(SOON)?, Some(9));
        assert!(task.is_finished());
        assert!(matches!(task.join_until(0), Err(JoinError::MissingResult)));
        assert_eq!((task.id(), task.raw().is_null()), (None, true));
        assert!(matches!(task.join(), Err(JoinError::MissingResult)));
        Ok(())
    });
}

#[test]
fn joining_oneself_is_a_deadlock_error() {
    run(|| {
        let (handle_tx, handle_rx) = llam::channel::bounded::<llam::JoinHandle<()>>(1)?;
        let (result_tx, result_rx) = llam::channel::bounded(1)?;
        let task = llam::spawn(move || {
            let own = handle_rx.recv().unwrap();
            result_tx.send(own.join().unwrap_err().errno()).unwrap();
        });
        handle_tx.send(task)?;
        assert_eq!(result_rx.recv()?, libc::EDEADLK);
        Ok(())
    });
}

#[test]
fn a_cancelled_join_says_so() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let token = llam::CancelToken::new()?;
        let target = llam::spawn(move || rx.recv().unwrap());
        let options = SpawnOptions::new().cancel(token.clone());
        let joiner = task::spawn_with(options, move || target.join().unwrap_err().errno());
        until("the joiner parks", || {
            joiner.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert_eq!(joiner.join()?, libc::ECANCELED);
        // The target was detached by the failed join and goes on.
        tx.send(())?;
        Ok(())
    });
}

#[test]
fn dropping_the_handle_detaches() {
    run(|| {
        let (tx, rx) = llam::channel::bounded(1)?;
        drop(llam::spawn(move || {
            llam::time::sleep(Duration::from_millis(2)).unwrap();
            tx.send(1).unwrap();
        }));
        assert_eq!(rx.recv()?, 1);
        let (tx, rx) = llam::channel::bounded(1)?;
        llam::spawn(move || tx.send(2).unwrap()).detach()?;
        assert_eq!(rx.recv()?, 2);
        Ok(())
    });
}

#[test]
fn results_nobody_takes_are_dropped_once() {
    run(|| {
        let drops = Drops::default();
        let token = drops.token();
        drop(llam::spawn(move || token));
        let seen = drops.clone();
        until("a detached task's result is dropped", move || {
            seen.count() == 1
        });
        let token = drops.token();
        let finished = llam::spawn(move || token);
        until("the task ends", || finished.is_finished());
        drop(finished);
        let seen = drops.clone();
        until("an unjoined result is dropped", move || seen.count() == 2);
        let token = drops.token();
        drop(llam::spawn(move || token).join()?);
        assert_eq!(drops.count(), 3);
        Ok(())
    });
}

#[test]
fn options_are_seen_by_the_task() {
    run(|| {
        let options = SpawnOptions::new()
            .class(TaskClass::Batch)
            .stack(StackClass::Large)
            .no_preempt(true)
            .system_task(true)
            .deadline_after(Duration::from_secs(1));
        let handle = task::spawn_with(options, || {
            (
                task::current_class(),
                task::current_flags(),
                task::current_state_name(),
            )
        });
        assert!(handle.id().is_some());
        assert_eq!(handle.class(), TaskClass::Batch);
        let flags = llam::sys::LLAM_SPAWN_F_PINNED
            | llam::sys::LLAM_SPAWN_F_NO_PREEMPT
            | llam::sys::LLAM_SPAWN_F_SYS_TASK;
        assert_eq!(handle.flags(), flags);
        let (class, seen, state) = handle.join()?;
        assert_eq!(class, Some(TaskClass::Batch));
        assert_eq!(seen, flags);
        assert_eq!(state.as_deref(), Some("RUNNING"));
        let critical = SpawnOptions::new()
            .class(TaskClass::Batch)
            .latency_critical(true);
        let class = task::spawn_with(critical, task::current_class).join()?;
        assert_eq!(class, Some(TaskClass::Latency));
        Ok(())
    });
}

#[test]
fn handles_tell_the_state() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let task = llam::spawn(move || drop(rx.recv()));
        until("the task parks", || {
            task.state_name().as_deref() == Some("PARKED")
        });
        tx.send(())?;
        until("the task ends", || {
            task.state_name().as_deref() == Some("DEAD")
        });
        assert!(format!("{task:?}").contains("is_finished: true"));
        task.join()?;
        Ok(())
    });
}

#[test]
fn the_current_task_can_be_asked_and_changed() {
    run(|| {
        assert!(task::current_id().is_some());
        task::set_class(TaskClass::Latency)?;
        assert_eq!(task::current_class(), Some(TaskClass::Latency));
        task::safepoint();
        task::yield_now();
        Ok(())
    });
}

#[test]
fn outside_a_task_there_is_no_current_task() {
    let _turn = alone();
    assert_eq!(task::current_id(), None);
    assert_eq!(task::current_class(), None);
    assert_eq!(task::current_flags(), 0);
    assert_eq!(task::current_state_name(), None);
    assert_eq!(task::current_name(), None);
    assert_eq!(
        task::set_class(TaskClass::Batch).unwrap_err().errno(),
        libc::ENOTSUP
    );
    task::yield_now();
    task::safepoint();
    assert_eq!(TaskClass::from_raw(2), Some(TaskClass::Batch));
    assert_eq!(TaskClass::from_raw(9), None);
}

#[test]
fn names_are_known_to_the_task_and_in_dumps() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let task = Builder::new()
            .name("the-namesake")
            .class(TaskClass::Latency)
            .stack_size(StackClass::Large)
            .spawn(move || {
                let _ = rx.recv();
                task::current_name()
            })?;
        assert_eq!(task.name(), Some("the-namesake"));
        until("the task parks", || {
            task.state_name().as_deref() == Some("PARKED")
        });
        let path = std::env::temp_dir().join(format!("llam-names-{}", std::process::id()));
        let file = std::fs::File::create(&path)?;
        llam::diagnostics::dump_runtime_state(&file);
        let dump = std::fs::read_to_string(&path)?;
        std::fs::remove_file(&path)?;
        if llam::sys::ext::IS_BUNDLED {
            assert!(dump.contains("the-namesake"), "{dump}");
        }
        tx.send(())?;
        assert_eq!(task.join()?.as_deref(), Some("the-namesake"));
        assert_eq!(llam::spawn(task::current_name).join()?, None);
        Ok(())
    });
}

#[test]
fn a_host_thread_joins_while_another_thread_runs() {
    let _turn = alone();
    let runtime = llam::Runtime::builder().workers(1).create_handle().unwrap();
    let slow = runtime
        .spawn(|| {
            llam::time::sleep(Duration::from_millis(10)).unwrap();
            77
        })
        .unwrap();
    let joiner = std::thread::spawn(move || {
        let mut slow = slow;
        match slow.join_until(0)? {
            Some(value) => Ok(Some(value)),
            None => slow.join_timeout(SOON),
        }
    });
    runtime.run().unwrap();
    assert_eq!(joiner.join().unwrap().unwrap(), Some(77));
}

#[test]
fn a_batch_keeps_the_order() {
    quiet_panics();
    run(|| {
        let mut batch = llam::TaskBatch::with_capacity(3);
        assert!(batch.is_empty());
        batch.spawn(|| {
            llam::time::sleep(Duration::from_millis(3)).unwrap();
            1
        })?;
        batch.spawn_with(SpawnOptions::new().class(TaskClass::Latency), || 2)?;
        batch.push(llam::spawn(|| 3));
        assert_eq!(batch.len(), 3);
        assert_eq!(batch.join()?, [1, 2, 3]);

        let mut batch = llam::TaskBatch::new();
        batch.spawn(|| 1)?;
        batch.spawn(|| panic!("expected: two"))?;
        batch.spawn(|| 3)?;
        let results = batch.join_results();
        assert_eq!(results.len(), 3);
        assert_eq!(*results[0].as_ref().unwrap(), 1);
        assert!(results[1].as_ref().unwrap_err().is_panic());
        assert_eq!(*results[2].as_ref().unwrap(), 3);
        Ok(())
    });
}

#[test]
fn a_batch_with_a_panic_waits_for_all() {
    quiet_panics();
    run(|| {
        let drops = Drops::default();
        let token = drops.token();
        let mut batch = llam::TaskBatch::new();
        batch.spawn(|| panic!("expected: first"))?;
        batch.spawn(move || {
            llam::time::sleep(Duration::from_millis(5)).unwrap();
            drop(token);
        })?;
        assert!(batch.join().unwrap_err().is_panic());
        assert_eq!(drops.count(), 1);
        Ok(())
    });
}

#[test]
fn a_panic_in_a_results_destructor_does_not_end_the_worker() {
    quiet_panics();
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("expected: destructor");
        }
    }
    run(|| {
        drop(llam::spawn(|| Bad));
        llam::time::sleep(Duration::from_millis(2))?;
        assert_eq!(llam::spawn(|| 4).join()?, 4);
        let kept = llam::spawn(|| Bad).join()?;
        assert!(catch_unwind(AssertUnwindSafe(|| drop(kept))).is_err());
        Ok(())
    });
}
