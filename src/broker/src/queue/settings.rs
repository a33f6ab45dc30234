//! What a queue is and how it behaves: the outcome of declare arguments and policies.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DelayedRetry;

/// Redeliveries after which a quorum queue gives a message up, unless it is told otherwise (RabbitMQ 4.0).
pub const QUORUM_DELIVERY_LIMIT: u32 = 20;

/// `x-queue-type`, as far as a queue's behaviour depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A classic queue.
    #[default]
    Classic,
    /// A quorum queue: keeps every message, has no priorities by argument and a delivery limit by default.
    Quorum,
}

impl Kind {
    /// Whether a durable queue of this kind keeps a message over a restart: a quorum queue keeps all, as in RabbitMQ.
    #[must_use]
    pub const fn keeps(self, persistent: bool) -> bool {
        persistent || matches!(self, Self::Quorum)
    }

    /// The name in `x-queue-type` and in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }

    /// The kind of that name. RabbitMQ's modules are names as well.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "classic" | "rabbit_classic_queue" => Some(Self::Classic),
            "quorum" | "rabbit_quorum_queue" => Some(Self::Quorum),
            _ => None,
        }
    }
}

/// `x-overflow`: what happens when a queue is longer than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// The oldest ready messages make room.
    #[default]
    DropHead,
    /// New messages are refused; their publisher is told.
    RejectPublish,
    /// New messages are refused and also dead-lettered.
    RejectPublishDlx,
}

/// What a policy may change during a queue's life: declare arguments and policies, merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `x-message-ttl` in milliseconds.
    pub ttl_ms: Option<u64>,
    /// `x-expires` in milliseconds: an unused queue goes after that time.
    pub expires_ms: Option<u64>,
    /// `x-max-length`: ready messages.
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`: body bytes of ready messages.
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`.
    pub overflow: Overflow,
    /// `x-dead-letter-exchange`. Without one, what would be dead-lettered is dropped.
    pub dead_letter_exchange: Option<Arc<str>>,
    /// `x-dead-letter-routing-key`, in place of each message's own.
    pub dead_letter_routing_key: Option<Arc<str>>,
    /// `x-delivery-limit`: counted attempts a message may have behind it and still be requeued; `None` is no limit.
    pub delivery_limit: Option<u32>,
    /// `x-delayed-retry-*`; `None` where messages that come back are ready at once.
    pub delayed_retry: Option<DelayedRetry>,
}

impl Settings {
    /// Whether a queue of this kind counts all returns of a message, and tells of them when it is delivered again.
    #[must_use]
    pub fn counts_returns(&self, kind: Kind) -> bool {
        kind == Kind::Quorum || self.delivery_limit.is_some() || self.delayed_retry.is_some()
    }

    /// What holds for a queue of this kind before arguments and policies.
    #[must_use]
    pub fn defaults(kind: Kind) -> Self {
        Self {
            delivery_limit: match kind {
                Kind::Classic => None,
                Kind::Quorum => Some(QUORUM_DELIVERY_LIMIT),
            },
            ..Self::default()
        }
    }
}

/// How much a queue keeps together and in memory. Fixed in a server; small in tests, so that paging happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Record bytes at which a segment, the chunk in the making, is complete.
    pub segment_bytes: usize,
    /// Record bytes of stored messages that a level keeps in memory; what is beyond is found again in the store.
    pub resident_bytes: usize,
    /// Record bytes of transient messages that a level keeps in memory before it has them written out.
    pub transient_bytes: usize,
    /// Record bytes to ask the store for at a time.
    pub load_bytes: usize,
    /// Batches up to this size are shared rather than copied however little of them the queue takes.
    pub share_bytes: usize,
    /// Messages that a queue sets aside because their group is with somebody else, before it stops looking further ahead.
    /// Each takes some 100 bytes.
    pub set_aside_max: u64,
    /// Loads that one command may cause before the rest waits for a tick of its own.
    pub loads_per_step: u32,
}

impl Default for Sizing {
    fn default() -> Self {
        Self {
            segment_bytes: 64 * 1024,
            resident_bytes: 1024 * 1024,
            transient_bytes: usize::MAX,
            load_bytes: 512 * 1024,
            share_bytes: 1024,
            set_aside_max: 65_536,
            loads_per_step: 32,
        }
    }
}
