//! Publish/subscribe: a fanout exchange gives each subscriber its own copy of every message.
//!
//! Each subscriber has a queue of its own, named by the broker and deleted with the subscriber's connection.

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind, Result};

const EXCHANGE: &str = "example.news";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;

    let mut readers = [("first reader", subscribe(&channel).await?), ("second reader", subscribe(&channel).await?)];
    for headline in ["Hares seen at dawn", "Rain in the afternoon"] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish(EXCHANGE.into(), "".into(), options, headline.as_bytes(), properties).await?.await?;
    }
    for (name, reader) in &mut readers {
        for _ in 0..2 {
            if let Some(message) = reader.next().await.transpose()? {
                println!("{name}: {}", String::from_utf8_lossy(&message.data));
            }
        }
    }
    channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    println!("both readers have read both headlines");
    Ok(())
}

async fn subscribe(channel: &Channel) -> Result<Consumer> {
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    let (name, bind) = (queue.name().clone(), QueueBindOptions::default());
    channel.queue_bind(name.clone(), EXCHANGE.into(), "".into(), bind, FieldTable::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(name, "".into(), options, FieldTable::default()).await
}
