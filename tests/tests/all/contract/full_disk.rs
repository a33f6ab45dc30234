//! A disk that fills up: publishers are blocked before it is full, consumers go on and free space, publishers go on. And
//! what holds when it is full all the same.

use std::collections::VecDeque;

use futures_util::{Stream, StreamExt};
use lapin::options::{BasicAckOptions, BasicPublishOptions};
use lapin::{Channel, Event};
use leveret_faultfs::{Control, Fault, Slot, operations};
use leveret_tests::{Broker, Client, FaultyDisk, eventually, until, with_test_time, within};

use tokio::task::JoinSet;

use super::failing_disk::end_by_publishing;
use super::scene::{ConfirmedMessages, Scene, each_scene};

each_scene!(run);

const DISK_BYTES: u64 = 560 << 20;
/// What the store may still write until publishers have stopped. The default.
const FREE_LIMIT_BYTES: u64 = 256 << 20;
/// So much is free at any time.
const LEFT_BYTES: u64 = 64 << 20;
/// Less than merging the messages of one test may take.
const LITTLE_BYTES: u64 = 112 << 20;
const BODY_BYTES: usize = 100_000;
/// More than the disk holds, several times.
const COUNT: usize = 12_000;
/// ENOSPC
const NO_SPACE: i32 = 28;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_wait_before_it_is_full() {
    with_test_time(fill_and_drain(1)).await;
}

/// Files hold messages of all queues then: merging them takes all of them together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_files_does_not_fill_it() {
    with_test_time(fill_and_drain(8)).await;
}

/// Publishes more than the disk holds to some queues by turns, consumes it as soon as publishers are blocked, and looks how
/// much was used at most.
async fn fill_and_drain(queue_count: usize) {
    let limit = format!("disk_free_limit_bytes={FREE_LIMIT_BYTES}");
    let small = |disk: &FaultyDisk| disk.control.set(Slot::CapacityBytes, DISK_BYTES).unwrap();
    let mut broker = Broker::start_on_faulty_disk(&["--set", &limit], small).await;
    let publisher = broker.client().await;
    let queues = queues(&publisher, queue_count).await;
    let mut events = publisher.connection.events_listener();
    let publishing = tokio::spawn(publish(publisher.confirm_channel().await, queues.clone(), COUNT));
    assert_eq!(blocked(&mut events).await, "low on disk");
    assert!(!publishing.is_finished());
    // Only now does somebody consume: what the disk does not hold comes once there is room again.
    drain(&broker, &queues, COUNT).await;
    within("all confirms", publishing).await.unwrap();
    assert_eq!(broker.disk().control.get(Slot::Hits).unwrap(), 0, "the disk was full");
    let most_used = broker.disk().control.get(Slot::MostUsedBytes).unwrap();
    let least_free = DISK_BYTES.saturating_sub(most_used);
    assert!(least_free > LEFT_BYTES, "only {} MiB were left", least_free >> 20);
    assert_eq!(broker.has_ended(), None);
    space(&broker, DISK_BYTES).await;
}

/// Others fill the disk while the store has much to merge: that has to wait, and consumers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_nothing_is_merged_until_consumers_have_made_some() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let publisher = broker.client().await;
        let queues = queues(&publisher, 8).await;
        let mut events = publisher.connection.events_listener();
        let (channel, count) = (publisher.confirm_channel().await, COUNT / 4);
        publish(channel.clone(), queues.clone(), count).await;
        let mut capacity = 0;
        eventually("the alarm", async || {
            // Again and again: the store still gives back what was written out meanwhile.
            capacity = broker.disk().control.get(Slot::UsedBytes).unwrap() + LITTLE_BYTES;
            broker.disk().control.set(Slot::CapacityBytes, capacity).unwrap();
            broker.said().contains("publishers are blocked")
        })
        .await;
        let publishing = tokio::spawn(publish(channel, queues.clone(), count));
        assert_eq!(blocked(&mut events).await, "low on disk");
        drain(&broker, &queues, 2 * count).await;
        within("all confirms", publishing).await.unwrap();
        space(&broker, capacity).await;
        assert_eq!(broker.disk().control.get(Slot::Hits).unwrap(), 0, "the disk was full");
        assert_eq!(broker.has_ended(), None);
    })
    .await;
}

async fn queues(client: &Client, count: usize) -> Vec<String> {
    let mut queues = Vec::new();
    for _ in 0..count {
        queues.push(client.queue([]).await);
    }
    queues
}

/// Publishes `count` messages to `queues` by turns, all of which are confirmed.
async fn publish(channel: Channel, queues: Vec<String>, count: usize) {
    let (mut confirms, body) = (VecDeque::new(), vec![7; BODY_BYTES]);
    for queue in queues.iter().cycle().take(count) {
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish("".into(), queue.as_str().into(), options, &body, Client::persistent());
        confirms.push_back(sent.await.unwrap());
        if confirms.len() >= 100
            && let Some(confirm) = confirms.pop_front()
        {
            assert!(confirm.await.unwrap().is_ack());
        }
    }
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }
}

/// Waits until publishers are blocked; the reason.
async fn blocked(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    within("connection.blocked", async {
        loop {
            if let Event::ConnectionBlocked(reason) = events.next().await.expect("events") {
                return reason;
            }
        }
    })
    .await
}

/// Consumes `count` messages, which `queues` hold or get in equal parts.
async fn drain(broker: &Broker, queues: &[String], count: usize) {
    let mut consumers = JoinSet::new();
    for queue in queues {
        let (channel, mut consumer) = broker.client().await.consume(queue, 100).await;
        let count = count / queues.len();
        consumers.spawn(async move {
            for _ in 0..count {
                let message = Client::next(&mut consumer).await;
                assert_eq!(message.data.len(), BODY_BYTES);
                channel.basic_ack(message.delivery_tag, BasicAckOptions::default()).await.unwrap();
            }
        });
    }
    consumers.join_all().await;
}

/// Waits until the disk has enough space for publishers again.
async fn space(broker: &Broker, capacity: u64) {
    let free = until("space", async || {
        let used = broker.disk().control.get(Slot::UsedBytes).unwrap();
        capacity.checked_sub(used).filter(|free| *free > FREE_LIMIT_BYTES)
    });
    free.await;
}

/// Lets the disk be full in a moment, though no alarm was asked for.
async fn run<S: Scene>() {
    let mut broker = Broker::start_on_faulty_disk(&["--set", "disk_free_limit_bytes=0"], |_| ()).await;
    let scene = S::play(&broker).await;
    let fill = |control: &Control| {
        let used_bytes = control.get(Slot::UsedBytes).unwrap();
        control.set(Slot::CapacityBytes, used_bytes + (1 << 20)).unwrap();
    };
    end_by_publishing(&mut broker, fill).await;
    broker.disk().control.set(Slot::CapacityBytes, 0).unwrap();
    broker.start_again().await;
    scene.look(&broker).await.must_be_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_room_is_refused_and_loses_nothing() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let scene = ConfirmedMessages::play(&broker).await;
        broker.kill();
        broker.disk().control.set(Slot::CapacityBytes, 1).unwrap();
        let said = broker.start_refused().await;
        assert!(said.contains("No space left on device"), "{said}");
        broker.disk().control.set(Slot::CapacityBytes, 0).unwrap();
        broker.start_again().await;
        scene.look(&broker).await.must_be_none();
    })
    .await;
}

/// The log has its room already, files have none: the engine waits for some, and the write that finds its memory full
/// waits with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_leaves_no_publisher_without_an_answer() {
    with_test_time(async {
        let small = ["--set", "store.write_buffer_bytes=65536"];
        let mut broker = Broker::start_on_faulty_disk(&small, |_| ()).await;
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let no_room = Fault {
            operations: operations::WRITE,
            errno: NO_SPACE,
            pattern: ".sst",
            nth: 1,
            lasting: true,
            torn_bytes: 0,
            delay_ms: 1000,
        };
        broker.disk().control.fail(&no_room).unwrap();
        let channel = client.confirm_channel().await;
        let body = vec![0; 20_000];
        let mut waiting = VecDeque::new();
        loop {
            let (options, properties) = (BasicPublishOptions::default(), Client::persistent());
            let sent = channel.basic_publish("".into(), queue.as_str().into(), options, &body, properties);
            let Ok(confirm) = within("a publish", sent).await else { break };
            waiting.push_back(confirm);
            if waiting.len() > 200
                && let Some(confirm) = waiting.pop_front()
                && !within("an answer", confirm).await.is_ok_and(|answer| answer.is_ack())
            {
                break;
            }
        }
        let status = until("the broker's end", async || broker.has_ended()).await;
        assert!(!status.success());
    })
    .await;
}
