//! How often the binding allocates: not at all for word-sized channel values and for `select!`, once
//! for a spawn. Alone in its process, because the counter is the process's.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use llam::channel::bounded;

struct Counting;

static TOTAL: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_COUNTED.try_with(Cell::get).unwrap_or(false) {
            TOTAL.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this worker's thread while `f` runs, after a first run that fills caches.
fn count(mut f: impl FnMut()) -> usize {
    f();
    let before = TOTAL.load(Ordering::Relaxed);
    IS_COUNTED.with(|counted| counted.set(true));
    f();
    IS_COUNTED.with(|counted| counted.set(false));
    TOTAL.load(Ordering::Relaxed) - before
}

/// One worker, so that both sides of everything run on the counted thread.
fn run(body: impl FnOnce() -> llam::Result<()> + Send + 'static) {
    let (_turn, _watchdog) = common::alone();
    llam::Runtime::builder()
        .deterministic(true)
        .run(body)
        .unwrap();
}

const ROUNDS: usize = 100;

#[test]
fn word_sized_values_cross_without_allocating() {
    run(|| {
        let (tx, rx) = bounded::<u64>(4)?;
        let counted = count(|| {
            for i in 0..ROUNDS as u64 {
                tx.send(i).unwrap();
                assert_eq!(rx.recv().unwrap(), i);
                tx.try_send(i).unwrap();
                assert_eq!(rx.try_recv().unwrap(), i);
            }
        });
        assert_eq!(counted, 0);
        let (tx, rx) = bounded::<(u8, Option<u16>)>(1)?;
        let counted = count(|| {
            tx.send((1, None)).unwrap();
            assert_eq!(rx.recv().unwrap(), (1, None));
        });
        assert_eq!(counted, 0);
        Ok(())
    });
}

#[test]
fn larger_values_are_boxed_once() {
    run(|| {
        let (tx, rx) = bounded::<[u64; 4]>(1)?;
        let counted = count(|| {
            for _ in 0..ROUNDS {
                tx.send([1, 2, 3, 4]).unwrap();
                assert_eq!(rx.recv().unwrap(), [1, 2, 3, 4]);
            }
        });
        assert_eq!(counted, ROUNDS);
        Ok(())
    });
}

#[test]
fn select_does_not_allocate() {
    run(|| {
        let (tx, rx) = bounded::<u64>(1)?;
        let (other_tx, other_rx) = bounded::<u64>(1)?;
        let counted = count(|| {
            for i in 0..ROUNDS as u64 {
                llam::select! {
                    recv(other_rx) -> _ => unreachable!(),
                    send(tx, i) => (),
                    default => unreachable!(),
                }
                let got = llam::select! {
                    recv(rx) -> got => got.unwrap(),
                    send(other_tx, i) => unreachable!(),
                };
                assert_eq!(got, i);
                llam::select! {
                    recv(rx) -> _ => unreachable!(),
                    closed(rx) => unreachable!(),
                    default => (),
                }
            }
        });
        assert_eq!(counted, 0);
        Ok(())
    });
}

#[test]
fn a_parked_select_does_not_allocate() {
    run(|| {
        let (tx, rx) = bounded::<u64>(1)?;
        let (_never_tx, never_rx) = bounded::<u64>(1)?;
        let feeder = llam::spawn(move || {
            for i in 0..2 * ROUNDS as u64 {
                tx.send(i).unwrap();
            }
        });
        let counted = count(|| {
            for _ in 0..ROUNDS {
                llam::select! {
                    recv(rx) -> got => assert!(got.is_ok()),
                    recv(never_rx) -> _ => unreachable!(),
                }
            }
        });
        assert_eq!(counted, 0);
        feeder.join()?;
        Ok(())
    });
}

#[test]
fn a_join_does_not_allocate_and_a_spawn_does_once() {
    run(|| {
        let counted = count(|| {
            for i in 0..ROUNDS as u64 {
                assert_eq!(llam::spawn(move || i + 1).join().unwrap(), i + 1);
            }
        });
        assert_eq!(counted, ROUNDS);
        Ok(())
    });
}

#[test]
fn reading_and_writing_do_not_allocate() {
    run(|| {
        let (one, other) = llam::net::UnixStream::pair()?;
        let counted = count(|| {
            for _ in 0..ROUNDS {
                std::io::Write::write_all(&mut &one, b"abc").unwrap();
                std::io::Read::read_exact(&mut &other, &mut [0; 3]).unwrap();
            }
        });
        assert_eq!(counted, 0);
        Ok(())
    });
}
