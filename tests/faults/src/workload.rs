//! The clients that work with the broker until the fault comes.

mod consume;
mod define;
mod publish;

pub(crate) use publish::number;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, Result};
use leveret_tests::table;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::ledger::Ledger;

/// A kind of work, with clients and queues of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Confirmed publishes, acknowledged in part.
    Queue,
    /// Transactions that publish the same to two queues.
    Pair,
    /// Rejected messages go to another queue; some are taken back first.
    Dead,
    /// Messages expire and go to another queue.
    Expiring,
    /// Queues are declared and deleted.
    Definitions,
}

impl Work {
    const ALL: [Self; 5] = [Self::Queue, Self::Pair, Self::Dead, Self::Expiring, Self::Definitions];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Pair => "pair",
            Self::Dead => "dead",
            Self::Expiring => "expiring",
            Self::Definitions => "definitions",
        }
    }

    /// Where its messages are.
    pub(crate) fn queues(self) -> &'static [&'static str] {
        match self {
            Self::Queue => &["queue"],
            Self::Pair => &["pair.a", "pair.b"],
            Self::Dead => &["dead.source", "dead.target"],
            Self::Expiring => &["expiring.source", "expiring.target"],
            Self::Definitions => &[],
        }
    }

    fn arguments(self, queue: &str) -> FieldTable {
        let text = |value: &str| AMQPValue::LongString(value.into());
        let dead_letters =
            |target: &str| [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(target))];
        match queue {
            "dead.source" => table(dead_letters("dead.target")),
            "expiring.source" => {
                let mut arguments = table(dead_letters("expiring.target"));
                arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(TTL_MS));
                arguments
            }
            _ => FieldTable::default(),
        }
    }
}

/// Of the queue whose messages expire.
const TTL_MS: i32 = 150;

/// What the clients of a run do, by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) works: Vec<Work>,
    /// Of a message.
    pub(crate) body_bytes_max: usize,
    /// Whether messages are acknowledged in transactions.
    pub(crate) is_transactional: bool,
    /// Part of the messages that are persistent.
    pub(crate) persistent: f64,
    /// Of a publisher.
    pub(crate) messages_max: usize,
    /// All bodies of a publisher.
    pub(crate) published_bytes_max: usize,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        let mut works: Vec<Work> = Work::ALL.into_iter().filter(|_| random.random_bool(0.6)).collect();
        if works.iter().all(|work| work.queues().is_empty()) {
            works.push(Work::Queue);
        }
        // Small ones: many to a chunk and a sector. Large ones: the log is changed for the next, and files are written.
        let body_bytes_max = [40, 400, 4_000, 40_000][random.random_range(0..4)];
        Self {
            works,
            body_bytes_max,
            is_transactional: random.random(),
            persistent: if random.random() { 1.0 } else { 0.7 },
            messages_max: [500, 5_000, 20_000][random.random_range(0..3)],
            published_bytes_max: 40 << 20,
            seed: random.random(),
        }
    }
}

/// The clients at work; they end when this is dropped.
pub(crate) struct Clients {
    _tasks: JoinSet<()>,
}

/// Declares the queues that are not there and sets the clients to work.
///
/// # Errors
/// When the broker refuses that or is gone.
pub(crate) async fn start(uri: &str, plan: &Plan, ledger: &Ledger) -> Result<Clients> {
    let mut tasks = JoinSet::new();
    let mut random = StdRng::seed_from_u64(plan.seed);
    let connection = connect(uri).await?;
    let channel = connection.create_channel().await?;
    for &work in &plan.works {
        for &queue in work.queues() {
            ledger.declares(queue);
            channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), work.arguments(queue)).await?;
            ledger.define(queue, |definition, now| definition.declared_ns = definition.declared_ns.min(now));
        }
    }
    for &work in &plan.works {
        let mut client = || Client {
            uri: uri.to_owned(),
            ledger: ledger.clone(),
            work,
            plan: plan.clone(),
            random: StdRng::seed_from_u64(random.random()),
        };
        let publisher = client();
        match work {
            Work::Queue | Work::Expiring | Work::Dead => tasks.spawn(publisher.run(publish::confirmed)),
            Work::Pair => tasks.spawn(publisher.run(publish::in_pairs)),
            Work::Definitions => tasks.spawn(publisher.run(define::declare_and_delete)),
        };
        match work {
            Work::Queue => _ = tasks.spawn(client().run(consume::acknowledge)),
            Work::Dead => _ = tasks.spawn(client().run(consume::reject)),
            Work::Pair | Work::Expiring | Work::Definitions => {}
        }
    }
    Ok(Clients { _tasks: tasks })
}

pub(crate) async fn connect(uri: &str) -> Result<Connection> {
    Connection::connect(uri, ConnectionProperties::default()).await
}

/// One client.
struct Client {
    uri: String,
    ledger: Ledger,
    work: Work,
    plan: Plan,
    random: StdRng,
}

impl Client {
    /// Works until the broker is gone, which is how it is meant to end.
    async fn run(mut self, work: impl AsyncFn(&mut Self) -> Result<()>) {
        let _ = work(&mut self).await;
    }
}
