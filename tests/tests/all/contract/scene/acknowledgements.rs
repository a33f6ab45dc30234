//! Acknowledgements, of which most were followed by an answer that covers them.

use lapin::options::BasicAckOptions;
use leveret_tests::{Broker, Client};

use super::{Findings, Scene, wait_for_commit};

const COUNT: u32 = 40;

#[derive(Clone)]
pub(in crate::contract) struct Acknowledgements {
    queue: String,
    /// Messages with lower numbers were acknowledged, and something was answered after that.
    settled: u32,
    /// Messages with lower numbers were acknowledged. The next one was delivered before that answer, and went back.
    acknowledged: u32,
}

impl Acknowledgements {
    /// Messages that are there after a fault though they had been acknowledged, with nothing answered after that.
    pub(in crate::contract) async fn came_back(&self, broker: &Broker) -> usize {
        let messages = broker.client().await.drain(&self.queue).await;
        messages.iter().filter(|message| (self.settled..self.acknowledged).contains(&message.number())).count()
    }
}

impl Scene for Acknowledgements {
    async fn prepare(broker: &Broker) -> Self {
        let client = broker.client().await;
        let queue = client.queue([]).await;
        client.publish_numbers(&queue, 0..COUNT).await;
        Self { queue, settled: 0, acknowledged: 0 }
    }

    async fn promise(&mut self, broker: &Broker) {
        let client = broker.client().await;
        let (channel, mut consumer) = client.consume(&self.queue, 4).await;
        let messages = Client::take(&mut consumer, 4).await;
        messages[1].ack(BasicAckOptions { multiple: true }).await.unwrap();
        wait_for_commit(&channel).await;
        messages[2].ack(BasicAckOptions::default()).await.unwrap();
        client.connection.close(200, "done".into()).await.unwrap();
        self.settled = messages[1].number() + 1;
        self.acknowledged = messages[2].number() + 1;
    }

    async fn look(&self, broker: &Broker) -> Findings {
        let (messages, mut findings) = (broker.client().await.drain(&self.queue).await, Findings::default());
        let found = leveret_tests::numbers(&messages);
        findings.wrong_unless(found.is_sorted_by(|one, next| one < next), || format!("out of order: {found:?}"));
        let unsettled = found.iter().copied().filter(|number| *number >= self.acknowledged);
        findings.wrong_unless(unsettled.eq(self.acknowledged..COUNT), || format!("lost or doubled: {found:?}"));
        let back = found.iter().filter(|number| **number < self.settled).count();
        findings.broken_unless(back == 0, || format!("{back} are back"));
        let is_marked = messages.iter().filter(|message| message.number() <= self.acknowledged);
        let unmarked = is_marked.filter(|message| !message.redelivered).count();
        findings.broken_unless(unmarked == 0, || format!("{unmarked} were delivered and are not marked"));
        findings
    }
}
