//! Publisher confirms: the broker says when a message is safe, and what became of one that is not.
//!
//! A confirm for a persistent message in a durable queue means that the message is on disk. A message that is published
//! as mandatory and reaches no queue comes back; one that a queue refuses (here: it is full) is answered with a nack.

use futures_util::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut limits = FieldTable::default();
    limits.insert("x-max-length".into(), AMQPValue::LongInt(3));
    limits.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    channel.queue_declare("example.orders".into(), QueueDeclareOptions::durable(), limits).await?;

    // All are sent before the first confirm is waited for.
    let mut sent = Vec::new();
    for number in 0..4 {
        sent.push(publish(&channel, "example.orders", &format!("order {number}")).await?);
    }
    let confirmations = try_join_all(sent).await?;
    for (number, confirmation) in confirmations.iter().enumerate() {
        println!("order {number} is {}", if confirmation.is_ack() { "on disk" } else { "refused: the queue is full" });
    }
    let taken: Vec<bool> = confirmations.iter().map(Confirmation::is_ack).collect();
    assert_eq!(taken, [true, true, true, false]);

    let confirmation = publish(&channel, "example.nowhere", "order 4").await?.await?;
    let returned = confirmation.take_message().expect("no queue has that name");
    println!("{} comes back: {}", String::from_utf8_lossy(&returned.delivery.data), returned.reply_text);

    channel.queue_delete("example.orders".into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

async fn publish(channel: &Channel, queue: &str, text: &str) -> Result<PublisherConfirm> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let persistent = BasicProperties::default().with_delivery_mode(2);
    channel.basic_publish("".into(), queue.into(), options, text.as_bytes(), persistent).await
}
