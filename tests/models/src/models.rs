//! The models. Each was seen to fail with the part it checks broken; how is said beside it.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, fence};
use loom::thread;

use crate::fresh::FreshRing;
use crate::inbox::{Inbox, Linked};
use crate::sleep::SleepState;
use crate::spin::SpinLock;
use crate::wait::{Reason, WaitWord};

struct Node {
    link: AtomicPtr<Node>,
    value: u32,
}

// SAFETY: the link is used by the inbox alone, and the models leak their nodes.
unsafe impl Linked for Node {
    fn link(&self) -> &AtomicPtr<Node> {
        &self.link
    }
}

fn leak(value: u32) -> &'static Node {
    Box::leak(Box::new(Node {
        link: AtomicPtr::new(std::ptr::null_mut()),
        value,
    }))
}

/// Broken on purpose: without the fence in `announce` or in `notify` the model finds a
/// worker asleep beside a full inbox.
#[test]
fn parking() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<Node>::new());
        let sleep = Arc::new(SleepState::new());
        let rung = Arc::new(AtomicBool::new(false));
        let waker = {
            let (inbox, sleep, rung) = (inbox.clone(), sleep.clone(), rung.clone());
            thread::spawn(move || {
                // SAFETY: the node is leaked and in no other inbox.
                unsafe { inbox.push(leak(1)) };
                if sleep.notify() {
                    rung.store(true, Ordering::Release);
                }
            })
        };
        sleep.announce();
        let asleep = inbox.is_empty();
        if !asleep {
            sleep.wake_up();
        }
        waker.join().expect("the waker ends");
        if asleep {
            assert!(
                rung.load(Ordering::Acquire),
                "the worker sleeps beside work and nobody rang"
            );
        }
    });
}

/// Broken on purpose: with a relaxed exchange in `push` the model reads a stale value; with
/// a load and a store instead of the swap in `take_all` it loses a node.
#[test]
fn inbox() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<Node>::new());
        let pushers: Vec<_> = [1u32, 2]
            .into_iter()
            .map(|value| {
                let inbox = inbox.clone();
                thread::spawn(move || {
                    // SAFETY: the node is leaked and in no other inbox.
                    unsafe { inbox.push(leak(value)) }
                })
            })
            .collect();
        let mut sum = 0;
        let take = |sum: &mut u32| {
            for node in inbox.take_all() {
                // SAFETY: nodes are leaked.
                *sum += unsafe { (*node).value };
            }
        };
        take(&mut sum);
        for pusher in pushers {
            pusher.join().expect("a pusher ends");
        }
        take(&mut sum);
        assert_eq!(sum, 3);
    });
}

/// Broken on purpose: with a store instead of the exchange on `head` in `pop`, or with a
/// `push` that does not look for room, the model sees a value taken twice or not at all.
#[test]
fn fresh() {
    loom::model(|| {
        let ring = Arc::new(FreshRing::<2>::new());
        let taken = Arc::new([AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)]);
        ring.push(0).expect("room");
        ring.push(1).expect("room");
        let thief = {
            let (ring, taken) = (ring.clone(), taken.clone());
            thread::spawn(move || {
                let mut batch = [0; 2];
                let count = ring.steal(&mut batch);
                for value in &batch[..count] {
                    taken[*value as usize].fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        if ring.push(2).is_err() {
            taken[2].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(value) = ring.pop() {
            taken[value as usize].fetch_add(1, Ordering::Relaxed);
        }
        thief.join().expect("the thief ends");
        while let Some(value) = ring.pop() {
            taken[value as usize].fetch_add(1, Ordering::Relaxed);
        }
        for value in taken.iter() {
            assert_eq!(value.load(Ordering::Relaxed), 1, "each value is taken once");
        }
    });
}

/// Broken on purpose: with a load and a store in `claim` two of the three win.
#[test]
fn wait_race() {
    loom::model(|| {
        let word = Arc::new(WaitWord::new());
        let handed = Arc::new(AtomicU32::new(0));
        let armed = word.arm(true);
        let wins = Arc::new(AtomicU32::new(0));
        let racers: Vec<_> = [Reason::Woken, Reason::Timeout]
            .into_iter()
            .map(|reason| {
                let (word, handed, wins) = (word.clone(), handed.clone(), wins.clone());
                thread::spawn(move || {
                    if word.claim(armed, reason) {
                        handed.store(reason as u32, Ordering::Relaxed);
                        wins.fetch_add(1, Ordering::Release);
                    }
                })
            })
            .collect();
        if word.claim(armed, Reason::Cancelled) {
            handed.store(Reason::Cancelled as u32, Ordering::Relaxed);
            wins.fetch_add(1, Ordering::Release);
        }
        for racer in racers {
            racer.join().expect("a racer ends");
        }
        assert_eq!(wins.load(Ordering::Acquire), 1);
        assert_eq!(handed.load(Ordering::Relaxed), word.reason() as u32);
        let next = word.arm(true);
        assert!(
            !word.claim(armed, Reason::Woken),
            "a late claim finds nothing"
        );
        assert!(word.is_armed(next));
    });
}

/// The task arms, fences and looks at its token; the canceller sets it, fences and looks at
/// the word. Broken on purpose: without either fence both miss.
#[test]
fn cancel() {
    loom::model(|| {
        let word = Arc::new(WaitWord::new());
        let cancelled = Arc::new(AtomicBool::new(false));
        let canceller = {
            let (word, cancelled) = (word.clone(), cancelled.clone());
            thread::spawn(move || {
                cancelled.store(true, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                word.claim_cancelled()
            })
        };
        let armed = word.arm(true);
        fence(Ordering::SeqCst);
        let own = cancelled.load(Ordering::Relaxed) && word.claim(armed, Reason::Cancelled);
        let theirs = canceller.join().expect("the canceller ends");
        assert!(own != theirs, "exactly one of the two ends the park");
    });
}

/// Broken on purpose: with a relaxed store in the guard's drop, or a relaxed exchange in `try_take`,
/// loom reports the accesses of the cell as concurrent.
#[test]
fn spin() {
    loom::model(|| {
        let lock = Arc::new(SpinLock::new(loom::cell::UnsafeCell::new(0_u32)));
        let increment = |lock: &SpinLock<loom::cell::UnsafeCell<u32>>| {
            let held = lock.lock();
            // SAFETY: the lock is held; loom checks it.
            held.with_mut(|value| unsafe { *value += 1 });
        };
        let other = {
            let lock = lock.clone();
            thread::spawn(move || increment(&lock))
        };
        increment(&lock);
        other.join().expect("the other thread ends");
        // SAFETY: as above.
        lock.lock().with(|value| assert_eq!(unsafe { *value }, 2));
    });
}
