//! `llam::blocking`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Drops, alone, quiet_panics, run, until};
use llam::blocking::{self, BlockingRegion};
use llam::{CancelToken, SpawnOptions};

#[test]
fn call_runs_elsewhere_and_may_borrow() {
    run(|| {
        let mut text = String::from("a");
        let here = std::thread::current().id();
        let there = blocking::call(|| {
            text.push('b');
            assert!(llam::task::current_id().is_none());
            std::thread::current().id()
        })?
        .unwrap();
        assert_ne!(here, there);
        assert_eq!(text, "ab");
        Ok(())
    });
}

#[test]
fn other_tasks_run_meanwhile() {
    run(|| {
        let release = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&release);
        let blocked = llam::spawn(move || {
            blocking::call(|| {
                common::until_on_host("somebody releases", || seen.load(Ordering::SeqCst))
            })
        });
        let runs = llam::spawn(|| 5).join()?;
        assert_eq!(runs, 5);
        release.store(true, Ordering::SeqCst);
        blocked.join()??.unwrap();
        Ok(())
    });
}

#[test]
fn a_panic_is_the_inner_error() {
    quiet_panics();
    run(|| {
        let payload = blocking::call(|| panic!("expected: on the pool"))?.unwrap_err();
        assert_eq!(
            payload.downcast_ref::<&str>(),
            Some(&"expected: on the pool")
        );
        Ok(())
    });
}

#[test]
fn a_call_of_a_cancelled_task_drops_its_closure() {
    run(|| {
        let token = CancelToken::new()?;
        token.cancel()?;
        let drops = Drops::default();
        let captured = drops.token();
        let error = llam::task::spawn_with(SpawnOptions::new().cancel(token), move || {
            blocking::call(move || drop(captured))
                .map(drop)
                .unwrap_err()
        })
        .join()?;
        assert!(error.is_cancelled());
        assert_eq!(drops.count(), 1);
        Ok(())
    });
}

#[test]
fn a_call_cancelled_while_it_runs_returns_after_it_has_ended() {
    run(|| {
        let token = CancelToken::new()?;
        let (started, release) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (began, may_end) = (Arc::clone(&started), Arc::clone(&release));
        let caller = llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
            let mut ended = false;
            let result = blocking::call(|| {
                began.store(true, Ordering::SeqCst);
                common::until_on_host("somebody releases", || may_end.load(Ordering::SeqCst));
                ended = true;
            });
            (result.map(drop).unwrap_err().errno(), ended)
        });
        until("the call runs", || started.load(Ordering::SeqCst));
        token.cancel()?;
        llam::time::sleep(Duration::from_millis(2))?;
        assert!(!caller.is_finished());
        release.store(true, Ordering::SeqCst);
        assert_eq!(caller.join()?, (libc::ECANCELED, true));
        Ok(())
    });
}

#[test]
fn on_a_host_thread_it_is_a_plain_call() {
    let _turn = alone();
    let here = std::thread::current().id();
    let there = blocking::call(|| std::thread::current().id())
        .unwrap()
        .unwrap();
    assert_eq!(here, there);
    drop(BlockingRegion::enter().unwrap());
}

#[test]
fn a_timeout_keeps_a_call_from_starting_but_cuts_none_short() {
    run(|| {
        let ran = AtomicBool::new(false);
        let late = llam::time::with_deadline(0, || {
            blocking::call(|| ran.store(true, Ordering::SeqCst)).map(drop)
        })?;
        assert!(late.unwrap_err().is_timed_out());
        assert!(!ran.load(Ordering::SeqCst));

        let soon = llam::time::deadline_after(std::time::Duration::from_millis(200));
        let value = llam::time::with_deadline(soon, || {
            blocking::call(|| {
                std::thread::sleep(std::time::Duration::from_millis(400));
                7
            })
        })?;
        assert_eq!(value?.unwrap(), 7);
        Ok(())
    });
}

#[test]
fn a_region_lets_fresh_tasks_run_elsewhere() {
    if !common::needs_bundled_engine("fresh tasks that are pinned move") {
        return;
    }
    run(|| {
        let here = std::thread::current().id();
        let region = BlockingRegion::enter()?;
        let nested = BlockingRegion::enter()?;
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        llam::spawn(move || seen.store(true, Ordering::SeqCst));
        common::until_on_host("a fresh task runs", || ran.load(Ordering::SeqCst));
        drop(nested);
        drop(region);
        assert_eq!(std::thread::current().id(), here);
        Ok(())
    });
}
