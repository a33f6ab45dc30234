//! Class 60, basic: publish, consume, get, settle; with RabbitMQ's nack.

use super::macros::{Class, Fields, class, fields};
use crate::{
    FieldTable, WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class basic.
    60 "basic" Basic Method<'a>;

    /// Client: how much may be under way to a consumer.
    10 "qos" Qos {
        /// Bytes; RabbitMQ and Leveret take 0 only.
        prefetch_size: u32 as long,
        /// Messages not settled yet; 0 is no limit.
        prefetch_count: u16 as short,
        /// For the channel as a whole, not for each consumer to come.
        global: bool as bit,
    }

    /// Server: it applies.
    11 "qos-ok" QosOk {}

    /// Client: starts a consumer.
    20 "consume" Consume<'a> {
        [reserved_short]
        /// Name of the queue; empty for the last one declared on the channel.
        queue: &'a str as short_text,
        /// The consumer's name on this channel; empty to have one made up.
        consumer_tag: &'a str as short_text,
        /// Without meaning in RabbitMQ and Leveret.
        no_local: bool as bit,
        /// Messages count as settled once sent.
        no_ack: bool as bit,
        /// No other consumer beside this one.
        exclusive: bool as bit,
        /// No answer wanted.
        no_wait: bool as bit,
        /// Settings such as `x-priority`.
        arguments: FieldTable as table,
    }

    /// Server: the consumer is there.
    21 "consume-ok" ConsumeOk<'a> {
        /// Its name.
        consumer_tag: &'a str as short_text,
    }

    /// Client: ends a consumer. Server, to clients that can take it: a consumer has ended.
    30 "cancel" Cancel<'a> {
        /// Its name.
        consumer_tag: &'a str as short_text,
        /// No answer wanted.
        no_wait: bool as bit,
    }

    /// Answer to cancel.
    31 "cancel-ok" CancelOk<'a> {
        /// The consumer's name.
        consumer_tag: &'a str as short_text,
    }

    // Below: it also keeps its names as they are on the wire.
    40 "publish" Publish<'a> { by hand }

    /// Server: a mandatory message that reached no queue. Content follows.
    50 "return" Return<'a> {
        /// 312, [`crate::ReplyCode::NoRoute`].
        reply_code: u16 as short,
        /// `NO_ROUTE`.
        reply_text: &'a str as short_text,
        /// Exchange it was published to.
        exchange: &'a str as short_text,
        /// Key it was published with.
        routing_key: &'a [u8] as short_bytes,
    }

    /// Server: a message for a consumer. Content follows. [`crate::encode_deliver`] is the fast way to write it.
    60 "deliver" Deliver<'a> {
        /// The consumer's name.
        consumer_tag: &'a str as short_text,
        /// Number to settle it by, on this channel.
        delivery_tag: u64 as long_long,
        /// It may have been delivered before.
        redelivered: bool as bit,
        /// Exchange it was published to.
        exchange: &'a str as short_text,
        /// Key it was published with.
        routing_key: &'a [u8] as short_bytes,
    }

    /// Client: asks for one message.
    70 "get" Get<'a> {
        [reserved_short]
        /// Name of the queue; empty for the last one declared on the channel.
        queue: &'a str as short_text,
        /// The message counts as settled once sent.
        no_ack: bool as bit,
    }

    /// Server: here it is. Content follows.
    71 "get-ok" GetOk<'a> {
        /// Number to settle it by, on this channel.
        delivery_tag: u64 as long_long,
        /// It may have been delivered before.
        redelivered: bool as bit,
        /// Exchange it was published to.
        exchange: &'a str as short_text,
        /// Key it was published with.
        routing_key: &'a [u8] as short_bytes,
        /// Messages still ready.
        message_count: u32 as long,
    }

    /// Server: there is none.
    72 "get-empty" GetEmpty {
        [reserved_short_string]
    }

    /// Client: a delivery was dealt with. Server: a publish was taken over.
    80 "ack" Ack {
        /// Number of the delivery or publish; 0 with `multiple` is all.
        delivery_tag: u64 as long_long,
        /// This one and all before it.
        multiple: bool as bit,
    }

    /// Client: a delivery was not dealt with.
    90 "reject" Reject {
        /// Number of the delivery.
        delivery_tag: u64 as long_long,
        /// Back into the queue; else dropped or dead-lettered.
        requeue: bool as bit,
    }

    /// Client: like recover, without an answer. Deprecated.
    100 "recover-async" RecoverAsync {
        /// Back into the queue, not to the same consumer.
        requeue: bool as bit,
    }

    /// Client: all deliveries not settled come again.
    110 "recover" Recover {
        /// Back into the queue, not to the same consumer.
        requeue: bool as bit,
    }

    /// Server: they will.
    111 "recover-ok" RecoverOk {}

    /// Client: like reject, for several. Server: a publish was not taken over. A RabbitMQ extension.
    120 "nack" Nack {
        /// Number of the delivery or publish; 0 with `multiple` is all.
        delivery_tag: u64 as long_long,
        /// This one and all before it.
        multiple: bool as bit,
        /// Back into the queue; else dropped or dead-lettered.
        requeue: bool as bit,
    }
}

/// Client: a message for an exchange. Content follows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Publish<'a> {
    /// Name of the exchange; empty is the default exchange.
    pub exchange: &'a str,
    /// Key to route by.
    pub routing_key: &'a [u8],
    /// Return it if it reaches no queue.
    pub mandatory: bool,
    /// Return it if it reaches no consumer at once. Not offered by RabbitMQ and Leveret.
    pub immediate: bool,
    /// Exchange and routing key as the two short strings they are on the wire, which is how a broker keeps and delivers
    /// them. Set by decoding; encoding does not look at it, so a client leaves it empty.
    pub exchange_and_key: &'a [u8],
}

impl<'a> Fields<'a> for Publish<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        reader.reserved_short()?;
        let names = reader.rest();
        let exchange = reader.short_text()?;
        let routing_key = reader.short_bytes()?;
        let names_len = exchange.len() + routing_key.len() + 2;
        let exchange_and_key = names.get(..names_len).unwrap_or_default();
        Ok(Self { exchange, routing_key, mandatory: reader.bit()?, immediate: reader.bit()?, exchange_and_key })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        writer.reserved_short();
        writer.short_text(self.exchange);
        writer.short_bytes(self.routing_key);
        writer.bit(&self.mandatory);
        writer.bit(&self.immediate);
    }
}
