//! Class 40, exchange: declare, delete, and RabbitMQ's bindings from exchange to exchange.

use super::macros::{Class, Fields, class, fields};
use crate::{
    FieldTable, WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class exchange.
    40 "exchange" Exchange Method<'a>;

    /// Client: creates an exchange, or checks that it is there.
    10 "declare" Declare<'a> {
        [reserved_short]
        /// Name of the exchange.
        exchange: &'a str as short_text,
        /// `type`: direct, fanout, topic, headers, or one of a plugin.
        kind: &'a str as short_text,
        /// Check only.
        passive: bool as bit,
        /// Survives a restart.
        durable: bool as bit,
        /// Goes with its last binding.
        auto_delete: bool as bit,
        /// Reached by bindings only, not by publishers.
        internal: bool as bit,
        /// No answer wanted.
        no_wait: bool as bit,
        /// Settings such as `alternate-exchange`.
        arguments: FieldTable as table,
    }

    /// Server: the exchange is there.
    11 "declare-ok" DeclareOk {}

    /// Client: deletes an exchange.
    20 "delete" Delete<'a> {
        [reserved_short]
        /// Name of the exchange.
        exchange: &'a str as short_text,
        /// Only if nothing is bound to it.
        if_unused: bool as bit,
        /// No answer wanted.
        no_wait: bool as bit,
    }

    /// Server: the exchange is gone.
    21 "delete-ok" DeleteOk {}

    /// Client: binds an exchange to another. A RabbitMQ extension.
    30 "bind" Bind<'a> {
        [reserved_short]
        /// The exchange messages go to.
        destination: &'a str as short_text,
        /// The exchange messages come from.
        source: &'a str as short_text,
        /// Key of the binding.
        routing_key: &'a [u8] as short_bytes,
        /// No answer wanted.
        no_wait: bool as bit,
        /// Settings of the binding.
        arguments: FieldTable as table,
    }

    /// Server: the binding is there.
    31 "bind-ok" BindOk {}

    /// Client: takes a binding away. A RabbitMQ extension.
    40 "unbind" Unbind<'a> {
        [reserved_short]
        /// The exchange messages go to.
        destination: &'a str as short_text,
        /// The exchange messages come from.
        source: &'a str as short_text,
        /// Key of the binding.
        routing_key: &'a [u8] as short_bytes,
        /// No answer wanted.
        no_wait: bool as bit,
        /// Settings of the binding.
        arguments: FieldTable as table,
    }

    /// Server: the binding is gone. Method 51, not 41: so it is in RabbitMQ.
    51 "unbind-ok" UnbindOk {}
}
