//! The timer wheel of a worker: every timed wait of its tasks.
//!
//! Eight levels of 64 slots. A slot of level 0 is 2^14 ns (16 µs) wide, each level is 64
//! times as coarse as the one below; together they reach past any deadline that fits 62
//! bits. An entry sits in the level where its deadline first differs from the wheel's time:
//!
//! ```text
//!   deadline:  | level 7 |   ...   | level 1 | level 0 | 14 bits within the slot |
//! ```
//!
//! Entries of higher levels move down as time reaches their slot; entries of the current
//! level-0 slot keep their exact deadline, so nothing fires early and little fires late.
//! Nodes live on the stacks of parked tasks and are linked in; insert and remove allocate
//! nothing and touch one slot. A worker owns its wheel alone.

use std::cell::Cell;
use std::ptr;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 8;
const GRAIN_BITS: u32 = 14;
/// Entries of one slot that `next_deadline` looks at before it settles for the slot's end.
const EXACT_SEARCH: usize = 32;

/// A timer, embedded in a parked frame.
#[derive(Debug)]
pub(crate) struct TimerNode {
    next: Cell<*const TimerNode>,
    prev: Cell<*const TimerNode>,
    deadline: Cell<u64>,
    /// Level * SLOTS + slot while linked, `UNLINKED` otherwise.
    place: Cell<u16>,
}

const UNLINKED: u16 = u16::MAX;

impl TimerNode {
    pub(crate) fn new(deadline: u64) -> Self {
        Self {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            deadline: Cell::new(deadline),
            place: Cell::new(UNLINKED),
        }
    }

    #[cfg(test)]
    fn is_linked(&self) -> bool {
        self.place.get() != UNLINKED
    }
}

#[derive(Debug)]
pub(crate) struct Wheel {
    /// Everything at or before this time has fired.
    now: u64,
    occupied: [u64; LEVELS],
    heads: [[*const TimerNode; SLOTS]; LEVELS],
    count: usize,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            occupied: [0; LEVELS],
            heads: [[ptr::null(); SLOTS]; LEVELS],
            count: 0,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Links a node in.
    ///
    /// # Safety
    /// The node stays where it is until it was removed or `expire` has returned it.
    pub(crate) unsafe fn insert(&mut self, node: *const TimerNode) {
        // SAFETY: by the caller's promise the node is valid.
        let deadline = unsafe { (*node).deadline.get() };
        let (level, slot) = self.place(deadline);
        let head = &mut self.heads[level][slot];
        // SAFETY: the node and, while linked, the old head are valid.
        unsafe {
            (*node).prev.set(ptr::null());
            (*node).next.set(*head);
            if !head.is_null() {
                (**head).prev.set(node);
            }
            (*node).place.set((level * SLOTS + slot) as u16);
        }
        *head = node;
        self.occupied[level] |= 1 << slot;
        self.count += 1;
    }

    /// Unlinks a node; does nothing when it is not linked.
    ///
    /// # Safety
    /// The node was inserted into this wheel, or never into any.
    pub(crate) unsafe fn remove(&mut self, node: *const TimerNode) {
        // SAFETY: the node and its neighbours in the list are valid while linked.
        unsafe {
            let place = (*node).place.get();
            if place == UNLINKED {
                return;
            }
            let (level, slot) = (place as usize / SLOTS, place as usize % SLOTS);
            let (prev, next) = ((*node).prev.get(), (*node).next.get());
            if prev.is_null() {
                self.heads[level][slot] = next;
                if next.is_null() {
                    self.occupied[level] &= !(1 << slot);
                }
            } else {
                (*prev).next.set(next);
            }
            if !next.is_null() {
                (*next).prev.set(prev);
            }
            (*node).place.set(UNLINKED);
        }
        self.count -= 1;
    }

    fn place(&self, deadline: u64) -> (usize, usize) {
        // What is already due goes into the current slot, which `expire` looks at first.
        let deadline = deadline.max(self.now);
        let differs = ((deadline ^ self.now) >> GRAIN_BITS) | 1;
        let level = ((63 - differs.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1);
        let slot = (deadline >> (GRAIN_BITS + level * SLOT_BITS)) as usize & (SLOTS - 1);
        (level as usize, slot)
    }

    /// Unlinks and hands out every node that is due at `now`.
    pub(crate) fn expire(&mut self, now: u64, mut fire: impl FnMut(*const TimerNode)) {
        if self.count == 0 {
            self.now = self.now.max(now);
            return;
        }
        loop {
            self.fire_due_in_current_slot(now, &mut fire);
            if now <= self.now || self.count == 0 {
                break;
            }
            // Jump to the next occupied slot, or to `now` when none begins before it.
            match self.next_slot() {
                Some((level, slot, start)) if start <= now => {
                    self.now = start.max(self.now);
                    self.cascade(level, slot);
                }
                _ => {
                    self.now = now;
                }
            }
        }
        self.now = self.now.max(now);
    }

    fn fire_due_in_current_slot(&mut self, now: u64, fire: &mut impl FnMut(*const TimerNode)) {
        let slot = (self.now >> GRAIN_BITS) as usize & (SLOTS - 1);
        if self.occupied[0] & (1 << slot) == 0 {
            return;
        }
        let mut node = self.heads[0][slot];
        while !node.is_null() {
            // SAFETY: linked nodes are valid; `remove` leaves `next` readable.
            unsafe {
                let next = (*node).next.get();
                if (*node).deadline.get() <= now {
                    self.remove(node);
                    fire(node);
                }
                node = next;
            }
        }
    }

    /// The first occupied slot after the current level-0 slot, and when it begins.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        for level in 0..LEVELS {
            let shift = GRAIN_BITS + level as u32 * SLOT_BITS;
            let current = (self.now >> shift) as usize & (SLOTS - 1);
            // Slots of this level lie after the current one: what is nearer has moved to a
            // lower level, and what wraps around belongs to a higher one (the top level
            // may wrap).
            let after = self.occupied[level] & (!0u64).checked_shl(current as u32 + 1).unwrap_or(0);
            let base = (self.now >> shift) & !(SLOTS as u64 - 1);
            if after != 0 {
                let slot = after.trailing_zeros() as usize;
                return Some((level, slot, (base + slot as u64) << shift));
            }
            if level == LEVELS - 1 && self.occupied[level] != 0 {
                let slot = self.occupied[level].trailing_zeros() as usize;
                return Some((level, slot, u64::MAX));
            }
        }
        None
    }

    /// Moves the nodes of a slot whose time has come to lower levels.
    fn cascade(&mut self, level: usize, slot: usize) {
        if level == 0 {
            return;
        }
        let mut node = std::mem::replace(&mut self.heads[level][slot], ptr::null());
        self.occupied[level] &= !(1 << slot);
        while !node.is_null() {
            // SAFETY: linked nodes are valid; each is unlinked here and linked in again.
            unsafe {
                let next = (*node).next.get();
                self.count -= 1;
                self.insert(node);
                node = next;
            }
        }
    }

    /// When `expire` should be called next: at the earliest deadline, or at most a grain
    /// later, or when a coarser slot has to be looked at. `None` without timers.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let current = (self.now >> GRAIN_BITS) as usize & (SLOTS - 1);
        if self.occupied[0] & (1 << current) != 0 {
            return Some(self.earliest_in(current, self.now >> GRAIN_BITS));
        }
        let (level, slot, start) = self.next_slot()?;
        Some(if level == 0 {
            self.earliest_in(slot, start >> GRAIN_BITS)
        } else {
            start
        })
    }

    fn earliest_in(&self, slot: usize, position: u64) -> u64 {
        let mut earliest = u64::MAX;
        let mut node = self.heads[0][slot];
        for _ in 0..EXACT_SEARCH {
            if node.is_null() {
                return earliest;
            }
            // SAFETY: linked nodes are valid.
            unsafe {
                earliest = earliest.min((*node).deadline.get());
                node = (*node).next.get();
            }
        }
        if node.is_null() {
            earliest
        } else {
            (position + 1) << GRAIN_BITS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Against a sorted map: same nodes, never early, at most a grain late when asked at
    /// the times the wheel names itself.
    #[test]
    fn agrees_with_a_sorted_map() {
        for seed in 1..40u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut wheel = Wheel::new();
            let mut now = random(&mut state) >> 20;
            wheel.expire(now, |_| panic!("nothing is due in an empty wheel"));
            let mut nodes: Vec<Box<TimerNode>> = Vec::new();
            let mut model: BTreeMap<(u64, usize), ()> = BTreeMap::new();
            for _ in 0..2000 {
                match random(&mut state) % 8 {
                    0..4 => {
                        let reach = random(&mut state) % 46;
                        let deadline = now.saturating_add(random(&mut state) % (1 << reach));
                        nodes.push(Box::new(TimerNode::new(deadline)));
                        let index = nodes.len() - 1;
                        // SAFETY: boxed nodes stay where they are until the test ends.
                        unsafe { wheel.insert(&*nodes[index]) };
                        model.insert((deadline, index), ());
                    }
                    4 if !model.is_empty() => {
                        let pick = random(&mut state) as usize % model.len();
                        let &(deadline, index) = model.keys().nth(pick).expect("in range");
                        // SAFETY: as above.
                        unsafe { wheel.remove(&*nodes[index]) };
                        model.remove(&(deadline, index));
                    }
                    _ => {
                        let target = now + random(&mut state) % (1 << (random(&mut state) % 44));
                        while let Some(next) = wheel.next_deadline().filter(|&t| t <= target) {
                            let first = model.keys().next().map_or(u64::MAX, |key| key.0);
                            assert!(next <= first.max(now) + (1 << GRAIN_BITS), "seed {seed}");
                            now = now.max(next);
                            run(&mut wheel, now, &nodes, &mut model, seed);
                        }
                        now = target;
                        run(&mut wheel, now, &nodes, &mut model, seed);
                        assert!(
                            model.keys().next().is_none_or(|key| key.0 > now),
                            "seed {seed}"
                        );
                    }
                }
            }
        }
    }

    fn run(
        wheel: &mut Wheel,
        now: u64,
        nodes: &[Box<TimerNode>],
        model: &mut BTreeMap<(u64, usize), ()>,
        seed: u64,
    ) {
        wheel.expire(now, |node| {
            // SAFETY: the nodes live in `nodes`.
            let deadline = unsafe { (*node).deadline.get() };
            assert!(deadline <= now, "seed {seed}: fired early");
            let index = nodes
                .iter()
                .position(|own| ptr::eq(&**own, node))
                .expect("a node of this test");
            assert!(
                model.remove(&(deadline, index)).is_some(),
                "seed {seed}: fired twice"
            );
        });
    }

    #[test]
    fn far_deadlines_wait_and_can_be_removed() {
        let mut wheel = Wheel::new();
        wheel.expire(1_000_000, |_| ());
        let far = TimerNode::new(u64::MAX - 1);
        // SAFETY: the node outlives its stay in the wheel.
        unsafe { wheel.insert(&far) };
        wheel.expire(1 << 50, |_| panic!("not due"));
        assert!(far.is_linked());
        // SAFETY: as above.
        unsafe { wheel.remove(&far) };
        assert!(!far.is_linked() && wheel.is_empty());
        assert_eq!(wheel.next_deadline(), None);
    }
}
