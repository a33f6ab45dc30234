//! Message groups: consumers that come and go share the groups of a queue, and each group stays in order.
//!
//! `LEVERET_GROUP_MESSAGES=1000000` makes more of it than the default does, and prints how fast the queue was with groups
//! and without.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use leveret_tests::{Broker, Client, numbers, reply, table, with_broker, with_test_time, within};
use tokio::sync::watch;

const GROUPS: u32 = 1000;
const CONSUMERS: u32 = 16;
const PREFETCH: u16 = 50;
const PUBLISH_BATCH: usize = 500;

/// When no more messages than this are left, consumers settle each at once: others may wait for its group.
const TAIL: u32 = 2000;

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn of_group(group: u32) -> lapin::BasicProperties {
    Client::persistent().with_headers(table([("x-group-id", AMQPValue::LongUInt(group))]))
}

async fn publish(client: &Client, queue: &str, messages: &[(u32, u32)]) {
    let channel = client.another_channel().await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for batch in messages.chunks(PUBLISH_BATCH) {
        let mut confirms = Vec::new();
        for (group, number) in batch {
            let body = number.to_string();
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), of_group(*group));
            confirms.push(sent.await.unwrap());
        }
        for confirm in confirms {
            within("a confirm", confirm).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_group_is_with_one_consumer_until_it_is_settled() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([("x-message-group-header", text("x-group-id"))]).await;
        let (first_channel, mut first) = client.consume(&queue, 2).await;
        let (_second_channel, mut second) = client.consume(&queue, 2).await;
        publish(&client, &queue, &[(1, 10), (1, 11), (1, 12), (2, 20), (2, 21)]).await;
        let (of_first, of_second) = (Client::take(&mut first, 2).await, Client::take(&mut second, 2).await);
        assert_eq!((numbers(&of_first), numbers(&of_second)), (vec![10, 11], vec![20, 21]));
        assert!(client.get(&queue).await.is_none(), "the group is with the first");
        of_first[0].reject(BasicRejectOptions { requeue: true }).await.unwrap();
        let again = Client::next(&mut first).await;
        assert_eq!((again.number(), again.redelivered), (10, true));
        of_second[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
        first_channel.close(200, "gone".into()).await.unwrap();
        let of_second = Client::take(&mut second, 2).await;
        assert_eq!(numbers(&of_second), [10, 11], "the group moves as a whole, in order");
        of_second[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
        let last = Client::next(&mut second).await;
        assert_eq!((last.number(), last.redelivered), (12, false));
    })
    .await;
}

#[tokio::test]
async fn a_get_takes_a_group_too() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([("x-message-group-property", text("correlation_id"))]).await;
        for (group, number) in [("a", "1"), ("a", "2"), ("b", "3")] {
            let properties = Client::persistent().with_correlation_id(group.into());
            client.publish("", &queue, properties, &[number.as_bytes()]).await;
        }
        let options = BasicGetOptions::default();
        let held = client.channel.basic_get(queue.as_str().into(), options).await.unwrap().unwrap();
        assert_eq!(held.delivery.data, b"1");
        assert_eq!(numbers(&client.drain(&queue).await), [3]);
        held.delivery.ack(BasicAckOptions::default()).await.unwrap();
        client.settles_at(&queue, 1).await;
        assert_eq!(numbers(&client.drain(&queue).await), [2]);
    })
    .await;
}

#[tokio::test]
async fn a_group_has_one_name() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let arguments =
            table([("x-message-group-header", text("g")), ("x-message-group-property", text("message_id"))]);
        let refused = client.declare("two-names", QueueDeclareOptions::durable(), arguments).await.unwrap_err();
        let expected = "PRECONDITION_FAILED - invalid arg 'x-message-group-property' for queue 'two-names' in vhost '/': \
                        {not_together_with,\"x-message-group-header\"}";
        assert_eq!(reply(&refused), (406, expected.to_owned()));
    })
    .await;
}

/// What consumers have seen of a group.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Messages with lower numbers were delivered.
    next: u32,
    /// Who has how many unsettled.
    holder: u32,
    unsettled: u32,
}

/// Judges all deliveries of a run.
struct Judge {
    groups: Mutex<Vec<Seen>>,
    left: watch::Sender<u32>,
    is_grouped: bool,
}

impl Judge {
    fn new(count: u32, is_grouped: bool) -> Self {
        Self { groups: Mutex::new(vec![Seen::default(); GROUPS as usize]), left: watch::Sender::new(count), is_grouped }
    }

    fn deliver(&self, consumer: u32, message: u32) {
        let (group, number) = (message % GROUPS, message / GROUPS);
        let seen = &mut self.groups.lock().unwrap()[group as usize];
        if self.is_grouped {
            assert!(number <= seen.next, "message {number} of group {group} came before {}", seen.next);
            let is_alone = seen.unsettled == 0 || seen.holder == consumer;
            assert!(is_alone, "group {group} is with {} and {consumer}", seen.holder);
        }
        seen.next = seen.next.max(number + 1);
        seen.holder = consumer;
        seen.unsettled += 1;
    }

    fn settle(&self, message: u32) {
        let seen = &mut self.groups.lock().unwrap()[(message % GROUPS) as usize];
        seen.unsettled = seen.unsettled.saturating_sub(1);
    }
}

/// A consumer that goes away every now and then, with messages unsettled, and comes back as another.
async fn consume(client: &Client, queue: &str, judge: &Judge, number: u32) {
    let mut left = judge.left.subscribe();
    for incarnation in 0.. {
        let id = number + incarnation * CONSUMERS;
        let (channel, mut consumer) = client.consume(queue, PREFETCH).await;
        let stays_for = 500 + id * 37 % 1000;
        let mut unsettled = Vec::new();
        for taken in 0..stays_for {
            let ends_at = if unsettled.is_empty() { 0 } else { TAIL };
            tokio::select! {
                delivery = consumer.next() => {
                    let delivery = delivery.unwrap().unwrap();
                    let message: u32 = std::str::from_utf8(&delivery.data).unwrap().parse().unwrap();
                    judge.deliver(id, message);
                    unsettled.push((message, delivery));
                }
                left = left.wait_for(|left| *left <= ends_at) => if *left.unwrap() == 0 { return },
            }
            let is_tail = *left.borrow() <= TAIL;
            if (taken % 10 == id % 10 || is_tail) && !unsettled.is_empty() {
                // Said before it is done: from then on others may have the group.
                unsettled.iter().for_each(|(message, _)| judge.settle(*message));
                let count = unsettled.len() as u32;
                let (_, last) = unsettled.drain(..).next_back().unwrap();
                last.ack(BasicAckOptions { multiple: true }).await.unwrap();
                judge.left.send_modify(|left| *left -= count);
            }
        }
        unsettled.iter().for_each(|(message, _)| judge.settle(*message));
        channel.close(200, "gone".into()).await.unwrap();
    }
}

/// How long consumers take for so many messages.
async fn run(broker: &Broker, count: u32, is_grouped: bool) -> Duration {
    let mut client = broker.client().await;
    let arguments =
        if is_grouped { table([("x-message-group-header", text("x-group-id"))]) } else { FieldTable::default() };
    let queue = Client::name("grouped");
    client.declare(&queue, QueueDeclareOptions::durable(), arguments).await.unwrap();
    let messages: Vec<(u32, u32)> = (0..count).map(|message| (message % GROUPS, message)).collect();
    publish(&client, &queue, &messages).await;
    let judge = Judge::new(count, is_grouped);
    let started = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..CONSUMERS {
        clients.push(std::mem::replace(&mut client, broker.client().await));
    }
    let consumers = (0..).zip(&clients).map(|(number, client)| consume(client, &queue, &judge, number));
    futures_util::future::join_all(consumers).await;
    let took = started.elapsed();
    assert_eq!(client.ready(&queue).await, 0);
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_stay_in_order_while_consumers_come_and_go() {
    let Ok(count) = std::env::var("LEVERET_GROUP_MESSAGES") else {
        return with_test_time(come_and_go(20_000)).await;
    };
    come_and_go(count.parse().unwrap()).await;
}

async fn come_and_go(count: u32) {
    let broker = Broker::start(&[]).await;
    if !broker.is_ours() {
        return;
    }
    let (grouped, plain) = (run(&broker, count, true).await, run(&broker, count, false).await);
    let rate = |took: Duration| f64::from(count) / took.as_secs_f64();
    eprintln!("{:.0} messages/s with groups, {:.0} without", rate(grouped), rate(plain));
}
