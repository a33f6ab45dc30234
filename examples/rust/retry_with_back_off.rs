//! Retry with back-off: a job that fails comes back later each time, and is put aside after four attempts.
//!
//! The broker does all of it: the job waits in its place in the queue, on disk, and takes nothing of the worker's prefetch.
//! The header x-delivery-count says how often it failed. Needs Leveret.

use std::time::Instant;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Result};

const MAILS: &str = "example.mails";
const FAILED: &str = "example.mails.failed";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), MAILS.into(), options, b"mail", persistent).await?.await?;

    let begin = Instant::now();
    let options = BasicConsumeOptions::default();
    let mut mails = channel.basic_consume(MAILS.into(), "".into(), options, FieldTable::default()).await?;
    for expected in 0..4 {
        let mail = mails.next().await.expect("the mail")?;
        println!("after {} ms: attempt {} fails", begin.elapsed().as_millis(), expected + 1);
        assert_eq!(failures(&mail), expected);
        mail.reject(BasicRejectOptions { requeue: true }).await?;
    }

    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut aside = channel.basic_consume(FAILED.into(), "".into(), options, FieldTable::default()).await?;
    let mail = aside.next().await.expect("the mail, put aside")?;
    println!("put aside: {}", String::from_utf8_lossy(&mail.data));
    for queue in [MAILS, FAILED] {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await
}

async fn declare(channel: &Channel) -> Result<()> {
    let text = |value: &str| AMQPValue::LongString(value.into());
    let mut retries = FieldTable::default();
    // What is rejected with requeue, or was with a worker that died.
    retries.insert("x-delayed-retry-type".into(), text("failed"));
    // After 100 ms, then 200, 400 ...
    retries.insert("x-delayed-retry-min".into(), AMQPValue::LongInt(100));
    retries.insert("x-delayed-retry-mode".into(), text("exponential"));
    retries.insert("x-delivery-limit".into(), AMQPValue::LongInt(3));
    retries.insert("x-dead-letter-exchange".into(), text(""));
    retries.insert("x-dead-letter-routing-key".into(), text(FAILED));
    for (queue, arguments) in [(FAILED, FieldTable::default()), (MAILS, retries)] {
        channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    }
    Ok(())
}

/// How often the message failed before.
fn failures(mail: &Delivery) -> i64 {
    let headers = mail.properties.headers().as_ref();
    headers.and_then(|headers| headers.inner().get("x-delivery-count")?.as_long_long_int()).unwrap_or(0)
}
