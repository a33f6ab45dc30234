//! Message groups: workers share a queue, and yet what belongs together is done in order, one after the other.
//!
//! All messages with the same group are with one worker at a time; groups go to different workers beside each other. Needs
//! Leveret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Result};
use tokio::sync::mpsc;

const ORDERS: &str = "example.orders";
const CUSTOMERS: [&str; 3] = ["ann", "bob", "cem"];
const STEPS: [&str; 3] = ["ordered", "paid", "sent"];

/// The customers whose messages are with a worker.
type Held = Arc<Mutex<BTreeSet<String>>>;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut grouped = FieldTable::default();
    grouped.insert("x-message-group-header".into(), AMQPValue::LongString("x-group-id".into()));
    channel.queue_declare(ORDERS.into(), QueueDeclareOptions::durable(), grouped).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    for step in STEPS {
        for customer in CUSTOMERS {
            publish(&channel, customer, step).await?;
        }
    }

    let (held, (sender, mut receiver)) = (Held::default(), mpsc::unbounded_channel());
    for name in ["worker 1", "worker 2"] {
        tokio::spawn(work(name, connection.create_channel().await?, Arc::clone(&held), sender.clone()));
    }
    let mut done = BTreeMap::<String, Vec<String>>::new();
    for _ in 0..CUSTOMERS.len() * STEPS.len() {
        let (customer, step) = receiver.recv().await.expect("workers at work");
        done.entry(customer).or_default().push(step);
    }
    assert!(done.len() == CUSTOMERS.len() && done.values().all(|steps| steps == &STEPS));
    channel.queue_delete(ORDERS.into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

async fn publish(channel: &Channel, customer: &str, step: &str) -> Result<()> {
    let mut headers = FieldTable::default();
    headers.insert("x-group-id".into(), AMQPValue::LongString(customer.into()));
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), ORDERS.into(), options, step.as_bytes(), properties).await?.await?;
    Ok(())
}

/// A worker on a channel of its own; in real life, a process of its own.
async fn work(name: &str, channel: Channel, held: Held, done: mpsc::UnboundedSender<(String, String)>) -> Result<()> {
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut orders = channel.basic_consume(ORDERS.into(), "".into(), options, FieldTable::default()).await?;
    while let Some(order) = orders.next().await.transpose()? {
        let (customer, step) = (group(&order), String::from_utf8_lossy(&order.data).into_owned());
        let is_alone = held.lock().expect("no worker panicked").insert(customer.clone());
        assert!(is_alone, "one worker at a time has a customer's messages");
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("{name}: {customer} {step}");
        held.lock().expect("no worker panicked").remove(&customer);
        // Nobody listens any more once all is done.
        let _ = done.send((customer, step));
        order.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

fn group(order: &Delivery) -> String {
    let headers = order.properties.headers().as_ref();
    let group = headers.and_then(|headers| headers.inner().get("x-group-id")?.as_long_string());
    group.expect("a group").to_string()
}
