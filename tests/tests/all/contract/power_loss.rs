//! A loss of power at `store.sync = "commit"`.

use lapin::options::BasicAckOptions;
use lapin::types::AMQPValue;
use lapin::{BasicProperties, ExchangeKind};
use leveret_faultfs::now_ns;
use leveret_tests::{Broker, Client, Loss, Recording, eventually, numbers, with_test_time};

use super::scene::{Acknowledgements, Scene, each_scene, wait_for_commit};

each_scene!(run);

/// Losses that leave some of what was not synced, at the last moment.
const SEEDS: u64 = 3;

/// A broker at work on a recorded disk, and what it had promised at some moments: right after each promise, when nothing
/// that came later can have synced what it is about.
pub(super) async fn record<S: Scene>(sync: &str) -> (Recording, Vec<(u64, S)>) {
    let mut broker = Broker::start_on_faulty_disk(&["--sync", sync], |_| ()).await;
    let mut scene = S::prepare(&broker).await;
    // Syncs everything: what can be lost is what is promised from here on.
    broker.restart().await;
    let mut moments = Vec::new();
    scene.promise_all(&broker, |promised| moments.push((now_ns(), promised.clone()))).await;
    (broker.into_recording(), moments)
}

async fn run<S: Scene>() {
    let (recording, moments) = record::<S>("commit").await;
    for (moment_ns, scene) in &moments {
        scene.look(&recording.after_power_loss(*moment_ns, Loss::Everything).await).await.must_be_none();
    }
    let (moment_ns, scene) = moments.last().unwrap();
    for seed in 0..SEEDS {
        scene.look(&recording.after_power_loss(*moment_ns, Loss::Seed(seed)).await).await.must_be_none();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_without_an_answer_come_back() {
    with_test_time(async {
        let (recording, moments) = record::<Acknowledgements>("commit").await;
        let mut came_back = 0;
        for (moment_ns, scene) in &moments {
            let broker = recording.after_power_loss(*moment_ns, Loss::Everything).await;
            came_back += scene.came_back(&broker).await;
        }
        assert!(came_back > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_are_synced_when_nothing_more_comes() {
    with_test_time(async {
        let broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..10).await;
        let (channel, mut consumer) = client.consume(&queue, 10).await;
        let messages = Client::take(&mut consumer, 10).await;
        wait_for_commit(&channel).await;
        let note = async |what, writes| {
            eventually(what, async || broker.disk().writes_to(".log").unwrap() >= writes).await;
            broker.disk().writes_to(".log").unwrap()
        };
        let writes = broker.disk().writes_to(".log").unwrap();
        let writes = note("the note that all is synced", writes + 1).await;
        messages[9].ack(BasicAckOptions { multiple: true }).await.unwrap();
        note("a commit, and the note that it is synced", writes + 2).await;
        let moment_ns = now_ns();
        let broker = broker.into_recording().after_power_loss(moment_ns, Loss::Everything).await;
        assert_eq!(broker.client().await.ready(&queue).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quorum_queues_keep_transient_messages() {
    with_test_time(async {
        let broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Fanout, []).await;
        let (classic, quorum) =
            (client.queue([]).await, client.queue([("x-queue-type", AMQPValue::LongString("quorum".into()))]).await);
        for queue in [&classic, &quorum] {
            client.bind(queue, &exchange, "", []).await;
        }
        client.publish(&exchange, "", BasicProperties::default(), &[b"0"]).await;
        let moment_ns = now_ns();
        let broker = broker.into_recording().after_power_loss(moment_ns, Loss::Everything).await;
        let client = broker.client().await;
        assert_eq!((client.ready(&classic).await, client.ready(&quorum).await), (0, 1));
        assert_eq!(numbers(&client.drain(&quorum).await), [0]);
    })
    .await;
}
