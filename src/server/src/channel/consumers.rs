//! The consumers of a channel, by number for deliveries and by tag for the client.

use std::{collections::HashMap, sync::Arc};

use leveret_broker::queue::{ConsumerId, Queue};

use super::settle::Origin;

/// A consumer.
#[derive(Clone)]
pub(super) struct Consumer {
    /// Unique in the broker.
    pub(super) id: ConsumerId,
    /// The consumer tag.
    pub(super) tag: Arc<str>,
    /// Its queue, and what its deliveries are remembered with.
    pub(super) origin: Arc<Origin>,
    /// Deliveries need no settling.
    pub(super) no_ack: bool,
    /// How long a delivery may stay unsettled, in milliseconds; 0 is for ever.
    pub(super) timeout_ms: u64,
    /// The client has cancelled it, and this says whether it wants cancel-ok; what was under way still goes out.
    pub(super) cancel_reply: Option<bool>,
}

/// The consumers of one channel.
#[derive(Default)]
pub(super) struct Consumers {
    by_id: HashMap<ConsumerId, Consumer, ahash::RandomState>,
    /// Those that the client has not cancelled.
    by_tag: HashMap<Arc<str>, ConsumerId, ahash::RandomState>,
}

impl Consumers {
    /// How many there are that the client has not cancelled.
    pub(super) fn len(&self) -> usize {
        self.by_tag.len()
    }

    /// Whether a tag is in use.
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.by_tag.contains_key(tag)
    }

    /// A consumer, also one that was cancelled and has deliveries under way.
    pub(super) fn get(&self, id: ConsumerId) -> Option<&Consumer> {
        self.by_id.get(&id)
    }

    /// Adds a consumer under a tag not in use.
    pub(super) fn insert(&mut self, consumer: Consumer) {
        self.by_tag.insert(Arc::clone(&consumer.tag), consumer.id);
        self.by_id.insert(consumer.id, consumer);
    }

    /// Frees the tag of a consumer that the client has cancelled. It stays until [`Self::remove`].
    pub(super) fn begin_cancel(&mut self, tag: &str, wants_reply: bool) -> Option<&Consumer> {
        let id = self.by_tag.remove(tag)?;
        let consumer = self.by_id.get_mut(&id)?;
        consumer.cancel_reply = Some(wants_reply);
        Some(consumer)
    }

    /// Removes a consumer.
    pub(super) fn remove(&mut self, id: ConsumerId) -> Option<Consumer> {
        let consumer = self.by_id.remove(&id)?;
        if self.by_tag.get(&consumer.tag) == Some(&id) {
            self.by_tag.remove(&consumer.tag);
        }
        Some(consumer)
    }

    /// Removes all consumers.
    pub(super) fn take_all(&mut self) -> Vec<Consumer> {
        self.by_tag.clear();
        self.by_id.drain().map(|(_, consumer)| consumer).collect()
    }

    /// The queues consumed from, each once.
    pub(super) fn queues(&self) -> Vec<Arc<Queue>> {
        let mut queues: Vec<_> = self.by_id.values().map(|consumer| Arc::clone(&consumer.origin.queue)).collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        queues.dedup_by_key(|queue| queue.id);
        queues
    }

    /// The shortest time after which a delivery of one of the consumers is overdue, in milliseconds; `None` for never.
    pub(super) fn shortest_timeout_ms(&self) -> Option<u64> {
        self.by_id.values().map(|consumer| consumer.timeout_ms).filter(|timeout_ms| *timeout_ms > 0).min()
    }
}
