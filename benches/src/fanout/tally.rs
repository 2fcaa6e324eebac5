//! What one client should have got and has: the accounting that tells lost, doubled and reordered
//! deliveries apart.
//!
//! Invariants: of each sender, every sequence below `next` is either delivered or in `missing`;
//! `missing` is sorted and its ranges neither touch nor are empty. Pure. Called by `client`.

use super::line::Line;
use std::ops::Range;

/// The lines of one sender.
#[derive(Debug, Clone, Default)]
struct Stream {
    next: u64,
    missing: Vec<Range<u64>>,
}

/// What a delivery was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    InTurn,
    /// After a later line of the same sender.
    Late,
    Doubled,
}

impl Stream {
    fn deliver(&mut self, sequence: u64) -> Delivery {
        if sequence >= self.next {
            if sequence > self.next {
                self.missing.push(self.next..sequence);
            }
            self.next = sequence + 1;
            return Delivery::InTurn;
        }
        let place = self.missing.partition_point(|gap| gap.end <= sequence);
        match self.missing.get(place).cloned() {
            Some(gap) if gap.start <= sequence => {
                let parts = [gap.start..sequence, sequence + 1..gap.end];
                let parts = parts.into_iter().filter(|part| !part.is_empty());
                self.missing.splice(place..=place, parts);
                Delivery::Late
            }
            _ => Delivery::Doubled,
        }
    }

    /// How many different lines came.
    fn delivered(&self) -> u64 {
        let missing = self.missing.iter().map(|gap| gap.end - gap.start);
        self.next - missing.sum::<u64>()
    }
}

/// Deliveries, counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    streams: Vec<Stream>,
    /// Different lines.
    pub(crate) delivered: u64,
    pub(crate) doubled: u64,
    pub(crate) reordered: u64,
    /// Bytes that nobody sent, or not to this client.
    pub(crate) corrupted: u64,
    /// Notices that somebody has joined.
    pub(crate) joined: u64,
    /// Why the first corrupted one is.
    pub(crate) complaint: Option<String>,
}

impl Tally {
    pub(crate) fn new(senders: usize) -> Self {
        Self {
            streams: vec![Stream::default(); senders],
            ..Self::default()
        }
    }

    /// Counts an intact line; `false` when it was not the first time.
    pub(crate) fn deliver(&mut self, line: Line) -> bool {
        let Some(stream) = self.streams.get_mut(line.sender as usize) else {
            self.corrupted(|| format!("a line of sender {}, whom nobody knows", line.sender));
            return false;
        };
        match stream.deliver(line.sequence) {
            Delivery::InTurn => {}
            Delivery::Late => self.reordered += 1,
            Delivery::Doubled => {
                self.doubled += 1;
                return false;
            }
        }
        self.delivered += 1;
        true
    }

    pub(crate) fn corrupted(&mut self, why: impl FnOnce() -> String) {
        self.corrupted += 1;
        self.complaint.get_or_insert_with(why);
    }

    /// How many lines never came, where so many were `sent` by each sender; `own` is this client's number
    /// as a sender. Lines that were never sent count as corrupted.
    pub(crate) fn close(&mut self, sent: &[u64], own: Option<usize>) -> u64 {
        let mut lost = 0;
        for (sender, (stream, sent)) in self.streams.iter().zip(sent).enumerate() {
            let sent = if own == Some(sender) { 0 } else { *sent };
            let invented = stream.next.saturating_sub(sent);
            self.corrupted += invented;
            lost += sent.saturating_sub(stream.delivered());
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays deliveries of sender 1 of two, who sent `sent`; lost, doubled, reordered, corrupted.
    fn play(sequences: &[u64], sent: u64) -> [u64; 4] {
        let mut tally = Tally::new(2);
        for sequence in sequences {
            tally.deliver(Line {
                sender: 1,
                sequence: *sequence,
                due_ns: 0,
            });
        }
        let lost = tally.close(&[0, sent], None);
        assert_eq!(tally.delivered + lost, sent.max(tally.delivered));
        [lost, tally.doubled, tally.reordered, tally.corrupted]
    }

    #[test]
    fn each_fault_has_its_own_count() {
        assert_eq!(play(&[0, 1, 2, 3], 4), [0, 0, 0, 0]);
        assert_eq!(play(&[0, 1, 3], 4), [1, 0, 0, 0]);
        assert_eq!(play(&[], 4), [4, 0, 0, 0]);
        assert_eq!(play(&[0, 1, 2], 4), [1, 0, 0, 0]);
        assert_eq!(play(&[0, 1, 1, 2, 3, 0], 4), [0, 2, 0, 0]);
        assert_eq!(play(&[0, 2, 1, 3], 4), [0, 0, 1, 0]);
        assert_eq!(play(&[3, 0, 2, 1], 4), [0, 0, 3, 0]);
        assert_eq!(play(&[9, 4, 4, 6, 5], 10), [6, 1, 3, 0]);
        assert_eq!(play(&[0, 1, 2], 2), [0, 0, 0, 1], "one was never sent");
    }

    #[test]
    fn nobody_gets_own_lines() {
        let mut tally = Tally::new(2);
        tally.deliver(Line {
            sender: 0,
            sequence: 0,
            due_ns: 0,
        });
        assert_eq!(tally.close(&[1, 1], Some(1)), 0);
        assert_eq!(tally.close(&[1, 1], None), 1);
        let unknown = Line {
            sender: 2,
            sequence: 0,
            due_ns: 0,
        };
        assert!(!tally.deliver(unknown));
        assert_eq!(tally.corrupted, 1);
    }

    /// Against a set, with what a simple generator gives.
    #[test]
    fn gaps_are_kept_exactly() {
        let mut stream = Stream::default();
        let mut seen = std::collections::HashSet::new();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let sequence = (state >> 40) % 5000;
            let is_new = seen.insert(sequence);
            let delivery = stream.deliver(sequence);
            assert_eq!(delivery != Delivery::Doubled, is_new, "{sequence}");
            assert_eq!(stream.delivered(), seen.len() as u64);
        }
        assert!(
            stream
                .missing
                .windows(2)
                .all(|two| two[0].end < two[1].start)
        );
    }
}
