//! Who waits: a parked task, or a host thread. Both can be woken exactly once per wait (E2).

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::clock::{self, NEVER};
use crate::task::Task;
use crate::wait::{Armed, Reason};
use crate::worker;

/// A party to a wait, as the object waited for sees it.
#[derive(Clone, Copy)]
pub(crate) enum Waiter {
    Task { task: &'static Task, armed: Armed },
    Host(*const HostWait),
}

impl Waiter {
    /// Ends the wait, if nobody else has. True for the one who did.
    ///
    /// # Safety
    /// The waiter was taken from its object under the object's lock, which a host thread
    /// takes before it leaves; the lock is still held.
    pub(crate) unsafe fn wake(self, reason: Reason) -> bool {
        match self {
            Self::Task { task, armed } => {
                let won = task.wait.claim(armed, reason);
                if won {
                    worker::make_runnable(task);
                }
                won
            }
            // SAFETY: the host thread's frame lives, by the caller's promise.
            Self::Host(host) => unsafe { (*host).wake() },
        }
    }
}

const WAITING: u32 = 0;
const WOKEN: u32 = 1;

/// A host thread's wait, on its own stack.
pub(crate) struct HostWait {
    state: AtomicU32,
    thread: Thread,
}

impl HostWait {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            thread: thread::current(),
        }
    }

    fn wake(&self) -> bool {
        // The handle outlives this frame: after the exchange the host may be gone.
        let thread = self.thread.clone();
        let won = self
            .state
            .compare_exchange(WAITING, WOKEN, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if won {
            thread.unpark();
        }
        won
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.state.load(Ordering::Acquire) == WOKEN
    }

    /// Blocks the OS thread until woken (true) or until the deadline (false).
    pub(crate) fn block_until(&self, deadline_ns: u64) -> bool {
        while !self.is_woken() {
            if deadline_ns == NEVER {
                thread::park();
                continue;
            }
            let now = clock::now_ns();
            if now >= deadline_ns {
                return false;
            }
            thread::park_timeout(Duration::from_nanos(deadline_ns - now));
        }
        true
    }
}
