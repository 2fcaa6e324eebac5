//! Type-stable storage: slots are reused, never unmapped (invariant E4).
//!
//! A slab is a list of chunks of doubling size. A slot's address depends on its index only
//! and stays valid for the life of the process, so a stale handle can be checked by reading
//! the slot's generation without any lock:
//!
//! ```text
//!   chunk 0: FIRST slots | chunk 1: 2 * FIRST | chunk 2: 4 * FIRST | ...
//!   generation even: free     odd: live, and part of every handle to it
//!   (a slot's first generation is scattered over its index)
//! ```
//!
//! Memory of slots that were never used is never touched, so a slab costs what its
//! high-water mark needs.

use std::alloc::{Layout, alloc_zeroed};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Slots of the first chunk, as a power of two.
const FIRST_SHIFT: u32 = 8;
/// 256 << 18 slots in the last chunk: more than the 2^26 indexes a handle can carry.
const CHUNKS: usize = 19;
/// Indexes a handle can carry.
pub(crate) const MAX_INDEX: u32 = 1 << 26;

/// What every slot starts with.
#[derive(Debug)]
pub(crate) struct SlotHead {
    /// Odd while the slot is live. Changed by `allocate`, `free` and `renew` only.
    generation: AtomicU64,
    /// Free list link while the slot is free: index + 1, 0 at the end.
    next_free: AtomicU32,
    /// The slot's own index, set when its chunk was made.
    index: AtomicU32,
}

impl SlotHead {
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_live(generation: u64) -> bool {
        generation & 1 == 1
    }

    /// Makes every handle given out so far stale while the slot stays live. The caller
    /// holds the slot's lock.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(2, Ordering::AcqRel);
    }
}

/// A type that can live in a slab.
///
/// # Safety
/// All-zero bytes are a valid value, and `head` returns the same embedded field each time.
pub(crate) unsafe trait Slot: Sync + 'static {
    fn head(&self) -> &SlotHead;
}

struct Free {
    /// First free slot that was used before: index + 1, or 0.
    first: u32,
    /// Slots from here on were never used.
    unused: u32,
}

/// See the module's text.
pub(crate) struct Slab<T> {
    chunks: [AtomicPtr<T>; CHUNKS],
    free: Mutex<Free>,
    /// Slots below this index exist.
    high_water: AtomicU32,
}

impl<T: Slot> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            free: Mutex::new(Free {
                first: 0,
                unused: 0,
            }),
            high_water: AtomicU32::new(0),
        }
    }

    #[inline]
    fn place(index: u32) -> (usize, usize) {
        let shifted = index + (1 << FIRST_SHIFT);
        let chunk = 31 - shifted.leading_zeros() - FIRST_SHIFT;
        (
            chunk as usize,
            (shifted - (1 << (chunk + FIRST_SHIFT))) as usize,
        )
    }

    /// The slot of an index, if its chunk exists. It may be free, or not yet used.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> Option<&'static T> {
        if index >= MAX_INDEX {
            return None;
        }
        let (chunk, offset) = Self::place(index);
        let base = self.chunks[chunk].load(Ordering::Acquire);
        if base.is_null() {
            return None;
        }
        // SAFETY: chunk `chunk` has `1 << (chunk + FIRST_SHIFT)` zero-initialised slots,
        // `offset` is below that, and chunks are never freed.
        Some(unsafe { &*base.add(offset) })
    }

    /// The slot of an index and generation, if that very object is live.
    #[cfg(test)]
    fn lookup(&self, index: u32, generation: u64) -> Option<&'static T> {
        let slot = self.slot(index)?;
        (slot.head().generation() == generation && SlotHead::is_live(generation)).then_some(slot)
    }

    /// Takes a slot and makes it live. `None` when memory or indexes are exhausted. For objects that
    /// nobody meets but through their handle; see `take` for others.
    pub(crate) fn allocate(&self) -> Option<&'static T> {
        let slot = self.take()?;
        Self::revive(slot);
        Some(slot)
    }

    /// Takes a slot, still dead: whoever walks over the slots passes it by until it has been filled
    /// and made live by `revive`.
    pub(crate) fn take(&self) -> Option<&'static T> {
        self.take_free(&mut self.free.lock())
    }

    /// Takes up to `batch.capacity()` free slots at once, still dead; see `revive`.
    pub(crate) fn take_batch(&self, batch: &mut Vec<&'static T>, count: usize) {
        let mut free = self.free.lock();
        for _ in 0..count {
            match self.take_free(&mut free) {
                Some(slot) => batch.push(slot),
                None => break,
            }
        }
    }

    /// Makes a slot from `take` or `take_batch` live.
    #[inline]
    pub(crate) fn revive(slot: &T) {
        let generation = &slot.head().generation;
        // The slot is not shared while it is dead, so plain read and write suffice.
        generation.store(generation.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Makes a live slot dead. It still has to be given back with `give_back`.
    #[inline]
    pub(crate) fn kill(slot: &T) {
        let generation = &slot.head().generation;
        generation.store(generation.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Returns dead slots to the free list.
    pub(crate) fn give_back(&self, slots: impl IntoIterator<Item = &'static T>) {
        let mut free = self.free.lock();
        for slot in slots {
            let head = slot.head();
            head.next_free.store(free.first, Ordering::Relaxed);
            free.first = head.index() + 1;
        }
    }

    /// Ends a live slot: every handle to it is stale from now on.
    pub(crate) fn free(&self, slot: &'static T) {
        Self::kill(slot);
        self.give_back([slot]);
    }

    fn take_free(&self, free: &mut Free) -> Option<&'static T> {
        if free.first != 0 {
            let slot = self.slot(free.first - 1)?;
            free.first = slot.head().next_free.load(Ordering::Relaxed);
            return Some(slot);
        }
        let index = free.unused;
        if index >= MAX_INDEX {
            return None;
        }
        let (chunk, _) = Self::place(index);
        if self.chunks[chunk].load(Ordering::Relaxed).is_null() {
            let layout = Layout::array::<T>(1 << (chunk as u32 + FIRST_SHIFT)).ok()?;
            // SAFETY: the layout is not zero-sized; a `Slot` may be all zero.
            let base = unsafe { alloc_zeroed(layout) }.cast::<T>();
            if base.is_null() {
                return None;
            }
            self.chunks[chunk].store(base, Ordering::Release);
        }
        free.unused = index + 1;
        let slot = self.slot(index)?;
        slot.head().index.store(index, Ordering::Relaxed);
        // Neighbours begin with unlike generations, so that a handle that is off by a little
        // names no live object.
        let first = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 << 1;
        slot.head().generation.store(first, Ordering::Relaxed);
        self.high_water.store(free.unused, Ordering::Release);
        Some(slot)
    }

    /// Every slot that was ever used, live or not.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static T> + '_ {
        (0..self.high_water.load(Ordering::Acquire)).filter_map(|index| self.slot(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Word(SlotHead, AtomicU64);
    // SAFETY: atomics may be zero; the head is a plain field.
    unsafe impl Slot for Word {
        fn head(&self) -> &SlotHead {
            &self.0
        }
    }

    #[test]
    fn stale_generations_are_refused_and_addresses_stay() {
        static SLAB: Slab<Word> = Slab::new();
        let slots: Vec<_> = (0..3000)
            .map(|_| SLAB.allocate().expect("memory"))
            .collect();
        for (position, slot) in slots.iter().enumerate() {
            assert_eq!(slot.0.index() as usize, position);
            slot.1.store(position as u64, Ordering::Relaxed);
        }
        let generation = slots[1234].0.generation();
        let found = SLAB.lookup(1234, generation).expect("live");
        assert_eq!(found.1.load(Ordering::Relaxed), 1234);
        SLAB.free(found);
        assert!(SLAB.lookup(1234, generation).is_none());
        let again = SLAB.allocate().expect("memory");
        assert!(std::ptr::eq(again, found), "the freed slot is used next");
        assert!(SLAB.lookup(1234, generation).is_none());
        assert!(SLAB.lookup(1234, generation + 2).is_some());
        assert!(SLAB.lookup(MAX_INDEX - 1, 1).is_none());
    }
}
