//! Delayed messages: an exchange holds each message back until its time, and then routes it as it would have before.
//!
//! The header x-delay says how many milliseconds from now, x-deliver-at says when. What waits is on disk when it is
//! confirmed. Needs Leveret, or RabbitMQ's delayed-message plugin for x-delay.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, Result};

const LATER: &str = "example.later";
const REMINDERS: &str = "example.reminders";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;

    let begin = Instant::now();
    publish(&channel, "in half a second", Some(("x-delay", 500))).await?;
    publish(&channel, "in 200 ms", Some(("x-delay", 200))).await?;
    publish(&channel, "at once", None).await?;
    publish(&channel, "at a time", Some(("x-deliver-at", now_ms() + 350))).await?;

    let options = BasicConsumeOptions::default();
    let mut reminders = channel.basic_consume(REMINDERS.into(), "".into(), options, FieldTable::default()).await?;
    for expected in ["at once", "in 200 ms", "at a time", "in half a second"] {
        let reminder = reminders.next().await.expect("a reminder")?;
        println!("after {} ms: {}", begin.elapsed().as_millis(), String::from_utf8_lossy(&reminder.data));
        reminder.ack(BasicAckOptions::default()).await?;
        assert_eq!(reminder.data, expected.as_bytes());
    }
    channel.queue_delete(REMINDERS.into(), QueueDeleteOptions::default()).await?;
    channel.exchange_delete(LATER.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

async fn declare(channel: &Channel) -> Result<()> {
    let mut delayed = FieldTable::default();
    delayed.insert("x-delayed-type".into(), AMQPValue::LongString("direct".into()));
    let kind = ExchangeKind::Custom("x-delayed-message".to_owned());
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(LATER.into(), kind, durable, delayed).await?;
    let none = FieldTable::default();
    channel.queue_declare(REMINDERS.into(), QueueDeclareOptions::durable(), none.clone()).await?;
    channel.queue_bind(REMINDERS.into(), LATER.into(), "reminders".into(), QueueBindOptions::default(), none).await
}

async fn publish(channel: &Channel, text: &str, header: Option<(&str, i64)>) -> Result<()> {
    let mut headers = FieldTable::default();
    if let Some((name, value)) = header {
        headers.insert(name.into(), AMQPValue::LongLongInt(value));
    }
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    let options = BasicPublishOptions::default();
    channel.basic_publish(LATER.into(), "reminders".into(), options, text.as_bytes(), properties).await?.await?;
    Ok(())
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    i64::try_from(since.as_millis()).expect("a time within 63 bits")
}
