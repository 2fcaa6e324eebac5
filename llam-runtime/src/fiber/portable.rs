//! The switch of corosensei, for processors that `native` does not know. `--cfg llam_portable_switch`
//! forces it.

use std::cell::{Cell, UnsafeCell};

use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::stack::{Stack, guard};

/// What a fiber runs, with its argument and the way back. It must not unwind, and ends by
/// [`Fiber::end`].
pub(crate) type Body = unsafe extern "C" fn(*const (), *const ());

/// A stack with a suspended computation on it.
pub(crate) struct Fiber {
    coroutine: UnsafeCell<Coroutine<(), (), (), Stack>>,
    /// The way back to the loop, at the top of the stack; null before it has begun.
    way_back: Cell<*const Yielder<(), ()>>,
    has_ended: Cell<bool>,
    bottom: usize,
}

impl Fiber {
    /// Prepares `body(argument)` to run on `stack`.
    pub(crate) fn new(stack: Stack, body: Body, argument: *const ()) -> Self {
        let bottom = stack.bottom();
        let coroutine = Coroutine::with_stack(stack, move |yielder, ()| {
            // SAFETY: by the contract of `Body`.
            unsafe { body(argument, std::ptr::from_ref(yielder).cast()) };
        });
        Self {
            coroutine: UnsafeCell::new(coroutine),
            way_back: Cell::new(std::ptr::null()),
            has_ended: Cell::new(false),
            bottom,
        }
    }

    /// Notes the way back. First act of the body.
    pub(crate) fn begin(&self, way_back: *const ()) {
        self.way_back.set(way_back.cast());
    }

    /// Runs the fiber until it suspends or ends; true when it ended.
    ///
    /// # Safety
    /// The fiber has not ended and does not run.
    #[inline]
    pub(super) unsafe fn enter(&self) -> bool {
        // SAFETY: nobody else uses the coroutine; the computation itself only uses the way back.
        let _: CoroutineResult<(), ()> = unsafe { (*self.coroutine.get()).resume(()) };
        self.has_ended.get()
    }

    /// Suspends the computation. Returns when it is entered again.
    ///
    /// # Safety
    /// It is this fiber's computation that calls.
    #[inline]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: set when the computation began; it lies in a frame below all others.
        unsafe { (*self.way_back.get()).suspend(()) };
    }

    /// Ends the computation, which is never entered again.
    ///
    /// # Safety
    /// As `leave`; nothing on the stack is needed any more.
    pub(crate) unsafe fn end(&self) -> ! {
        self.has_ended.set(true);
        // SAFETY: as in `leave`.
        unsafe { self.leave() };
        // Entered again: memory safety is gone.
        std::process::abort();
    }

    /// The stack of a fiber that has ended.
    pub(crate) fn into_stack(self) -> Stack {
        let mut coroutine = self.coroutine.into_inner();
        // SAFETY: the computation has said that nothing on its stack is needed.
        unsafe { coroutine.force_reset() };
        coroutine.into_stack()
    }

    /// Where the suspended computation's frames end; not known here.
    pub(crate) fn frames_end(&self) -> *const u8 {
        std::ptr::null()
    }

    /// Whether an address lies in the guard below the stack. Async-signal-safe.
    pub(crate) fn guards(&self, address: usize) -> bool {
        (self.bottom - guard::bytes()..self.bottom).contains(&address)
    }
}
