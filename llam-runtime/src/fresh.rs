//! The queue of fresh tasks: filled and emptied by its worker, robbed by others (E1).
//!
//! A ring of words with one producer and any number of consumers. Consumers read a slot
//! first and then try to move `head` past it; a slot is overwritten only after `head` has
//! moved, so a lost race is noticed by the failing exchange and the value read is dropped.
//! What does not fit goes to the worker's overflow queue.

use super::sync::{AtomicU32, AtomicU64, Ordering};

/// A bounded ring of `N` words; `N` is a power of two.
#[derive(Debug)]
pub(crate) struct FreshRing<const N: usize> {
    head: AtomicU32,
    tail: AtomicU32,
    slots: [AtomicU64; N],
}

impl<const N: usize> FreshRing<N> {
    pub(crate) fn new() -> Self {
        assert!(N.is_power_of_two());
        Self {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    #[inline]
    fn slot(&self, position: u32) -> &AtomicU64 {
        &self.slots[position as usize & (N - 1)]
    }

    /// Owner only. Gives the value back when the ring is full.
    #[inline]
    pub(crate) fn push(&self, value: u64) -> Result<(), u64> {
        let tail = self.tail.load(Ordering::Relaxed);
        // Acquire: the slot's last reader has finished before it is written again.
        let head = self.head.load(Ordering::Acquire);
        if tail.wrapping_sub(head) as usize >= N {
            return Err(value);
        }
        self.slot(tail).store(value, Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Owner only. The oldest value, without taking it; it may be stolen meanwhile.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u64> {
        let head = self.head.load(Ordering::Acquire);
        if head == self.tail.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.slot(head).load(Ordering::Relaxed))
    }

    /// Takes the oldest value. Any thread.
    #[inline]
    pub(crate) fn pop(&self) -> Option<u64> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let tail = self.tail.load(Ordering::Acquire);
            if head == tail {
                return None;
            }
            let value = self.slot(head).load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(value),
                Err(now) => head = now,
            }
        }
    }

    /// Takes up to half of the values (at least one, at most `batch.len()`), oldest first,
    /// in one exchange. Any thread. Returns how many were stored into `batch`.
    pub(crate) fn steal(&self, batch: &mut [u64]) -> usize {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let tail = self.tail.load(Ordering::Acquire);
            let available = tail.wrapping_sub(head) as usize;
            // `head` may have moved between the two loads; such a pair shows too many.
            if available == 0 || available > N {
                if available == 0 {
                    return 0;
                }
                continue;
            }
            let count = available.div_ceil(2).min(batch.len());
            for (offset, value) in batch[..count].iter_mut().enumerate() {
                *value = self
                    .slot(head.wrapping_add(offset as u32))
                    .load(Ordering::Relaxed);
            }
            if self
                .head
                .compare_exchange(
                    head,
                    head.wrapping_add(count as u32),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
            {
                return count;
            }
        }
    }

    /// How many values are queued; a snapshot.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Acquire);
        (self.tail.load(Ordering::Acquire).wrapping_sub(head) as usize).min(N)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_until_full() {
        let ring = FreshRing::<4>::new();
        for round in 0..10u64 {
            for value in 0..4 {
                assert_eq!(ring.push(round * 10 + value), Ok(()));
            }
            assert_eq!(ring.push(99), Err(99));
            assert_eq!(ring.peek(), Some(round * 10));
            let mut batch = [0; 8];
            assert_eq!(ring.steal(&mut batch), 2);
            assert_eq!(batch[..2], [round * 10, round * 10 + 1]);
            assert_eq!(ring.pop(), Some(round * 10 + 2));
            assert_eq!(ring.pop(), Some(round * 10 + 3));
            assert_eq!(ring.pop(), None);
        }
    }

    #[test]
    fn thieves_and_owner_take_each_value_once() {
        use std::sync::atomic::{AtomicBool, AtomicU64 as Sum};
        let ring = FreshRing::<64>::new();
        let (sum, done) = (Sum::new(0), AtomicBool::new(false));
        const COUNT: u64 = 200_000;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut batch = [0; 32];
                    while !done.load(Ordering::Acquire) || ring.len() > 0 {
                        let taken = ring.steal(&mut batch);
                        sum.fetch_add(batch[..taken].iter().sum(), Ordering::Relaxed);
                    }
                });
            }
            for value in 1..=COUNT {
                let mut pending = value;
                while let Err(back) = ring.push(pending) {
                    pending = back;
                    if let Some(own) = ring.pop() {
                        sum.fetch_add(own, Ordering::Relaxed);
                    }
                }
            }
            done.store(true, Ordering::Release);
        });
        assert_eq!(sum.into_inner(), COUNT * (COUNT + 1) / 2);
    }
}
