//! Rejected messages that go from one queue to two others.

use lapin::ExchangeKind;
use lapin::options::{BasicGetOptions, BasicRejectOptions};
use lapin::types::AMQPValue;
use leveret_tests::{Broker, numbers};

use super::{Findings, Scene, wait_for_commit};

const COUNT: u32 = 20;

#[derive(Clone)]
pub(in crate::contract) struct DeadLetters {
    from: String,
    to: [String; 2],
    /// Messages with lower numbers were rejected, and something was answered after that.
    moved: u32,
}

impl Scene for DeadLetters {
    async fn prepare(broker: &Broker) -> Self {
        let client = broker.client().await;
        let to = [client.queue([]).await, client.queue([]).await];
        let exchange = client.exchange(ExchangeKind::Fanout, []).await;
        for queue in &to {
            client.bind(queue, &exchange, "", []).await;
        }
        let from = client.queue([("x-dead-letter-exchange", AMQPValue::LongString(exchange.as_str().into()))]).await;
        client.publish_numbers(&from, 0..COUNT).await;
        Self { from, to, moved: 0 }
    }

    async fn promise(&mut self, broker: &Broker) {
        let channel = broker.client().await.channel;
        let got = channel.basic_get(self.from.as_str().into(), BasicGetOptions::default()).await.unwrap().unwrap();
        got.delivery.reject(BasicRejectOptions { requeue: false }).await.unwrap();
        wait_for_commit(&channel).await;
        self.moved += 1;
    }

    async fn look(&self, broker: &Broker) -> Findings {
        let (client, mut findings) = (broker.client().await, Findings::default());
        let from = numbers(&client.drain(&self.from).await);
        let to = [numbers(&client.drain(&self.to[0]).await), numbers(&client.drain(&self.to[1]).await)];
        let moved = to[0].len() as u32;
        let is_whole = to.iter().all(|to| to.iter().copied().eq(0..moved)) && from.iter().copied().eq(moved..COUNT);
        findings.wrong_unless(is_whole, || format!("lost, doubled or moved in part: {from:?} and {to:?}"));
        findings.broken_unless(moved >= self.moved, || format!("{moved} of {} were moved", self.moved));
        findings
    }
}
