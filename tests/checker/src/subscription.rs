//! A consumer that writes down all that it gets and settles.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::{
    Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::time::timeout;

use crate::{
    MessageId, body,
    history::{Answer, Operation, Outcome},
    session::Session,
};

/// A consumer of one queue.
pub(crate) struct Subscription<'s> {
    session: &'s Session,
    queue: u32,
    prefetch: u16,
    answer: Answer,
    deliveries: Consumer,
    /// Acknowledged since the last answer.
    unanswered: Vec<MessageId>,
}

/// A delivery that is to be settled.
pub(crate) struct Delivered {
    tag: u64,
    id: Option<MessageId>,
}

impl<'s> Subscription<'s> {
    /// Consumes a queue; `answer` says what is to tell that acknowledgements are done.
    pub(crate) async fn open(session: &'s Session, queue: u32, prefetch: u16, answer: Answer) -> lapin::Result<Self> {
        let channel = &session.channel;
        if answer == Answer::Commit {
            session.answer(channel.tx_select()).await?;
        }
        session.answer(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let name = session.scene.queue(queue);
        let consuming =
            channel.basic_consume(name.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let deliveries = session.answer(consuming).await?;
        Ok(Self { session, queue, prefetch, answer, deliveries, unanswered: Vec::new() })
    }

    /// The next deliveries, as many as there are before none comes for the time of `quiet`.
    pub(crate) async fn take(&mut self, max: usize, quiet: Duration) -> lapin::Result<Vec<Delivered>> {
        let mut taken = Vec::new();
        while taken.len() < max {
            match timeout(quiet, self.deliveries.next()).await {
                Ok(Some(delivery)) => taken.push(self.delivered(&delivery?)),
                Ok(None) => return Err(lapin::ErrorKind::InvalidConnectionState(lapin::ConnectionState::Closed).into()),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    fn delivered(&self, delivery: &Delivery) -> Delivered {
        let id = body::decode(&delivery.data);
        let operation = Operation::Deliver { id, queue: self.queue, redelivered: delivery.redelivered };
        self.session.record(operation, Outcome::Ok);
        Delivered { tag: delivery.delivery_tag, id }
    }

    /// Acknowledges deliveries, one by one or with one method for all that are not settled yet.
    pub(crate) async fn acknowledge(&mut self, deliveries: &[Delivered], multiple: bool) -> lapin::Result<()> {
        for id in deliveries.iter().filter_map(|delivery| delivery.id) {
            self.record_ack(id, Outcome::Started);
            self.unanswered.push(id);
        }
        let skipped = if multiple { deliveries.len().saturating_sub(1) } else { 0 };
        for delivery in &deliveries[skipped..] {
            self.session.channel.basic_ack(delivery.tag, BasicAckOptions { multiple }).await?;
        }
        Ok(())
    }

    /// Gives a delivery back.
    pub(crate) async fn requeue(&self, delivery: &Delivered) -> lapin::Result<()> {
        if let Some(id) = delivery.id {
            self.session.record(Operation::Requeue { id, queue: self.queue }, Outcome::Started);
        }
        let options = BasicNackOptions { multiple: false, requeue: true };
        self.session.channel.basic_nack(delivery.tag, options).await
    }

    /// Waits until it is known that the broker has done what it was told.
    pub(crate) async fn settle(&mut self) -> lapin::Result<()> {
        let channel = &self.session.channel;
        match self.answer {
            Answer::Commit => self.session.answer(channel.tx_commit()).await?,
            Answer::Later => {
                self.session.answer(channel.basic_qos(self.prefetch, BasicQosOptions::default())).await?;
            }
        }
        for id in std::mem::take(&mut self.unanswered) {
            self.record_ack(id, Outcome::Ok);
        }
        Ok(())
    }

    fn record_ack(&self, id: MessageId, outcome: Outcome) {
        self.session.record(Operation::Acknowledge { id, queue: self.queue, answer: self.answer }, outcome);
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        for id in std::mem::take(&mut self.unanswered) {
            self.record_ack(id, Outcome::Unknown);
        }
    }
}
