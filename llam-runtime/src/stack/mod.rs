//! Task stacks: where they come from, how they are guarded, where they go back to (E5).
//!
//! ```text
//!   arena (one mapping)
//!   +-------+--------------+-------+--------------+----
//!   | guard | usable stack | guard | usable stack | ...
//!   +-------+--------------+-------+--------------+----
//!   low addresses      top ^                  top ^
//! ```
//!
//! An arena is reserved with one system call and carved into stacks batch by batch. A
//! stack that is given back is kept warm, first by its worker, then by the pool; idle
//! workers hand the pages of surplus warm stacks back to the system (`trim`).
//! A fresh task owns no stack: it gets one when it first runs.

pub(crate) mod guard;
pub(crate) mod overflow;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use corosensei::stack::{Stack as CoroutineStack, StackPointer};
use parking_lot::Mutex;

use crate::errno::Result;
use guard::Guards;

const KIB: usize = 1024;
/// Debug builds have frames several times as large as release builds.
const SCALE: usize = if cfg!(debug_assertions) { 4 } else { 1 };
/// Usable bytes per stack class (`llam_stack_class_t`): at least 64 KiB, 256 KiB, 1 MiB.
const USABLE: [usize; 3] = [64 * KIB * SCALE, 256 * KIB * SCALE, 1024 * KIB * SCALE];
/// Stacks carved (and guarded) at once, per class.
const CARVE: [usize; 3] = [64, 16, 8];
/// Stacks of the largest arena, per class: about 280 MiB of address space each.
const ARENA_MAX: [usize; 3] = [4096, 1024, 256];
/// Warm stacks per class that `trim` leaves alone.
const KEEP_WARM: [usize; 3] = [256, 32, 8];
/// Warm stacks that one `trim` may release: about half a millisecond of system calls.
const TRIM_BATCH: usize = 512;

/// Stack classes of `llam_stack_class_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StackClass {
    Default = 0,
    Large = 1,
    Huge = 2,
}

impl StackClass {
    pub(crate) const ALL: [StackClass; 3] = [Self::Default, Self::Large, Self::Huge];

    pub(crate) fn from_raw(raw: u32) -> Option<Self> {
        Self::ALL.get(raw as usize).copied()
    }

    /// Bytes a task of this class may use.
    pub(crate) const fn usable_bytes(self) -> usize {
        USABLE[self as usize]
    }
}

/// A guarded stack. Owned: whoever holds the value is the only one to run on it.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its end, which lies between pages, and its class in the bits that are zero there: every task keeps
    /// one of these.
    top_and_class: usize,
}

const CLASS_BITS: usize = 0b11;

impl Stack {
    fn new(top: usize, class: StackClass) -> Self {
        debug_assert_eq!(top & CLASS_BITS, 0);
        Self {
            top_and_class: top | class as usize,
        }
    }

    /// The end of the usable addresses.
    #[inline]
    pub(crate) fn top(&self) -> usize {
        self.top_and_class & !CLASS_BITS
    }

    /// Lowest usable address.
    #[inline]
    pub(crate) fn bottom(&self) -> usize {
        self.top() - self.class().usable_bytes()
    }

    #[inline]
    pub(crate) fn class(&self) -> StackClass {
        StackClass::ALL[(self.top_and_class & CLASS_BITS) % StackClass::ALL.len()]
    }

    /// Whether an address lies in this stack's guard.
    #[cfg(test)]
    fn guards(&self, address: usize) -> bool {
        (self.bottom() - guard::bytes()..self.bottom()).contains(&address)
    }
}

// SAFETY: `base` and `limit` delimit memory of the arena that belongs to this stack alone,
// aligned to pages, and never unmapped; the lowest page is the guard.
unsafe impl CoroutineStack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        StackPointer::new(self.top()).expect("a stack has a non-zero top")
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        StackPointer::new(self.bottom() - guard::bytes()).expect("a stack has a non-zero limit")
    }
}

/// The stacks of one class.
struct Class {
    /// Given back, pages still resident.
    warm: Vec<Stack>,
    /// Never used, or their pages were released.
    cold: Vec<Stack>,
    /// Rest of the current arena: next free byte and end.
    arena: (usize, usize),
    /// Stacks of the next arena.
    next_arena: usize,
}

static CLASSES: [Mutex<Class>; 3] = [const {
    Mutex::new(Class {
        warm: Vec::new(),
        cold: Vec::new(),
        arena: (0, 0),
        next_arena: 0,
    })
}; 3];

/// Stacks that exist or may be asked for, when guards are limited (see `guard`).
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// Stacks that exist, of all classes.
static EXISTING: AtomicUsize = AtomicUsize::new(0);
/// Idle stacks that may exist beyond the limit on tasks: the workers' caches.
const IDLE_SLACK: usize = 256;

/// Makes sure that a stack can be had for one more task. `EAGAIN` when the system's limit
/// would be passed.
#[inline]
pub(crate) fn reserve() -> Result<()> {
    let Guards::Mprotect { max_stacks } = guard::guards() else {
        return Ok(());
    };
    if RESERVED.fetch_add(1, Ordering::Relaxed) >= max_stacks {
        RESERVED.fetch_sub(1, Ordering::Relaxed);
        return Err(libc::EAGAIN);
    }
    Ok(())
}

/// Ends a reservation: the task has ended, or was never made.
#[inline]
pub(crate) fn unreserve() {
    if matches!(guard::guards(), Guards::Mprotect { .. }) {
        RESERVED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Moves up to `count` stacks of a class into `batch`. It may come back shorter, or
/// unchanged when the system gives no more memory.
pub(crate) fn take(class: StackClass, count: usize, batch: &mut Vec<Stack>) {
    let mut pool = CLASSES[class as usize].lock();
    for _ in 0..count {
        if let Some(stack) = pool.warm.pop().or_else(|| pool.cold.pop()) {
            batch.push(stack);
        } else if !pool.carve(class) {
            return;
        } else if let Some(stack) = pool.cold.pop() {
            batch.push(stack);
        }
    }
}

/// There may be more warm stacks than are kept.
static MAY_TRIM: AtomicBool = AtomicBool::new(false);

/// Gives stacks back, still warm.
pub(crate) fn give(class: StackClass, stacks: impl Iterator<Item = Stack>) {
    CLASSES[class as usize].lock().warm.extend(stacks);
    MAY_TRIM.store(true, Ordering::Release);
}

/// Releases the pages of surplus warm stacks; true when there are more of them.
/// Called by workers that have nothing to do.
pub(crate) fn trim() -> bool {
    if !MAY_TRIM.load(Ordering::Acquire) {
        return false;
    }
    MAY_TRIM.store(false, Ordering::Relaxed);
    let mut more = false;
    for class in StackClass::ALL {
        let keep = KEEP_WARM[class as usize];
        let surplus = {
            let mut pool = CLASSES[class as usize].lock();
            let count = pool.warm.len().saturating_sub(keep).min(TRIM_BATCH);
            more |= pool.warm.len() - count > keep;
            pool.warm.drain(..count).collect::<Vec<_>>()
        };
        for stack in &surplus {
            // SAFETY: the stack is owned here and nothing on it is alive.
            unsafe { guard::release_pages(stack.bottom(), class.usable_bytes()) };
        }
        if !surplus.is_empty() {
            CLASSES[class as usize].lock().cold.extend(surplus);
        }
    }
    if more {
        MAY_TRIM.store(true, Ordering::Release);
    }
    more
}

impl Class {
    /// Carves a batch of guarded stacks out of the arena into `cold`. False when the system
    /// refuses.
    fn carve(&mut self, class: StackClass) -> bool {
        let stride = class.usable_bytes() + guard::bytes();
        let batch = match guard::guards() {
            // One at a time: each costs map entries, which are what is scarce then.
            Guards::Mprotect { max_stacks } => {
                let full = EXISTING.load(Ordering::Relaxed) >= max_stacks + IDLE_SLACK;
                if full && !unmap_idle(class) {
                    return false;
                }
                1
            }
            Guards::Advised => CARVE[class as usize],
        };
        if self.arena.0 + stride > self.arena.1 {
            let count = self
                .next_arena
                .clamp(CARVE[class as usize], ARENA_MAX[class as usize]);
            let Some(start) = guard::map(count * stride) else {
                return false;
            };
            self.arena = (start, start + count * stride);
            self.next_arena = count * 2;
        }
        let before = self.cold.len();
        for _ in 0..batch {
            let (start, end) = self.arena;
            if start + stride > end {
                break;
            }
            // SAFETY: the guard lies in the part of the arena that belongs to nobody yet.
            if !unsafe { guard::install(start) } {
                break;
            }
            self.arena.0 = start + stride;
            EXISTING.fetch_add(1, Ordering::Relaxed);
            self.cold.push(Stack::new(start + stride, class));
        }
        self.cold.len() > before
    }
}

/// Gives an idle stack of another class back to the system, map entries included. The
/// caller holds the lock of its own class, so the others are only tried.
fn unmap_idle(needed: StackClass) -> bool {
    let others = StackClass::ALL.into_iter().filter(|class| *class != needed);
    for class in others {
        let Some(mut pool) = CLASSES[class as usize].try_lock() else {
            continue;
        };
        if let Some(stack) = pool.cold.pop().or_else(|| pool.warm.pop()) {
            // SAFETY: the stack is owned here and nothing on it is alive.
            unsafe { guard::unmap(stack.bottom() - guard::bytes(), stack.top()) };
            EXISTING.fetch_sub(1, Ordering::Relaxed);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_do_not_overlap_and_are_reused() {
        let mut batch = Vec::new();
        take(StackClass::Large, 40, &mut batch);
        assert_eq!(batch.len(), 40);
        let mut bounds: Vec<_> = batch.iter().map(|s| (s.bottom(), s.top())).collect();
        bounds.sort_unstable();
        for pair in bounds.windows(2) {
            assert!(
                pair[0].1 + guard::bytes() <= pair[1].0,
                "a guard lies between stacks"
            );
        }
        for stack in &batch {
            // SAFETY: both ends of a stack owned here are mapped and writable.
            unsafe {
                (stack.bottom() as *mut u8).write_volatile(1);
                (stack.top() as *mut u8).sub(1).write_volatile(1);
            }
            assert!(stack.guards(stack.bottom() - 1));
            assert!(!stack.guards(stack.bottom()));
        }
        give(StackClass::Large, batch.drain(..));
        while trim() {}
        take(StackClass::Large, 40, &mut batch);
        assert_eq!(batch.len(), 40);
        give(StackClass::Large, batch.drain(..));
    }
}
