//! `llam::sync`: `Mutex` and `Condvar`, the ABI's own.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Drops, SOON, alone, quiet_panics, run, until};
use llam::sync::{Condvar, Mutex};
use llam::{CancelToken, SpawnOptions};

#[test]
fn a_mutex_excludes() {
    run(|| {
        let shared = Arc::new(Mutex::new((0_u64, 0_u64))?);
        let mut batch = llam::TaskBatch::new();
        for _ in 0..8 {
            let shared = Arc::clone(&shared);
            batch.spawn(move || {
                for _ in 0..200 {
                    let mut guard = shared.lock().unwrap();
                    guard.0 += 1;
                    llam::task::yield_now();
                    guard.1 += 1;
                    assert_eq!(guard.0, guard.1);
                }
            })?;
        }
        batch.join()?;
        assert_eq!(*shared.lock()?, (1_600, 1_600));
        Ok(())
    });
}

#[test]
fn errors_of_a_mutex() {
    run(|| {
        let mutex = Arc::new(Mutex::new(1)?);
        let guard = mutex.lock()?;
        assert_eq!(mutex.lock().unwrap_err().errno(), libc::EDEADLK);
        assert_eq!(
            mutex.lock_timeout(Duration::ZERO).unwrap_err().errno(),
            libc::EDEADLK
        );
        assert_eq!(mutex.try_lock().unwrap_err().errno(), libc::EBUSY);
        let other = Arc::clone(&mutex);
        let errors = llam::spawn(move || {
            (
                other.try_lock().unwrap_err().errno(),
                other
                    .lock_timeout(Duration::from_millis(2))
                    .unwrap_err()
                    .errno(),
                other.lock_until(0).unwrap_err().errno(),
            )
        });
        assert_eq!(
            errors.join()?,
            (libc::EBUSY, libc::ETIMEDOUT, libc::ETIMEDOUT)
        );
        drop(guard);
        assert_eq!(*mutex.lock_until(0)?, 1);
        Ok(())
    });
    let _turn = alone();
    let mutex = Mutex::new(1).unwrap();
    assert_eq!(mutex.lock().unwrap_err().errno(), libc::ENOTSUP);
    assert_eq!(mutex.try_lock().unwrap_err().errno(), libc::ENOTSUP);
}

#[test]
fn a_cancelled_lock_leaves_the_mutex_usable() {
    run(|| {
        let mutex = Arc::new(Mutex::new(0)?);
        let guard = mutex.lock()?;
        let token = CancelToken::new()?;
        let other = Arc::clone(&mutex);
        let waiter = llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
            let error = other.lock().unwrap_err();
            error.errno()
        });
        until("the waiter parks", || {
            waiter.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert_eq!(waiter.join()?, libc::ECANCELED);
        drop(guard);
        *mutex.lock()? += 1;
        assert_eq!(*mutex.lock()?, 1);
        Ok(())
    });
}

#[test]
fn a_panic_unlocks() {
    quiet_panics();
    run(|| {
        let mutex = Mutex::new(1)?;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _guard = mutex.lock().unwrap();
            panic!("expected: with the lock");
        }));
        assert!(result.is_err());
        assert_eq!(*mutex.try_lock()?, 1);
        Ok(())
    });
}

#[test]
fn the_value_can_be_had_without_locking() {
    let _turn = alone();
    let mut mutex = Mutex::new(String::from("a")).unwrap();
    mutex.get_mut().push('b');
    assert_eq!(mutex.into_inner(), "ab");
    let drops = Drops::default();
    drop(Mutex::new(drops.token()).unwrap());
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_leaked_guard_keeps_the_mutex_locked() {
    run(|| {
        let drops = Drops::default();
        let mutex = Mutex::new(drops.token())?;
        std::mem::forget(mutex.lock()?);
        assert_eq!(mutex.try_lock().unwrap_err().errno(), libc::EBUSY);
        assert!(format!("{mutex:?}", mutex = Mutex::new(3)?).contains('3'));
        drop(mutex);
        assert_eq!(drops.count(), 1);
        Ok(())
    });
}

#[test]
fn notify_one_wakes_one_and_notify_all_wakes_all() {
    run(|| {
        let shared = Arc::new((Mutex::new((0, 0))?, Condvar::new()?));
        let mut batch = llam::TaskBatch::new();
        for _ in 0..3 {
            let shared = Arc::clone(&shared);
            batch.spawn(move || {
                let (mutex, condvar) = &*shared;
                let mut guard = mutex.lock().unwrap();
                guard.0 += 1;
                while guard.1 == 0 {
                    guard = condvar.wait(guard).unwrap();
                }
                guard.1 -= 1;
            })?;
        }
        let (mutex, condvar) = &*shared;
        until("three wait", || mutex.lock().unwrap().0 == 3);
        mutex.lock()?.1 = 1;
        condvar.notify_one()?;
        until("one has gone", || mutex.lock().unwrap().1 == 0);
        mutex.lock()?.1 = 2;
        condvar.notify_all()?;
        batch.join()?;
        Ok(())
    });
}

#[test]
fn a_condition_wait_in_vain() {
    run(|| {
        let mutex = Mutex::new(0)?;
        let condvar = Condvar::new()?;
        let error = condvar
            .wait_timeout(mutex.lock()?, Duration::from_millis(2))
            .unwrap_err();
        assert!(error.is_timed_out());
        // The guard is gone: the mutex is free.
        drop(mutex.try_lock()?);
        let error = condvar.wait_until(mutex.lock()?, 0).unwrap_err();
        assert!(error.is_timed_out());
        drop(mutex.try_lock()?);
        let late = llam::time::with_deadline(llam::time::now_ns(), || {
            condvar.wait(mutex.try_lock().unwrap()).map(drop)
        })?;
        assert!(late.unwrap_err().is_timed_out());
        drop(mutex.try_lock()?);
        Ok(())
    });
}

#[test]
fn waiters_with_different_mutexes_get_back_their_own() {
    run(|| {
        let condvar = Arc::new(Condvar::new()?);
        let mut waiters = Vec::new();
        for i in 0..2 {
            let condvar = Arc::clone(&condvar);
            waiters.push(llam::spawn(move || {
                let mutex = Mutex::new(i).unwrap();
                let guard = condvar.wait(mutex.lock().unwrap()).unwrap();
                assert_eq!(mutex.try_lock().unwrap_err().errno(), libc::EBUSY);
                *guard
            }));
        }
        for waiter in &waiters {
            until("the waiter parks", || {
                waiter.state_name().as_deref() == Some("PARKED")
            });
        }
        condvar.notify_all()?;
        for (i, waiter) in waiters.into_iter().enumerate() {
            assert_eq!(waiter.join()?, i);
        }
        Ok(())
    });
}

#[test]
fn a_host_thread_notifies() {
    let _turn = alone();
    let shared = Arc::new((Mutex::new(()).unwrap(), Condvar::new().unwrap()));
    assert_eq!(shared.1.notify_one().unwrap_err().errno(), libc::ENOTSUP);
    let ready = Arc::new(AtomicBool::new(false));
    let host = {
        let (shared, ready) = (Arc::clone(&shared), Arc::clone(&ready));
        std::thread::spawn(move || {
            common::until_on_host("the task waits", || ready.load(Ordering::SeqCst));
            shared.1.notify_all().unwrap();
        })
    };
    llam::test(move || {
        let (mutex, condvar) = &*shared;
        let end = llam::time::deadline_after(SOON);
        loop {
            let guard = mutex.lock()?;
            ready.store(true, Ordering::SeqCst);
            // The call may come before the wait, so each round is short.
            match condvar.wait_timeout(guard, Duration::from_millis(1)) {
                Ok(_) => return Ok(()),
                Err(error) if error.is_timed_out() => {
                    if host.is_finished() || llam::time::now_ns() > end {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    })
    .unwrap();
}
