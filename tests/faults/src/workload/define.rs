//! Changing definitions.

use lapin::Result;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use super::{Client, connect};

/// More would only make the check slow.
const QUEUES_MAX: u32 = 60;
const EXCLUSIVE_MAX: u32 = 10;

/// Declares queues one after the other, and deletes every third one again a little later.
pub(super) async fn declare_and_delete(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    let first = client.ledger.definitions().len() as u32;
    for number in first..first + QUEUES_MAX {
        let name = |number: u32| format!("defined.{number}");
        let queue = name(number);
        client.ledger.declares(&queue);
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await?;
        client.ledger.define(&queue, |definition, now| definition.declared_ns = now);
        if let Some(old) = number.checked_sub(5).filter(|old| old % 3 == 0 && *old >= first) {
            let queue = name(old);
            client.ledger.define(&queue, |definition, now| definition.deleting_ns = now);
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
            client.ledger.define(&queue, |definition, now| definition.deleted_ns = now);
        }
        client.pause().await;
    }
    Ok(())
}

/// Declares queues that must go with their connection, however that ends, and keeps it.
pub(super) async fn declare_exclusive(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    for number in 0..EXCLUSIVE_MAX {
        let queue = format!("exclusive.{number}");
        client.ledger.declares_exclusive(&queue);
        let options = QueueDeclareOptions { durable: true, exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await?;
    }
    std::future::pending().await
}
