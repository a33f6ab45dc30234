//! A disk that breaks under the broker: nothing is confirmed after that, everybody learns why, and what was confirmed is
//! there at the next start.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use leveret_faultfs::{Control, Fault, Slot, now_ns, operations};
use leveret_tests::{Broker, Client, Loss, numbers, until, with_test_time, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::scene::{Scene, each_scene};

each_scene!(run);

/// EIO
const INPUT_OUTPUT_ERROR: i32 = 5;

/// The next of these operations fails, and only that.
fn fault(operations: u64) -> Fault<'static> {
    Fault { operations, errno: INPUT_OUTPUT_ERROR, pattern: "", nth: 1, lasting: false, torn_bytes: 0, delay_ms: 0 }
}

const CHECKS: [&str; 4] = ["alarms", "local-alarms", "ready-to-serve-clients", "virtual-hosts"];

/// The status of a health check; none when nobody answers.
async fn health(address: &str, check: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!(
        "GET /api/health/checks/{check} HTTP/1.1\r\nHost: leveret\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Publishes a message; none where the connection is closed before it is confirmed or refused.
async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Option<Confirmation> {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish("".into(), queue.into(), options, body, Client::persistent());
    within("a confirm or the end", sent.await.ok()?).await.ok()
}

/// Breaks the disk, and publishes until the broker has ended for want of it.
pub(super) async fn end_by_publishing(broker: &mut Broker, break_disk: impl FnOnce(&Control)) {
    let client = broker.client().await;
    let queue = client.queue([]).await;
    let body = vec![7; 100_000];
    let channel = client.confirm_channel().await;
    break_disk(&broker.disk().control);
    while publish(&channel, &queue, &body).await.is_some_and(|confirmation| confirmation.is_ack()) {}
    let status = until("the broker's end", async || broker.has_ended()).await;
    assert!(!status.success());
}

/// Publishes numbers one by one until one is not confirmed; those that were.
async fn publish_until_refused(channel: &Channel, queue: &str, numbers: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let mut confirmed = BTreeSet::new();
    for number in numbers {
        match publish(channel, queue, number.to_string().as_bytes()).await {
            Some(Confirmation::Ack(_)) => confirmed.insert(number),
            _ => break,
        };
    }
    confirmed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_nothing_is_confirmed() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let address = broker.http().to_owned();
        for check in CHECKS {
            assert_eq!(health(&address, check).await, Some(200), "{check}");
        }
        let other = broker.client().await;
        let closed = other.closed_by_broker();
        client.publish_numbers(&queue, 0..100).await;
        broker.disk().control.fail(&Fault { pattern: ".log", nth: 20, ..fault(operations::SYNC) }).unwrap();
        let channel = client.confirm_channel().await;
        let confirmed = publish_until_refused(&channel, &queue, 100..10_000).await;
        assert_eq!(broker.disk().control.get(Slot::Hits).unwrap(), 1, "the sync that failed was not the last one");
        assert!(confirmed.len() < 100, "confirmed without a sync");
        let (code, text) = closed.await;
        assert_eq!(code, 320, "{text}");
        let status = until("the broker's end", async || {
            for check in CHECKS {
                assert_ne!(health(&address, check).await, Some(200), "{check} is passed by a broker that has failed");
            }
            broker.has_ended()
        })
        .await;
        assert!(!status.success());

        broker.start_again().await;
        let found = numbers(&broker.client().await.drain(&queue).await);
        assert!(found.is_sorted());
        let found: BTreeSet<u32> = found.into_iter().collect();
        assert!((0..100).all(|number| found.contains(&number)));
        assert!(confirmed.is_subset(&found), "confirmed and lost: {:?}", confirmed.difference(&found));
        assert_eq!(health(broker.http(), "alarms").await, Some(200));
    })
    .await;
}

/// Lets a sync fail, and then the power: whoever went on after that as if nothing were amiss is found out.
async fn run<S: Scene>() {
    let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
    let scene = S::play(&broker).await;
    end_by_publishing(&mut broker, |control| control.fail(&fault(operations::SYNC)).unwrap()).await;
    let recording = broker.into_recording();
    scene.look(&recording.after_power_loss(now_ns(), Loss::Everything).await).await.must_be_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_write_nothing_is_confirmed() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let channel = client.confirm_channel().await;
        broker.disk().control.fail(&Fault { nth: 20, torn_bytes: 9, ..fault(operations::WRITE) }).unwrap();
        let confirmed = publish_until_refused(&channel, &queue, 0..10_000).await;
        let status = until("the broker's end", async || broker.has_ended()).await;
        assert!(!status.success());
        broker.start_again().await;
        let found = numbers(&broker.client().await.drain(&queue).await);
        let count = found.len();
        assert!(found.iter().copied().eq(0..count as u32), "{found:?}");
        // Of what was not confirmed there may be the message that was being written.
        assert!(
            (confirmed.len()..=confirmed.len() + 1).contains(&count),
            "{} confirmed, {count} there",
            confirmed.len()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_fails_stops_it_and_loses_nothing() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&[], |_| ()).await;
        let queue = broker.client().await.queue([]).await;
        broker.client().await.publish_numbers(&queue, 0..1000).await;
        broker.restart().await;
        broker.disk().control.fail(&Fault { lasting: true, ..fault(operations::READ) }).unwrap();
        let client = broker.client().await;
        let (_channel, _consumer) = client.consume(&queue, 10).await;
        let status = until("the broker's end", async || broker.has_ended()).await;
        assert!(!status.success() && broker.said().contains("Input/output error"), "{}", broker.said());
        broker.disk().control.fail(&fault(0)).unwrap();
        broker.start_again().await;
        assert_eq!(numbers(&broker.client().await.drain(&queue).await), (0..1000).collect::<Vec<_>>());
    })
    .await;
}

/// The files of this kind in the data folder, the one written last first.
fn files(broker: &Broker, extension: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(broker.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files.reverse();
    files
}

fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

/// Flips a bit in the middle of what is in a file.
fn damage(file: &Path) {
    let content = std::fs::read(file).unwrap();
    let middle = content.iter().rposition(|byte| *byte != 0).unwrap() / 2;
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(&[content[middle] ^ 0x10], middle as u64).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_refuses_the_start_until_damage_is_accepted() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let queue = broker.client().await.queue([]).await;
        let client = broker.client().await;
        for number in 0..100 {
            client.publish_numbers(&queue, number..number + 1).await;
        }
        broker.kill();
        let log = files(&broker, "log").remove(0);
        damage(&log);
        let said = broker.start_refused().await;
        assert!(said.contains(name(&log)) && said.contains("store.accept_damage"), "{said}");
        broker.start_again_with(&["--set", "store.accept_damage=true"]).await;
        let found = numbers(&broker.client().await.drain(&queue).await);
        assert!(found.len() < 100 && found.iter().copied().eq(0..found.len() as u32), "{found:?}");
        broker.kill();
        broker.start_again().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_stops_it_and_is_named() {
    with_test_time(async {
        let mut broker = Broker::start(&[]).await;
        if !broker.is_ours() {
            return;
        }
        let client = broker.client().await;
        let queue = client.queue([]).await;
        let body = vec![7; 100_000];
        client.publish("", &queue, Client::persistent(), &[&body[..]; 20]).await;
        // What the log holds is written out at the start.
        broker.restart().await;
        broker.kill();
        let largest = files(&broker, "sst").into_iter().max_by_key(|file| file.metadata().unwrap().len()).unwrap();
        damage(&largest);
        broker.start_again().await;
        let client = broker.client().await;
        let (_channel, _consumer) = client.consume(&queue, 0).await;
        let status = until("the broker's end", async || broker.has_ended()).await;
        assert!(!status.success());
        let reason = broker.said().lines().last().unwrap().to_owned();
        assert!(reason.contains(name(&largest)) && reason.contains("backup"), "{reason}");
    })
    .await;
}
