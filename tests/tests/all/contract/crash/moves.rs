//! Signal 9 while messages move: a dead letter is in one place, and a transaction is done whole or not at all.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use lapin::options::{BasicPublishOptions, BasicRejectOptions};
use lapin::types::AMQPValue;
use lapin::{Channel, Result};
use leveret_tests::{Broker, Client, eventually, numbers, with_broker};
use rand::RngExt;

use super::messages::plan;

/// A dead letter is in exactly one place.
pub(super) async fn dead_letters() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        const COUNT: u32 = 3000;
        let (rounds, mut random) = plan();
        for _ in 0..rounds {
            let client = broker.client().await;
            let dead = client.queue([]).await;
            let text = |value: &str| AMQPValue::LongString(value.into());
            let arguments = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead))];
            let queue = client.queue(arguments).await;
            client.publish_numbers(&queue, 0..COUNT).await;
            let moved = random.random_range(1..COUNT / 2);
            let rejecting = tokio::spawn(reject_all(broker.client().await, queue.clone()));
            eventually("dead letters", async || client.ready(&dead).await >= moved).await;
            broker.kill();
            // Not awaited: cut off in the middle of a reject, the client may wait for ever.
            rejecting.abort();
            broker.start_again().await;
            check_moved(&broker, &queue, &dead, COUNT).await;
        }
    })
    .await;
}

async fn reject_all(client: Client, queue: String) -> Result<()> {
    let (_channel, mut consumer) = client.consume(&queue, 100).await;
    while let Some(delivery) = consumer.next().await {
        delivery?.reject(BasicRejectOptions { requeue: false }).await?;
    }
    Ok(())
}

async fn check_moved(broker: &Broker, queue: &str, dead: &str, count: u32) {
    let client = broker.client().await;
    let (here, there) = (numbers(&client.drain(queue).await), numbers(&client.drain(dead).await));
    assert!(here.is_sorted() && there.is_sorted(), "out of order");
    let mut all = [here.clone(), there.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>(), "{} here, {} there", here.len(), there.len());
}

/// A transaction over queues is whole.
pub(super) async fn transactions() {
    with_broker(async |mut broker| {
        if !broker.is_ours() {
            return;
        }
        let (rounds, mut random) = plan();
        for _ in 0..rounds {
            let client = broker.client().await;
            let queues = [client.queue([]).await, client.queue([]).await];
            let commits = random.random_range(1..40);
            let publishing = tokio::spawn(commit_pairs(broker.client().await, queues.clone()));
            eventually("commits", async || client.ready(&queues[1]).await >= commits).await;
            broker.kill();
            let committed = publishing.await.unwrap();
            broker.start_again().await;
            check_pairs(&broker, &queues, &committed).await;
        }
    })
    .await;
}

/// Publishes each number to both queues in one transaction, and gives those whose commit was answered.
async fn commit_pairs(client: Client, queues: [String; 2]) -> Vec<u32> {
    let channel = client.another_channel().await;
    channel.tx_select().await.unwrap();
    let mut committed = Vec::new();
    for number in 0.. {
        if commit_pair(&channel, &queues, number).await.is_err() {
            break;
        }
        committed.push(number);
    }
    committed
}

async fn commit_pair(channel: &Channel, queues: &[String; 2], number: u32) -> Result<()> {
    for queue in queues {
        let (key, options) = (queue.as_str().into(), BasicPublishOptions::default());
        let body = number.to_string();
        let sent = channel.basic_publish("".into(), key, options, body.as_bytes(), Client::persistent());
        drop(sent.await?);
    }
    channel.tx_commit().await
}

async fn check_pairs(broker: &Broker, queues: &[String; 2], committed: &[u32]) {
    let client = broker.client().await;
    let (first, second) = (numbers(&client.drain(&queues[0]).await), numbers(&client.drain(&queues[1]).await));
    assert_eq!(first, second, "a transaction is there in part");
    assert!(first.is_sorted_by(|one, next| one < next));
    let there: BTreeSet<u32> = first.into_iter().collect();
    let lost: Vec<&u32> = committed.iter().filter(|number| !there.contains(number)).collect();
    assert!(lost.is_empty(), "committed and lost: {lost:?}");
}
