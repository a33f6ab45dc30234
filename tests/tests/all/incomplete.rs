//! Large messages that have begun to come in and do not go on.

use std::io;
use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Event};
use leveret_tests::{Broker, Client, within};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const MESSAGE_BYTES: usize = 900 * 1024;

/// Room for one large message.
async fn small_broker() -> Broker {
    Broker::start(&["--set", "amqp.message_bytes_max=1048576", "--set", "amqp.incomplete_bytes_max=1048576"]).await
}

/// A way to the broker on which a client's bytes stop after a while.
struct Way {
    uri: String,
    /// Told when they have stopped.
    stopped: Arc<Notify>,
    /// Lets the rest go.
    go_on: Arc<Notify>,
    relay: JoinHandle<io::Result<()>>,
}

impl Way {
    async fn stopping_after(bytes: u64, broker: &Broker) -> Self {
        let address = broker.uri().rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("amqp://guest:guest@{}", listener.local_addr().unwrap());
        let (stopped, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, told) = (Arc::clone(&stopped), Arc::clone(&go_on));
        let relay = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await?;
            let mut server = TcpStream::connect(address).await?;
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let forward = async {
                tokio::io::copy(&mut (&mut from_client).take(bytes), &mut to_server).await?;
                tell.notify_one();
                told.notified().await;
                tokio::io::copy(&mut from_client, &mut to_server).await
            };
            tokio::try_join!(forward, tokio::io::copy(&mut from_server, &mut to_client)).map(|_| ())
        });
        Self { uri, stopped, go_on, relay }
    }
}

async fn publish(client: &Client, queue: &str, body: Vec<u8>) {
    let channel = client.confirm_channel().await;
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), queue.into(), options, &body, BasicProperties::default()).await;
    assert!(confirm.unwrap().await.unwrap().is_ack());
}

#[tokio::test]
async fn who_finds_no_room_waits_and_small_messages_pass() {
    let broker = small_broker().await;
    if !broker.is_ours() {
        return;
    }
    let way = Way::stopping_after(300 * 1024, &broker).await;
    let other = broker.client().await;
    let queue = other.queue([]).await;
    let small = async |count: u8| {
        for number in 0..count {
            publish(&other, &queue, vec![number; 1024]).await;
        }
    };
    let large = |uri: &str| {
        let (uri, queue) = (uri.to_owned(), queue.clone());
        tokio::spawn(async move { publish(&Client::connect(&uri).await, &queue, vec![0; MESSAGE_BYTES]).await })
    };
    let begun = large(&way.uri);
    within("the first part", way.stopped.notified()).await;
    small(10).await;
    let waiting = large(broker.uri());
    small(50).await;
    assert!(!begun.is_finished() && !waiting.is_finished(), "there is room for one");
    way.go_on.notify_one();
    within("the first", begun).await.unwrap();
    within("the one that waited", waiting).await.unwrap();
    other.settles_at(&queue, 62).await;
}

#[tokio::test]
async fn room_comes_back_from_a_connection_that_is_cut() {
    let broker = small_broker().await;
    if !broker.is_ours() {
        return;
    }
    let way = Way::stopping_after(300 * 1024, &broker).await;
    let (cut, other) = (Client::connect(&way.uri).await, broker.client().await);
    let queue = other.queue([]).await;
    let begun = tokio::spawn({
        let queue = queue.clone();
        async move { publish(&cut, &queue, vec![0; MESSAGE_BYTES]).await }
    });
    within("the first part", way.stopped.notified()).await;
    way.relay.abort();
    within("the other", publish(&other, &queue, vec![0; MESSAGE_BYTES])).await;
    other.settles_at(&queue, 1).await;
    begun.abort();
}

/// What the machine or the container has, which the watermark is a part of.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let machine = total.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024;
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    container.and_then(|text| text.trim().parse().ok()).map_or(machine, |container: u64| container.min(machine))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_they_take_of_memory_blocks_publishers_until_it_is_given_back() {
    const WAYS: u64 = 16;
    const BODY_BYTES: usize = 15 << 20;
    let watermark = f64::from(120 << 20) / memory_bytes() as f64;
    let broker = Broker::start(&["--set", &format!("memory_high_watermark={watermark:.9}")]).await;
    if !broker.is_ours() {
        return;
    }
    let publisher = broker.client().await;
    let queue = publisher.queue([]).await;
    let mut events = publisher.connection.events_listener();
    publish(&publisher, &queue, vec![1; 1024]).await;
    let mut ways = Vec::new();
    for _ in 0..WAYS {
        let way = Way::stopping_after(BODY_BYTES as u64 - 1, &broker).await;
        let (client, queue) = (Client::connect(&way.uri).await, queue.clone());
        let begun = tokio::spawn(async move { publish(&client, &queue, vec![0; BODY_BYTES]).await });
        ways.push((way, begun));
    }
    let mut next = async || within("an event", events.next()).await.expect("an event");
    let waiting = tokio::spawn({
        let channel = publisher.confirm_channel().await;
        async move {
            loop {
                let options = BasicPublishOptions::default();
                let sent =
                    channel.basic_publish("".into(), queue.as_str().into(), options, &[2], BasicProperties::default());
                assert!(sent.await.unwrap().await.unwrap().is_ack());
            }
        }
    });
    let blocked = next().await;
    assert!(matches!(&blocked, Event::ConnectionBlocked(reason) if reason == "low on memory"), "{blocked:?}");
    for (way, begun) in ways {
        way.relay.abort();
        begun.abort();
    }
    let over = next().await;
    assert!(matches!(over, Event::ConnectionUnblocked), "{over:?}");
    waiting.abort();
}
