//! Owns what waits to be written to one client: a bounded queue of shared messages, the policy
//! for a full one, and the joining of messages into batches.
//!
//! Invariants: an outbox never holds more than [`OUTBOX_MESSAGES`]; each offer has exactly one
//! [`Outcome`]; what was enqueued comes out in order, also after `close`. The sending half is
//! used by the reader tasks of all other clients (through `room`), the receiving half by the
//! client's own writer task.

use crate::counters::Outcome;
use llam::channel::{self, Receiver, Sender};
use std::ops::Deref;
use std::sync::Arc;

/// Messages that an outbox holds before it is full.
pub(crate) const OUTBOX_MESSAGES: usize = 64;

/// One encoded message, shared by all outboxes it is in.
///
/// `Arc<Vec<u8>>` and not `Arc<[u8]>`: a pointer of one word crosses a channel without an
/// allocation, and there is one crossing per receiver but only one encoding per message.
#[derive(Debug, Clone)]
pub(crate) struct Message(Arc<Vec<u8>>);

impl Message {
    /// A line that `client` typed.
    pub(crate) fn line(client: u64, line: &[u8]) -> Self {
        let prefix = format!("[client {client}] ");
        let mut bytes = Vec::with_capacity(prefix.len() + line.len() + 1);
        bytes.extend_from_slice(prefix.as_bytes());
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        Self(Arc::new(bytes))
    }

    pub(crate) fn joined(client: u64) -> Self {
        Self(Arc::new(format!("* client {client} joined\n").into_bytes()))
    }

    pub(crate) fn left(client: u64) -> Self {
        Self(Arc::new(format!("* client {client} left\n").into_bytes()))
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What a sender does about a full outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Drops the message for this receiver, and counts it.
    BestEffort,
    /// Waits for room.
    Lossless,
}

impl Delivery {
    /// As the start line spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BestEffort => "best-effort",
            Self::Lossless => "lossless",
        }
    }
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Outbox(Sender<Message>);

/// The receiving half.
#[derive(Debug)]
pub(crate) struct OutboxDrain(Receiver<Message>);

/// Makes an empty outbox.
pub(crate) fn outbox() -> llam::Result<(Outbox, OutboxDrain)> {
    let (sender, receiver) = channel::bounded(OUTBOX_MESSAGES)?;
    Ok((Outbox(sender), OutboxDrain(receiver)))
}

impl Outbox {
    /// Offers one message. Parks only with [`Delivery::Lossless`], and then not beyond `close` or
    /// the cancellation of the calling task.
    pub(crate) fn offer(&self, message: Message, delivery: Delivery) -> Outcome {
        let sent = match delivery {
            Delivery::BestEffort => self.0.try_send(message),
            Delivery::Lossless => self.0.send(message),
        };
        match (sent, delivery) {
            (Ok(()), _) => Outcome::Enqueued,
            (Err(refused), _) if refused.error.is_closed() => Outcome::DroppedClosed,
            (Err(_), Delivery::BestEffort) => Outcome::DroppedFull,
            (Err(_), Delivery::Lossless) => Outcome::DroppedClosed,
        }
    }

    /// Takes no more messages and releases senders that wait for room. Those inside can still be
    /// drained. Closing twice is harmless.
    pub(crate) fn close(&self) {
        // It can fail only for a dead handle, and this half keeps it alive.
        let _ = self.0.close();
    }
}

impl OutboxDrain {
    /// Waits for a message, then takes what else is there, into `batch` (emptied first). False
    /// when the outbox is closed and empty, or the calling task is cancelled.
    pub(crate) fn next_batch(&self, batch: &mut Vec<Message>) -> bool {
        batch.clear();
        let Ok(Some(first)) = self.0.recv_option() else {
            return false;
        };
        batch.push(first);
        while batch.len() < OUTBOX_MESSAGES {
            let Ok(Some(next)) = self.0.try_recv_option() else {
                break;
            };
            batch.push(next);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_effort_drops_what_a_full_outbox_cannot_take() {
        llam::test(|| {
            let (outbox, drain) = outbox()?;
            let mut batch = Vec::new();
            for n in 0..OUTBOX_MESSAGES as u64 {
                assert_eq!(
                    outbox.offer(Message::joined(n), Delivery::BestEffort),
                    Outcome::Enqueued
                );
            }
            let refused = outbox.offer(Message::joined(64), Delivery::BestEffort);
            assert_eq!(refused, Outcome::DroppedFull);
            assert!(drain.next_batch(&mut batch));
            assert_eq!(batch.len(), OUTBOX_MESSAGES);
            assert_eq!(&*batch[63], b"* client 63 joined\n");
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn close_keeps_what_is_inside_and_refuses_the_rest() {
        llam::test(|| {
            let (outbox, drain) = outbox()?;
            let mut batch = Vec::new();
            assert_eq!(
                outbox.offer(Message::left(1), Delivery::Lossless),
                Outcome::Enqueued
            );
            outbox.close();
            outbox.close();
            for delivery in [Delivery::BestEffort, Delivery::Lossless] {
                assert_eq!(
                    outbox.offer(Message::left(2), delivery),
                    Outcome::DroppedClosed
                );
            }
            assert!(drain.next_batch(&mut batch));
            assert_eq!(batch.len(), 1);
            assert!(!drain.next_batch(&mut batch));
            assert!(batch.is_empty());
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn close_releases_a_waiting_sender() {
        llam::test(|| {
            let (outbox, _drain) = outbox()?;
            let outbox = Arc::new(outbox);
            for n in 0..OUTBOX_MESSAGES as u64 {
                assert_eq!(
                    outbox.offer(Message::joined(n), Delivery::Lossless),
                    Outcome::Enqueued
                );
            }
            let sender = llam::spawn({
                let outbox = outbox.clone();
                move || outbox.offer(Message::joined(64), Delivery::Lossless)
            });
            while sender.state_name().as_deref() != Some("PARKED") {
                llam::task::yield_now();
            }
            outbox.close();
            assert_eq!(
                sender.join().expect("the sender ends"),
                Outcome::DroppedClosed
            );
            Ok(())
        })
        .unwrap();
    }
}
