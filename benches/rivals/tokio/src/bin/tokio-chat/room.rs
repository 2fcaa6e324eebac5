//! Who is in the room, and the fan-out. Called by the reading tasks of `client`.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// One encoded message, shared by all outboxes that it is in. A pointer of one word, so that a slot of an
/// outbox is small.
pub(crate) type Message = Arc<Vec<u8>>;

/// Those who were there at one moment.
pub(crate) type Members = Arc<[Arc<Client>]>;

/// What a sender does about a full outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Drops the message for this receiver.
    BestEffort,
    /// Waits for room, or until the receiver leaves.
    Lossless,
}

/// What others know of a client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) outbox: mpsc::Sender<Message>,
}

#[derive(Debug)]
pub(crate) struct Room {
    /// Replaced as a whole when somebody comes or goes: a broadcast copies one pointer.
    members: Mutex<Members>,
    delivery: Delivery,
}

impl Room {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self {
            members: Mutex::new(Arc::from(Vec::new())),
            delivery,
        }
    }

    /// Adds a client; returns those who were there before.
    pub(crate) fn join(&self, client: Arc<Client>) -> Members {
        let mut members = self.lock();
        let with_client = members.iter().cloned().chain([client]).collect();
        std::mem::replace(&mut *members, with_client)
    }

    /// Removes a client; returns those who are still there.
    pub(crate) fn leave(&self, id: u64) -> Members {
        let mut members = self.lock();
        let others = members.iter().filter(|member| member.id != id);
        *members = others.cloned().collect();
        members.clone()
    }

    /// Offers a message to everybody but its sender.
    pub(crate) async fn broadcast(&self, sender: u64, message: Message) {
        let members = self.lock().clone();
        self.broadcast_to(&members, sender, message).await;
    }

    /// Offers a message to these members but its sender.
    pub(crate) async fn broadcast_to(&self, members: &Members, sender: u64, message: Message) {
        for member in members.iter().filter(|member| member.id != sender) {
            let refused = member.outbox.try_send(message.clone());
            if self.delivery == Delivery::Lossless
                && let Err(mpsc::error::TrySendError::Full(message)) = refused
            {
                // It fails when the receiver leaves.
                let _ = member.outbox.send(message).await;
            }
        }
        if self.delivery == Delivery::BestEffort {
            // A sender whose input never runs dry would fill the outboxes before the writers of this thread had
            // a chance to empty them. Not tokio's own yield, which polls the driver first.
            futures_lite::future::yield_now().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
