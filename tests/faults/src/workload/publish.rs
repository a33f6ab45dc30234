//! Publishing: with confirms, and in transactions.

use std::collections::VecDeque;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Result};
use rand::RngExt;

use super::{Client, connect};

/// Unconfirmed messages that a publisher may have.
const WINDOW: usize = 200;

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

impl Client {
    /// A message about to be published.
    fn message(&self, number: u32, is_persistent: bool, bytes: usize) -> (Vec<u8>, BasicProperties) {
        self.ledger.sends(self.work.name(), number, is_persistent);
        let properties = BasicProperties::default().with_delivery_mode(if is_persistent { 2 } else { 1 });
        (body(self.work.name(), number, bytes), properties)
    }

    /// The size of the next message; none when it has published enough.
    fn next_bytes(&mut self) -> Option<usize> {
        let bytes = self.random.random_range(0..=self.plan.body_bytes_max);
        self.plan.messages_max = self.plan.messages_max.checked_sub(1)?;
        self.plan.published_bytes_max = self.plan.published_bytes_max.checked_sub(bytes)?;
        Some(bytes)
    }

    fn first_number(&self) -> u32 {
        self.ledger.messages(self.work.name()).last_key_value().map_or(0, |(&last, _)| last + 1)
    }
}

/// Publishes to the first queue, with confirms.
pub(super) async fn confirmed(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let queue = client.work.queues()[0];
    let mut waiting = VecDeque::new();
    let mut number = client.first_number();
    while let Some(bytes) = client.next_bytes() {
        let is_persistent = client.random.random_bool(client.plan.persistent);
        let (body, properties) = client.message(number, is_persistent, bytes);
        let options = BasicPublishOptions::default();
        let confirm = channel.basic_publish("".into(), queue.into(), options, &body, properties).await?;
        waiting.push_back((number, confirm));
        number += 1;
        if waiting.len() >= WINDOW
            && let Some((number, confirm)) = waiting.pop_front()
        {
            note(client, number, &confirm.await?);
        }
    }
    for (number, confirm) in waiting {
        note(client, number, &confirm.await?);
    }
    Ok(())
}

fn note(client: &Client, number: u32, confirmation: &Confirmation) {
    if confirmation.is_ack() {
        client.ledger.confirmed(client.work.name(), number);
    }
}

/// Publishes each message to both queues, a few in a transaction.
pub(super) async fn in_pairs(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    channel.tx_select().await?;
    let work = client.work;
    let mut number = client.first_number();
    loop {
        let first = number;
        for _ in 0..client.random.random_range(1..5) {
            let Some(bytes) = client.next_bytes() else { return Ok(()) };
            let (body, properties) = client.message(number, true, bytes);
            for &queue in work.queues() {
                let options = BasicPublishOptions::default();
                let sent = channel.basic_publish("".into(), queue.into(), options, &body, properties.clone());
                drop(sent.await?);
            }
            number += 1;
        }
        channel.tx_commit().await?;
        (first..number).for_each(|number| client.ledger.confirmed(work.name(), number));
    }
}
