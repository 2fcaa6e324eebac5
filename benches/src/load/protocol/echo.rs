//! Echo: a stream of messages of one size, which comes back as it is.
//!
//! Invariant: `partial` is shorter than a message and starts at one.

use crate::load::ledger::Answer;
use crate::load::payload::{self, Mark};

#[derive(Debug)]
pub(crate) struct Dialogue {
    size: usize,
    partial: Vec<u8>,
}

impl Dialogue {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            partial: Vec::new(),
        }
    }

    pub(super) fn ask(&self, mark: Mark, out: &mut Vec<u8>) {
        payload::append(out, mark, self.size);
    }

    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        account: &mut impl FnMut(Answer) -> bool,
    ) -> bool {
        if !self.partial.is_empty() {
            let missing = self.size - self.partial.len();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = later;
            if self.partial.len() < self.size {
                return true;
            }
            let reading = payload::read(&self.partial);
            self.partial.clear();
            if !account(Answer::Message(reading)) {
                return false;
            }
        }
        let mut messages = bytes.chunks_exact(self.size);
        for message in &mut messages {
            if !account(Answer::Message(payload::read(message))) {
                return false;
            }
        }
        self.partial.extend_from_slice(messages.remainder());
        true
    }

    pub(super) fn is_inside_an_answer(&self) -> bool {
        !self.partial.is_empty()
    }
}
