//! A counted reference to what a task shares with those who hold its handle.
//!
//! As `Arc`, with three things that `Arc` cannot: two references are made at once, the last one is
//! given up without an atomic exchange, and the count lies in the value. A spawn and its join are
//! a few dozen nanoseconds, of which each exchange is several.
//!
//! Invariant: the count is the number of `Shared` values and raw pointers made by
//! [`Shared::into_raw`]. Whoever finds it 1 holds the only one: nobody else is left who could clone.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// A value that holds its own count of references.
///
/// # Safety
///
/// `count` returns the same field each time, which nothing but [`Shared`] changes.
pub(crate) unsafe trait Counted {
    fn count(&self) -> &AtomicU32;
}

/// What the count of a value must be when it is given to [`Shared::pair`].
pub(crate) const PAIR: u32 = 2;

pub(crate) struct Shared<P: ?Sized + Counted> {
    value: NonNull<P>,
    _owns: PhantomData<P>,
}

// SAFETY: as `Arc`: the value may be used, and dropped, by any thread that holds a reference.
unsafe impl<P: ?Sized + Counted + Send + Sync> Send for Shared<P> {}
// SAFETY: as above.
unsafe impl<P: ?Sized + Counted + Send + Sync> Sync for Shared<P> {}

impl<P: Counted> Shared<P> {
    /// Two references to a new value, whose count is [`PAIR`].
    #[inline]
    pub(crate) fn pair(value: P) -> (Self, Self) {
        debug_assert_eq!(value.count().load(Ordering::Relaxed), PAIR);
        let value = NonNull::from(Box::leak(Box::new(value)));
        let one = || Self {
            value,
            _owns: PhantomData,
        };
        (one(), one())
    }

    /// Gives a reference up without counting it down; [`from_raw`](Self::from_raw) takes it back.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut c_void {
        std::mem::ManuallyDrop::new(self).value.as_ptr().cast()
    }

    /// Takes back what [`into_raw`](Self::into_raw) gave up.
    ///
    /// # Safety
    ///
    /// `raw` is from `into_raw` of the same type, and is taken back once.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: *mut c_void) -> Self {
        Self {
            // SAFETY: `into_raw` gives out a `NonNull`.
            value: unsafe { NonNull::new_unchecked(raw.cast()) },
            _owns: PhantomData,
        }
    }
}

impl<P: ?Sized + Counted> Shared<P> {
    /// The same reference under a wider type.
    ///
    /// # Safety
    ///
    /// `widen` returns its argument, coerced.
    #[inline]
    pub(crate) unsafe fn widen<Q: ?Sized + Counted>(
        self,
        widen: impl FnOnce(*mut P) -> *mut Q,
    ) -> Shared<Q> {
        let value = widen(std::mem::ManuallyDrop::new(self).value.as_ptr());
        Shared {
            // SAFETY: by the caller's promise it points to where the `NonNull` did.
            value: unsafe { NonNull::new_unchecked(value) },
            _owns: PhantomData,
        }
    }

    /// Whether there is no other reference. What their holders did is seen then.
    #[inline]
    pub(crate) fn is_only(&self) -> bool {
        // Pairs with the release of the others' drops.
        self.count().load(Ordering::Acquire) == 1
    }

    pub(crate) fn as_ptr(&self) -> *const P {
        self.value.as_ptr()
    }
}

impl<P: ?Sized + Counted> Deref for Shared<P> {
    type Target = P;

    #[inline]
    fn deref(&self) -> &P {
        // SAFETY: the value lives as long as there is a reference.
        unsafe { self.value.as_ref() }
    }
}

impl<P: ?Sized + Counted> Clone for Shared<P> {
    fn clone(&self) -> Self {
        self.count().fetch_add(1, Ordering::Relaxed);
        Self {
            value: self.value,
            _owns: PhantomData,
        }
    }
}

impl<P: ?Sized + Counted> Drop for Shared<P> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_only() {
            if self.count().fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: this was the last reference, and `pair` made a box of the value.
        drop(unsafe { Box::from_raw(self.value.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Arc, Mutex};

    struct Value {
        count: AtomicU32,
        dropped: Arc<AtomicUsize>,
        log: Mutex<Vec<u32>>,
    }

    // SAFETY: one field, used by `Shared` alone.
    unsafe impl Counted for Value {
        fn count(&self) -> &AtomicU32 {
            &self.count
        }
    }

    impl Drop for Value {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pair(dropped: &Arc<AtomicUsize>) -> (Shared<Value>, Shared<Value>) {
        Shared::pair(Value {
            count: AtomicU32::new(PAIR),
            dropped: dropped.clone(),
            log: Mutex::default(),
        })
    }

    #[test]
    fn the_last_reference_drops_once() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (one, other) = pair(&dropped);
        assert!(!one.is_only());
        let third = one.clone();
        let raw = other.into_raw();
        drop(one);
        drop(third);
        assert_eq!(dropped.load(Ordering::Relaxed), 0, "one is left");
        // SAFETY: from `into_raw` above, once.
        let last = unsafe { Shared::<Value>::from_raw(raw) };
        assert!(last.is_only());
        drop(last);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn threads_that_drop_at_once_drop_it_once() {
        let dropped = Arc::new(AtomicUsize::new(0));
        const ROUNDS: usize = 2000;
        for round in 0..ROUNDS {
            let (one, other) = pair(&dropped);
            std::thread::scope(|scope| {
                scope.spawn(move || one.log.lock().expect("no panic").push(1));
                other.log.lock().expect("no panic").push(2);
                drop(other);
            });
            assert_eq!(dropped.load(Ordering::Relaxed), round + 1);
        }
    }
}
