//! Transactions that take a message from one queue and publish to two others.

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use leveret_tests::{Broker, Client, numbers, within};

use super::{Findings, Scene};

const COUNT: u32 = 20;

#[derive(Clone)]
pub(in crate::contract) struct Transactions {
    from: String,
    to: [String; 2],
    /// Messages with lower numbers were moved, by tx.commit-ok.
    committed: u32,
}

impl Scene for Transactions {
    async fn prepare(broker: &Broker) -> Self {
        let client = broker.client().await;
        let scene =
            Self { from: client.queue([]).await, to: [client.queue([]).await, client.queue([]).await], committed: 0 };
        client.publish_numbers(&scene.from, 0..COUNT).await;
        scene
    }

    async fn promise(&mut self, broker: &Broker) {
        let channel = broker.client().await.channel;
        channel.tx_select().await.unwrap();
        let got = channel.basic_get(self.from.as_str().into(), BasicGetOptions::default()).await.unwrap().unwrap();
        got.delivery.ack(BasicAckOptions::default()).await.unwrap();
        for queue in &self.to {
            let (options, body) = (BasicPublishOptions::default(), &got.delivery.data);
            let sent = channel.basic_publish("".into(), queue.as_str().into(), options, body, Client::persistent());
            drop(sent.await.unwrap());
        }
        within("tx.commit-ok", channel.tx_commit()).await.unwrap();
        self.committed += 1;
    }

    async fn look(&self, broker: &Broker) -> Findings {
        let (client, mut findings) = (broker.client().await, Findings::default());
        let from = numbers(&client.drain(&self.from).await);
        let to = [numbers(&client.drain(&self.to[0]).await), numbers(&client.drain(&self.to[1]).await)];
        let moved = to[0].len() as u32;
        let is_whole = to.iter().all(|to| to.iter().copied().eq(0..moved)) && from.iter().copied().eq(moved..COUNT);
        findings.wrong_unless(is_whole, || format!("a transaction is there in part: {from:?} and {to:?}"));
        findings.broken_unless(moved >= self.committed, || format!("{moved} of {} are there", self.committed));
        findings
    }
}
