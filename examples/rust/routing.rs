//! Routing: a direct exchange sends a message to the queues that are bound with the message's routing key.
//!
//! Here one queue keeps errors only, and another one takes every severity.

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, Result};

const EXCHANGE: &str = "example.logs";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Direct, options, FieldTable::default()).await?;
    let errors = bound_queue(&channel, &["error"]).await?;
    let everything = bound_queue(&channel, &["info", "warning", "error"]).await?;

    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for severity in ["info", "warning", "error", "info"] {
        let body = format!("a line of severity {severity}");
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish(EXCHANGE.into(), severity.into(), options, body.as_bytes(), properties).await?.await?;
    }

    assert_eq!(print_all(&channel, "errors", &errors).await?, 1);
    assert_eq!(print_all(&channel, "everything", &everything).await?, 4);
    channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

async fn bound_queue(channel: &Channel, keys: &[&str]) -> Result<ShortString> {
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    let name = queue.name().clone();
    for key in keys {
        let options = QueueBindOptions::default();
        channel.queue_bind(name.clone(), EXCHANGE.into(), (*key).into(), options, FieldTable::default()).await?;
    }
    Ok(name)
}

async fn print_all(channel: &Channel, name: &str, queue: &ShortString) -> Result<usize> {
    let mut count = 0;
    while let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await? {
        println!("{name}: [{}] {}", message.routing_key, String::from_utf8_lossy(&message.data));
        count += 1;
    }
    Ok(count)
}
