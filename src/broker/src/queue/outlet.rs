//! Where a consumer's messages go: the front end's end of a subscription.

use std::sync::Arc;

use super::{ConsumerId, DeliveryRun, Queue, Runs};

/// The front end's end of a subscription. Called under the queue's lock: it hands over and returns, it neither blocks
/// nor calls back.
pub trait Outlet: Send + Sync {
    /// Messages for a consumer, in order. Unless the consumer is `no_ack` they are unacked until the front end settles
    /// them, also where the consumer has gone meanwhile.
    fn deliver(&self, deliveries: Deliveries);

    /// The queue has dropped the consumer.
    fn cancelled(&self, consumer: ConsumerId, reason: CancelReason);

    /// Room in one of the consumer's shared windows was given back: the front end resumes the queues that share it.
    fn room_returned(&self, consumer: ConsumerId);

    /// What listings show as the consumer's channel.
    fn name(&self) -> String;
}

/// Messages of one queue for one consumer.
#[derive(Debug)]
pub struct Deliveries {
    /// Where they come from, and where they are settled.
    pub queue: Arc<Queue>,
    /// For whom.
    pub consumer: ConsumerId,
    /// In order.
    pub runs: Runs<DeliveryRun>,
}

/// Why a queue dropped a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The queue was deleted.
    QueueDeleted,
}
