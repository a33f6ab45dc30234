//! A disk that breaks under the broker: nothing is confirmed after that, everybody learns why, and what was confirmed is
//! there at the next start.

use std::collections::BTreeSet;

use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use leveret_faultfs::{Fault, Slot, operations};
use leveret_tests::{Broker, Client, numbers, until, with_test_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// EIO
const INPUT_OUTPUT_ERROR: i32 = 5;

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

/// Publishes numbers one by one until one is not confirmed; those that were.
async fn publish_until_refused(channel: &Channel, queue: &str, numbers: impl Iterator<Item = u32>) -> BTreeSet<u32> {
    let mut confirmed = BTreeSet::new();
    for number in numbers {
        let (options, body) = (BasicPublishOptions::default(), number.to_string());
        let sent = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), Client::persistent());
        let Ok(confirm) = sent.await else { break };
        match confirm.await {
            Ok(Confirmation::Ack(_)) => confirmed.insert(number),
            Ok(_) | Err(_) => break,
        };
    }
    confirmed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_nothing_is_confirmed_and_a_restart_recovers() {
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
        let fault = Fault {
            operations: operations::SYNC,
            errno: INPUT_OUTPUT_ERROR,
            pattern: ".log",
            nth: 20,
            lasting: false,
            torn_bytes: 0,
            delay_ms: 0,
        };
        broker.disk().control.fail(&fault).unwrap();
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
