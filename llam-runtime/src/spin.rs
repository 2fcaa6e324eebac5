//! The lock of objects: one byte, one atomic exchange to take it, a plain store to give it back.
//!
//! A general mutex pays a second exchange on release, to learn whether anybody sleeps on it. Object
//! locks are held for a few instructions and never across a park, so whoever finds one taken waits
//! for the holder without telling it: a few pauses, then the OS thread gives way, in the end by
//! short sleeps, because the holder may have been preempted. Nobody parks a task here.
//!
//! The model in `tests/models` checks it. All-zero bytes are an open lock.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

use super::sync::{AtomicBool, Ordering, give_way};

#[derive(Debug)]
pub(crate) struct SpinLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives the value to one thread at a time.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    #[cfg(any(test, loom))]
    pub(crate) fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        if !self.try_take() {
            self.wait();
        }
        SpinGuard { lock: self }
    }

    #[inline]
    fn try_take(&self) -> bool {
        self.taken
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn wait(&self) {
        let mut attempts = 0;
        loop {
            while self.taken.load(Ordering::Relaxed) {
                give_way(attempts);
                attempts += 1;
            }
            if self.try_take() {
                return;
            }
        }
    }

    /// The value, for a caller that knows by other means that nobody else may touch it.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.value.get()
    }
}

/// The value, until it is dropped.
pub(crate) struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard is the one holder of the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.taken.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns() {
        const THREADS: u64 = 4;
        const TURNS: u64 = 50_000;
        let lock = SpinLock::new(0_u64);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        *lock.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), THREADS * TURNS);
    }

    #[test]
    fn a_holder_that_sleeps_is_waited_for() {
        let lock = SpinLock::new(false);
        std::thread::scope(|scope| {
            let mut held = lock.lock();
            let waiter = scope.spawn(|| *lock.lock());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiter.is_finished(), "the lock is taken");
            *held = true;
            drop(held);
            assert!(waiter.join().expect("the waiter ends"));
        });
    }
}
