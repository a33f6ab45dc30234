//! Work queue: tasks are shared out among workers, and a task is done when its worker says so.
//!
//! The queue is durable and the messages persistent: both survive a restart of the broker. With a prefetch of 1 a worker
//! gets its next task when it has acknowledged the last one, so a slow worker does not hold tasks back.

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const TASKS: usize = 6;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let queue = "example.tasks";
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default()).await?;

    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for number in 0..TASKS {
        let body = format!("task {number}");
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        // The second await is the confirm: the broker has the message on disk.
        channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), persistent).await?.await?;
    }
    println!("published {TASKS} tasks");

    let (done, mut finished) = mpsc::channel(TASKS);
    let mut workers = JoinSet::new();
    for name in ["worker 1", "worker 2"] {
        workers.spawn(work(name, connection.create_channel().await?, queue, done.clone()));
    }
    for _ in 0..TASKS {
        finished.recv().await;
    }
    // Without their queue the workers' consumers end, and so do they.
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    workers.join_all().await.into_iter().collect::<Result<()>>()?;
    connection.close(200, "done".into()).await?;
    println!("all tasks are done");
    Ok(())
}

/// A worker on a channel of its own; in real life, a process of its own.
async fn work(name: &str, channel: lapin::Channel, queue: &str, done: mpsc::Sender<()>) -> Result<()> {
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut tasks = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    while let Some(task) = tasks.next().await.transpose()? {
        println!("{name}: {}", String::from_utf8_lossy(&task.data));
        task.ack(BasicAckOptions::default()).await?;
        // The receiver is gone once all tasks are done.
        let _ = done.send(()).await;
    }
    channel.close(200, "done".into()).await
}
