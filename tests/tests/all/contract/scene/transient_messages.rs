//! Transient messages among persistent ones, and a transient queue.

use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use leveret_tests::{Broker, Client, numbers};

use super::{Findings, Scene};

/// Transient messages have numbers from here on.
const TRANSIENT: u32 = 1000;

#[derive(Clone)]
pub(in crate::contract) struct TransientMessages {
    queue: String,
    transient_queue: String,
    /// Persistent messages with lower numbers were confirmed; as many transient ones were.
    confirmed: u32,
}

impl Scene for TransientMessages {
    async fn prepare(broker: &Broker) -> Self {
        let queue = broker.client().await.queue([]).await;
        Self { queue, transient_queue: Client::name("transient"), confirmed: 0 }
    }

    async fn promise(&mut self, broker: &Broker) {
        let client = broker.client().await;
        let (options, arguments) = (QueueDeclareOptions::default(), FieldTable::default());
        client.declare(&self.transient_queue, options, arguments).await.unwrap();
        let (persistent, transient) = (self.confirmed.to_string(), (TRANSIENT + self.confirmed).to_string());
        client.publish("", &self.queue, BasicProperties::default(), &[transient.as_bytes()]).await;
        client.publish("", &self.transient_queue, Client::persistent(), &[persistent.as_bytes()]).await;
        client.publish("", &self.queue, Client::persistent(), &[persistent.as_bytes()]).await;
        self.confirmed += 1;
    }

    async fn look(&self, broker: &Broker) -> Findings {
        let (client, mut findings) = (broker.client().await, Findings::default());
        findings
            .wrong_unless(!client.has_queue(&self.transient_queue).await, || "a transient queue is back".to_owned());
        let found = numbers(&client.drain(&self.queue).await);
        let count = found.len() as u32;
        findings.wrong_unless(found.iter().copied().eq(0..count), || {
            format!("transient, doubled or out of order: {found:?}")
        });
        findings.broken_unless(count >= self.confirmed, || format!("{count} of {} are there", self.confirmed));
        findings
    }
}
