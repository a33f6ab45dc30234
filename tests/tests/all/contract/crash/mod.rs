//! A crash of the process: signal 9. Messages, transactions and dead letters under load, the others after a promise.

mod delayed;
mod messages;
mod moves;

use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicRejectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use leveret_tests::{Broker, Client, eventually, numbers, table, with_test_time};

use super::scene::{Scene, each_scene, wait_for_commit};

each_scene! {
    run,
    acknowledgements: Acknowledgements,
    definitions: Definitions,
    transient_messages: TransientMessages,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_messages() {
    messages::confirmed_messages().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions() {
    moves::transactions().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters() {
    moves::dead_letters().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_messages() {
    delayed::delayed_messages().await;
}

async fn run<S: Scene>() {
    let mut broker = Broker::start(&[]).await;
    if !broker.is_ours() {
        return;
    }
    let scene = S::play(&broker).await;
    broker.kill();
    broker.start_again().await;
    scene.look(&broker).await.must_be_none();
}

#[tokio::test]
async fn acknowledgements_are_written_by_themselves() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..10).await;
        let (channel, mut consumer) = client.consume(&queue, 10).await;
        let messages = Client::take(&mut consumer, 10).await;
        wait_for_commit(&channel).await;
        let writes = broker.disk().writes_to(".log").unwrap();
        eventually("the note that all is synced", async || broker.disk().writes_to(".log").unwrap() > writes).await;
        messages[9].ack(BasicAckOptions { multiple: true }).await.unwrap();
        let writes = broker.disk().writes_to(".log").unwrap();
        eventually("a commit", async || broker.disk().writes_to(".log").unwrap() > writes).await;
        broker.kill();
        broker.start_again().await;
        assert_eq!(broker.client().await.ready(&queue).await, 0);
    })
    .await;
}

#[tokio::test]
async fn attempts_are_counted_on() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
        client.publish_numbers(&queue, 0..1).await;
        for _ in 0..2 {
            let got =
                client.channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap().unwrap();
            got.delivery.reject(BasicRejectOptions { requeue: true }).await.unwrap();
        }
        wait_for_commit(&client.channel).await;
        broker.kill();
        broker.start_again().await;
        let message = broker.client().await.get(&queue).await.unwrap();
        assert_eq!(message.header("x-delivery-count"), Some(&AMQPValue::LongLongInt(2)));
        assert!(message.redelivered);
    })
    .await;
}

#[tokio::test]
async fn retries_wait_on() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let text = |text: &str| AMQPValue::LongString(text.into());
        let waits =
            |min_ms| [("x-delayed-retry-type", text("failed")), ("x-delayed-retry-min", AMQPValue::LongInt(min_ms))];
        let (short, long) = (client.queue(waits(200)).await, client.queue(waits(3_600_000)).await);
        let rejected = Instant::now();
        for queue in [&short, &long] {
            client.publish_numbers(queue, 0..2).await;
            let got =
                client.channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap().unwrap();
            got.delivery.reject(BasicRejectOptions { requeue: true }).await.unwrap();
        }
        wait_for_commit(&client.channel).await;
        broker.kill();
        broker.start_again().await;
        let client = broker.client().await;
        client.settles_at(&short, 2).await;
        assert!(rejected.elapsed() >= Duration::from_millis(200), "it did not wait");
        let messages = client.drain(&short).await;
        assert_eq!(numbers(&messages), [0, 1], "it is back in its place");
        assert_eq!(messages[0].header("x-delivery-count"), Some(&AMQPValue::LongLongInt(1)));
        assert_eq!(numbers(&client.drain(&long).await), [1]);
        let listed = broker.ctl(&["list_queues", "name", "messages_delayed", "--format", "json"]);
        let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
        assert!(listed.contains(&serde_json::json!({"name": long, "messages_delayed": 1})), "{listed:?}");
    })
    .await;
}

#[tokio::test]
async fn exclusive_queues_end_and_auto_delete_queues_stay() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let (exclusive, auto_delete) = (Client::name("exclusive"), Client::name("auto-delete"));
        let durable = QueueDeclareOptions::durable();
        client.declare(&exclusive, QueueDeclareOptions { exclusive: true, ..durable }, table([])).await.unwrap();
        client.declare(&auto_delete, QueueDeclareOptions { auto_delete: true, ..durable }, table([])).await.unwrap();
        let (_channel, _consumer) = client.consume(&auto_delete, 1).await;
        for queue in [&exclusive, &auto_delete] {
            client.publish_numbers(queue, 0..2).await;
        }
        broker.kill();
        broker.start_again().await;
        let client = broker.client().await;
        assert!(!client.has_queue(&exclusive).await);
        // With its name, not its messages.
        let anew = client.declare(&exclusive, durable, FieldTable::default()).await.unwrap();
        assert_eq!(anew.message_count(), 0);
        assert_eq!(numbers(&client.drain(&auto_delete).await), [0, 1]);
    })
    .await;
}

#[tokio::test]
async fn transient_messages_on_disk_are_removed() {
    with_test_time(async {
        let mut broker = Broker::start(&["--set", "message_memory_bytes=1048576"]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let (folder, body) = (broker.data_dir().join("transient"), vec![7; 100_000]);
        eventually("messages on disk", async || {
            client.publish("", &queue, BasicProperties::default(), &[&body]).await;
            folder.is_dir()
        })
        .await;
        broker.kill();
        broker.start_again().await;
        assert_eq!(broker.client().await.ready(&queue).await, 0);
        assert!(!folder.exists());
    })
    .await;
}
