//! Persistent messages, each routed to several durable queues and confirmed.

use lapin::ExchangeKind;
use leveret_tests::{Broker, Client, numbers};

use super::{Findings, Scene};

#[derive(Clone)]
pub(in crate::contract) struct ConfirmedMessages {
    exchange: String,
    queues: Vec<String>,
    /// Messages with lower numbers were confirmed.
    confirmed: u32,
}

impl Scene for ConfirmedMessages {
    async fn prepare(broker: &Broker) -> Self {
        let client = broker.client().await;
        let exchange = client.exchange(ExchangeKind::Fanout, []).await;
        let mut queues = Vec::new();
        for _ in 0..3 {
            let queue = client.queue([]).await;
            client.bind(&queue, &exchange, "", []).await;
            queues.push(queue);
        }
        Self { exchange, queues, confirmed: 0 }
    }

    async fn promise(&mut self, broker: &Broker) {
        let body = self.confirmed.to_string();
        broker.client().await.publish(&self.exchange, "", Client::persistent(), &[body.as_bytes()]).await;
        self.confirmed += 1;
    }

    async fn look(&self, broker: &Broker) -> Findings {
        let (client, mut findings) = (broker.client().await, Findings::default());
        let mut found = Vec::new();
        for queue in &self.queues {
            found.push(numbers(&client.drain(queue).await));
        }
        let count = found[0].len() as u32;
        let is_beginning = found.iter().all(|found| found.iter().copied().eq(0..count));
        findings.wrong_unless(is_beginning, || format!("in some queues only, doubled or out of order: {found:?}"));
        findings.broken_unless(count >= self.confirmed, || format!("{count} of {} are there", self.confirmed));
        findings
    }
}
