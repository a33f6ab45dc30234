//! What a connection and its channels know in common once the handshake is over, and the way back to the connection
//! for those who act on other threads: queues that deliver, the committer, management.
//!
//! Not taken: a channel that holds its connection (a cycle, and a way to the socket that a channel must not have).

use std::sync::Arc;

use leveret_amqp::FieldTable;
use leveret_broker::{Broker, Turn, VHost, auth::Identity, queue::Window};

use crate::{channel::ReplyConsumers, mailbox::Mailbox, registry::Registration, tally::Tally};

/// One opened channel. The number comes back after a close; the id never does, so that mail meant for a channel's
/// predecessor is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChannelId {
    /// The number on the wire, from 1.
    pub(crate) number: u16,
    /// Unique in the broker ([`Broker::next_id`]).
    pub(crate) id: u64,
}

/// What an open connection is, shared by it and its channels.
pub(crate) struct Session {
    /// The broker.
    pub(crate) broker: Arc<Broker>,
    /// The vhost that connection.open named.
    pub(crate) vhost: Arc<VHost>,
    /// Who logged in.
    pub(crate) username: Arc<str>,
    /// The same with tags, and who decides on permissions.
    pub(crate) identity: Identity,
    /// Unique in the broker; owner of exclusive queues.
    pub(crate) connection_id: u64,
    /// `peer:port -> local:port`, as RabbitMQ names connections.
    pub(crate) name: Arc<str>,
    /// What the client said it can do.
    pub(crate) capabilities: Capabilities,
    /// The negotiated largest frame in bytes, frame header and end included; 0 is no limit.
    pub(crate) frame_max: u32,
    /// Where this connection's mail goes.
    pub(crate) mailbox: Mailbox,
    /// Room for delivered records in the outbox, in bytes. Queues take from it; the outbox gives back what it has
    /// written, see [`crate::outbox::Outbox::charge`].
    pub(crate) outbox_window: Arc<Window>,
    /// What this connection may spend.
    pub(crate) limits: Arc<Limits>,
    /// The open connections and channels of the whole server by vhost and user.
    pub(crate) tally: Arc<Tally>,
    /// The direct reply-to consumers of the whole server.
    pub(crate) reply_consumers: Arc<ReplyConsumers>,
    /// This connection's entry in the list of live connections.
    pub(crate) registration: Registration,
}

impl Session {
    /// Begins a step of the connection's user.
    #[must_use]
    pub(crate) fn turn(&self) -> Turn<'_> {
        self.broker.turn().by(&self.username)
    }
}

/// What a peer may spend on one connection. Values come from the configuration, see `config::Amqp`.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Consumers on one channel.
    pub(crate) consumers_per_channel_max: u32,
    /// Messages delivered on one channel and not yet settled, whatever the client's prefetch.
    pub(crate) unacked_per_channel_max: u32,
    /// The body of one message in bytes.
    pub(crate) message_bytes_max: u64,
    /// The bodies of one uncommitted transaction, in bytes.
    pub(crate) transaction_bytes_max: u64,
    /// How long a delivery may stay unsettled; 0 is for ever.
    pub(crate) consumer_timeout_ms: u64,
}

/// The client's capabilities that change what the server does (`client-properties.capabilities`, FEATURES 1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// A refused login is answered with connection.close instead of a silent drop.
    pub(crate) authentication_failure_close: bool,
    /// The server may send basic.cancel.
    pub(crate) consumer_cancel_notify: bool,
    /// The server sends connection.blocked and connection.unblocked.
    pub(crate) connection_blocked: bool,
    /// The client understands basic.nack.
    pub(crate) basic_nack: bool,
    /// The client understands confirms.
    pub(crate) publisher_confirms: bool,
}

impl Capabilities {
    /// Reads the table `capabilities` of the client properties; what is absent or not a bool is false.
    #[must_use]
    pub(crate) fn from_client_properties(properties: &FieldTable) -> Self {
        let capabilities = match properties.get("capabilities") {
            Some(leveret_amqp::FieldValue::Table(table)) => Some(table),
            _ => None,
        };
        let has = |name: &str| {
            capabilities.and_then(|table| table.get(name)).and_then(leveret_amqp::FieldValue::as_bool).unwrap_or(false)
        };
        Self {
            authentication_failure_close: has("authentication_failure_close"),
            consumer_cancel_notify: has("consumer_cancel_notify"),
            connection_blocked: has("connection.blocked"),
            basic_nack: has("basic.nack"),
            publisher_confirms: has("publisher_confirms"),
        }
    }
}
