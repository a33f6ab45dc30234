//! Emptying a queue under its clients.

use std::time::Duration;

use lapin::Result;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions};
use rand::RngExt;

use super::{Client, connect};
use crate::ledger::Emptying;

/// Purges the queue, or deletes it and declares it again, every now and then.
pub(super) async fn purge_and_delete(client: &mut Client) -> Result<()> {
    let connection = connect(&client.uri).await?;
    let channel = connection.create_channel().await?;
    let queue = client.work.queues()[0];
    loop {
        tokio::time::sleep(Duration::from_millis(client.random.random_range(10..300))).await;
        if client.random.random() {
            client.ledger.empties(queue, Emptying::Purge);
            channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
        } else {
            client.ledger.empties(queue, Emptying::Delete);
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
            let arguments = client.work.arguments(queue);
            channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
        }
        client.ledger.emptied(queue);
    }
}
