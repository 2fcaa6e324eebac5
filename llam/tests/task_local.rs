//! `llam::TaskLocalKey`.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use common::{Drops, alone, quiet_panics, run, until};
use llam::TaskLocalKey;

#[test]
fn set_replace_take_clear() {
    run(|| {
        let key = TaskLocalKey::new()?;
        assert!(!key.is_set()?);
        assert_eq!(key.get_cloned()?, None);
        assert_eq!(key.get_cloned_or("d".to_owned())?, "d");
        assert_eq!(key.get_cloned_or_default()?, "");
        key.set("a".to_owned())?;
        assert!(key.is_set()?);
        assert_eq!(key.replace("b".to_owned())?.as_deref(), Some("a"));
        assert_eq!(key.get_cloned_or("d".to_owned())?, "b");
        assert_eq!(key.take()?.as_deref(), Some("b"));
        assert_eq!(key.take()?, None);
        key.set("c".to_owned())?;
        key.clear()?;
        key.clear()?;
        assert!(!key.is_set()?);
        Ok(())
    });
}

#[test]
fn each_task_has_its_own() {
    run(|| {
        let key = Arc::new(TaskLocalKey::new()?);
        key.set(0)?;
        let mut batch = llam::TaskBatch::new();
        for i in 1..=8 {
            let key = Arc::clone(&key);
            batch.spawn(move || {
                assert!(!key.is_set().unwrap());
                key.set(i).unwrap();
                llam::task::yield_now();
                key.get_cloned().unwrap().unwrap()
            })?;
        }
        assert_eq!(batch.join()?, (1..=8).collect::<Vec<_>>());
        assert_eq!(key.get_cloned()?, Some(0));
        Ok(())
    });
}

#[test]
fn bind_and_with_put_the_former_value_back() {
    quiet_panics();
    run(|| {
        let key = TaskLocalKey::new()?;
        key.set(1)?;
        {
            let _guard = key.bind(2)?;
            assert_eq!(key.get_cloned()?, Some(2));
        }
        assert_eq!(key.get_cloned()?, Some(1));
        key.bind(3)?.restore()?;
        assert_eq!(key.get_cloned()?, Some(1));
        assert_eq!(key.with(4, || key.get_cloned().unwrap())?, Some(4));
        assert_eq!(key.get_cloned()?, Some(1));
        let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            key.with(5, || panic!("expected: inside"))
        }));
        assert!(panics.is_err());
        assert_eq!(key.get_cloned()?, Some(1));
        key.bind(6)?.clear()?;
        assert!(!key.is_set()?);
        drop(key.bind(7)?);
        assert!(!key.is_set()?);
        Ok(())
    });
}

#[test]
fn values_need_not_be_send_or_clone() {
    struct Plain(RefCell<Rc<u8>>);
    run(|| {
        let key = TaskLocalKey::new()?;
        key.set(Plain(RefCell::new(Rc::new(1))))?;
        llam::task::yield_now();
        key.with_ref(|plain| *plain.unwrap().0.borrow_mut() = Rc::new(2))?;
        assert_eq!(*key.take()?.unwrap().0.into_inner(), 2);
        Ok(())
    });
}

#[test]
fn a_lent_value_can_be_read_but_not_replaced() {
    run(|| {
        let key = TaskLocalKey::new()?;
        let drops = Drops::default();
        key.set((7, drops.token()))?;
        let other = TaskLocalKey::new()?;
        key.with_ref(|value| {
            let value = value.unwrap();
            let again = drops.token();
            let busy = key.set((8, again)).unwrap_err();
            assert_eq!(busy.errno(), libc::EBUSY);
            assert_eq!(drops.count(), 1, "the refused value is dropped");
            assert_eq!(key.take().map(drop).unwrap_err().errno(), libc::EBUSY);
            assert_eq!(key.clear().unwrap_err().errno(), libc::EBUSY);
            key.with_ref(|again| assert_eq!(again.unwrap().0, 7))
                .unwrap();
            // Others may come and go, and the task may park.
            for i in 0..64 {
                other.set(i).unwrap();
            }
            llam::task::yield_now();
            assert_eq!(value.0, 7);
        })?;
        key.clear()?;
        assert_eq!(drops.count(), 2);
        Ok(())
    });
}

#[test]
fn a_guard_dropped_while_the_value_is_lent_leaves_it() {
    run(|| {
        let key = TaskLocalKey::new()?;
        key.set(1)?;
        let mut guard = Some(key.bind(2)?);
        key.with_ref(|value| {
            let guard = guard.take().unwrap();
            assert_eq!(guard.restore().unwrap_err().errno(), libc::EBUSY);
            assert_eq!(value, Some(&2));
        })?;
        assert_eq!(key.get_cloned()?, Some(2));
        Ok(())
    });
}

#[test]
fn a_guard_of_a_detached_task_still_restores() {
    run(|| {
        let (tx, rx) = llam::channel::bounded(1)?;
        let (go_tx, go_rx) = llam::channel::bounded::<()>(1)?;
        let task = llam::spawn(move || {
            let key = TaskLocalKey::new().unwrap();
            key.set(1).unwrap();
            let guard = key.bind(2).unwrap();
            go_rx.recv().unwrap();
            guard.restore().unwrap();
            tx.send(key.get_cloned().unwrap()).unwrap();
        });
        task.detach()?;
        go_tx.send(())?;
        assert_eq!(rx.recv()?, Some(1));
        Ok(())
    });
}

/// Notes its name and thread when dropped.
struct Note(
    &'static str,
    Arc<Mutex<Vec<(&'static str, std::thread::ThreadId)>>>,
);

impl Drop for Note {
    fn drop(&mut self) {
        let thread = std::thread::current().id();
        self.1.lock().unwrap().push((self.0, thread));
    }
}

#[test]
fn values_are_dropped_at_the_tasks_end_in_reverse_order_on_its_thread() {
    quiet_panics();
    run(|| {
        for panics in [false, true] {
            let notes = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&notes);
            let thread = Arc::new(Mutex::new(None));
            let own = Arc::clone(&thread);
            let task = llam::spawn(move || {
                let (a, b, c) = (
                    TaskLocalKey::new().unwrap(),
                    TaskLocalKey::new().unwrap(),
                    TaskLocalKey::new().unwrap(),
                );
                a.set(Note("a", Arc::clone(&seen))).unwrap();
                b.set(Note("b", Arc::clone(&seen))).unwrap();
                c.set(Note("c", Arc::clone(&seen))).unwrap();
                // Setting again keeps the place.
                drop(a.replace(Note("A", Arc::clone(&seen))).unwrap());
                seen.lock().unwrap().clear();
                *own.lock().unwrap() = Some(std::thread::current().id());
                // The keys outlive the task's function.
                std::mem::forget((a, b, c));
                llam::task::yield_now();
                assert!(!panics, "expected: with values");
            });
            let joined = task.join();
            assert_eq!(joined.is_err(), panics);
            let thread = thread.lock().unwrap().unwrap();
            assert_eq!(
                *notes.lock().unwrap(),
                [("c", thread), ("b", thread), ("A", thread)]
            );
        }
        Ok(())
    });
}

#[test]
fn destructors_may_use_task_locals_again() {
    struct Late {
        key: &'static TaskLocalKey<u8>,
        other: &'static TaskLocalKey<Note>,
        notes: Arc<Mutex<Vec<(&'static str, std::thread::ThreadId)>>>,
    }
    impl Drop for Late {
        fn drop(&mut self) {
            // An earlier value is still there, and a new one is dropped too.
            assert_eq!(self.key.get_cloned().unwrap(), Some(9));
            self.other
                .set(Note("late", Arc::clone(&self.notes)))
                .unwrap();
        }
    }
    run(|| {
        let key: &'static _ = Box::leak(Box::new(TaskLocalKey::new()?));
        let late: &'static _ = Box::leak(Box::new(TaskLocalKey::new()?));
        let other: &'static _ = Box::leak(Box::new(TaskLocalKey::new()?));
        let notes = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&notes);
        llam::spawn(move || {
            key.set(9_u8).unwrap();
            late.set(Late {
                key,
                other,
                notes: seen,
            })
            .unwrap();
        })
        .join()?;
        let names: Vec<_> = notes.lock().unwrap().iter().map(|note| note.0).collect();
        assert_eq!(names, ["late"]);
        Ok(())
    });
}

#[test]
fn a_panicking_destructor_does_not_stop_the_others() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("expected: destructor");
        }
    }
    quiet_panics();
    run(|| {
        let drops = Drops::default();
        let token = drops.token();
        llam::spawn(move || {
            let (first, bad) = (TaskLocalKey::new().unwrap(), TaskLocalKey::new().unwrap());
            first.set(token).unwrap();
            bad.set(Bad).unwrap();
            std::mem::forget((first, bad));
        })
        .join()?;
        assert_eq!(drops.count(), 1);
        assert_eq!(llam::spawn(|| 1).join()?, 1);
        Ok(())
    });
}

#[test]
fn dropping_a_key_drops_the_current_tasks_value() {
    run(|| {
        let drops = Drops::default();
        let key = Arc::new(TaskLocalKey::new()?);
        key.set(drops.token())?;
        let (other, token) = (Arc::clone(&key), drops.token());
        let (ready_tx, ready_rx) = llam::channel::bounded(1)?;
        let (go_tx, go_rx) = llam::channel::bounded::<()>(1)?;
        let task = llam::spawn(move || {
            other.set(token).unwrap();
            drop(other);
            ready_tx.send(()).unwrap();
            go_rx.recv().unwrap();
        });
        ready_rx.recv()?;
        drop(key);
        assert_eq!(drops.count(), 1, "the current task's, not the other's");
        go_tx.send(())?;
        task.join()?;
        assert_eq!(drops.count(), 2);
        Ok(())
    });
}

#[test]
fn a_new_key_never_shows_the_value_of_an_old_one() {
    run(|| {
        let old = TaskLocalKey::<u64>::new()?;
        let raw = old.raw_key();
        old.set(0xdead_beef)?;
        let (tx, rx) = llam::channel::bounded::<()>(1)?;
        let holder = Arc::new(old);
        let kept = Arc::clone(&holder);
        let other = llam::spawn(move || {
            kept.set(1).unwrap();
            drop(kept);
            rx.recv().unwrap();
        });
        until("the other task holds a value", || {
            Arc::strong_count(&holder) == 1
        });
        drop(holder);
        // The engine may hand the number out again, with another type.
        let again = TaskLocalKey::<String>::new()?;
        if again.raw_key() == raw {
            assert_eq!(again.get_cloned()?, None);
        }
        assert!(!again.is_set()?);
        tx.send(())?;
        other.join()?;
        Ok(())
    });
}

#[test]
fn outside_a_task_nothing_is_supported() {
    let _turn = alone();
    let key = TaskLocalKey::new().unwrap();
    let drops = Drops::default();
    assert_eq!(key.set(drops.token()).unwrap_err().errno(), libc::ENOTSUP);
    assert_eq!(drops.count(), 1);
    assert_eq!(key.is_set().unwrap_err().errno(), libc::ENOTSUP);
    assert_eq!(key.take().map(drop).unwrap_err().errno(), libc::ENOTSUP);
    assert_eq!(key.clear().unwrap_err().errno(), libc::ENOTSUP);
    assert_eq!(
        key.bind(drops.token()).map(drop).unwrap_err().errno(),
        libc::ENOTSUP
    );
    let error = key.with_ref(|_| panic!("not called")).unwrap_err();
    assert_eq!(error.errno(), libc::ENOTSUP);
    let number = TaskLocalKey::<u8>::new().unwrap();
    assert_eq!(number.get_cloned().unwrap_err().errno(), libc::ENOTSUP);
    assert_eq!(number.get_cloned_or(1).unwrap_err().errno(), libc::ENOTSUP);
}
