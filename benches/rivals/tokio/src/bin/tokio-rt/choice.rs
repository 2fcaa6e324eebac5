//! What a tokio user can choose: how a task yields, and which channel it sends through.
//!
//! Types and not values, so that the measured loops have no branch for it. Chosen by `main`, used by
//! `tasks` and `channels`.

use std::future::Future;

/// How a task lets the others run.
pub(crate) trait Yield: 'static {
    fn yield_now() -> impl Future<Output = ()> + Send;
}

/// A bounded channel of numbers.
pub(crate) trait Channel: 'static {
    type Sender: Send + 'static;
    type Receiver: Send + 'static;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver);
    /// Panics when the receiver is gone.
    fn send(sender: &Self::Sender, value: u64) -> impl Future<Output = ()> + Send;
    /// `None` when all senders are gone.
    fn receive(receiver: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send;
}

/// Tokio's own. Its yield has the task queued only after the driver was polled.
pub(crate) struct Own;

impl Yield for Own {
    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }
}

impl Channel for Own {
    type Sender = tokio::sync::mpsc::Sender<u64>;
    type Receiver = tokio::sync::mpsc::Receiver<u64>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        tokio::sync::mpsc::channel(capacity)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("somebody receives");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

/// The yield of futures-lite: the task is queued again at once, and the driver is polled as often as
/// with tasks that wake each other.
pub(crate) struct SelfWaking;

impl Yield for SelfWaking {
    fn yield_now() -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }
}

/// The channel of async-channel.
pub(crate) struct AsyncChannel;

impl Channel for AsyncChannel {
    type Sender = async_channel::Sender<u64>;
    type Receiver = async_channel::Receiver<u64>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        async_channel::bounded(capacity)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        sender.send(value).await.expect("somebody receives");
    }

    async fn receive(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}
