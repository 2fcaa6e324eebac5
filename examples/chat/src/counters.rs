//! Owns the server's counters and the one line that reports them.
//!
//! Invariant: attempted = enqueued + full drops + closed drops, at any instant a [`Report`] is
//! taken. It holds by construction: a broadcast counts the outcomes of its own deliveries in a
//! [`Tally`] on its stack, "attempted" is never counted but summed, and so a broadcast that is
//! under way (or was ended by a panic) is missing from both sides. Called by `room` for each
//! broadcast and by `main` at the end.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of one delivery: one message for one outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Enqueued,
    /// Best effort only: the outbox was full.
    DroppedFull,
    /// The receiver was leaving, or the server was stopping while the sender waited for room.
    DroppedClosed,
}

/// The outcomes of one broadcast.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    enqueued: u64,
    dropped_full: u64,
    dropped_closed: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Enqueued => self.enqueued += 1,
            Outcome::DroppedFull => self.dropped_full += 1,
            Outcome::DroppedClosed => self.dropped_closed += 1,
        }
    }
}

/// Totals since the server started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    messages: AtomicU64,
    enqueued: AtomicU64,
    dropped_full: AtomicU64,
    dropped_closed: AtomicU64,
}

impl Counters {
    /// Adds one broadcast, with or without receivers.
    pub(crate) fn add(&self, tally: Tally) {
        // Relaxed: plain counts; whoever wants final ones reads them after all tasks have ended.
        for (total, part) in [
            (&self.messages, 1),
            (&self.enqueued, tally.enqueued),
            (&self.dropped_full, tally.dropped_full),
            (&self.dropped_closed, tally.dropped_closed),
        ] {
            if part != 0 {
                total.fetch_add(part, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn report(&self) -> Report {
        Report {
            messages: self.messages.load(Ordering::Relaxed),
            enqueued: self.enqueued.load(Ordering::Relaxed),
            dropped_full: self.dropped_full.load(Ordering::Relaxed),
            dropped_closed: self.dropped_closed.load(Ordering::Relaxed),
        }
    }
}

/// A copy of the totals. `Display` is the closing line of the server, without a newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    messages: u64,
    enqueued: u64,
    dropped_full: u64,
    dropped_closed: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempted = self.enqueued + self.dropped_full + self.dropped_closed;
        write!(
            f,
            "server stopped; outbox_full_drops={} outbox_closed_drops={} \
             broadcast_messages_created={} broadcast_deliveries_attempted={attempted} \
             broadcast_deliveries_enqueued={}",
            self.dropped_full, self.dropped_closed, self.messages, self.enqueued
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_once_and_the_sum_is_attempted() {
        let counters = Counters::default();
        let mut tally = Tally::default();
        for (outcome, times) in [
            (Outcome::Enqueued, 3),
            (Outcome::DroppedFull, 2),
            (Outcome::DroppedClosed, 1),
        ] {
            (0..times).for_each(|_| tally.count(outcome));
        }
        counters.add(tally);
        counters.add(Tally::default());
        assert_eq!(
            counters.report().to_string(),
            "server stopped; outbox_full_drops=2 outbox_closed_drops=1 \
             broadcast_messages_created=2 broadcast_deliveries_attempted=6 \
             broadcast_deliveries_enqueued=3"
        );
    }
}
