//! Signal 9 at random moments, while messages are published with confirms and consumed with acknowledgements.
//!
//! Every confirmed message must arrive; none whose acknowledgement was committed (tx.commit-ok) may come back; and the
//! messages of the one producer must arrive in order. `LEVERET_CRASH_ROUNDS` sets the number of rounds, and
//! `LEVERET_CRASH_SEED` repeats the moments of an earlier run as far as the machine lets it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicAckOptions, BasicPublishOptions, BasicQosOptions};
use lapin::{Channel, Consumer, Result};
use leveret_tests::{Broker, Client, eventually, with_broker};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

/// Unconfirmed messages that the producer may have.
const WINDOW: usize = 500;

/// The kill comes after at most so many confirms of a round.
const CONFIRMS_MAX: u32 = 4000;

/// Number of rounds, and the source of the random moments.
pub(super) fn plan() -> (u32, StdRng) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("LEVERET_CRASH_ROUNDS").unwrap_or(3) as u32;
    let seed = number("LEVERET_CRASH_SEED").unwrap_or_else(rand::random);
    println!("LEVERET_CRASH_SEED={seed} LEVERET_CRASH_ROUNDS={rounds}");
    (rounds, StdRng::seed_from_u64(seed))
}

/// What is known of the messages after some rounds.
#[derive(Default)]
struct Known {
    /// Number of the next message.
    next: u32,
    confirmed: BTreeSet<u32>,
    /// Acknowledged in a transaction whose commit was answered.
    committed: HashSet<u32>,
    /// Acknowledged, with or without an answer.
    acknowledged: HashSet<u32>,
}

/// What a round's producer found out.
struct Produced {
    next: u32,
    confirmed: Vec<u32>,
}

/// What a round's consumer found out.
#[derive(Default)]
struct Eaten {
    delivered: Vec<u32>,
    acknowledged: Vec<u32>,
    committed: Vec<u32>,
}

/// Confirmed messages arrive, and committed ones do not come back.
pub(super) async fn confirmed_messages() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let (rounds, mut random) = plan();
        let queue = broker.client().await.queue([]).await;
        let mut known = Known::default();
        for round in 0..rounds {
            let confirms = random.random_range(0..=CONFIRMS_MAX);
            let transactional = round % 2 == 0;
            run_and_kill(&mut broker, &queue, &mut known, confirms, transactional).await;
            broker.start_again().await;
        }
        drain(&broker, &queue, &mut known).await;
        println!("{} confirmed, {} committed in {rounds} rounds", known.confirmed.len(), known.committed.len());
    })
    .await;
}

async fn run_and_kill(broker: &mut Broker, queue: &str, known: &mut Known, confirms: u32, transactional: bool) {
    let seen = Arc::new(AtomicU32::new(0));
    let producer = produce(broker.client().await, queue.to_owned(), known.next, Arc::clone(&seen)).await;
    let consumer = consume(broker.client().await, queue.to_owned(), transactional).await;
    eventually("confirms", async || seen.load(Ordering::Relaxed) >= confirms || producer.is_finished()).await;
    broker.kill();
    let (produced, eaten) = (producer.await.unwrap(), consumer.await.unwrap());
    assert!(seen.load(Ordering::Relaxed) >= confirms, "the producer ended before the kill");
    known.next = produced.next;
    known.confirmed.extend(produced.confirmed);
    known.eat(&eaten);
}

impl Known {
    fn eat(&mut self, eaten: &Eaten) {
        assert!(eaten.delivered.is_sorted_by(|one, next| one < next), "out of order: {:?}", eaten.delivered);
        let back: Vec<&u32> = eaten.delivered.iter().filter(|number| self.committed.contains(number)).collect();
        assert!(back.is_empty(), "acknowledged and committed, and delivered again: {back:?}");
        self.acknowledged.extend(&eaten.acknowledged);
        self.committed.extend(&eaten.committed);
    }
}

/// Publishes numbers with confirms until the connection ends.
async fn produce(client: Client, queue: String, first: u32, seen: Arc<AtomicU32>) -> JoinHandle<Produced> {
    let channel = client.confirm_channel().await;
    tokio::spawn(async move {
        let _connected = client;
        let mut produced = Produced { next: first, confirmed: Vec::new() };
        // The end of the connection is how it is meant to end.
        let _ = publish(&channel, &queue, &mut produced, &seen).await;
        produced
    })
}

async fn publish(channel: &Channel, queue: &str, produced: &mut Produced, seen: &AtomicU32) -> Result<()> {
    let mut waiting = FuturesUnordered::new();
    loop {
        while waiting.len() < WINDOW {
            let number = produced.next;
            produced.next += 1;
            let (options, body) = (BasicPublishOptions::default(), number.to_string());
            let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), Client::persistent());
            let confirm = sent.await?;
            waiting.push(async move { (number, confirm.await) });
        }
        if let Some((number, confirmation)) = waiting.next().await {
            assert!(confirmation?.is_ack(), "{number} is refused");
            produced.confirmed.push(number);
            seen.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Consumes and acknowledges until the connection ends; in transactions of a few messages if so asked.
async fn consume(client: Client, queue: String, transactional: bool) -> JoinHandle<Eaten> {
    let channel = client.another_channel().await;
    tokio::spawn(async move {
        let _connected = client;
        let mut eaten = Eaten::default();
        let _ = eat(&channel, &queue, transactional, &mut eaten).await;
        eaten
    })
}

async fn eat(channel: &Channel, queue: &str, transactional: bool, eaten: &mut Eaten) -> Result<()> {
    if transactional {
        channel.tx_select().await?;
    }
    channel.basic_qos(200, BasicQosOptions::default()).await?;
    let mut consumer = channel.basic_consume(queue.into(), "".into(), Default::default(), Default::default()).await?;
    let batch = if transactional { 50 } else { 7 };
    loop {
        eat_batch(channel, &mut consumer, batch, transactional, eaten).await?;
    }
}

async fn eat_batch(
    channel: &Channel,
    consumer: &mut Consumer,
    batch: usize,
    transactional: bool,
    eaten: &mut Eaten,
) -> Result<()> {
    let begin = eaten.delivered.len();
    let mut last = None;
    while eaten.delivered.len() < begin + batch {
        let Some(delivery) = consumer.next().await.transpose()? else { break };
        eaten.delivered.push(std::str::from_utf8(&delivery.data).unwrap().parse().unwrap());
        last = Some(delivery);
    }
    // Without a last one the consumer has ended: then this fails, which ends the loop.
    let tag = last.map_or(0, |delivery| delivery.delivery_tag);
    let numbers = &eaten.delivered[begin..];
    eaten.acknowledged.extend(numbers);
    channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
    if transactional {
        channel.tx_commit().await?;
        eaten.committed.extend(numbers);
    }
    Ok(())
}

/// Takes what is left, and looks whether everything has arrived.
async fn drain(broker: &Broker, queue: &str, known: &mut Known) {
    let client = broker.client().await;
    let ready = client.ready(queue).await as usize;
    let (channel, mut consumer) = client.consume(queue, 0).await;
    let messages = Client::take(&mut consumer, ready).await;
    if let Some(last) = messages.last() {
        channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await.unwrap();
    }
    let delivered = leveret_tests::numbers(&messages);
    known.eat(&Eaten { acknowledged: delivered.clone(), committed: Vec::new(), delivered });
    let lost: Vec<&u32> = known.confirmed.iter().filter(|number| !known.acknowledged.contains(number)).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    client.settles_at(queue, 0).await;
}
