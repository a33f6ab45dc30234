//! What happens to a channel and its consumers, as observers are told.

use std::sync::Arc;

use leveret_amqp::basic;
use leveret_broker::{
    Turn,
    plugin::{self, ConsumerTerms, EventKind},
};

use super::{Channel, consumers::Consumer};

impl Channel {
    /// The channel is open.
    pub(crate) fn tell_created(&self, turn: &Turn<'_>) {
        turn.tell(|| EventKind::ChannelCreated(self.as_told()));
    }

    /// The channel has ended, and with it so many consumers.
    pub(super) fn tell_closed(&self, turn: &Turn<'_>, consumers: usize) {
        turn.tell(|| EventKind::ChannelClosed(self.as_told(), consumers));
    }

    /// A queue serves a consumer, as basic.consume asked for.
    pub(super) fn tell_consumer_created(&self, turn: &Turn<'_>, consumer: &Consumer, consume: &basic::Consume<'_>) {
        turn.tell(|| {
            let terms = ConsumerTerms {
                exclusive: consume.exclusive,
                ack_required: !consume.no_ack,
                prefetch: u32::from(self.prefetch),
                arguments: consume.arguments.clone(),
            };
            EventKind::ConsumerCreated(self.consumer_as_told(consumer), Arc::new(terms))
        });
    }

    /// A consumer is served no more.
    pub(super) fn tell_consumer_deleted(&self, turn: &Turn<'_>, consumer: &Consumer) {
        turn.tell(|| EventKind::ConsumerDeleted(self.consumer_as_told(consumer)));
    }

    fn as_told(&self) -> Arc<plugin::Channel> {
        Arc::new(plugin::Channel {
            id: self.id.id,
            number: self.id.number,
            connection_id: self.session.connection_id,
            connection_name: Arc::clone(&self.session.name),
            user: Arc::clone(&self.session.username),
            vhost: Arc::clone(&self.session.vhost.name),
        })
    }

    fn consumer_as_told(&self, consumer: &Consumer) -> plugin::Consumer {
        plugin::Consumer {
            tag: Arc::clone(&consumer.tag),
            channel_id: self.id.id,
            queue: Arc::clone(&consumer.origin.queue),
        }
    }
}
