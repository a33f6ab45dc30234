//! Direct reply-to: answers that go from channel to channel without a queue.
//!
//! A requester consumes from the pseudo-queue `amq.rabbitmq.reply-to` and publishes with that name as `reply_to`; the
//! broker puts a key of the requester's own behind it. What is published to the default exchange under the completed
//! name goes straight to the requester's connection. Whoever knows the key may answer, so it cannot be guessed.

use std::sync::Arc;

use bytes::Bytes;
use dashmap::DashMap;
use leveret_amqp::{Properties, ReplyCode, basic};
use leveret_broker::{Error, queue::Window};

use super::{Channel, message::OwnedMessage, publish::Incoming, stats};
use crate::{
    mail::Mail,
    mailbox::Mailbox,
    session::{ChannelId, Session},
    step::Step,
};

/// The pseudo-queue that requesters consume from.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What stands before a requester's key in routing keys.
const REPLY_TO_KEY_PREFIX: &[u8] = b"amq.rabbitmq.reply-to.";

/// The direct reply-to consumers of the whole server, by their keys.
#[derive(Default)]
pub(crate) struct ReplyConsumers {
    targets: DashMap<Box<[u8]>, Target, ahash::RandomState>,
}

struct Target {
    channel: ChannelId,
    mailbox: Mailbox,
    window: Arc<Window>,
}

/// A message for a direct reply-to consumer, with its bytes taken from the window of the consumer's connection.
#[derive(Debug)]
pub(crate) struct Reply {
    message: OwnedMessage,
}

/// The direct reply-to consumer of a channel.
pub(super) struct ReplyConsumer {
    tag: Box<str>,
    /// What `reply_to` is rewritten to.
    address: Box<str>,
}

impl ReplyConsumers {
    /// Sends a message to the consumer that its routing key names. False where there is none, or where it does not read
    /// what it has been sent: replies are delivered at most once, and nothing may pile up for it.
    pub(super) fn deliver(&self, message: &Incoming<'_>) -> bool {
        let Some(target) = self.targets.get(message.routing_key) else { return false };
        let message = message.to_owned_message();
        target.window.take_whole(message.bytes_len())
            && target.mailbox.send(Mail::Reply { channel: target.channel, reply: Reply { message } })
    }

    /// Whether a requester is there: the full name, key included.
    pub(super) fn contains(&self, address: &str) -> bool {
        self.targets.contains_key(address.as_bytes())
    }

    fn insert(&self, channel: ChannelId, session: &Session) -> Box<str> {
        let address: Box<str> = format!("{REPLY_TO}.{:032x}.{}", rand::random::<u128>(), channel.id).into();
        let target = Target { channel, mailbox: session.mailbox.clone(), window: Arc::clone(&session.outbox_window) };
        self.targets.insert(address.as_bytes().into(), target);
        address
    }

    fn remove(&self, address: &str) {
        self.targets.remove(address.as_bytes());
    }
}

impl Reply {
    /// Gives back what a reply that cannot be delivered has taken from the connection's window.
    pub(crate) fn give_back(&self, session: &Session) {
        if session.outbox_window.give(self.message.bytes_len()) {
            session.mailbox.send(Mail::Resume);
        }
    }
}

/// Whether a message is a reply to a direct reply-to consumer, there or not.
pub(super) fn is_reply(message: &Incoming<'_>) -> bool {
    message.exchange.is_empty() && message.routing_key.starts_with(REPLY_TO_KEY_PREFIX)
}

/// Whether a queue name means direct reply-to, with or without a key.
pub(super) fn is_reply_queue(name: &str) -> bool {
    name.strip_prefix(REPLY_TO).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Channel {
    /// basic.consume from the pseudo-queue; the tag is not in use.
    pub(super) fn consume_replies(
        &mut self,
        consume: &basic::Consume<'_>,
        tag: &str,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Error> {
        if self.reply_consumer.is_some() {
            return Err(Error::precondition_failed("reply consumer already set"));
        }
        if !consume.no_ack {
            return Err(Error::precondition_failed("reply consumer cannot acknowledge"));
        }
        self.reply_consumer = Some(ReplyConsumer {
            address: step.session.reply_consumers.insert(self.id, step.session),
            tag: tag.into(),
        });
        Ok(())
    }

    /// Whether the tag is that of the channel's direct reply-to consumer.
    pub(super) fn is_reply_consumer(&self, tag: &str) -> bool {
        self.reply_consumer.as_ref().is_some_and(|consumer| &*consumer.tag == tag)
    }

    pub(super) fn drop_reply_consumer(&mut self) {
        if let Some(consumer) = self.reply_consumer.take() {
            self.session.reply_consumers.remove(&consumer.address);
        }
    }

    /// A reply has come for the channel's direct reply-to consumer.
    pub(crate) fn deliver_reply(&mut self, reply: Reply, step: &mut Step<'_, '_>) {
        let Some(consumer) = &self.reply_consumer else { return reply.give_back(step.session) };
        let Reply { message } = reply;
        self.last_delivery_tag += 1;
        let (channel, tag) = (self.id.number, self.last_delivery_tag);
        step.outbox.deliver(channel, consumer.tag.as_bytes(), tag, false, message.exchange_and_key());
        step.outbox.content(channel, message.properties_raw(), message.body(), || message.shared_body());
        step.outbox.charge(message.bytes_len());
        stats::count(&self.stats.delivered_no_ack, 1);
    }

    /// The properties with `reply_to` completed, where it names the pseudo-queue.
    ///
    /// # Errors
    /// 406 where the channel does not consume replies.
    pub(super) fn rewrite_reply_to(&self, properties: &Properties<'_>) -> Result<Option<Bytes>, Error> {
        if properties.reply_to != Some(REPLY_TO.as_bytes()) {
            return Ok(None);
        }
        let Some(consumer) = &self.reply_consumer else {
            return Err(Error::precondition_failed("fast reply consumer does not exist"));
        };
        let mut raw = Vec::new();
        let completed = Properties { reply_to: Some(consumer.address.as_bytes()), ..*properties };
        completed.encode(&mut raw);
        Ok(Some(raw.into()))
    }

    /// Binding to the pseudo-queue makes no sense.
    pub(super) fn refuse_reply_queue(name: &str) -> Result<(), Error> {
        match is_reply_queue(name) {
            true => {
                Err(Error::new(ReplyCode::AccessRefused, "cannot bind or unbind to a volatile (direct reply-to) queue"))
            }
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_pseudo_queue() {
        assert!(is_reply_queue("amq.rabbitmq.reply-to"));
        assert!(is_reply_queue("amq.rabbitmq.reply-to.abc"));
        assert!(!is_reply_queue("amq.rabbitmq.reply-toys"));
        assert!(!is_reply_queue("orders"));
    }
}
