//! The wait word: who ends a park (invariant E2).
//!
//! Each task has one word. The task arms it before it publishes what it waits for; every
//! source that could end the wait (a waker, the timer, a cancellation, a completion) tries
//! to claim exactly that arming, and one of them wins:
//!
//! ```text
//!             arm(cancellable)                claim(armed, reason)
//!   RUNNING ------------------> ARMED(epoch) ----------------------> FIRED(reason, epoch)
//!      ^                                                                  |
//!      +------------------------- next arm: epoch + 1 <-------------------+
//! ```
//!
//! An armed value names its park for good: the epoch makes a claim that comes late, for a
//! park that has already ended, fail. Only the task itself arms, so arming is a plain store.

use super::sync::{AtomicU64, Ordering};

const PHASE_MASK: u64 = 0b11;
const PHASE_ARMED: u64 = 1;
const PHASE_FIRED: u64 = 2;
const CANCELLABLE: u64 = 0b100;
const REASON_SHIFT: u32 = 8;
const EPOCH_SHIFT: u32 = 16;

/// Why a park ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    /// The object waited for woke the task (a value, an unlock, an end, a close).
    Woken = 1,
    /// The deadline passed.
    Timeout = 2,
    /// The task's token was cancelled, or its runtime is stopping.
    Cancelled = 3,
    /// A kernel operation completed.
    Completed = 4,
}

/// One arming of a wait word. Copies are handed to every source that may end the park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed(u64);

/// The word itself; lives in the task.
#[derive(Debug)]
pub(crate) struct WaitWord(AtomicU64);

impl WaitWord {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Starts a new park. Only the task that owns the word calls this, while it runs.
    #[inline]
    pub(crate) fn arm(&self, cancellable: bool) -> Armed {
        let epoch = (self.0.load(Ordering::Relaxed) >> EPOCH_SHIFT).wrapping_add(1);
        let flag = if cancellable { CANCELLABLE } else { 0 };
        let armed = (epoch << EPOCH_SHIFT) | flag | PHASE_ARMED;
        // Release: what the task wrote before the park is visible to whoever claims it.
        self.0.store(armed, Ordering::Release);
        Armed(armed)
    }

    /// Tries to end the park `armed` for `reason`. True for exactly one caller per arming;
    /// the winner must make the task runnable, the others must forget it.
    #[inline]
    pub(crate) fn claim(&self, armed: Armed, reason: Reason) -> bool {
        let fired = (armed.0 & !PHASE_MASK) | PHASE_FIRED | ((reason as u64) << REASON_SHIFT);
        self.0
            .compare_exchange(armed.0, fired, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// The current arming, if the task is parked in a wait that a cancellation may end.
    #[inline]
    fn armed_cancellable(&self) -> Option<Armed> {
        let word = self.0.load(Ordering::Acquire);
        (word & PHASE_MASK == PHASE_ARMED && word & CANCELLABLE != 0).then_some(Armed(word))
    }

    /// Ends the current park for a cancellation, if one may.
    pub(crate) fn claim_cancelled(&self) -> bool {
        self.armed_cancellable()
            .is_some_and(|armed| self.claim(armed, Reason::Cancelled))
    }

    /// Whether the park `armed` has not been ended yet.
    #[inline]
    pub(crate) fn is_armed(&self, armed: Armed) -> bool {
        self.0.load(Ordering::Acquire) == armed.0
    }

    /// Why the last park ended. Meaningful after the task was resumed from it.
    #[inline]
    pub(crate) fn reason(&self) -> Reason {
        match (self.0.load(Ordering::Acquire) >> REASON_SHIFT) & 0xff {
            1 => Reason::Woken,
            2 => Reason::Timeout,
            3 => Reason::Cancelled,
            _ => Reason::Completed,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_claim_wins_and_late_ones_lose() {
        let word = WaitWord::new();
        let first = word.arm(true);
        assert!(word.claim(first, Reason::Timeout));
        assert!(!word.claim(first, Reason::Woken));
        assert_eq!(word.reason(), Reason::Timeout);
        let second = word.arm(false);
        assert!(
            !word.claim(first, Reason::Woken),
            "an old arming must stay dead"
        );
        assert!(word.armed_cancellable().is_none());
        assert!(word.claim(second, Reason::Completed));
        assert_eq!(word.reason(), Reason::Completed);
    }
}
