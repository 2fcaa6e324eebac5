//! `llam::scope`, `try_scope`, `nursery`: children end before the frames they borrow.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{Drops, quiet_panics, run, until};
use llam::{CancelToken, JoinError, SpawnOptions};

#[test]
fn children_borrow_and_return() {
    run(|| {
        let text = String::from("borrowed");
        let mut numbers = [1, 2, 3];
        let length = llam::scope(|s| {
            let length = s.spawn(|| text.len());
            for number in &mut numbers {
                s.spawn(move || *number *= 10);
            }
            let options = SpawnOptions::new().class(llam::TaskClass::Latency);
            assert_eq!(s.spawn_with(options.clone(), || 1).join().unwrap(), 1);
            assert_eq!(s.try_spawn(|| 2).unwrap().join().unwrap(), 2);
            assert_eq!(s.try_spawn_with(options, || 3).unwrap().join().unwrap(), 3);
            length.join().unwrap()
        });
        assert_eq!((length, numbers), (8, [10, 20, 30]));
        Ok(())
    });
}

#[test]
fn children_spawn_siblings() {
    run(|| {
        let count = AtomicUsize::new(0);
        llam::scope(|s| {
            let count = &count;
            for _ in 0..3 {
                s.spawn(move || {
                    for _ in 0..3 {
                        s.spawn(move || count.fetch_add(1, Ordering::SeqCst));
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 9);
        Ok(())
    });
}

#[test]
fn many_children_are_swept_and_all_counted() {
    run(|| {
        let count = AtomicUsize::new(0);
        llam::scope(|s| {
            for i in 0..2_000 {
                s.spawn(|| count.fetch_add(1, Ordering::SeqCst));
                if i % 16 == 0 {
                    llam::task::yield_now();
                }
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 2_000);
        Ok(())
    });
}

#[test]
fn results_nobody_takes_are_dropped_before_the_scope_returns() {
    run(|| {
        let drops = Drops::default();
        llam::scope(|s| {
            for _ in 0..200 {
                let token = drops.token();
                s.spawn(move || token);
            }
        });
        assert_eq!(drops.count(), 200);
        Ok(())
    });
}

#[test]
fn a_scope_waits_although_its_parent_is_cancelled() {
    run(|| {
        let token = CancelToken::new()?;
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let options = SpawnOptions::new().cancel(token.clone());
        let parent = llam::task::spawn_with(options, move || {
            let local = AtomicBool::new(false);
            let mut errno = 0;
            llam::scope(|s| {
                let rx = &rx;
                let local = &local;
                let child = s.spawn(move || {
                    rx.recv().unwrap();
                    llam::time::sleep(Duration::from_millis(5)).unwrap();
                    local.store(true, Ordering::SeqCst);
                });
                errno = child.join().unwrap_err().errno();
            });
            seen.store(local.load(Ordering::SeqCst), Ordering::SeqCst);
            errno
        });
        until("the parent waits", || {
            parent.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        llam::time::sleep(Duration::from_millis(5))?;
        assert!(!parent.is_finished(), "the scope returned too early");
        tx.send(())?;
        assert_eq!(parent.join()?, libc::ECANCELED);
        assert!(ended.load(Ordering::SeqCst));
        Ok(())
    });
}

#[test]
fn a_scope_waits_although_its_time_is_up() {
    run(|| {
        let ended = AtomicBool::new(false);
        let result = llam::time::timeout(Duration::from_millis(2), || {
            llam::scope(|s| {
                let child = s.spawn(|| {
                    llam::time::sleep(Duration::from_millis(20)).unwrap();
                    ended.store(true, Ordering::SeqCst);
                });
                child.join().unwrap_err().errno()
            })
        });
        assert!(result.unwrap_err().is_timed_out());
        assert!(ended.load(Ordering::SeqCst));
        Ok(())
    });
}

#[test]
fn a_scope_waits_although_its_closure_panics() {
    quiet_panics();
    run(|| {
        let ended = AtomicBool::new(false);
        let result = catch_unwind(AssertUnwindSafe(|| {
            llam::scope(|s| {
                s.spawn(|| {
                    llam::time::sleep(Duration::from_millis(5)).unwrap();
                    ended.store(true, Ordering::SeqCst);
                });
                panic!("expected: parent");
            })
        }));
        assert_eq!(
            result.unwrap_err().downcast_ref::<&str>(),
            Some(&"expected: parent")
        );
        assert!(ended.load(Ordering::SeqCst));
        Ok(())
    });
}

#[test]
fn a_scope_waits_for_all_although_the_first_child_panics() {
    quiet_panics();
    run(|| {
        let ended = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            llam::scope(|s| {
                s.spawn(|| panic!("expected: child"));
                for _ in 0..3 {
                    s.spawn(|| {
                        llam::time::sleep(Duration::from_millis(5)).unwrap();
                        ended.fetch_add(1, Ordering::SeqCst);
                    });
                }
            });
        }));
        assert_eq!(
            result.unwrap_err().downcast_ref::<&str>(),
            Some(&"expected: child")
        );
        assert_eq!(ended.load(Ordering::SeqCst), 3);
        Ok(())
    });
}

#[test]
fn a_scope_waits_when_its_runtime_stops() {
    run(|| {
        let ended = AtomicBool::new(false);
        let parent_error = llam::scope(|s| {
            let child = s.spawn(|| {
                // Ends some time after its wait was cancelled.
                let error = llam::time::sleep(Duration::from_secs(60)).unwrap_err();
                for _ in 0..100 {
                    llam::task::yield_now();
                }
                ended.store(true, Ordering::SeqCst);
                error.errno()
            });
            until("the child parks", || !child.is_finished());
            assert_eq!(llam::sys::ext::request_stop(), 0);
            child.join().map_err(|error| error.errno())
        });
        assert!(matches!(
            parent_error,
            Ok(libc::ECANCELED) | Err(libc::ECANCELED)
        ));
        assert!(ended.load(Ordering::SeqCst));
        Ok(())
    });
}

#[test]
fn try_scope_returns_a_childs_panic() {
    quiet_panics();
    run(|| {
        let error = llam::try_scope(|s| {
            s.spawn(|| panic!("expected: child"));
        })
        .unwrap_err();
        assert_eq!(error.panic_message(), Some("expected: child"));
        assert_eq!(llam::try_scope(|_| 5)?, 5);
        // A panic that was joined is nobody else's concern.
        llam::try_scope(|s| {
            let child = s.spawn(|| panic!("expected: joined"));
            assert!(child.join().unwrap_err().is_panic());
        })?;
        Ok(())
    });
}

#[test]
fn join_all_waits_in_the_middle_and_handles_keep_their_results() {
    quiet_panics();
    run(|| {
        llam::scope(|s| {
            let kept = s.spawn(|| 6);
            let ended = Arc::new(AtomicUsize::new(0));
            for _ in 0..4 {
                let ended = Arc::clone(&ended);
                s.spawn(move || {
                    llam::task::yield_now();
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
            s.join_all().unwrap();
            assert_eq!(ended.load(Ordering::SeqCst), 4);
            assert!(kept.is_finished());
            assert_eq!(kept.join().unwrap(), 6);
            s.spawn(|| panic!("expected: joined by all"));
            assert!(s.join_all().unwrap_err().is_panic());
        });
        Ok(())
    });
}

#[test]
fn two_tasks_may_wait_for_one_child() {
    run(|| {
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        llam::scope(|s| {
            let rx = &rx;
            let child = s.spawn(move || {
                rx.recv().unwrap();
                12
            });
            let joiner = s.spawn(move || child.join().unwrap());
            s.spawn(move || {
                llam::time::sleep(Duration::from_millis(5)).unwrap();
                tx.send(()).unwrap();
            });
            s.join_all().unwrap();
            assert_eq!(joiner.join().unwrap(), 12);
        });
        Ok(())
    });
}

#[test]
fn a_scope_inside_a_child() {
    run(|| {
        let base = 1;
        let sum = llam::scope(|outer| {
            outer
                .spawn(|| {
                    let middle = base + 1;
                    llam::scope(|inner| inner.spawn(|| middle + base).join().unwrap())
                })
                .join()
                .unwrap()
        });
        assert_eq!(sum, 3);
        Ok(())
    });
}

#[test]
fn nursery_returns_the_closures_value_after_all_have_ended() {
    run(|| {
        let ended = AtomicUsize::new(0);
        let value = llam::nursery(|n| {
            for _ in 0..3 {
                n.spawn(|| {
                    llam::time::sleep(Duration::from_millis(2)).unwrap();
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
            assert!(!n.is_cancelled());
            Ok(n.try_spawn(|| 5)?.join()?)
        })?;
        assert_eq!((value, ended.load(Ordering::SeqCst)), (5, 3));
        Ok(())
    });
}

#[test]
fn an_error_of_the_nursery_cancels_the_children() {
    run(|| {
        let errno = AtomicUsize::new(0);
        let error = llam::nursery(|n| -> llam::Result<()> {
            n.spawn(|| {
                let error = llam::time::sleep(Duration::from_secs(60)).unwrap_err();
                errno.store(error.errno() as usize, Ordering::SeqCst);
            });
            Err(llam::Error::from_errno(libc::EIO))
        })
        .unwrap_err();
        assert_eq!(error.errno(), libc::EIO);
        assert_eq!(errno.load(Ordering::SeqCst), libc::ECANCELED as usize);
        Ok(())
    });
}

#[test]
fn set_cancel_on_error_false_lets_the_children_finish() {
    run(|| {
        let finished = AtomicBool::new(false);
        let error = llam::nursery(|n| -> llam::Result<()> {
            n.set_cancel_on_error(false);
            n.spawn(|| {
                llam::time::sleep(Duration::from_millis(5)).unwrap();
                finished.store(true, Ordering::SeqCst);
            });
            Err(llam::Error::from_errno(libc::EIO))
        })
        .unwrap_err();
        assert_eq!(error.errno(), libc::EIO);
        assert!(finished.load(Ordering::SeqCst));
        Ok(())
    });
}

#[test]
fn a_panic_of_one_child_cancels_the_others_at_once() {
    quiet_panics();
    run(|| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            llam::nursery(|n| {
                let sleeper = n.spawn(|| llam::time::sleep(Duration::from_secs(60)));
                n.spawn(|| panic!("expected: child"));
                let slept = sleeper.join()?;
                assert!(slept.unwrap_err().is_cancelled());
                assert!(n.is_cancelled());
                Ok(())
            })
        }));
        assert_eq!(
            result.unwrap_err().downcast_ref::<&str>(),
            Some(&"expected: child")
        );
        Ok(())
    });
}

#[test]
fn nursery_cancel_and_token() {
    run(|| {
        llam::nursery(|n| {
            let token = n.token();
            let one = n.spawn(|| llam::time::sleep(Duration::from_secs(60)));
            let own = CancelToken::new()?;
            let other = n.spawn_with(SpawnOptions::new().cancel(own), || {
                llam::time::sleep(Duration::from_millis(10))
            });
            n.cancel()?;
            assert!(token.is_cancelled() && n.is_cancelled());
            assert!(one.join()?.unwrap_err().is_cancelled());
            other.join()??;
            n.join_all()?;
            Ok(())
        })
    });
}

#[test]
fn a_cancelled_parent_cancels_its_nursery() {
    run(|| {
        let token = CancelToken::new()?;
        let options = SpawnOptions::new().cancel(token.clone());
        let parent = llam::task::spawn_with(options, || {
            let mut child_errno = 0;
            let error = llam::nursery(|n| {
                let slot = &mut child_errno;
                n.spawn(move || {
                    *slot = llam::time::sleep(Duration::from_secs(60))
                        .unwrap_err()
                        .errno();
                });
                Ok(())
            })
            .unwrap_err();
            (error.errno(), child_errno)
        });
        until("the parent waits", || {
            parent.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert_eq!(parent.join()?, (libc::ECANCELED, libc::ECANCELED));
        Ok(())
    });
}

#[test]
fn a_missing_result_is_not_made_up() {
    run(|| {
        llam::scope(|s| {
            let handle = s.spawn(|| 1);
            s.join_all().unwrap();
            match handle.join() {
                Ok(1) => {}
                other => panic!("{other:?}"),
            }
        });
        assert!(matches!(
            JoinError::from(llam::Error::from_errno(libc::EIO)),
            JoinError::Runtime(_)
        ));
        Ok(())
    });
}

/// Spawns a child into the scope when it is dropped: a result of this type keeps the scope busy after
/// its own child has ended.
struct SpawnsAgain<'scope, 'env> {
    scope: &'scope llam::Scope<'scope, 'env>,
    words: &'scope str,
    late: &'scope AtomicUsize,
    left: usize,
}

impl Drop for SpawnsAgain<'_, '_> {
    fn drop(&mut self) {
        let (words, late, left) = (self.words, self.late, self.left);
        if left == 0 {
            return;
        }
        let scope = self.scope;
        drop(scope.spawn(move || {
            llam::time::sleep(Duration::from_millis(5)).unwrap();
            assert_eq!(words, "borrowed from the caller's frame");
            late.fetch_add(1, Ordering::SeqCst);
            SpawnsAgain {
                scope,
                words,
                late,
                left: left - 1,
            }
        }));
    }
}

// Seen failing while a scope dropped its children's results after it had waited for the last child:
// the late children read a frame that was gone, and the process died.
#[test]
fn a_scope_waits_for_children_spawned_by_destructors_of_results() {
    run(|| {
        let words = String::from("borrowed from the caller's frame");
        let late = AtomicUsize::new(0);
        llam::scope(|s| {
            let (words, late) = (&*words, &late);
            drop(s.spawn(move || SpawnsAgain {
                scope: s,
                words,
                late,
                left: 3,
            }));
        });
        assert_eq!(
            late.load(Ordering::SeqCst),
            3,
            "all of them before the scope ends"
        );
        Ok(())
    });
}

/// Says what it sees when it is dropped.
struct Looks<'a>(&'a str, &'a AtomicUsize);

impl Drop for Looks<'_> {
    fn drop(&mut self) {
        if self.0 == "borrowed by a task that never runs" {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Holds a shutdown up.
struct Slow;

impl Drop for Slow {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(40));
    }
}

// Seen failing while a shutdown told those who wait for a task that never ran before it had dropped
// the task's closure: the scope returned, and the closure was dropped into a frame that was gone.
#[test]
fn a_shutdown_drops_the_closures_of_a_scope_before_the_scope_returns() {
    if !common::needs_bundled_engine("closures of tasks that never ran are dropped") {
        return;
    }
    let (_turn, _watchdog) = common::alone();
    let runtime = llam::Runtime::init().unwrap();
    let slow = || {
        let slow = Slow;
        drop(llam::spawn(move || drop(slow)));
    };
    slow();
    let (told, spawned) = std::sync::mpsc::channel();
    let host = std::thread::spawn(move || {
        let data = String::from("borrowed by a task that never runs");
        let seen = AtomicUsize::new(0);
        llam::scope(|s| {
            let looks = Looks(&data, &seen);
            drop(s.spawn(move || drop(looks)));
            told.send(()).unwrap();
        });
        seen.load(Ordering::SeqCst)
    });
    spawned.recv_timeout(Duration::from_secs(20)).unwrap();
    slow();
    runtime.shutdown();
    assert_eq!(
        host.join().unwrap(),
        1,
        "dropped while the scope still waited"
    );
}
