//! Publishing: with confirms, and in transactions.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, PublisherConfirm, Result};
use leveret_tests::table;
use rand::RngExt;

use super::{Client, connect};

/// Unconfirmed messages that a publisher may have.
const WINDOW: usize = 200;
/// Between two messages of a publisher that has sent enough.
const TRICKLE: Duration = Duration::from_millis(10);

/// What a message says: its work and number, and something that shows whether it is whole.
pub(crate) fn body(work: &str, number: u32, bytes: usize) -> Vec<u8> {
    let mut body = format!("{work} {number} {bytes} ").into_bytes();
    body.resize(body.len() + bytes, filler(number));
    body
}

/// The number of a message of this work, where it is whole.
pub(crate) fn number(work: &str, body: &[u8]) -> Option<u32> {
    let mut parts = body.splitn(4, |&byte| byte == b' ');
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let (name, number) = (text()?, text()?.parse().ok()?);
    let bytes: usize = text()?.parse().ok()?;
    let rest = parts.next()?;
    let is_whole = name == work && rest.len() == bytes && rest.iter().all(|&byte| byte == filler(number));
    is_whole.then_some(number)
}

fn filler(number: u32) -> u8 {
    (number % 251) as u8
}

/// A message about to be published.
struct Message {
    number: u32,
    body: Vec<u8>,
    properties: BasicProperties,
}

impl Client {
    /// The next message; none when it has published enough.
    async fn next_message(&mut self, is_persistent: bool) -> Option<Message> {
        let bytes = self.next_bytes().await?;
        let number = self.next_number;
        self.next_number += self.work.publishers();
        self.ledger.sends(self.work.name(), number, is_persistent);
        let mut properties = BasicProperties::default().with_delivery_mode(if is_persistent { 2 } else { 1 });
        properties = properties.with_priority(self.work.priority(number));
        if let Some(expiration_ms) = self.work.expiration_ms(number) {
            properties = properties.with_expiration(expiration_ms.to_string().into());
        }
        if let Some(delay_ms) = self.work.delay_ms(number) {
            properties = properties.with_headers(table([("x-delay", AMQPValue::LongUInt(delay_ms))]));
        }
        Some(Message { number, body: body(self.work.name(), number, bytes), properties })
    }

    async fn next_bytes(&mut self) -> Option<usize> {
        if self.stop.load(Relaxed) {
            return None;
        }
        let bytes = self.random.random_range(0..=self.plan.body_bytes_max);
        let messages = self.plan.messages_max.checked_sub(1);
        if let (Some(messages), Some(rest)) = (messages, self.plan.published_bytes_max.checked_sub(bytes)) {
            (self.plan.messages_max, self.plan.published_bytes_max) = (messages, rest);
            return Some(bytes);
        }
        if !self.plan.is_endless {
            return None;
        }
        tokio::time::sleep(TRICKLE).await;
        Some(bytes)
    }

    /// Whether it is time for a pause.
    fn is_tired(&mut self) -> bool {
        if self.burst == 0 {
            self.burst = self.random.random_range(1..=self.plan.burst_max);
            return true;
        }
        self.burst -= 1;
        false
    }

    async fn confirmed(&self, number: u32, confirm: PublisherConfirm) -> Result<()> {
        if confirm.await?.is_ack() {
            self.ledger.confirmed(self.work.name(), number);
        }
        Ok(())
    }
}

/// Publishes to the work's address, with confirms.
pub(super) async fn confirmed(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (exchange, key) = client.work.address();
    let mut waiting = VecDeque::new();
    loop {
        let is_persistent = client.random.random_bool(client.plan.persistent);
        let Some(message) = client.next_message(is_persistent).await else { break };
        let options = BasicPublishOptions::default();
        let sent =
            channel.basic_publish(exchange.into(), key.into(), options, &message.body, message.properties).await?;
        waiting.push_back((message.number, sent));
        if waiting.len() >= WINDOW
            && let Some((number, confirm)) = waiting.pop_front()
        {
            client.confirmed(number, confirm).await?;
        }
        if client.is_tired() {
            for (number, confirm) in waiting.drain(..) {
                client.confirmed(number, confirm).await?;
            }
            client.pause().await;
        }
    }
    for (number, confirm) in waiting {
        client.confirmed(number, confirm).await?;
    }
    Ok(())
}

/// Publishes each message to both queues, a few in a transaction.
pub(super) async fn in_pairs(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    channel.tx_select().await?;
    loop {
        let mut numbers = Vec::new();
        for _ in 0..client.random.random_range(1..5) {
            let Some(message) = client.next_message(true).await else { return Ok(()) };
            for &queue in client.work.queues() {
                let (options, properties) = (BasicPublishOptions::default(), message.properties.clone());
                drop(channel.basic_publish("".into(), queue.into(), options, &message.body, properties).await?);
            }
            numbers.push(message.number);
        }
        channel.tx_commit().await?;
        numbers.iter().for_each(|&number| client.ledger.confirmed(client.work.name(), number));
        if client.is_tired() {
            client.pause().await;
        }
    }
}
