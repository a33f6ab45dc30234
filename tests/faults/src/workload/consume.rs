//! Consuming: acknowledging in transactions or not, taking back, rejecting, sharing a queue.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::select_all;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer, ErrorKind, Result};
use rand::RngExt;

use super::publish::number;
use super::{Client, connect};

/// Deliveries settled together.
const BATCH: usize = 20;
/// Of so many batches, one is the last of its connection; what came after it goes back.
const LEAVES: u32 = 20;
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// What consumers of one queue may have at a time, each.
const PREFETCHES: [u16; 3] = [1, 10, 200];

impl Client {
    async fn consumer(&self, connection: &Connection, prefetch: u16) -> Result<(Channel, Consumer)> {
        let channel = connection.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let (queue, arguments) = (self.work.queues()[0], FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), Default::default(), arguments).await?;
        Ok((channel, consumer))
    }

    fn number(&self, delivery: &Delivery) -> Option<u32> {
        let number = number(self.work.name(), &delivery.data);
        match number {
            Some(number) => self.ledger.delivered(self.work.name(), number),
            None => self.ledger.unexpected(format!("{}: what was never published was delivered", self.work.name())),
        }
        number
    }
}

/// Takes batches: most are acknowledged, some go back.
pub(super) async fn acknowledge(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let (channel, mut consumer) = client.consumer(&connection, 100).await?;
    if client.plan.is_transactional {
        channel.tx_select().await?;
    }
    let mut numbers = Vec::new();
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let last = delivery.delivery_tag;
        numbers.extend(client.number(&delivery));
        if numbers.len() < BATCH {
            continue;
        }
        let requeues = client.random.random_ratio(1, 8);
        if requeues {
            channel.basic_nack(last, BasicNackOptions { multiple: true, requeue: true }).await?;
        } else {
            client.ledger.settles(client.work.name(), &numbers);
            channel.basic_ack(last, BasicAckOptions { multiple: true }).await?;
        }
        if client.plan.is_transactional {
            channel.tx_commit().await?;
            if !requeues {
                client.ledger.settled(client.work.name(), &numbers);
            }
        }
        numbers.clear();
        client.pause().await;
        if client.random.random_ratio(1, LEAVES) {
            // The client may wait for ever for the end of a connection that it has closed itself.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, connection.close(200, "leaving".into())).await;
            break;
        }
    }
    Ok(())
}

/// Does so although the queue goes away and comes back, or the consumer does.
pub(super) async fn again_and_again(client: &mut Client) -> Result<()> {
    loop {
        match acknowledge(client).await {
            // Its consumer was cancelled, or it found no queue.
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ProtocolError(_)) => {}
            Err(error) => return Err(error),
        }
        client.pause().await;
    }
}

/// Rejects messages one by one; some go back first.
pub(super) async fn reject(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let (channel, mut consumer) = client.consumer(&connection, 100).await?;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let requeue = client.random.random_ratio(1, 8);
        if !requeue && let Some(number) = client.number(&delivery) {
            client.ledger.settles(client.work.name(), &[number]);
        }
        channel.basic_nack(delivery.delivery_tag, BasicNackOptions { multiple: false, requeue }).await?;
    }
    Ok(())
}

/// Several consumers on one connection, each with a prefetch of its own; they acknowledge one by one.
pub(super) async fn share(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let mut consumers = Vec::new();
    for prefetch in PREFETCHES {
        let (channel, consumer) = client.consumer(&connection, prefetch).await?;
        consumers.push(consumer.map(move |delivery| (channel.clone(), delivery)));
    }
    let mut deliveries = select_all(consumers);
    while let Some((channel, delivery)) = deliveries.next().await {
        let delivery = delivery?;
        if let Some(number) = client.number(&delivery) {
            client.ledger.settles(client.work.name(), &[number]);
        }
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
        if client.random.random_ratio(1, 50) {
            client.pause().await;
        }
    }
    Ok(())
}
