//! Class 50, queue: declare, bind, purge, delete.

use super::macros::{Class, Fields, class, fields};
use crate::{
    FieldTable, WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class queue.
    50 "queue" Queue Method<'a>;

    /// Client: creates a queue, or checks that it is there.
    10 "declare" Declare<'a> {
        [reserved_short]
        /// Name of the queue; empty to have one made up.
        queue: &'a str as short_text,
        /// Check only.
        passive: bool as bit,
        /// Survives a restart.
        durable: bool as bit,
        /// For this connection only, and goes with it.
        exclusive: bool as bit,
        /// Goes with its last consumer.
        auto_delete: bool as bit,
        /// No answer wanted.
        no_wait: bool as bit,
        /// Settings such as `x-message-ttl`.
        arguments: FieldTable as table,
    }

    /// Server: the queue is there.
    11 "declare-ok" DeclareOk<'a> {
        /// Name of the queue.
        queue: &'a str as short_text,
        /// Messages ready for delivery.
        message_count: u32 as long,
        /// Consumers present.
        consumer_count: u32 as long,
    }

    /// Client: binds a queue to an exchange.
    20 "bind" Bind<'a> {
        [reserved_short]
        /// Name of the queue; empty for the last one declared on the channel.
        queue: &'a str as short_text,
        /// Name of the exchange.
        exchange: &'a str as short_text,
        /// Key of the binding.
        routing_key: &'a [u8] as short_bytes,
        /// No answer wanted.
        no_wait: bool as bit,
        /// Settings of the binding, such as `x-match`.
        arguments: FieldTable as table,
    }

    /// Server: the binding is there.
    21 "bind-ok" BindOk {}

    /// Client: drops all messages that are ready.
    30 "purge" Purge<'a> {
        [reserved_short]
        /// Name of the queue; empty for the last one declared on the channel.
        queue: &'a str as short_text,
        /// No answer wanted.
        no_wait: bool as bit,
    }

    /// Server: they are gone.
    31 "purge-ok" PurgeOk {
        /// How many there were.
        message_count: u32 as long,
    }

    /// Client: deletes a queue.
    40 "delete" Delete<'a> {
        [reserved_short]
        /// Name of the queue; empty for the last one declared on the channel.
        queue: &'a str as short_text,
        /// Only without consumers.
        if_unused: bool as bit,
        /// Only without messages.
        if_empty: bool as bit,
        /// No answer wanted.
        no_wait: bool as bit,
    }

    /// Server: the queue is gone.
    41 "delete-ok" DeleteOk {
        /// Messages that went with it.
        message_count: u32 as long,
    }

    /// Client: takes a binding away. Has no no-wait.
    50 "unbind" Unbind<'a> {
        [reserved_short]
        /// Name of the queue; empty for the last one declared on the channel.
        queue: &'a str as short_text,
        /// Name of the exchange.
        exchange: &'a str as short_text,
        /// Key of the binding.
        routing_key: &'a [u8] as short_bytes,
        /// Settings of the binding.
        arguments: FieldTable as table,
    }

    /// Server: the binding is gone.
    51 "unbind-ok" UnbindOk {}
}
