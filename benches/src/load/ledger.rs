//! What one connection has asked for and got back: the accounting that tells lost, doubled, swapped
//! and corrupted answers apart.
//!
//! ```text
//!   sent ──> waiting ──answer in turn──────────────> settled
//!               │
//!               └─a later one came first──> overtaken ──its answer──> settled, counted as reordered
//!                                               └─no answer─────────> counted as lost
//! ```
//!
//! An answer that does not say which request it belongs to settles the first one waiting.
//!
//! Invariants: sequences are handed out in order; each is in exactly one of the places above; every
//! answer is either the settling of one request or exactly one fault. Pure: no clock, no sockets.
//! Called by `connection`.

use super::payload::{Mark, Reading};
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::ops::AddAssign;
use std::time::Instant;

/// What went wrong, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Requests that were never answered: overtaken for good, or nothing came for the whole timeout.
    pub(crate) lost: u64,
    /// Answers to requests that were answered already.
    pub(crate) doubled: u64,
    /// Right answers that came when no request was open.
    pub(crate) extra: u64,
    /// Answers that came after the answer to a later request.
    pub(crate) reordered: u64,
    /// Intact answers to another connection's request.
    pub(crate) foreign: u64,
    /// Answers with bytes that nobody sent, never asked for, or not the expected ones.
    pub(crate) corrupted: u64,
    /// Connections that the server ended with requests open, or did not end when it was time.
    pub(crate) broken: u64,
    /// Requests open on a connection that was given up for another fault; nothing is known of them.
    pub(crate) abandoned: u64,
    /// Connections that could not be made.
    pub(crate) refused: u64,
}

impl Faults {
    pub(crate) fn total(&self) -> u64 {
        let Self {
            lost,
            doubled,
            extra,
            reordered,
            foreign,
            corrupted,
            broken,
            abandoned,
            refused,
        } = self;
        lost + doubled + extra + reordered + foreign + corrupted + broken + abandoned + refused
    }
}

impl AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.extra += other.extra;
        self.reordered += other.reordered;
        self.foreign += other.foreign;
        self.corrupted += other.corrupted;
        self.broken += other.broken;
        self.abandoned += other.abandoned;
        self.refused += other.refused;
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.extra, "never asked for"),
            (self.reordered, "reordered"),
            (self.foreign, "of another connection"),
            (self.corrupted, "corrupted"),
            (self.broken, "connections broken"),
            (self.abandoned, "abandoned"),
            (self.refused, "connections refused"),
        ];
        let mut separator = "";
        for (count, name) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// A request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) sequence: u64,
    /// When it should have been sent; in a closed loop, when it was.
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
}

/// A whole answer, as a protocol understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It carries a message, which says to what it answers.
    Message(Reading),
    /// It is right, and does not say to what it answers.
    Unmarked,
    /// Its end can be told, but it is not what was asked for; one phrase says why.
    Wrong(String),
    /// Not even its end can be told; one phrase says why.
    Garbled(String),
}

/// What to do after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This request is answered.
    Settled(Request),
    /// A fault was counted; what follows is still in step.
    Fault,
    /// A fault was counted, and nothing that follows can be trusted.
    OutOfStep,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    connection: u32,
    next: u64,
    waiting: VecDeque<Request>,
    overtaken: Vec<Request>,
    pub(crate) faults: Faults,
    /// Why the first wrong answer was wrong, where that can be said.
    pub(crate) complaint: Option<String>,
}

impl Ledger {
    pub(crate) fn new(connection: u32) -> Self {
        Self {
            connection,
            next: 0,
            waiting: VecDeque::new(),
            overtaken: Vec::new(),
            faults: Faults::default(),
            complaint: None,
        }
    }

    /// Notes a request that is sent now, and gives its mark.
    pub(crate) fn send(&mut self, due: Instant, sent: Instant) -> Mark {
        let sequence = self.next;
        self.next += 1;
        self.waiting.push_back(Request {
            sequence,
            due,
            sent,
        });
        Mark {
            connection: self.connection,
            sequence,
        }
    }

    /// How many were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.next
    }

    /// How many wait for their answer in turn.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing is expected any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.overtaken.is_empty()
    }

    /// Accounts for a whole answer from the server.
    pub(crate) fn answer(&mut self, answer: Answer) -> Verdict {
        match answer {
            Answer::Message(reading) => self.message(reading),
            Answer::Unmarked => match self.waiting.pop_front() {
                Some(request) => Verdict::Settled(request),
                None => {
                    self.faults.extra += 1;
                    Verdict::Fault
                }
            },
            Answer::Wrong(why) => {
                self.corrupted(why);
                Verdict::Fault
            }
            Answer::Garbled(why) => {
                self.corrupted(why);
                Verdict::OutOfStep
            }
        }
    }

    /// It stands where the answer to the first one waiting should be.
    fn corrupted(&mut self, why: String) {
        self.faults.corrupted += 1;
        self.complaint.get_or_insert(why);
        self.waiting.pop_front();
    }

    fn message(&mut self, reading: Reading) -> Verdict {
        match reading {
            Reading::Intact(mark) if mark.connection == self.connection => {
                self.own_answer(mark.sequence)
            }
            Reading::Intact(_) => {
                self.faults.foreign += 1;
                // It stands where the answer to the first one waiting should be.
                self.waiting.pop_front();
                Verdict::Fault
            }
            Reading::BadBody(mark) => {
                self.faults.corrupted += 1;
                if mark.connection == self.connection {
                    self.settle(mark.sequence);
                }
                Verdict::Fault
            }
            Reading::BadHeader => {
                self.faults.corrupted += 1;
                self.waiting.pop_front();
                Verdict::OutOfStep
            }
        }
    }

    fn own_answer(&mut self, sequence: u64) -> Verdict {
        if sequence >= self.next {
            self.faults.corrupted += 1;
            return Verdict::Fault;
        }
        match self.settle(sequence) {
            Some(request) => Verdict::Settled(request),
            None => {
                self.faults.doubled += 1;
                Verdict::Fault
            }
        }
    }

    /// Takes a request out of the books; those before it are overtaken.
    fn settle(&mut self, sequence: u64) -> Option<Request> {
        let first = self.waiting.front().map_or(self.next, |r| r.sequence);
        if sequence < first {
            let place = self.overtaken.iter().position(|r| r.sequence == sequence)?;
            self.faults.reordered += 1;
            return Some(self.overtaken.swap_remove(place));
        }
        while let Some(request) = self.waiting.pop_front() {
            if request.sequence == sequence {
                return Some(request);
            }
            self.overtaken.push(request);
        }
        None
    }

    /// Gives up what was sent before `limit`, and returns it. When the first one waiting is among
    /// them, nothing has come for so long: the connection is to be given up (`true`).
    pub(crate) fn expire(&mut self, limit: Instant) -> (Vec<Request>, bool) {
        let mut lost: Vec<_> = self.overtaken.extract_if(.., |r| r.sent < limit).collect();
        let is_dead = self.waiting.front().is_some_and(|r| r.sent < limit);
        while let Some(request) = self.waiting.pop_front_if(|r| r.sent < limit) {
            lost.push(request);
        }
        self.faults.lost += lost.len() as u64;
        (lost, is_dead)
    }

    /// The connection is over, after a fault or because the server ended it: nothing more will
    /// come. What was overtaken is lost.
    pub(crate) fn close(&mut self, waiting_is_lost: bool) {
        self.faults.lost += self.overtaken.len() as u64;
        let waiting = self.waiting.len() as u64;
        if waiting_is_lost {
            self.faults.lost += waiting;
        } else {
            self.faults.abandoned += waiting;
        }
        self.overtaken.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ledger_with(requests: u64) -> Ledger {
        let mut ledger = Ledger::new(3);
        let now = Instant::now();
        for sequence in 0..requests {
            assert_eq!(ledger.send(now, now).sequence, sequence);
        }
        ledger
    }

    fn intact(connection: u32, sequence: u64) -> Reading {
        Reading::Intact(Mark {
            connection,
            sequence,
        })
    }

    /// Plays answers to five requests on connection 3, then the end of the connection.
    fn faults_of(answers: &[Reading]) -> Faults {
        let mut ledger = ledger_with(5);
        for answer in answers {
            ledger.message(*answer);
        }
        ledger.close(true);
        assert!(ledger.is_settled());
        ledger.faults
    }

    #[test]
    fn in_turn_is_no_fault() {
        let answers: Vec<_> = (0..5).map(|n| intact(3, n)).collect();
        assert_eq!(faults_of(&answers), Faults::default());
    }

    #[test]
    fn each_fault_has_its_own_count() {
        let none = Faults::default();
        let play = |order: &[u64]| {
            let answers: Vec<_> = order.iter().map(|n| intact(3, *n)).collect();
            faults_of(&answers)
        };
        assert_eq!(play(&[0, 1, 3, 4]), Faults { lost: 1, ..none });
        assert_eq!(play(&[0, 1, 2, 3]), Faults { lost: 1, ..none });
        assert_eq!(play(&[0, 1, 1, 2, 3, 4, 4]), Faults { doubled: 2, ..none });
        assert_eq!(
            play(&[0, 2, 1, 3, 4]),
            Faults {
                reordered: 1,
                ..none
            }
        );
        assert_eq!(
            play(&[0, 1, 2, 3, 4, 5]),
            Faults {
                corrupted: 1,
                ..none
            }
        );
        let foreign = [
            intact(3, 0),
            intact(8, 1),
            intact(3, 2),
            intact(3, 3),
            intact(3, 4),
        ];
        assert_eq!(faults_of(&foreign), Faults { foreign: 1, ..none });
        let mut corrupted = foreign;
        corrupted[1] = Reading::BadBody(Mark {
            connection: 3,
            sequence: 1,
        });
        assert_eq!(
            faults_of(&corrupted),
            Faults {
                corrupted: 1,
                ..none
            }
        );
    }

    #[test]
    fn unmarked_answers_settle_in_turn_and_may_be_too_many() {
        let mut ledger = ledger_with(2);
        for sequence in 0..2 {
            let verdict = ledger.answer(Answer::Unmarked);
            assert!(matches!(verdict, Verdict::Settled(r) if r.sequence == sequence));
        }
        assert_eq!(ledger.answer(Answer::Unmarked), Verdict::Fault);
        ledger.close(true);
        let none = Faults::default();
        assert_eq!(ledger.faults, Faults { extra: 1, ..none });
    }

    #[test]
    fn a_wrong_answer_takes_the_place_of_a_right_one() {
        let mut ledger = ledger_with(2);
        for why in ["status 503", "another body"] {
            assert_eq!(ledger.answer(Answer::Wrong(why.to_owned())), Verdict::Fault);
        }
        assert!(ledger.is_settled());
        assert_eq!(ledger.faults.corrupted, 2);
        assert_eq!(ledger.complaint.as_deref(), Some("status 503"));
        let garbled = Answer::Garbled("no status line".to_owned());
        assert_eq!(ledger.answer(garbled), Verdict::OutOfStep);
    }

    #[test]
    fn a_bad_header_ends_the_trust() {
        let mut ledger = ledger_with(3);
        assert_eq!(ledger.message(Reading::BadHeader), Verdict::OutOfStep);
        ledger.close(false);
        assert_eq!(ledger.faults.corrupted, 1);
        assert_eq!(ledger.faults.abandoned, 2);
        assert_eq!(ledger.faults.total(), 3);
    }

    #[test]
    fn silence_kills_the_connection_and_an_overtaken_one_does_not() {
        let mut ledger = ledger_with(3);
        let limit = Instant::now() + Duration::from_secs(1);
        ledger.message(intact(3, 1));
        ledger.message(intact(3, 2));
        let (lost, is_dead) = ledger.expire(limit);
        assert_eq!((lost.len(), is_dead), (1, false));
        let mut ledger = ledger_with(3);
        let (lost, is_dead) = ledger.expire(limit);
        assert_eq!((lost.len(), is_dead), (3, true));
        assert_eq!(ledger.faults.lost, 3);
    }
}
