//! Deliveries that a client has kept too long.
//!
//! A consumer that forgot a message must not keep it from others for ever. Where the client can be told that a
//! consumer is cancelled, that consumer ends and its messages go back; otherwise the channel ends, as RabbitMQ has it.

use std::sync::Arc;

use leveret_amqp::basic;
use leveret_broker::{
    Error,
    queue::{ConsumerId, Outcome},
};

use super::{Channel, consumers::Consumer, settle::Origin, unacked::Entry};
use crate::step::Step;

impl Channel {
    /// Ends consumers that have kept a delivery for longer than they may.
    ///
    /// # Errors
    /// 406 where only the channel's end gets the delivery back.
    pub(crate) fn tick(&mut self, now_ms: u64, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.method = (0, 0);
        while let Some((consumer, timeout_ms)) = self.overdue(now_ms, step) {
            let cancellable = consumer.filter(|_| step.session.capabilities.consumer_cancel_notify);
            match cancellable.and_then(|id| self.consumers.remove(id)) {
                Some(consumer) => self.cancel_overdue(&consumer, step),
                None => return Err(self.timed_out(timeout_ms)),
            }
        }
        Ok(())
    }

    /// Whose delivery is overdue, and after how long it was.
    fn overdue(&self, now_ms: u64, step: &Step<'_, '_>) -> Option<(Option<ConsumerId>, u64)> {
        let default_ms = step.session.limits.consumer_timeout_ms;
        let default = Some(default_ms).filter(|timeout_ms| *timeout_ms > 0);
        let shortest_ms = [default, self.consumers.shortest_timeout_ms()].into_iter().flatten().min()?;
        let timeout_of = |entry: &Entry<Arc<Origin>>| {
            let consumer = entry.origin.consumer.and_then(|id| self.consumers.get(id));
            consumer.map_or(default_ms, |consumer| consumer.timeout_ms)
        };
        let is_overdue = |entry: &Entry<Arc<Origin>>| {
            let timeout_ms = timeout_of(entry);
            timeout_ms > 0 && entry.delivered_ms.saturating_add(timeout_ms) <= now_ms
        };
        let entry = self.unacked.overdue(now_ms.saturating_sub(shortest_ms), is_overdue)?;
        Some((entry.origin.consumer, timeout_of(entry)))
    }

    fn cancel_overdue(&mut self, consumer: &Consumer, step: &mut Step<'_, '_>) {
        tracing::warn!(
            queue = %consumer.origin.queue.name,
            consumer = %consumer.tag,
            timeout_ms = consumer.timeout_ms,
            "consumer cancelled: it has not settled a delivery in time"
        );
        consumer.origin.queue.cancel(step.turn, consumer.id);
        self.tell_consumer_deleted(step.turn, consumer);
        self.notify_cancelled(&consumer.tag, step);
        let entries = self.unacked.take_back(|origin| origin.consumer == Some(consumer.id));
        self.settle_entries(entries, Outcome::Requeue { count_attempt: false }, step.turn);
        self.hand_over(step.turn);
    }

    /// Tells the client that the server has cancelled a consumer.
    pub(super) fn notify_cancelled(&self, tag: &str, step: &mut Step<'_, '_>) {
        self.count_consumers();
        let cancel = basic::Cancel { consumer_tag: tag, no_wait: true };
        self.reply(cancel, step);
    }

    fn timed_out(&self, timeout_ms: u64) -> Error {
        let channel = self.id.number;
        Error::precondition_failed(format!(
            "delivery acknowledgement on channel {channel} timed out. Timeout value used: {timeout_ms} ms. This timeout \
             value can be configured, see consumers doc guide to learn more"
        ))
    }
}
