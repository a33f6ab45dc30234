//! Dead-lettering and retry: a failed job waits a little and is tried again, and is put aside after three attempts.
//!
//! ```text
//! example.jobs --rejected--> example.jobs.retry --expired after 200 ms--> example.jobs
//!              --third attempt failed--> example.jobs.failed
//! ```
//!
//! The header x-death counts how often a message died where; no state is kept by the worker.

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Result};

const JOBS: &str = "example.jobs";
const RETRY: &str = "example.jobs.retry";
const FAILED: &str = "example.jobs.failed";
const ATTEMPTS: i64 = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for job in ["good", "bad"] {
        publish(&channel, JOBS, job.as_bytes()).await?;
    }

    let options = BasicConsumeOptions::default();
    let mut jobs = channel.basic_consume(JOBS.into(), "worker".into(), options, FieldTable::default()).await?;
    let mut settled = 0;
    while settled < 2 {
        let Some(job) = jobs.next().await.transpose()? else { break };
        settled += usize::from(work(&channel, &job).await?);
    }
    drop(jobs);

    let failed = channel.basic_get(FAILED.into(), BasicGetOptions { no_ack: true }).await?;
    assert_eq!(failed.expect("the failed job").data, b"bad");
    for queue in [JOBS, RETRY, FAILED] {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await
}

async fn declare(channel: &Channel) -> Result<()> {
    let dead_letters_to = |queue: &str| {
        let mut arguments = FieldTable::default();
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
        arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(queue.into()));
        arguments
    };
    let mut retry = dead_letters_to(JOBS);
    retry.insert("x-message-ttl".into(), AMQPValue::LongInt(200));
    for (queue, arguments) in [(JOBS, dead_letters_to(RETRY)), (RETRY, retry), (FAILED, FieldTable::default())] {
        channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    }
    Ok(())
}

/// Tries a job; true when it is done with, for good or ill.
async fn work(channel: &Channel, job: &Delivery) -> Result<bool> {
    let (name, attempt) = (String::from_utf8_lossy(&job.data), failures(job) + 1);
    if job.data == b"good" {
        println!("{name}: attempt {attempt} succeeds");
    } else if attempt < ATTEMPTS {
        println!("{name}: attempt {attempt} fails, again later");
        job.reject(BasicRejectOptions { requeue: false }).await?;
        return Ok(false);
    } else {
        println!("{name}: attempt {attempt} fails, put aside");
        // Acknowledged once the copy is safe: at worst there are two, never none.
        publish(channel, FAILED, &job.data).await?;
    }
    job.ack(BasicAckOptions::default()).await?;
    Ok(true)
}

async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Result<()> {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), queue.into(), options, body, persistent).await?.await?;
    Ok(())
}

/// How often this message was rejected from the job queue.
fn failures(job: &Delivery) -> i64 {
    let deaths = job.properties.headers().as_ref().and_then(|headers| headers.inner().get("x-death"));
    let Some(AMQPValue::FieldArray(deaths)) = deaths else { return 0 };
    deaths.as_slice().iter().filter_map(AMQPValue::as_field_table).filter_map(rejections).sum()
}

fn rejections(death: &FieldTable) -> Option<i64> {
    let text = |key: &str| death.inner().get(key).and_then(AMQPValue::as_long_string).map(ToString::to_string);
    let ours = text("queue")? == JOBS && text("reason")? == "rejected";
    ours.then(|| death.inner().get("count").and_then(AMQPValue::as_long_long_int)).flatten()
}
