//! What requests and answers look like on one connection.
//!
//! | file | holds |
//! |---|---|
//! | `echo` | messages of one size that come back |
//! | `http` | requests of one kind, and what a right answer to them is |
//! | `answer` | bytes into HTTP answers |
//!
//! A [`Protocol`] belongs to the run, a [`Dialogue`] to one connection. Pure: bytes in, answers out.
//! Called by `connection`.

mod answer;
mod echo;
mod http;

pub(crate) use http::Exchange;

use super::ledger::Answer;
use super::payload::Mark;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(crate) enum Protocol {
    /// Messages of this many bytes, at least [`super::payload::MIN_BYTES`].
    Echo {
        size: usize,
    },
    Http(Arc<Exchange>),
}

impl Protocol {
    /// The side of one new connection.
    pub(crate) fn dialogue(&self) -> Dialogue {
        match self {
            Self::Echo { size } => Dialogue::Echo(echo::Dialogue::new(*size)),
            Self::Http(exchange) => Dialogue::Http(http::Dialogue::new(exchange.clone())),
        }
    }

    /// Bytes of a message that is checked as a whole, 0 when there is none.
    pub(crate) fn message_bytes(&self) -> usize {
        match self {
            Self::Echo { size } => *size,
            Self::Http(exchange) => exchange.message_bytes(),
        }
    }
}

/// What one connection has read of its answers. An enum and not a trait: a choice per read costs nothing
/// that could be measured, and connections, slots and loaders stay one type.
#[derive(Debug)]
pub(crate) enum Dialogue {
    Echo(echo::Dialogue),
    Http(http::Dialogue),
}

impl Dialogue {
    /// Appends the request with this mark.
    pub(crate) fn ask(&self, mark: Mark, out: &mut Vec<u8>) {
        match self {
            Self::Echo(dialogue) => dialogue.ask(mark, out),
            Self::Http(dialogue) => dialogue.ask(mark, out),
        }
    }

    /// Takes bytes as they came and calls `account` with each answer that they complete. Stops, and
    /// is `false`, when that says so: the bytes are out of step.
    pub(crate) fn take(&mut self, bytes: &[u8], account: &mut impl FnMut(Answer) -> bool) -> bool {
        match self {
            Self::Echo(dialogue) => dialogue.take(bytes, account),
            Self::Http(dialogue) => dialogue.take(bytes, account),
        }
    }

    pub(crate) fn is_inside_an_answer(&self) -> bool {
        match self {
            Self::Echo(dialogue) => dialogue.is_inside_an_answer(),
            Self::Http(dialogue) => dialogue.is_inside_an_answer(),
        }
    }

    /// Whether the server has said that it takes no more requests here.
    pub(crate) fn is_told_to_close(&self) -> bool {
        match self {
            Self::Echo(_) => false,
            Self::Http(dialogue) => dialogue.is_told_to_close(),
        }
    }
}
