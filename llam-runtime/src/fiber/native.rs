//! The switch on x86_64: two stack pointers change places.
//!
//! A fiber holds one stack pointer: of the task while it is away, of the worker's loop while the task
//! runs. Switching stores the current one there and takes up the other:
//!
//! ```text
//!   task away                      task runs
//!   fiber.other = task's           fiber.other = worker's
//!
//!   what lies at a stored pointer, lowest address first:
//!     where to go on | rbx | rbp       (a task that has not begun: `begin` | 0 | 0)
//! ```
//!
//! The other registers are declared as changed, so the compiler saves what it still needs, mostly
//! nothing. The transfer is a jump, not a return: a processor predicts returns from the calls it
//! has seen on the stack that is being left, and would always be wrong. For the same reason the functions
//! between a call that parks and this switch are inlined: each return on the way back costs a wrong prediction.
//!
//! A root frame ends every backtrace: its return address is declared undefined.

use std::arch::{asm, naked_asm};
use std::cell::Cell;

use crate::stack::{Stack, guard};

/// What a fiber runs, with its argument and the way back, which is null here. It must not unwind, and
/// ends by [`Fiber::end`].
pub(crate) type Body = unsafe extern "C" fn(*const (), *const ());

/// A stack with a suspended computation on it.
pub(crate) struct Fiber {
    /// The stack pointer of whoever is away.
    other: Cell<usize>,
    has_ended: Cell<bool>,
    stack: Stack,
}

/// The words that `begin` finds on a new stack, from the top down.
const FIRST_WORDS: usize = 5;

impl Fiber {
    /// Prepares `body(argument)` to run on `stack`.
    #[inline]
    pub(crate) fn new(stack: Stack, body: Body, argument: *const ()) -> Self {
        let first = stack.top() - FIRST_WORDS * size_of::<usize>();
        let words: [usize; FIRST_WORDS] = [
            begin as *const () as usize,
            0,
            0,
            body as *const () as usize,
            argument as usize,
        ];
        // SAFETY: the top of a stack that nobody uses; it is aligned for words.
        unsafe { (first as *mut [usize; FIRST_WORDS]).write(words) };
        Self {
            other: Cell::new(first),
            has_ended: Cell::new(false),
            stack,
        }
    }

    /// Runs the fiber until it suspends or ends; true when it ended.
    ///
    /// # Safety
    /// The fiber has not ended and does not run; its task is bound to this thread's worker (E1).
    #[inline(always)]
    pub(super) unsafe fn enter(&self) -> bool {
        // SAFETY: by the caller's promise `other` is the suspended computation's.
        unsafe { switch(&self.other) };
        self.has_ended.get()
    }

    /// Suspends the computation. Returns when it is entered again.
    ///
    /// # Safety
    /// It is this fiber's computation that calls.
    #[inline(always)]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: by the caller's promise `other` is that of the loop that entered it.
        unsafe { switch(&self.other) };
    }

    /// Ends the computation, which is never entered again.
    ///
    /// # Safety
    /// As `leave`; nothing on the stack is needed any more.
    #[inline(always)]
    pub(crate) unsafe fn end(&self) -> ! {
        self.has_ended.set(true);
        // SAFETY: as in `leave`.
        unsafe { switch(&self.other) };
        // Entered again: memory safety is gone.
        std::process::abort();
    }

    /// The stack of a fiber that has ended.
    pub(crate) fn into_stack(self) -> Stack {
        self.stack
    }

    /// Notes the way back, of which this switch has no need.
    #[inline(always)]
    pub(crate) fn begin(&self, _way_back: *const ()) {}

    /// Where the suspended computation's frames end.
    #[inline]
    pub(crate) fn frames_end(&self) -> *const u8 {
        self.other.get() as *const u8
    }

    /// Whether an address lies in the guard below the stack. Async-signal-safe.
    pub(crate) fn guards(&self, address: usize) -> bool {
        let bottom = self.stack.bottom();
        (bottom - guard::bytes()..bottom).contains(&address)
    }
}

/// Stores this side's stack pointer in `other` and takes up what was there. Returns when the other
/// side does the same.
///
/// # Safety
/// `other` holds a stack pointer that this function or `Fiber::new` has stored, not taken up since.
#[inline(always)]
unsafe fn switch(other: &Cell<usize>) {
    // SAFETY: what the compiler may rely on is restored or declared as changed: rbp and rbx are on the
    // stack, the callee-saved rest is listed, the others go by the calling convention. The red zone is
    // not used, because the block is not `nostack`.
    unsafe {
        asm!(
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov rcx, [rdi]",
            "mov [rdi], rsp",
            "mov rsp, rcx",
            "pop rax",
            "jmp rax",
            "2:",
            "pop rbx",
            "pop rbp",
            inlateout("rdi") other.as_ptr() => _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
}

/// The first instructions of every fiber: calls the body, which does not return.
#[unsafe(naked)]
unsafe extern "C" fn begin() {
    naked_asm!(
        // The end of every backtrace.
        ".cfi_startproc",
        ".cfi_undefined rip",
        "pop rbx",
        "pop rbp",
        "pop rax",
        "pop rdi",
        "xor esi, esi",
        "call rax",
        "ud2",
        ".cfi_endproc",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{self, StackClass};

    struct Shared {
        fiber: Cell<Option<&'static Fiber>>,
        steps: Cell<u32>,
    }

    unsafe extern "C" fn three_steps(argument: *const (), _way_back: *const ()) {
        // SAFETY: the test passes its own value, which outlives the fiber.
        let shared = unsafe { &*argument.cast::<Shared>() };
        let fiber = shared.fiber.get().expect("set before it is entered");
        for _ in 0..2 {
            shared.steps.set(shared.steps.get() + 1);
            // SAFETY: this is the fiber's computation.
            unsafe { fiber.leave() };
        }
        shared.steps.set(shared.steps.get() + 1);
        let text = format!("{:?}", std::backtrace::Backtrace::force_capture());
        assert!(!text.is_empty());
        // SAFETY: as above.
        unsafe { fiber.end() };
    }

    #[test]
    fn a_fiber_goes_on_where_it_left() {
        let mut stacks = Vec::new();
        stack::take(StackClass::Huge, 1, &mut stacks);
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            fiber: Cell::new(None),
            steps: Cell::new(0),
        }));
        let stack = stacks.pop().expect("memory");
        let argument = std::ptr::from_ref(shared).cast();
        let fiber: &'static Fiber = Box::leak(Box::new(Fiber::new(stack, three_steps, argument)));
        shared.fiber.set(Some(fiber));
        let ends: Vec<_> = (1..=3)
            .map(|step| {
                // SAFETY: it has not ended, and runs on this thread only.
                let ended = unsafe { fiber.enter() };
                assert_eq!(shared.steps.get(), step);
                ended
            })
            .collect();
        assert_eq!(ends, [false, false, true]);
    }
}
