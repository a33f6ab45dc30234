//! What others send to a connection's task. Each variant says which thread sends it.

use std::sync::Arc;

use leveret_broker::{
    auth::{Answer, OwnedQuestion},
    queue::{CancelReason, ConsumerId, Deliveries},
};
use leveret_store::CommitError;

use crate::{channel::Reply, session::ChannelId};

/// One piece of mail.
pub(crate) enum Mail {
    /// A queue has messages for a consumer (whoever's turn moved the queue).
    Deliver {
        /// The consumer's channel.
        channel: ChannelId,
        /// The messages.
        deliveries: Deliveries,
    },
    /// A queue has dropped a consumer (whoever's turn it was).
    Cancelled {
        /// The consumer's channel.
        channel: ChannelId,
        /// The consumer.
        consumer: ConsumerId,
        /// Why.
        reason: CancelReason,
    },
    /// A window that queues had found full has room again: the channels resume their queues (whoever's turn it was).
    Resume,
    /// A marker that a channel sends to itself at basic.cancel, so that cancel-ok goes out behind the deliveries that
    /// were under way (the connection's own task).
    CancelOk {
        /// The consumer's channel.
        channel: ChannelId,
        /// The consumer.
        consumer: ConsumerId,
    },
    /// A message for a direct reply-to consumer (the publisher's task).
    Reply {
        /// The consumer's channel.
        channel: ChannelId,
        /// The message.
        reply: Reply,
    },
    /// Everything that a channel had done when it asked is durable, or never will be (the committer).
    Confirmed {
        /// The channel that asked.
        channel: ChannelId,
        /// The channel's own number for what it asked about.
        upto: u64,
        /// An error poisons the store for good.
        result: Result<(), CommitError>,
    },
    /// So many bytes of content that this connection read are committed, or never will be (the committer).
    Absorbed(u64),
    /// The reply that the connection holds back may be sent, or never will (the committer).
    ReplyCommitted(Result<(), CommitError>),
    /// The authorizer that the connection waits for has answered (a task of its own).
    Answered {
        /// What it was asked.
        question: OwnedQuestion,
        /// What it says.
        answer: Answer,
    },
    /// The connection is to be closed with 320 and this text (management).
    Close(Arc<str>),
    /// A resource alarm has come, changed or gone: [`crate::registry::Registration::alarm`] says which. It carries no
    /// value, so that two changes that cross each other cannot leave the older one standing (alarm monitor).
    AlarmChanged,
    /// The server stops: close with 320 (composition).
    Shutdown,
}

impl std::fmt::Debug for Mail {
    /// Names the kind only: messages are nobody's business in a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Deliver { .. } => "Deliver",
            Self::Cancelled { .. } => "Cancelled",
            Self::Resume => "Resume",
            Self::CancelOk { .. } => "CancelOk",
            Self::Reply { .. } => "Reply",
            Self::Confirmed { .. } => "Confirmed",
            Self::Absorbed(_) => "Absorbed",
            Self::ReplyCommitted(_) => "ReplyCommitted",
            Self::Answered { .. } => "Answered",
            Self::Close(_) => "Close",
            Self::AlarmChanged => "AlarmChanged",
            Self::Shutdown => "Shutdown",
        })
    }
}
