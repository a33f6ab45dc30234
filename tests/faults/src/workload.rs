//! The clients that work with the broker until the fault comes.

mod consume;
mod ctl;
mod define;
mod empty;
mod plan;
mod policy;
mod publish;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind, Result};
use leveret_tests::table;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use self::work::{DELAYED_EXCHANGE, FIRST_EXCHANGE, SECOND_EXCHANGE};
use crate::ledger::Ledger;
use crate::patience::{Trouble, within};
use crate::server::Server;

pub(crate) use ctl::count_delayed;
pub(crate) use plan::Plan;
pub(crate) use policy::current as current_policy;
pub(crate) use publish::number;
pub(crate) use work::Work;

/// The clients at work; they end when this is dropped.
pub(crate) struct Clients {
    /// Each says whether it has had all its answers.
    publishers: JoinSet<bool>,
    _others: JoinSet<bool>,
    stop: Arc<AtomicBool>,
}

impl Clients {
    /// Lets publishers send nothing more, and waits until each has had all its answers, or has lost its connection: whether
    /// none has.
    ///
    /// # Errors
    /// When the answers do not come.
    pub(crate) async fn finish(mut self) -> std::result::Result<bool, Trouble> {
        self.stop.store(true, Relaxed);
        let answered = async {
            let mut are_answered = true;
            while let Some(publisher) = self.publishers.join_next().await {
                are_answered &= publisher.unwrap_or(false);
            }
            Ok(are_answered)
        };
        within("the answers that publishers are owed", answered).await
    }
}

/// Declares the queues that are not there and sets the clients to work.
///
/// # Errors
/// When the broker refuses that or is gone.
pub(crate) async fn start(server: &Server, plan: &Plan, ledger: &Ledger) -> std::result::Result<Clients, Trouble> {
    let connection = within("a connection", connect(&server.uri)).await?;
    let channel = within("a channel", connection.create_channel()).await?;
    for &work in &plan.works {
        within(format!("the queues of {}", work.name()), declare(&channel, work, ledger)).await?;
    }
    let mut random = StdRng::seed_from_u64(plan.seed);
    let stop = Arc::new(AtomicBool::new(false));
    let (mut publishers, mut others) = (JoinSet::new(), JoinSet::new());
    for &work in &plan.works {
        let mut client = |lane: u32| Client {
            uri: server.uri.clone(),
            data: server.data.clone(),
            ledger: ledger.clone(),
            work,
            next_number: first_number(ledger, work) + lane,
            burst: 0,
            plan: plan.clone(),
            stop: Arc::clone(&stop),
            random: StdRng::seed_from_u64(random.random()),
        };
        for lane in 0..work.publishers() {
            match work {
                Work::Pair => publishers.spawn(client(lane).run(publish::in_pairs)),
                _ => publishers.spawn(client(lane).run(publish::confirmed)),
            };
        }
        match work {
            Work::Queue | Work::Priority if plan.has_consumers => {
                _ = others.spawn(client(0).run(consume::again_and_again));
            }
            Work::Dead if plan.has_consumers => _ = others.spawn(client(0).run(consume::reject)),
            Work::Shared if plan.has_consumers => _ = others.spawn(client(0).run(consume::share)),
            Work::Emptied => {
                others.spawn(client(0).run(empty::purge_and_delete));
                others.spawn(client(0).run(consume::again_and_again));
            }
            Work::Definitions => {
                others.spawn(client(0).run(define::declare_and_delete));
                others.spawn(client(0).run(define::declare_exclusive));
            }
            Work::Policy => _ = others.spawn(client(0).run(policy::change)),
            _ => {}
        }
    }
    Ok(Clients { publishers, _others: others, stop })
}

pub(crate) async fn connect(uri: &str) -> Result<Connection> {
    Connection::connect(uri, ConnectionProperties::default()).await
}

async fn declare(channel: &Channel, work: Work, ledger: &Ledger) -> Result<()> {
    for &queue in work.queues() {
        ledger.declares(queue);
        channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), work.arguments(queue)).await?;
        ledger.define(queue, |definition, now| definition.declared_ns = definition.declared_ns.min(now));
    }
    if work == Work::Alternate {
        let options = || ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let (fanout, direct) = (ExchangeKind::Fanout, ExchangeKind::Direct);
        channel.exchange_declare(SECOND_EXCHANGE.into(), fanout, options(), FieldTable::default()).await?;
        let alternate = table([("alternate-exchange", AMQPValue::LongString(SECOND_EXCHANGE.into()))]);
        channel.exchange_declare(FIRST_EXCHANGE.into(), direct, options(), alternate).await?;
        let (queue, binding) = (work.queues()[0], QueueBindOptions::default());
        channel.queue_bind(queue.into(), SECOND_EXCHANGE.into(), "".into(), binding, FieldTable::default()).await?;
    }
    if work == Work::Delayed {
        declare_delayed(channel, work.queues()[0]).await?;
    }
    Ok(())
}

async fn declare_delayed(channel: &Channel, queue: &str) -> Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let kind = ExchangeKind::Custom("x-delayed-message".to_owned());
    let routes = table([("x-delayed-type", AMQPValue::LongString("fanout".into()))]);
    channel.exchange_declare(DELAYED_EXCHANGE.into(), kind, options, routes).await?;
    let binding = QueueBindOptions::default();
    channel.queue_bind(queue.into(), DELAYED_EXCHANGE.into(), "".into(), binding, FieldTable::default()).await
}

/// Behind all numbers used; the first of the first publisher.
fn first_number(ledger: &Ledger, work: Work) -> u32 {
    let behind = ledger.messages(work.name()).last_key_value().map_or(0, |(&last, _)| last + 1);
    behind.next_multiple_of(work.publishers().max(1))
}

/// One client.
struct Client {
    uri: String,
    data: PathBuf,
    ledger: Ledger,
    work: Work,
    /// Of the next message to be published.
    next_number: u32,
    /// Messages until the next pause.
    burst: u32,
    plan: Plan,
    /// Set when nothing more is to be published.
    stop: Arc<AtomicBool>,
    random: StdRng,
}

impl Client {
    /// Works until it has done enough, or until the broker is gone: whether not that.
    async fn run(mut self, work: impl AsyncFn(&mut Self) -> Result<()>) -> bool {
        work(&mut self).await.is_ok()
    }

    async fn pause(&mut self) {
        let pause_ms = self.random.random_range(0..=self.plan.pause_ms_max);
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
    }
}
