//! The switch: how a worker enters a task and how a task leaves.
//!
//! A fiber is a stack with a suspended computation on it. The worker enters it; the computation
//! suspends itself, always back to the worker's loop, on the same OS thread (E1). No panic crosses
//! the switch: task entries are `extern "C"`.
//!
//! `errno` and the floating-point control state belong to the task. The worker keeps both in the
//! task's slot while it is away: the loop's thread stays the same, so it asks for the place of its
//! `errno` once.
//!
//! | file | for |
//! |---|---|
//! | `native` | x86_64 with the System V calling convention |
//! | `portable` | everything else, by corosensei |

#[cfg(all(target_arch = "x86_64", unix, not(llam_portable_switch)))]
mod native;
#[cfg(not(all(target_arch = "x86_64", unix, not(llam_portable_switch))))]
mod portable;

#[cfg(all(target_arch = "x86_64", unix, not(llam_portable_switch)))]
pub(crate) use native::Fiber;
#[cfg(not(all(target_arch = "x86_64", unix, not(llam_portable_switch))))]
pub(crate) use portable::Fiber;

use std::cell::Cell;

use crate::errno::{self, Errno};

/// `errno` and floating-point control state of a task that is away.
pub(crate) struct OwnState {
    errno: Cell<Errno>,
    float: Cell<u64>,
}

impl OwnState {
    /// The state of a task that has not begun.
    #[inline]
    pub(crate) fn reset(&self) {
        self.errno.set(0);
        self.float.set(float_control::DEFAULT);
    }
}

/// Where the calling thread keeps its `errno`. Of use on that thread only: made by a worker's loop, in
/// a frame of the thread's own stack.
pub(crate) struct ThreadState {
    errno: *mut Errno,
}

impl ThreadState {
    pub(crate) fn here() -> Self {
        Self {
            errno: errno::place(),
        }
    }
}

/// Runs the fiber until it suspends or ends; true when it ended. The floating-point control state of
/// the thread is the default one before and after.
///
/// # Safety
/// `thread` is the calling thread's; the fiber neither runs nor has ended.
#[inline(always)]
pub(crate) unsafe fn enter(fiber: &Fiber, own: &OwnState, thread: &ThreadState) -> bool {
    // SAFETY: by the caller's promise the place is this thread's `errno`.
    unsafe { thread.errno.write(own.errno.get()) };
    if own.float.get() != float_control::DEFAULT {
        float_control::store(own.float.get());
    }
    // SAFETY: by the caller's promise.
    let ended = unsafe { fiber.enter() };
    // SAFETY: as above: a fiber comes back to the thread that entered it.
    own.errno.set(unsafe { thread.errno.read() });
    let float = float_control::load();
    own.float.set(float);
    if float != float_control::DEFAULT {
        float_control::store(float_control::DEFAULT);
    }
    ended
}

/// The floating-point control state of a thread that becomes a worker: the default one while this
/// lives, the thread's own again afterwards.
pub(crate) struct DefaultFloatControl {
    own: u64,
}

impl DefaultFloatControl {
    pub(crate) fn set() -> Self {
        let own = float_control::load();
        if own != float_control::DEFAULT {
            float_control::store(float_control::DEFAULT);
        }
        Self { own }
    }
}

impl Drop for DefaultFloatControl {
    fn drop(&mut self) {
        if self.own != float_control::DEFAULT {
            float_control::store(self.own);
        }
    }
}

/// Rounding modes and exception masks. A task that leaves them as they are by default costs
/// two register reads per switch.
#[cfg(target_arch = "x86_64")]
mod float_control {
    use std::arch::asm;

    /// MXCSR without its sticky exception flags in the low half, x87 control word above.
    pub(super) const DEFAULT: u64 = 0x037f_0000_1f80;
    const EXCEPTION_FLAGS: u32 = 0x3f;

    #[inline(always)]
    pub(super) fn load() -> u64 {
        let (mut mxcsr, mut control) = (0u32, 0u16);
        // SAFETY: both instructions store to the given places and change nothing else.
        unsafe {
            asm!("stmxcsr [{0}]", "fnstcw [{1}]", in(reg) &mut mxcsr, in(reg) &mut control,
                options(nostack, preserves_flags));
        }
        (u64::from(control) << 32) | u64::from(mxcsr & !EXCEPTION_FLAGS)
    }

    #[inline(always)]
    pub(super) fn store(state: u64) {
        let (mxcsr, control) = (state as u32, (state >> 32) as u16);
        // SAFETY: the values were read by `load` (or are the defaults), so no reserved bit
        // is set.
        unsafe {
            asm!("ldmxcsr [{0}]", "fldcw [{1}]", in(reg) &mxcsr, in(reg) &control,
                options(nostack, preserves_flags, readonly));
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod float_control {
    use std::arch::asm;

    pub(super) const DEFAULT: u64 = 0;

    #[inline(always)]
    pub(super) fn load() -> u64 {
        let state: u64;
        // SAFETY: reads a control register.
        unsafe { asm!("mrs {}, fpcr", out(reg) state, options(nomem, nostack)) };
        state
    }

    #[inline(always)]
    pub(super) fn store(state: u64) {
        // SAFETY: the value was read by `load`, or is the reset value.
        unsafe { asm!("msr fpcr, {}", in(reg) state, options(nomem, nostack)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod float_control {
    pub(super) const DEFAULT: u64 = 0;

    #[inline(always)]
    pub(super) fn load() -> u64 {
        DEFAULT
    }

    #[inline(always)]
    pub(super) fn store(_state: u64) {}
}
