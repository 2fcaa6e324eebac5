//! The parking protocol of workers: no wake is lost, and only a sleeper costs a system call.
//!
//! ```text
//!   worker                              waker
//!   ------                              -----
//!   state = SLEEPING                    publish work (inbox, queue)
//!   fence                               fence
//!   look for work once more             state == SLEEPING ?
//!     found: state = RUNNING              swap to NOTIFIED, ring the bell
//!     none:  wait in the kernel           else: the worker will see the work
//!   state = RUNNING
//! ```
//!
//! The two fences make it impossible that the worker misses the work *and* the waker misses
//! the sleeper. The model in `tests/models` checks it.

use super::sync::{AtomicU32, Ordering, fence};

const RUNNING: u32 = 0;
const SLEEPING: u32 = 1;
const NOTIFIED: u32 = 2;

#[derive(Debug)]
pub(crate) struct SleepState(AtomicU32);

impl SleepState {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(RUNNING))
    }

    /// Worker: announces sleep. It must look for work after this and before it waits.
    #[inline]
    pub(crate) fn announce(&self) {
        self.0.store(SLEEPING, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Worker: is awake again, or found work and does not sleep after all.
    #[inline]
    pub(crate) fn wake_up(&self) {
        self.0.store(RUNNING, Ordering::Relaxed);
    }

    /// Waker, after it has published work: true when the worker sleeps and this call is
    /// the one that has to ring its bell.
    #[inline]
    pub(crate) fn notify(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) == SLEEPING
            && self
                .0
                .compare_exchange(SLEEPING, NOTIFIED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Whether the worker waits in the kernel, or is about to. A snapshot.
    #[inline]
    pub(crate) fn is_sleeping(&self) -> bool {
        self.0.load(Ordering::Relaxed) != RUNNING
    }
}
