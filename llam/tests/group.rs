//! `llam::TaskGroup`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Drops, quiet_panics, run, until};
use llam::{CancelToken, JoinError, SpawnOptions, TaskGroup};

#[test]
fn join_waits_for_all_and_the_group_can_be_used_again() {
    run(|| {
        let mut group = TaskGroup::new()?;
        group.join()?;
        let count = Arc::new(AtomicUsize::new(0));
        for round in 1..=2 {
            for _ in 0..4 {
                let count = Arc::clone(&count);
                group.spawn(move || {
                    llam::task::yield_now();
                    count.fetch_add(1, Ordering::SeqCst);
                })?;
            }
            group.join()?;
            assert_eq!(count.load(Ordering::SeqCst), 4 * round);
        }
        Ok(())
    });
}

#[test]
fn join_timeout_leaves_the_rest_in_the_group() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let mut group = TaskGroup::new()?;
        group.spawn(move || drop(rx.recv()))?;
        let error = group.join_timeout(Duration::from_millis(2)).unwrap_err();
        assert!(error.is_timed_out());
        tx.send(())?;
        group.join()?;
        Ok(())
    });
}

#[test]
fn cancel_reaches_children_without_a_token_of_their_own() {
    run(|| {
        let token = CancelToken::new()?;
        let mut group = TaskGroup::new()?;
        let (tx, rx) = llam::channel::bounded(2)?;
        for options in [
            SpawnOptions::new(),
            SpawnOptions::new().cancel(token.clone()),
        ] {
            let tx = tx.clone();
            group.spawn_with(options, move || {
                let result = llam::time::sleep(Duration::from_millis(30));
                tx.try_send(result.is_ok()).unwrap();
            })?;
        }
        group.cancel()?;
        group.join()?;
        let mut ended = [rx.recv()?, rx.recv()?];
        ended.sort_unstable();
        assert_eq!(ended, [false, true]);
        Ok(())
    });
}

#[test]
fn the_first_panic_is_reported_after_all_have_ended() {
    quiet_panics();
    run(|| {
        let drops = Drops::default();
        let token = drops.token();
        let mut group = TaskGroup::new()?;
        group.spawn(|| panic!("expected: in a group"))?;
        group.spawn(move || {
            llam::time::sleep(Duration::from_millis(5)).unwrap();
            drop(token);
        })?;
        match group.join().unwrap_err() {
            JoinError::Panic(payload) => assert_eq!(
                payload.downcast_ref::<&str>(),
                Some(&"expected: in a group")
            ),
            other => panic!("{other:?}"),
        }
        assert_eq!(drops.count(), 1);
        // Told once.
        group.join()?;
        Ok(())
    });
}

#[test]
fn a_cancelled_join_can_be_repeated() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let token = CancelToken::new()?;
        let options = SpawnOptions::new().cancel(token.clone());
        let parent = llam::task::spawn_with(options, move || {
            let mut group = TaskGroup::new().unwrap();
            group.spawn(move || drop(rx.recv())).unwrap();
            let error = group.join().unwrap_err();
            (group, error.errno())
        });
        until("the parent waits", || {
            parent.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        let (mut group, errno) = parent.join()?;
        assert_eq!(errno, libc::ECANCELED);
        tx.send(())?;
        group.join()?;
        Ok(())
    });
}

#[test]
fn a_dropped_group_leaves_its_children_running() {
    run(|| {
        let (tx, rx) = llam::channel::bounded(1)?;
        let mut group = TaskGroup::new()?;
        group.spawn(move || {
            llam::time::sleep(Duration::from_millis(5)).unwrap();
            tx.send(8).unwrap();
        })?;
        drop(group);
        assert_eq!(rx.recv()?, 8);
        Ok(())
    });
}
