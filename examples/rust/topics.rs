//! Topics: a topic exchange matches routing keys of several words against patterns.
//!
//! A word is what is between dots; * stands for exactly one word, # for any number of words, none included.

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, Result};

const EXCHANGE: &str = "example.animals";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, FieldTable::default()).await?;

    let mut queues = Vec::new();
    for pattern in ["*.brown.*", "*.*.rabbit", "lazy.#"] {
        let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
        let (name, options) = (queue.name().clone(), QueueBindOptions::default());
        channel.queue_bind(name.clone(), EXCHANGE.into(), pattern.into(), options, FieldTable::default()).await?;
        queues.push((pattern, name));
    }

    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for key in ["quick.brown.rabbit", "lazy.brown.hare", "lazy.white.rabbit", "lazy", "quick.red.fox"] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish(EXCHANGE.into(), key.into(), options, b"", properties).await?.await?;
    }

    for (pattern, queue) in queues {
        let keys = routing_keys(&channel, queue).await?;
        println!("{pattern:12} matches {}", keys.join(", "));
        assert!(!keys.is_empty(), "{pattern} matches nothing");
    }
    channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

async fn routing_keys(channel: &Channel, queue: ShortString) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    while let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await? {
        keys.push(message.routing_key.to_string());
    }
    Ok(keys)
}
