//! Entering a fiber and leaving it again: the two halves of a task switch, with `errno` and floating-point
//! state as the engine keeps them.

use std::cell::Cell;

use criterion::Criterion;

use crate::fiber::{self, Fiber, OwnState, ThreadState};
use crate::stack::Stack;

/// What the bench and its fiber share; both are on one thread.
struct Shared {
    fiber: Cell<Option<Fiber>>,
    own: OwnState,
    turns: Cell<u64>,
    is_over: Cell<bool>,
}

impl Shared {
    fn new() -> Box<Self> {
        // SAFETY: `OwnState` is two cells of numbers, for which zero is a value; `reset` makes them good.
        let own = unsafe { std::mem::zeroed::<OwnState>() };
        own.reset();
        Box::new(Self {
            fiber: Cell::new(None),
            own,
            turns: Cell::new(0),
            is_over: Cell::new(false),
        })
    }

    fn fiber(&self) -> &Fiber {
        // SAFETY: the fiber is set before it is entered and taken out after it has ended, on this thread.
        unsafe { (*self.fiber.as_ptr()).as_ref() }.expect("a fiber")
    }

    /// Enters the fiber; true when it has ended.
    fn enter(&self, thread: &ThreadState) -> bool {
        // SAFETY: the fiber is away, and `thread` is this thread's.
        unsafe { fiber::enter(self.fiber(), &self.own, thread) }
    }
}

/// Counts its turns until it is over.
unsafe extern "C" fn count_turns(shared: *const (), way_back: *const ()) {
    // SAFETY: the benches pass their own value, which outlives the fiber.
    let shared = unsafe { &*shared.cast::<Shared>() };
    shared.fiber().begin(way_back);
    loop {
        shared.turns.set(shared.turns.get() + 1);
        if shared.is_over.get() {
            // SAFETY: this is the fiber's computation.
            unsafe { shared.fiber().end() };
        }
        // SAFETY: as above.
        unsafe { shared.fiber().leave() };
    }
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let thread = ThreadState::here();
    criterion.bench_function("engine/switch-enter-leave", |bencher| {
        let shared = Shared::new();
        let argument = std::ptr::from_ref(&*shared).cast();
        let fiber = Fiber::new(Stack::new(), count_turns, argument);
        shared.fiber.set(Some(fiber));
        let mut entered = 0;
        bencher.iter(|| {
            entered += 1;
            shared.enter(&thread)
        });
        assert_eq!(shared.turns.get(), entered, "the fiber runs each time");
        shared.is_over.set(true);
        assert!(shared.enter(&thread), "it ends when it is told to");
    });
    criterion.bench_function("engine/fiber-begin-end", |bencher| {
        let shared = Shared::new();
        let argument = std::ptr::from_ref(&*shared).cast();
        shared.is_over.set(true);
        let mut stack = Some(Stack::new());
        let mut begun = 0;
        bencher.iter(|| {
            begun += 1;
            let own = stack.take().expect("it was put back");
            shared
                .fiber
                .set(Some(Fiber::new(own, count_turns, argument)));
            assert!(shared.enter(&thread), "it ends at once");
            stack = shared.fiber.take().map(Fiber::into_stack);
        });
        assert_eq!(shared.turns.get(), begun, "each fiber runs");
    });
}
