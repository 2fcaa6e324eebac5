//! `llam::sync`: what is built on this crate's wait queue, and `oneshot` and `watch`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Drops, SOON, alone, quiet_panics, run, until};
use llam::channel::{oneshot, watch};
use llam::sync::{Notify, OnceCell, RwLock, Semaphore, WaitGroup};
use llam::{CancelToken, JoinHandle, Runtime, SpawnOptions};

fn parked<T>(task: &JoinHandle<T>) {
    until("the task parks", || {
        task.state_name().as_deref() == Some("PARKED")
    });
}

#[test]
fn rwlock_excludes_writers() {
    run(|| {
        let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
        let mut batch = llam::TaskBatch::new();
        for i in 0..8 {
            let lock = Arc::clone(&lock);
            batch.spawn(move || {
                for _ in 0..100 {
                    if i % 2 == 0 {
                        let mut guard = lock.write().unwrap();
                        guard.0 += 1;
                        llam::task::yield_now();
                        guard.1 += 1;
                    } else {
                        let guard = lock.read().unwrap();
                        llam::task::yield_now();
                        assert_eq!(guard.0, guard.1);
                    }
                }
            })?;
        }
        batch.join()?;
        assert_eq!(*lock.read()?, (400, 400));
        Ok(())
    });
}

#[test]
fn rwlock_readers_share_and_do_not_overtake_a_writer() {
    run(|| {
        let lock = Arc::new(RwLock::new(0));
        let first = lock.read()?;
        let second = lock.try_read()?;
        assert_eq!(lock.try_write().unwrap_err().errno(), libc::EBUSY);
        let other = Arc::clone(&lock);
        let writer = llam::spawn(move || *other.write().unwrap() = 1);
        parked(&writer);
        assert_eq!(lock.try_read().unwrap_err().errno(), libc::EBUSY);
        let other = Arc::clone(&lock);
        let reader = llam::spawn(move || *other.read().unwrap());
        parked(&reader);
        drop((first, second));
        writer.join()?;
        assert_eq!(reader.join()?, 1);
        Ok(())
    });
}

#[test]
fn rwlock_waits_end_by_time_and_by_cancel() {
    run(|| {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.read()?;
        let error = lock.write_timeout(Duration::from_millis(2)).map(drop);
        assert!(error.unwrap_err().is_timed_out());
        // A writer that gives up lets the readers behind it through.
        let token = CancelToken::new()?;
        let other = Arc::clone(&lock);
        let writer = llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
            other.write().map(drop).unwrap_err().errno()
        });
        parked(&writer);
        let other = Arc::clone(&lock);
        let reader = llam::spawn(move || *other.read().unwrap());
        parked(&reader);
        token.cancel()?;
        assert_eq!(writer.join()?, libc::ECANCELED);
        assert_eq!(reader.join()?, 0);
        drop(guard);
        let writer = lock.write()?;
        let error = lock.read_timeout(Duration::from_millis(1)).map(drop);
        assert!(error.unwrap_err().is_timed_out());
        drop(writer);
        Ok(())
    });
}

#[test]
fn rwlock_works_on_host_threads_and_by_itself() {
    let _turn = alone();
    let mut lock = RwLock::new(1);
    *lock.get_mut() += 1;
    *lock.write().unwrap() += 1;
    assert!(format!("{lock:?}").contains('3'));
    let lock = Arc::new(lock);
    let guard = lock.write().unwrap();
    let other = Arc::clone(&lock);
    let reader = std::thread::spawn(move || *other.read().unwrap());
    drop(guard);
    assert_eq!(reader.join().unwrap(), 3);
    assert_eq!(Arc::into_inner(lock).unwrap().into_inner(), 3);
}

#[test]
fn semaphore_counts() {
    run(|| {
        let semaphore = Arc::new(Semaphore::new(3));
        let inside = Arc::new(AtomicUsize::new(0));
        let mut batch = llam::TaskBatch::new();
        for _ in 0..12 {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            batch.spawn(move || {
                let _permit = semaphore.acquire().unwrap();
                assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                llam::task::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            })?;
        }
        batch.join()?;
        assert_eq!(semaphore.available_permits(), 3);
        Ok(())
    });
}

#[test]
fn semaphore_serves_in_order_large_requests_too() {
    run(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let one = semaphore.acquire()?;
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let ask = |permits: usize| {
            let (semaphore, order) = (Arc::clone(&semaphore), Arc::clone(&order));
            let task = llam::spawn(move || {
                let _permit = semaphore.acquire_many(permits).unwrap();
                order.lock().unwrap().push(permits);
            });
            parked(&task);
            task
        };
        let large = ask(2);
        let small = ask(1);
        assert!(semaphore.try_acquire().unwrap_err().is_would_block());
        drop(one);
        large.join()?;
        small.join()?;
        assert_eq!(*order.lock().unwrap(), [2, 1]);
        Ok(())
    });
}

#[test]
fn semaphore_ends_waits() {
    run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let error = semaphore
            .acquire_timeout(Duration::from_millis(2))
            .unwrap_err();
        assert!(error.is_timed_out());
        let other = Arc::clone(&semaphore);
        let waiter = llam::spawn(move || other.acquire().map(drop).unwrap_err().errno());
        parked(&waiter);
        semaphore.close();
        assert_eq!(waiter.join()?, libc::EPIPE);
        assert!(semaphore.try_acquire().unwrap_err().is_closed());
        let semaphore = Semaphore::new(1);
        semaphore.acquire()?.forget();
        assert_eq!(semaphore.available_permits(), 0);
        semaphore.add_permits(2);
        assert_eq!(semaphore.available_permits(), 2);
        Ok(())
    });
}

#[test]
fn notify_remembers_one_call() {
    run(|| {
        let notify = Arc::new(Notify::new());
        notify.notify_one();
        notify.notify_one();
        notify.wait()?;
        let error = notify.wait_timeout(Duration::from_millis(2)).unwrap_err();
        assert!(error.is_timed_out());
        notify.notify_waiters();
        assert!(notify.wait_timeout(Duration::ZERO).is_err());
        let mut waiters = Vec::new();
        for _ in 0..3 {
            let notify = Arc::clone(&notify);
            let waiter = llam::spawn(move || notify.wait());
            parked(&waiter);
            waiters.push(waiter);
        }
        notify.notify_one();
        waiters.remove(0).join()??;
        notify.notify_waiters();
        for waiter in waiters {
            waiter.join()??;
        }
        Ok(())
    });
}

#[test]
fn a_cancelled_waiter_does_not_swallow_a_call() {
    run(|| {
        let notify = Arc::new(Notify::new());
        for _ in 0..50 {
            let token = CancelToken::new()?;
            let other = Arc::clone(&notify);
            let waiter =
                llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
                    other.wait().is_ok()
                });
            parked(&waiter);
            let other = Arc::clone(&notify);
            let caller = llam::spawn(move || other.notify_one());
            token.cancel()?;
            caller.join()?;
            if !waiter.join()? {
                // The call was kept for somebody else.
                notify.wait_timeout(SOON)?;
            }
        }
        Ok(())
    });
}

#[test]
fn once_cell_is_filled_once_while_others_wait() {
    run(|| {
        let cell = Arc::new(OnceCell::new());
        let made = Arc::new(AtomicUsize::new(0));
        let mut batch = llam::TaskBatch::new();
        for i in 0..6 {
            let (cell, made) = (Arc::clone(&cell), Arc::clone(&made));
            batch.spawn(move || {
                *cell
                    .get_or_init(|| {
                        made.fetch_add(1, Ordering::SeqCst);
                        llam::time::sleep(Duration::from_millis(2)).unwrap();
                        i
                    })
                    .unwrap()
            })?;
        }
        let values = batch.join()?;
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert!(values.iter().all(|value| *value == values[0]));
        assert_eq!(cell.set(9), Err(9));
        assert!(cell.get().is_some());
        Ok(())
    });
}

#[test]
fn once_cell_after_a_failure_or_a_panic() {
    quiet_panics();
    run(|| {
        let cell = Arc::new(OnceCell::new());
        let failed = cell.get_or_try_init(|| Err(llam::Error::from_errno(libc::EIO)));
        assert_eq!(failed.unwrap_err().errno(), libc::EIO);
        let other = Arc::clone(&cell);
        let panics = llam::spawn(move || {
            let _: llam::Result<&i32> = other.get_or_init(|| panic!("expected: while filling"));
        });
        assert!(panics.join().unwrap_err().is_panic());
        assert_eq!(*cell.get_or_init(|| 3)?, 3);
        assert_eq!(Arc::into_inner(cell).unwrap().into_inner(), Some(3));
        let cell = OnceCell::new();
        assert_eq!(cell.set(1), Ok(()));
        assert_eq!(cell.set(2), Err(2));
        Ok(())
    });
}

#[test]
fn wait_group_waits_for_zero() {
    run(|| {
        let group = Arc::new(WaitGroup::new());
        group.wait()?;
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..5 {
            group.add(1);
            let (group, done) = (Arc::clone(&group), Arc::clone(&done));
            llam::spawn(move || {
                llam::task::yield_now();
                done.fetch_add(1, Ordering::SeqCst);
                group.done();
            });
        }
        group.wait()?;
        assert_eq!((done.load(Ordering::SeqCst), group.count()), (5, 0));
        group.add(1);
        let error = group.wait_timeout(Duration::from_millis(2)).unwrap_err();
        assert!(error.is_timed_out());
        group.done();
        Ok(())
    });
}

#[test]
#[should_panic(expected = "done more often than added")]
fn wait_group_below_zero_panics() {
    WaitGroup::new().done();
}

#[test]
fn oneshot_delivers_once() {
    run(|| {
        let (tx, rx) = oneshot::channel();
        let waiter = llam::spawn(move || rx.recv());
        parked(&waiter);
        tx.send(5).unwrap();
        assert_eq!(waiter.join()??, 5);

        let (tx, mut rx) = oneshot::channel::<u8>();
        assert!(rx.try_recv().unwrap_err().is_would_block());
        let late = rx.recv_timeout(Duration::from_millis(2));
        assert!(late.unwrap_err().is_timed_out());
        drop(tx);
        assert!(rx.try_recv().unwrap_err().is_closed());
        assert!(rx.recv().unwrap_err().is_closed());

        let (tx, rx) = oneshot::channel();
        assert!(!tx.is_closed());
        drop(rx);
        assert!(tx.is_closed());
        assert_eq!(tx.send("back"), Err("back"));

        let drops = Drops::default();
        let (tx, rx) = oneshot::channel();
        assert!(tx.send(drops.token()).is_ok());
        drop(rx);
        assert_eq!(drops.count(), 1);
        Ok(())
    });
}

#[test]
fn watch_shows_the_latest() {
    run(|| {
        let (tx, mut rx) = watch::channel(0);
        assert!(!rx.has_changed());
        tx.send(1)?;
        tx.send(2)?;
        let mut other = rx.clone();
        assert_eq!((*rx.changed()?, *other.changed()?), (2, 2));
        let late = rx.changed_timeout(Duration::from_millis(2));
        assert!(late.unwrap_err().is_timed_out());
        let waiter = llam::spawn(move || rx.changed().map(|value| *value));
        parked(&waiter);
        tx.send(3)?;
        assert_eq!(waiter.join()??, 3);
        assert_eq!((*tx.value(), *other.value()), (3, 3));
        let mut fresh = tx.subscribe();
        assert!(!fresh.has_changed() && other.has_changed());
        drop(tx);
        assert_eq!(*other.changed()?, 3);
        assert!(other.changed().unwrap_err().is_closed());
        assert!(fresh.changed().unwrap_err().is_closed());
        let (tx, rx) = watch::channel(0);
        drop(rx);
        assert!(tx.send(1).unwrap_err().is_closed());
        assert_eq!(*tx.value(), 1);
        Ok(())
    });
}

#[test]
fn tasks_of_two_runtimes_and_a_host_thread_meet() {
    if !common::needs_abi_2("several runtimes") {
        return;
    }
    // Each wakes the next, so every kind of waker wakes every kind of waiter.
    let _turn = alone();
    let semaphores = Arc::new([Semaphore::new(0), Semaphore::new(0), Semaphore::new(0)]);
    let one = Runtime::builder().workers(1).create_handle().unwrap();
    let other = Runtime::builder().workers(1).create_handle().unwrap();
    let ring = |own: usize, next: usize| {
        let semaphores = Arc::clone(&semaphores);
        move || {
            for _ in 0..50 {
                semaphores[own].acquire_timeout(SOON).unwrap().forget();
                semaphores[next].add_permits(1);
            }
        }
    };
    let first = one.spawn(ring(0, 1)).unwrap();
    let second = other.spawn(ring(1, 2)).unwrap();
    let host = std::thread::spawn(ring(2, 0));
    let runner = std::thread::spawn(move || {
        one.run().unwrap();
        one
    });
    semaphores[0].add_permits(1);
    other.run().unwrap();
    let one = runner.join().unwrap();
    first.join().unwrap();
    second.join().unwrap();
    host.join().unwrap();
    drop(one);
}
