//! What a seed makes a run of: its queues, exchanges and bindings, its traffic, and what happens how often.
//!
//! Swarm style: each seed switches a random half of the features on. A run in which everything may happen at once hardly
//! ever gets deep into anything; many runs with a few features each do.

mod draw;
mod features;
mod policy;

use std::sync::Arc;

use leveret_broker::queue::{DelayedRetry, GroupKey, Overflow, Sizing};
use leveret_store::SyncMode;
use rand::{RngExt, SeedableRng, rngs::StdRng};

pub(crate) use draw::{HELD_MS_MAX, RETRY_DELAY_MS_MAX, draw_delay_ms, draw_headers, draw_key};
pub use features::Features;
pub use policy::PolicyPlan;

/// A name of a queue or exchange, or a routing key.
pub type Name = Arc<str>;

/// Headers of a message or a binding, each once.
pub type Headers = Vec<(Name, i64)>;

/// What a run consists of.
#[derive(Debug)]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// The queues that may be declared.
    pub queues: Vec<QueuePlan>,
    /// The exchanges that may be declared.
    pub exchanges: Vec<ExchangePlan>,
    /// The bindings that may be made.
    pub bindings: Vec<BindingPlan>,
    /// The policies that may be set.
    pub policies: Vec<PolicyPlan>,
    /// The channels, all of which are always open. Two share a connection.
    pub channels: Vec<Mode>,
    /// Which features are on.
    pub features: Features,
    /// How much queues keep in memory.
    pub sizing: Sizing,
    /// What all queues together keep in memory.
    pub message_memory_bytes: usize,
    /// About so much of a commit is written at once.
    pub batch_bytes: usize,
    /// When waiters are told.
    pub sync: SyncMode,
    /// Bytes that a connection may have under way.
    pub outbox_bytes: u64,
}

/// A header that names a message's group. The usual one and the properties that can do so say the same.
pub const GROUP_HEADER: &str = "g";

/// The header that names a message's group where a queue is declared to have groups and no more.
pub const USUAL_GROUP_HEADER: &str = "x-group-id";

/// A queue as it is declared.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are the arguments of queue.declare")]
pub struct QueuePlan {
    pub name: Name,
    pub durable: bool,
    pub auto_delete: bool,
    pub exclusive: bool,
    pub quorum: bool,
    pub max_priority: Option<u8>,
    pub single_active: bool,
    pub ttl_ms: Option<u64>,
    pub expires_ms: Option<u64>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Overflow,
    pub dead_letter_exchange: Option<Name>,
    pub dead_letter_key: Option<Name>,
    pub delivery_limit: Option<u32>,
    pub delayed_retry: Option<DelayedRetry>,
    pub group_key: Option<GroupKey>,
}

impl QueuePlan {
    /// Whether it, and persistent messages in it, survive a restart.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.durable && !self.exclusive
    }

    /// Whether a message in it survives a restart.
    #[must_use]
    pub fn keeps(&self, persistent: bool) -> bool {
        self.is_kept() && (persistent || self.quorum)
    }
}

/// The kind of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By routing key.
    Direct,
    /// To all.
    Fanout,
    /// By pattern.
    Topic,
    /// By headers.
    Headers,
}

impl Kind {
    /// As exchange.declare names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// An exchange as it is declared.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are the arguments of exchange.declare")]
pub struct ExchangePlan {
    pub name: Name,
    pub kind: Kind,
    pub durable: bool,
    pub auto_delete: bool,
    pub alternate: Option<Name>,
    /// It holds messages back for their `x-delay`, and then routes as its kind says.
    pub holds: bool,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingPlan {
    /// The exchange that routes by it.
    pub source: Name,
    /// The queue or exchange that it leads to.
    pub destination: Name,
    /// Which of the two.
    pub to_queue: bool,
    /// The routing key or pattern.
    pub key: Name,
    /// Headers that it asks for.
    pub headers: Headers,
    /// One of them is enough (`x-match`).
    pub any: bool,
}

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Publishes are confirmed.
    Confirm,
    /// Publishes and settlements wait for a commit.
    Transaction,
}

impl Plan {
    /// The plan of a seed, and the random numbers that go on from it.
    #[must_use]
    pub fn new(seed: u64) -> (Self, StdRng) {
        let mut rng = StdRng::seed_from_u64(seed);
        let features = Features::draw(&mut rng);
        let exchanges = draw::draw_exchanges(&features, &mut rng);
        let queues = draw::draw_queues(&features, &exchanges, &mut rng);
        let bindings = draw::draw_bindings(&queues, &exchanges, &mut rng);
        let count = if features.policies { rng.random_range(1..=3) } else { 0 };
        let policies =
            (0..count).map(|number| PolicyPlan::draw(number, &queues, &exchanges, &features, &mut rng)).collect();
        let modes = [Mode::Confirm, Mode::Confirm, Mode::Transaction];
        let channels = (0..rng.random_range(2..=4)).map(|_| modes[rng.random_range(0..modes.len())]).collect();
        let plan = Self {
            seed,
            queues,
            exchanges,
            bindings,
            policies,
            channels,
            features,
            sizing: draw::draw_sizing(&features, &mut rng),
            message_memory_bytes: draw::draw_memory(&features, &mut rng),
            batch_bytes: if features.restarts && rng.random() { rng.random_range(0..2000) } else { usize::MAX },
            sync: if rng.random_bool(0.85) { SyncMode::Commit } else { SyncMode::Os },
            outbox_bytes: if features.windows { rng.random_range(100..600) } else { 1 << 20 },
        };
        (plan, rng)
    }
}
