//! Consumers and basic.get: how messages are asked for.

use std::sync::{Arc, atomic::Ordering};

use leveret_amqp::{ReplyCode, basic, split_exchange_and_key};
use leveret_broker::{
    Error,
    access::{Permission, Resource},
    arguments::validate_consumer_arguments,
    message::RecordView,
    queue::{CancelReason, ConsumerId, Got, NewConsumer, NewConsumerState, Outlet, Queue},
};

use super::{Channel, consumers::Consumer, delivery, names, queue, reply_to, settle::Origin, stats, unacked::Entry};
use crate::{mail::Mail, session::Session, step::Step};

impl Channel {
    /// Prefetch: of consumers to come, or with `global` of the whole channel, those that consume already included.
    pub(super) fn qos(&mut self, qos: &basic::Qos, step: &mut Step<'_, '_>) -> Result<(), Error> {
        if qos.prefetch_size != 0 {
            let text = format!("prefetch_size!=0 ({})", qos.prefetch_size);
            return Err(Error::new(ReplyCode::NotImplemented, text));
        }
        let count = u32::from(qos.prefetch_count);
        if qos.global {
            self.stats.global_prefetch.store(count, Ordering::Relaxed);
            if self.window.resize(window_limit(count, step.session.limits.unacked_per_channel_max)) {
                self.resume(step.turn);
            }
        } else {
            self.prefetch = qos.prefetch_count;
            self.stats.prefetch.store(count, Ordering::Relaxed);
        }
        self.reply(basic::QosOk, step);
        Ok(())
    }

    pub(super) fn consume(&mut self, consume: &basic::Consume<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.check_consumer(consume, step.session)?;
        let tag: Arc<str> = match consume.consumer_tag {
            "" => names::unique("amq.ctag-").into(),
            tag => tag.into(),
        };
        if consume.queue == reply_to::REPLY_TO {
            self.consume_replies(consume, &tag, step)?;
        } else {
            self.consume_queue(consume, &tag, step)?;
        }
        self.count_consumers();
        if !consume.no_wait {
            self.reply(basic::ConsumeOk { consumer_tag: &tag }, step);
        }
        Ok(())
    }

    /// Cancels a consumer. Deliveries may be under way to this channel: cancel-ok follows them, by a marker sent after
    /// them through the same mailbox.
    pub(super) fn cancel(&mut self, cancel: &basic::Cancel<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let tag = cancel.consumer_tag;
        if self.is_reply_consumer(tag) {
            self.drop_reply_consumer();
        } else if let Some(consumer) = self.consumers.begin_cancel(tag, !cancel.no_wait) {
            let consumer = consumer.clone();
            consumer.origin.queue.cancel(step.turn, consumer.id);
            self.tell_consumer_deleted(step.turn, &consumer);
            step.session.mailbox.send(Mail::CancelOk { channel: self.id, consumer: consumer.id });
            self.count_consumers();
            return Ok(());
        }
        self.count_consumers();
        if !cancel.no_wait {
            self.reply(basic::CancelOk { consumer_tag: tag }, step);
        }
        Ok(())
    }

    /// Everything that was under way for a consumer that the client has cancelled has been delivered.
    pub(crate) fn cancel_ok(&mut self, consumer: ConsumerId, step: &mut Step<'_, '_>) {
        let Some(consumer) = self.consumers.remove(consumer) else { return };
        if consumer.cancel_reply == Some(true) {
            self.reply(basic::CancelOk { consumer_tag: &consumer.tag }, step);
        }
    }

    /// A queue has dropped a consumer, after everything it delivered to it.
    pub(crate) fn cancelled(&mut self, consumer: ConsumerId, reason: CancelReason, step: &mut Step<'_, '_>) {
        // One that the client has just cancelled itself is about to get its cancel-ok.
        if self.consumers.get(consumer).is_none_or(|consumer| consumer.cancel_reply.is_some()) {
            return;
        }
        let Some(consumer) = self.consumers.remove(consumer) else { return };
        tracing::debug!(consumer = %consumer.tag, queue = %consumer.origin.queue.name, ?reason, "consumer cancelled");
        self.tell_consumer_deleted(step.turn, &consumer);
        self.count_consumers();
        if step.session.capabilities.consumer_cancel_notify {
            self.notify_cancelled(&consumer.tag, step);
        }
    }

    pub(super) fn get(&mut self, get: &basic::Get<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let queue = self.readable_queue(get.queue, step)?;
        self.check_unacked(get.no_ack, step.session)?;
        match queue.get(step.turn, get.no_ack)? {
            Some(got) => self.get_ok(&queue, &got, get.no_ack, step),
            None => {
                self.reply(basic::GetEmpty, step);
                Ok(())
            }
        }
    }

    /// Publishes the number of consumers.
    pub(super) fn count_consumers(&self) {
        let count = self.consumers.len() + usize::from(self.reply_consumer.is_some());
        self.stats.consumers.store(u32::try_from(count).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// The queue of that name, or the one declared last, where the user may read it.
    pub(super) fn readable_queue(&mut self, name: &str, step: &Step<'_, '_>) -> Result<Arc<Queue>, Error> {
        let name = self.queue_name(name)?;
        self.permissions.check(step.session, Permission::Read, Resource::Queue(&name))?;
        step.session.vhost.queue(&name, step.session.connection_id)
    }

    fn consume_queue(
        &mut self,
        consume: &basic::Consume<'_>,
        tag: &Arc<str>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Error> {
        let queue = self.readable_queue(consume.queue, step)?;
        let session = step.session;
        let arguments = validate_consumer_arguments(&consume.arguments, queue.kind, &queue.vhost, &queue.name)?;
        let id = session.broker.next_id();
        let terms = NewConsumerState {
            id,
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            priority: arguments.priority,
            prefetch: u32::from(self.prefetch),
            windows: vec![Arc::clone(&self.window)],
            outbox: Arc::clone(&session.outbox_window),
        };
        let new = NewConsumer {
            terms,
            outlet: Arc::clone(&self.outlet) as Arc<dyn Outlet>,
            tag: Arc::clone(tag),
            arguments: consume.arguments.clone(),
        };
        let timeout_ms = arguments.timeout_ms.unwrap_or(session.limits.consumer_timeout_ms);
        queue.consume(step.turn, new)?;
        let consumer = Consumer {
            id,
            tag: Arc::clone(tag),
            origin: Arc::new(Origin { queue, consumer: Some(id) }),
            no_ack: consume.no_ack,
            timeout_ms,
            cancel_reply: None,
        };
        self.tell_consumer_created(step.turn, &consumer, consume);
        self.consumers.insert(consumer);
        Ok(())
    }

    fn check_consumer(&self, consume: &basic::Consume<'_>, session: &Session) -> Result<(), Error> {
        let limit = session.limits.consumers_per_channel_max;
        let count = self.consumers.len() + usize::from(self.reply_consumer.is_some());
        if limit > 0 && count >= limit as usize {
            let text = format!("reached maximum ({limit}) of consumers per channel");
            return Err(Error::new(ReplyCode::NotAllowed, text));
        }
        let tag = consume.consumer_tag;
        if self.consumers.has_tag(tag) || self.is_reply_consumer(tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Error::new(ReplyCode::NotAllowed, text));
        }
        Ok(())
    }

    /// basic.get is not held back by any prefetch, so it has to be refused where too much is unsettled.
    fn check_unacked(&self, no_ack: bool, session: &Session) -> Result<(), Error> {
        let limit = u64::from(session.limits.unacked_per_channel_max);
        if no_ack || limit == 0 || self.unacked.len() < limit {
            return Ok(());
        }
        let text = format!("reached maximum ({limit}) of unacknowledged deliveries per channel");
        Err(Error::precondition_failed(text))
    }

    fn get_ok(&mut self, queue: &Arc<Queue>, got: &Got, no_ack: bool, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let unreadable = || Error::new(ReplyCode::InternalError, "a message cannot be read");
        let record = RecordView::parse(got.run.record(0)).ok_or_else(unreadable)?;
        self.last_delivery_tag += 1;
        let (exchange, routing_key) = split_exchange_and_key(record.exchange_and_key)?;
        let method = basic::GetOk {
            delivery_tag: self.last_delivery_tag,
            redelivered: got.run.redelivered,
            exchange,
            routing_key,
            message_count: queue::wire_count(got.remaining),
        };
        self.reply(method, step);
        let properties = Self::properties_out(&got.run, &record);
        let shared = || delivery::body_of(&got.run, 0, record.body.len());
        step.outbox.content(self.id.number, &properties, record.body, shared);
        self.remember_got(queue, got, no_ack, step.turn.now_ms);
        Ok(())
    }

    fn remember_got(&mut self, queue: &Arc<Queue>, got: &Got, no_ack: bool, delivered_ms: u64) {
        stats::count(&self.stats.got, 1);
        stats::count(&self.stats.redelivered, u64::from(got.run.redelivered));
        if no_ack {
            return;
        }
        self.unacked.push(Entry {
            first_tag: self.last_delivery_tag,
            run: got.run.run(),
            origin: Arc::new(Origin { queue: Arc::clone(queue), consumer: None }),
            delivered_ms,
        });
        stats::set(&self.stats.unacked, self.unacked.len());
    }
}

/// The smaller of two limits, of which 0 is none.
fn window_limit(prefetch: u32, unacked_max: u32) -> u64 {
    let limits = [prefetch, unacked_max].into_iter().filter(|limit| *limit > 0);
    u64::from(limits.min().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_holds() {
        assert_eq!(window_limit(0, 0), 0);
        assert_eq!(window_limit(10, 0), 10);
        assert_eq!(window_limit(0, 100), 100);
        assert_eq!(window_limit(10, 100), 10);
        assert_eq!(window_limit(1000, 100), 100);
    }
}
