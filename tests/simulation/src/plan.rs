//! What a seed makes a run of: its queues, exchanges and bindings, its traffic, and what happens how often.
//!
//! Swarm style: each seed switches a random half of the features on. A run in which everything may happen at once hardly
//! ever gets deep into anything; many runs with a few features each do.

use std::sync::Arc;

use leveret_broker::queue::{Overflow, Sizing};
use leveret_store::SyncMode;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// A name of a queue or exchange, or a routing key.
pub type Name = Arc<str>;

/// Words of routing keys. Few, so that messages meet bindings.
const WORDS: [&str; 3] = ["a", "b", "c"];

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
    /// The channels, all of which are always open. Two share a connection.
    pub channels: Vec<Mode>,
    /// Which features are on.
    pub features: Features,
    /// How much queues keep in memory.
    pub sizing: Sizing,
    /// What all queues together keep in memory.
    pub message_memory_bytes: usize,
    /// When waiters are told.
    pub sync: SyncMode,
    /// Bytes that a connection may have under way.
    pub outbox_bytes: u64,
}

/// What a seed has switched on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Queues expire messages.
    pub ttl: bool,
    /// Messages have an expiration of their own.
    pub expiration: bool,
    /// Queues have a dead-letter exchange.
    pub dead_letters: bool,
    /// Queues have a greatest length.
    pub limits: bool,
    /// Queues have priorities.
    pub priorities: bool,
    /// The broker is restarted: after a crash, a loss of power or in good order.
    pub restarts: bool,
    /// Writes fail.
    pub faults: bool,
    /// Queues keep next to nothing in memory.
    pub paging: bool,
    /// Queues and bindings come and go.
    pub topology: bool,
    /// Queues delete themselves: auto-delete, exclusive, `x-expires`.
    pub fleeting: bool,
    /// Channels limit what is unacked over all their consumers.
    pub windows: bool,
    /// Messages name further routing keys.
    pub copies: bool,
    /// Consumers come and go.
    pub consumers: bool,
    /// Quorum queues and delivery limits.
    pub attempts: bool,
    /// Part of the messages, or of the queues, is transient.
    pub transient: bool,
}

/// A queue as it is declared.
#[derive(Clone, Debug, Default)]
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
}

impl Kind {
    /// As exchange.declare names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
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
        let exchanges = draw_exchanges(&features, &mut rng);
        let queues = draw_queues(&features, &exchanges, &mut rng);
        let bindings = draw_bindings(&queues, &exchanges, &mut rng);
        let modes = [Mode::Confirm, Mode::Confirm, Mode::Transaction];
        let channels = (0..rng.random_range(2..=4)).map(|_| modes[rng.random_range(0..modes.len())]).collect();
        let plan = Self {
            seed,
            queues,
            exchanges,
            bindings,
            channels,
            features,
            sizing: draw_sizing(&features, &mut rng),
            message_memory_bytes: draw_memory(&features, &mut rng),
            sync: if rng.random_bool(0.85) { SyncMode::Commit } else { SyncMode::Os },
            outbox_bytes: if features.windows { rng.random_range(100..600) } else { 1 << 20 },
        };
        (plan, rng)
    }
}

impl Features {
    fn draw(rng: &mut StdRng) -> Self {
        let mut on = || rng.random_bool(0.5);
        let mut features = Self {
            ttl: on(),
            expiration: on(),
            dead_letters: on(),
            limits: on(),
            priorities: on(),
            restarts: on(),
            faults: on(),
            paging: on(),
            topology: on(),
            fleeting: on(),
            windows: on(),
            copies: on(),
            consumers: on(),
            attempts: on(),
            transient: on(),
        };
        if !features.keeps_order() && features.limits && features.dead_letters {
            // It is not certain which of the dead letters a queue of limited length keeps.
            (features.limits, features.dead_letters) = (rng.random(), rng.random());
            features.dead_letters &= !features.limits;
        }
        features
    }

    /// Whether messages that die by one command do so in the order of the queue. Those that fall due by an expiration of
    /// their own, and those of several levels, do only where they are all in memory.
    #[must_use]
    pub fn keeps_order(&self) -> bool {
        !self.expiration && !self.priorities || !self.paging && !self.restarts
    }
}

fn draw_sizing(features: &Features, rng: &mut StdRng) -> Sizing {
    if !features.paging {
        return Sizing::default();
    }
    Sizing {
        segment_bytes: rng.random_range(60..600),
        resident_bytes: rng.random_range(0..600),
        transient_bytes: if rng.random() { rng.random_range(0..600) } else { usize::MAX },
        load_bytes: rng.random_range(1..600),
        share_bytes: rng.random_range(0..600),
        loads_per_step: 1000,
    }
}

fn draw_memory(features: &Features, rng: &mut StdRng) -> usize {
    if features.paging && rng.random() { rng.random_range(0..3000) } else { usize::MAX }
}

fn draw_exchanges(features: &Features, rng: &mut StdRng) -> Vec<ExchangePlan> {
    let names: Vec<Name> = ["x0", "x1", "x2"].map(Name::from)[..rng.random_range(1..=3)].to_vec();
    let exchange = |name: &Name| ExchangePlan {
        name: Arc::clone(name),
        kind: [Kind::Direct, Kind::Fanout, Kind::Topic][rng.random_range(0..3)],
        durable: !features.transient || rng.random_bool(0.8),
        auto_delete: features.fleeting && rng.random_bool(0.2),
        alternate: rng.random_bool(0.2).then(|| Arc::clone(&names[rng.random_range(0..names.len())])),
    };
    names.iter().map(exchange).collect()
}

fn draw_queues(features: &Features, exchanges: &[ExchangePlan], rng: &mut StdRng) -> Vec<QueuePlan> {
    let count = rng.random_range(1..=4);
    (0..count).map(|number| draw_queue(number, count, features, exchanges, rng)).collect()
}

fn draw_queue(
    number: usize,
    count: usize,
    features: &Features,
    exchanges: &[ExchangePlan],
    rng: &mut StdRng,
) -> QueuePlan {
    let quorum = features.attempts && rng.random_bool(0.3);
    let fleeting = features.fleeting && !quorum;
    let mut queue = QueuePlan {
        name: format!("q{number}").into(),
        durable: quorum || !features.transient || rng.random_bool(0.7),
        auto_delete: fleeting && rng.random_bool(0.3),
        exclusive: fleeting && rng.random_bool(0.2),
        quorum,
        max_priority: (features.priorities && !quorum && rng.random_bool(0.6)).then(|| rng.random_range(1..=3)),
        single_active: features.consumers && rng.random_bool(0.2),
        // With a TTL of 0, which of the dead letters is delivered depends on their order.
        ttl_ms: (features.ttl && rng.random_bool(0.6))
            .then(|| rng.random_range(0..200).max(u64::from(!features.keeps_order()))),
        expires_ms: (features.fleeting && rng.random_bool(0.2)).then(|| rng.random_range(1..500)),
        delivery_limit: (features.attempts && rng.random_bool(0.6)).then(|| rng.random_range(0..3)),
        ..QueuePlan::default()
    };
    if features.limits && rng.random_bool(0.7) {
        queue.max_length = rng.random_bool(0.7).then(|| rng.random_range(0..8));
        queue.max_length_bytes = rng.random_bool(0.3).then(|| rng.random_range(0..200));
        let overflows = [Overflow::DropHead, Overflow::DropHead, Overflow::RejectPublish, Overflow::RejectPublishDlx];
        queue.overflow = overflows[rng.random_range(0..if quorum { 3 } else { 4 })];
    }
    if features.dead_letters && rng.random_bool(0.7) {
        let to_queue = rng.random_bool(0.5);
        let exchange =
            if to_queue { "".into() } else { Arc::clone(&exchanges[rng.random_range(0..exchanges.len())].name) };
        queue.dead_letter_exchange = Some(exchange);
        let key = if to_queue { format!("q{}", rng.random_range(0..count)).into() } else { draw_key(rng) };
        queue.dead_letter_key = (to_queue || rng.random_bool(0.5)).then_some(key);
    }
    queue
}

fn draw_bindings(queues: &[QueuePlan], exchanges: &[ExchangePlan], rng: &mut StdRng) -> Vec<BindingPlan> {
    let mut bindings = Vec::new();
    for _ in 0..rng.random_range(2..=8) {
        let source = &exchanges[rng.random_range(0..exchanges.len())];
        let to_queue = rng.random_bool(0.8);
        let destination = match to_queue {
            true => &queues[rng.random_range(0..queues.len())].name,
            false => &exchanges[rng.random_range(0..exchanges.len())].name,
        };
        let key = if source.kind == Kind::Topic { draw_pattern(rng) } else { draw_key(rng) };
        let binding =
            BindingPlan { source: Arc::clone(&source.name), destination: Arc::clone(destination), to_queue, key };
        if !bindings.contains(&binding) {
            bindings.push(binding);
        }
    }
    bindings
}

/// One or two words.
pub fn draw_key(rng: &mut StdRng) -> Name {
    let mut word = || WORDS[rng.random_range(0..WORDS.len())];
    let (first, second) = (word(), word());
    if rng.random_bool(0.7) { first.into() } else { format!("{first}.{second}").into() }
}

fn draw_pattern(rng: &mut StdRng) -> Name {
    let mut word = || ["a", "b", "c", "*", "#"][rng.random_range(0..5)];
    let (first, second) = (word(), word());
    if rng.random_bool(0.6) { first.into() } else { format!("{first}.{second}").into() }
}
