//! Consuming: acknowledging in transactions or not, taking back, rejecting.

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer, Result};
use rand::RngExt;

use super::publish::number;
use super::{Client, connect};

/// Deliveries settled together.
const BATCH: usize = 20;

impl Client {
    async fn consume(&self) -> Result<(Connection, Channel, Consumer)> {
        let connection = connect(&self.uri).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(100, BasicQosOptions::default()).await?;
        let (queue, arguments) = (self.work.queues()[0], FieldTable::default());
        let consumer = channel.basic_consume(queue.into(), "".into(), Default::default(), arguments).await?;
        Ok((connection, channel, consumer))
    }

    fn number(&self, delivery: &Delivery) -> Option<u32> {
        let number = number(self.work.name(), &delivery.data);
        if number.is_none() {
            self.ledger.unexpected(format!("{}: a message that was never published was delivered", self.work.name()));
        }
        number
    }
}

/// Takes batches: most are acknowledged, some go back.
pub(super) async fn acknowledge(client: &mut Client) -> Result<()> {
    let (_connection, channel, mut consumer) = client.consume().await?;
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
    }
    Ok(())
}

/// Rejects messages one by one; some go back first.
pub(super) async fn reject(client: &mut Client) -> Result<()> {
    let (_connection, channel, mut consumer) = client.consume().await?;
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
