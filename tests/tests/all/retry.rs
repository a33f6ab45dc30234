//! Retries with back-off: when a message that came back is tried again, and what it says of it.

use std::time::{Duration, Instant};

use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldArray};
use leveret_tests::{Client, Message, eventually, numbers, reply, table, with_broker};
use serde_json::{Value, json};

/// What the broker's clock, which counts whole milliseconds, may be ahead of the test's.
const CLOCK: Duration = Duration::from_millis(2);

const ONE_HOUR_MS: i32 = 3_600_000;

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn steps(steps: &[i32]) -> AMQPValue {
    AMQPValue::FieldArray(FieldArray::from(steps.iter().map(|step| AMQPValue::LongInt(*step)).collect::<Vec<_>>()))
}

fn count(message: &Message, header: &str) -> i64 {
    match message.header(header) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        None => 0,
        other => panic!("{header} is {other:?}"),
    }
}

#[tokio::test]
async fn a_worker_that_fails_three_times_is_given_time() {
    for kind in ["classic", "quorum"] {
        with_broker(async |broker| {
            if !broker.is_ours() {
                return;
            }
            let client = broker.client().await;
            let dead = client.queue([]).await;
            let queue = client
                .queue([
                    ("x-queue-type", text(kind)),
                    ("x-delayed-retry-type", text("failed")),
                    ("x-delayed-retry-mode", text("exponential")),
                    ("x-delayed-retry-min", AMQPValue::LongInt(40)),
                    ("x-delayed-retry-max", AMQPValue::LongInt(100)),
                    ("x-delivery-limit", AMQPValue::LongInt(3)),
                    ("x-dead-letter-exchange", text("")),
                    ("x-dead-letter-routing-key", text(&dead)),
                ])
                .await;
            client.publish_numbers(&queue, 0..1).await;
            let (_channel, mut consumer) = client.consume(&queue, 1).await;
            let mut message = Client::next(&mut consumer).await;
            assert_eq!((count(&message, "x-delivery-count"), count(&message, "x-acquired-count")), (0, 0));
            for (attempt, delay_ms) in [(1, 40), (2, 80), (3, 100)] {
                let rejected = Instant::now();
                message.reject(BasicRejectOptions { requeue: true }).await.unwrap();
                message = Client::next(&mut consumer).await;
                assert!(
                    rejected.elapsed() + CLOCK >= Duration::from_millis(delay_ms),
                    "attempt {attempt} is too early"
                );
                assert!(message.redelivered);
                let counts = (count(&message, "x-delivery-count"), count(&message, "x-acquired-count"));
                assert_eq!(counts, (attempt, attempt));
            }
            message.reject(BasicRejectOptions { requeue: true }).await.unwrap();
            client.settles_at(&dead, 1).await;
            let letter = client.get(&dead).await.unwrap();
            assert_eq!(letter.deaths()[0].text("reason"), "delivery_limit");
        })
        .await;
    }
}

#[tokio::test]
async fn what_waits_holds_nobody_up_and_comes_before_what_is_newer() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let arguments =
            [("x-delayed-retry-type", text("returned")), ("x-delayed-retry-steps", steps(&[50, ONE_HOUR_MS]))];
        let queue = client.queue(arguments).await;
        client.publish_numbers(&queue, 0..4).await;
        let (channel, mut consumer) = client.consume(&queue, 1).await;
        let returned = Instant::now();
        Client::next(&mut consumer).await.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
        let second = Client::next(&mut consumer).await;
        assert_eq!(second.number(), 1, "the credit of what waits is free");
        client.settles_at(&queue, 3).await;
        assert!(returned.elapsed() + CLOCK >= Duration::from_millis(50));
        second.ack(BasicAckOptions::default()).await.unwrap();
        let again = Client::next(&mut consumer).await;
        assert_eq!((again.number(), count(&again, "x-delivery-count"), count(&again, "x-acquired-count")), (0, 0, 1));
        again.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
        let rest = Client::next(&mut consumer).await;
        assert_eq!(rest.number(), 2);
        let columns = ["name", "messages_ready", "messages_delayed", "messages"];
        let expected = json!({"name": queue, "messages_ready": 1, "messages_delayed": 1, "messages": 3});
        eventually("the counts", async || {
            let listed = broker.ctl(&[&["list_queues"], &columns[..], &["--format", "json"]].concat());
            let rows: Vec<Value> = serde_json::from_str(&listed).unwrap();
            rows.contains(&expected)
        })
        .await;
        let purged = channel.queue_purge(queue.as_str().into(), Default::default()).await.unwrap();
        assert_eq!(purged, 2, "what waits goes as well");
    })
    .await;
}

#[tokio::test]
async fn a_policy_delays_retries() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let definition = json!({"delayed-retry-type": "all", "delayed-retry-steps": [30]}).to_string();
        broker.ctl(&["set_policy", "patient", &queue, &definition]);
        client.publish_numbers(&queue, 0..1).await;
        let (channel, mut consumer) = client.consume(&queue, 1).await;
        Client::next(&mut consumer).await;
        let closed = Instant::now();
        channel.close(200, "done".into()).await.unwrap();
        let (_channel, mut consumer) = client.consume(&queue, 1).await;
        assert_eq!(count(&Client::next(&mut consumer).await, "x-delivery-count"), 1);
        assert!(closed.elapsed() + CLOCK >= Duration::from_millis(30));
    })
    .await;
}

#[tokio::test]
async fn delays_that_make_no_sense_are_refused() {
    with_broker(async |broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let refusal = async |key, value| {
            let name = Client::name("refused");
            let declared = client.declare(&name, QueueDeclareOptions::durable(), table([(key, value)])).await;
            let (code, said) = reply(&declared.unwrap_err());
            (code, said.replace(&name, "q"))
        };
        assert_eq!(
            refusal("x-delayed-retry-type", text("all")).await,
            (
                406,
                "PRECONDITION_FAILED - invalid arg 'x-delayed-retry-type' for queue 'q' in vhost '/': \
                 delayed_retry_type_but_no_min_or_steps_defined"
                    .to_owned()
            )
        );
        let (code, said) = refusal("x-delayed-retry-steps", steps(&[5, -5])).await;
        assert_eq!(code, 406);
        assert!(said.ends_with("{value_negative,-5}"), "{said}");
    })
    .await;
}

#[tokio::test]
async fn retries_outlive_an_orderly_stop() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let arguments = [("x-delayed-retry-type", text("failed")), ("x-delayed-retry-min", AMQPValue::LongInt(100))];
        let queue = client.queue(arguments).await;
        client.publish_numbers(&queue, 0..3).await;
        let (channel, mut consumer) = client.consume(&queue, 1).await;
        let rejected = Instant::now();
        Client::next(&mut consumer).await.reject(BasicRejectOptions { requeue: true }).await.unwrap();
        Client::next(&mut consumer).await.ack(BasicAckOptions::default()).await.unwrap();
        channel.close(200, "done".into()).await.unwrap();
        broker.restart().await;
        let client = broker.client().await;
        client.settles_at(&queue, 2).await;
        assert!(rejected.elapsed() + CLOCK >= Duration::from_millis(100));
        assert_eq!(numbers(&client.drain(&queue).await), [0, 2]);
    })
    .await;
}
