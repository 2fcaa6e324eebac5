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

    fn bottom(&self) -> usize {
        &raw const self.0.0 as usize
    }
}

// SAFETY: `base` and `limit` delimit memory that belongs to this stack alone, aligned to pages. It has
// no guard; the fibers of these benches use a few hundred bytes.
unsafe impl CoroutineStack for Stack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.bottom() + BYTES).expect("a stack has a non-zero top")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.bottom()).expect("a stack has a non-zero bottom")
    }
}
