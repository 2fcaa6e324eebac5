//! A stand-in for the engine's guarded stacks: plain memory, for fibers that stay shallow.

use corosensei::stack::{STACK_ALIGNMENT, Stack as CoroutineStack, StackPointer};

const BYTES: usize = 64 * 1024;

#[derive(Debug)]
#[repr(align(4096))]
struct Memory([u8; BYTES]);

#[derive(Debug)]
pub(crate) struct Stack(Box<Memory>);

impl Stack {
    pub(crate) fn new() -> Self {
        const { assert!(align_of::<Memory>().is_multiple_of(STACK_ALIGNMENT)) };
        // SAFETY: bytes may be zero.
        Self(unsafe { Box::new_zeroed().assume_init() })
    }

    pub(crate) fn bottom(&self) -> usize {
        &raw const self.0.0 as usize
    }

    pub(crate) fn top(&self) -> usize {
        self.bottom() + BYTES
    }
}

/// The engine's stacks have a guard of a page below them; these have none.
pub(crate) mod guard {
    pub(crate) fn bytes() -> usize {
        4096
    }
}

/// What the unit tests of the included files ask for; they do not run here.
pub(crate) enum StackClass {
    Huge,
}

pub(crate) fn take(_class: StackClass, count: usize, batch: &mut Vec<Stack>) {
    batch.extend((0..count).map(|_| Stack::new()));
}

// SAFETY: `base` and `limit` delimit memory that belongs to this stack alone, aligned to pages. It has
// no guard; the fibers of these benches use a few hundred bytes.
unsafe impl CoroutineStack for Stack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.top()).expect("a stack has a non-zero top")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.bottom()).expect("a stack has a non-zero bottom")
    }
}
