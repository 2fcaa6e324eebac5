//! A task that has started never changes its OS thread.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::run;

thread_local! {
    static SHARED: Rc<RefCell<Vec<u32>>> = Rc::new(RefCell::new(Vec::new()));
}

/// Parks in as many ways as there are.
fn park_in_every_way(seed: u64) {
    let (tx, rx) = llam::channel::bounded::<u64>(1).unwrap();
    llam::task::yield_now();
    llam::time::sleep(Duration::from_micros(50 + seed % 200)).unwrap();
    let sender = llam::spawn(move || tx.send(seed).unwrap());
    assert_eq!(rx.recv().unwrap(), seed);
    sender.join().unwrap();
    let (one, other) = llam::net::UnixStream::pair().unwrap();
    let writer = llam::spawn(move || std::io::Write::write_all(&mut &other, b"x").unwrap());
    std::io::Read::read_exact(&mut &one, &mut [0]).unwrap();
    writer.join().unwrap();
    llam::blocking::call(|| ()).unwrap().unwrap();
    llam::task::safepoint();
}

#[test]
fn a_task_stays_on_its_thread_over_every_kind_of_park() {
    run(|| {
        let mut batch = llam::TaskBatch::new();
        for seed in 0..64 {
            batch.spawn(move || {
                let thread = std::thread::current().id();
                for round in 0..4 {
                    park_in_every_way(seed + round);
                    assert_eq!(std::thread::current().id(), thread);
                }
            })?;
        }
        batch.join()?;
        Ok(())
    });
}

#[test]
fn a_reference_count_shared_with_a_thread_local_survives_parks() {
    run(|| {
        let mut batch = llam::TaskBatch::new();
        for seed in 0..64 {
            batch.spawn(move || {
                for round in 0..8 {
                    let shared = SHARED.with(Rc::clone);
                    let before = Rc::strong_count(&shared);
                    assert!(before >= 2);
                    llam::task::yield_now();
                    llam::time::sleep(Duration::from_micros(20)).unwrap();
                    shared.borrow_mut().push(seed + round);
                    assert!(SHARED.with(|own| Rc::ptr_eq(own, &shared)));
                }
            })?;
        }
        batch.join()?;
        Ok(())
    });
}

#[test]
fn a_borrow_of_a_thread_local_may_last_over_a_park() {
    run(|| {
        let mut batch = llam::TaskBatch::new();
        for _ in 0..32 {
            batch.spawn(|| {
                SHARED.with(|own| {
                    let held = Rc::as_ptr(own);
                    llam::task::yield_now();
                    assert!(SHARED.with(|again| std::ptr::eq(Rc::as_ptr(again), held)));
                });
            })?;
        }
        batch.join()?;
        Ok(())
    });
}
