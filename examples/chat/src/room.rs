//! Owns the list of clients and the fan-out of one message to all of them but its sender.
//!
//! Invariants: a client is a member from `join` to `leave` and at most once; a newcomer is
//! announced to exactly those who were there before; the lock is never held across a wait, so a
//! slow receiver holds up nobody but, in lossless mode, the sender. Called by the reader tasks.

use crate::client::Client;
use crate::counters::{Counters, Tally};
use crate::outbox::{Delivery, Message};
use std::sync::{Arc, Mutex, PoisonError};

/// Those who were in the room at one moment.
pub(crate) type Members = Arc<[Arc<Client>]>;

#[derive(Debug)]
pub(crate) struct Room {
    /// Replaced as a whole when somebody comes or goes, so that a broadcast needs the lock only to
    /// copy one pointer.
    ///
    /// A plain mutex and not `llam::sync::Mutex`: no task parks while it holds this one, and a
    /// cancelled task must still get it, to leave.
    members: Mutex<Members>,
    delivery: Delivery,
    counters: Counters,
}

impl Room {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self {
            members: Mutex::new(Arc::from(Vec::new())),
            delivery,
            counters: Counters::default(),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Adds a client; returns those who were there before.
    pub(crate) fn join(&self, client: &Arc<Client>) -> Members {
        let mut members = self.lock();
        let with_client = members.iter().chain([client]).cloned().collect();
        std::mem::replace(&mut *members, with_client)
    }

    /// Removes a client; returns those who are still there.
    pub(crate) fn leave(&self, client: &Client) -> Members {
        let mut members = self.lock();
        *members = members
            .iter()
            .filter(|member| member.id() != client.id())
            .cloned()
            .collect();
        members.clone()
    }

    /// Offers `message` to everybody but `sender`; see [`Room::broadcast_to`].
    pub(crate) fn broadcast(&self, sender: u64, message: &Message) {
        let members = self.lock().clone();
        self.broadcast_to(&members, sender, message);
    }

    /// Offers `message` to these members but `sender`, and counts what became of each delivery.
    ///
    /// In lossless mode it parks while an outbox is full, until that one has room, is closed, or
    /// the calling task is cancelled. In best-effort mode it lets other tasks run once at the end:
    /// a sender whose input never runs dry would otherwise fill the outboxes before the writers
    /// of this thread have had a chance to empty them.
    pub(crate) fn broadcast_to(&self, members: &Members, sender: u64, message: &Message) {
        let mut tally = Tally::default();
        for member in members.iter().filter(|member| member.id() != sender) {
            tally.count(member.outbox().offer(message.clone(), self.delivery));
        }
        self.counters.add(tally);
        if self.delivery == Delivery::BestEffort {
            llam::task::yield_now();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
