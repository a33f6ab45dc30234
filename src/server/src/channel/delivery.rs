//! Messages on their way to the client: delivery tags, the outbox, and what is remembered until they are settled.

use std::{borrow::Cow, sync::Arc};

use leveret_amqp::{FieldValue, OwnedProperties};
use leveret_broker::{
    Turn,
    message::RecordView,
    queue::{Deliveries, DeliveryRun, Outcome},
};

use super::{Channel, consumers::Consumer, stats, unacked::Entry};
use crate::{mail::Mail, session::Session, step::Step};

/// Window bytes that may be charged to the outbox in one go: fewer entries there, at the price of giving back later.
const CHARGE_BYTES: u64 = 16 * 1024;

/// The header that tells how often trying the message has failed before.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// The header that tells how often the message was handed out before, whatever became of that.
const ACQUIRED_COUNT: &str = "x-acquired-count";

/// Returns deliveries whose channel is gone to their queue, and their bytes to the connection's window.
pub(crate) fn give_back(deliveries: Deliveries, session: &Session, turn: &mut Turn<'_>) {
    let Deliveries { queue, consumer, runs } = deliveries;
    let bytes = runs.iter().map(DeliveryRun::bytes_len).sum();
    let runs = runs.iter().map(DeliveryRun::run).collect();
    queue.settle(turn, Some(consumer), runs, Outcome::Undelivered);
    if session.outbox_window.give(bytes) {
        session.mailbox.send(Mail::Resume);
    }
}

impl Channel {
    /// Sends deliveries to the client.
    pub(crate) fn deliver(&mut self, deliveries: Deliveries, step: &mut Step<'_, '_>) {
        let Some(consumer) = self.consumers.get(deliveries.consumer).cloned() else {
            return self.give_back(deliveries, step);
        };
        for run in deliveries.runs {
            self.deliver_run(&run, &consumer, step);
        }
        stats::set(&self.stats.unacked, self.unacked.len());
    }

    /// The properties to send: as they came, except that a queue which counts returns tells of them.
    pub(super) fn properties_out<'r>(run: &DeliveryRun, record: &RecordView<'r>) -> Cow<'r, [u8]> {
        let unchanged = Cow::Borrowed(record.properties_raw);
        if run.acquired_count == 0 {
            return unchanged;
        }
        let Ok(mut properties) = OwnedProperties::decode(record.properties_raw) else { return unchanged };
        let headers = properties.headers.get_or_insert_default();
        for (name, count) in [(DELIVERY_COUNT, run.delivery_count), (ACQUIRED_COUNT, run.acquired_count)] {
            if count > 0 {
                headers.insert(name, FieldValue::I64(i64::from(count)));
            }
        }
        Cow::Owned(properties.to_raw())
    }

    fn deliver_run(&mut self, run: &DeliveryRun, consumer: &Consumer, step: &mut Step<'_, '_>) {
        let first_tag = self.last_delivery_tag + 1;
        self.last_delivery_tag += u64::from(run.count);
        let mut uncharged = 0;
        for index in 0..run.count {
            self.encode(run, index, first_tag + u64::from(index), consumer, step);
            uncharged += run.record(index).len() as u64;
            if uncharged >= CHARGE_BYTES || index + 1 == run.count {
                step.outbox.charge(std::mem::take(&mut uncharged));
            }
        }
        if !consumer.no_ack {
            self.unacked.push(Entry {
                first_tag,
                run: run.run(),
                origin: Arc::clone(&consumer.origin),
                delivered_ms: step.turn.now_ms,
            });
        }
        self.count_delivered(run, consumer.no_ack);
    }

    fn encode(&self, run: &DeliveryRun, index: u32, tag: u64, consumer: &Consumer, step: &mut Step<'_, '_>) {
        let Some(record) = RecordView::parse(run.record(index)) else {
            // The tag is used up all the same: tags and places stay in step.
            tracing::error!(queue = %consumer.origin.queue.name, "a message cannot be read and is not delivered");
            return;
        };
        let channel = self.id.number;
        let properties = Self::properties_out(run, &record);
        step.outbox.deliver(channel, consumer.tag.as_bytes(), tag, run.redelivered, record.exchange_and_key);
        step.outbox.content(channel, &properties, record.body, || body_of(run, index, record.body.len()));
    }

    fn count_delivered(&self, run: &DeliveryRun, no_ack: bool) {
        let counter = if no_ack { &self.stats.delivered_no_ack } else { &self.stats.delivered };
        stats::count(counter, u64::from(run.count));
        if run.redelivered {
            stats::count(&self.stats.redelivered, u64::from(run.count));
        }
    }

    /// Only consumers that acknowledge lose deliveries in this way: others are cancelled by the client alone, behind
    /// whose deliveries the marker comes that removes them.
    fn give_back(&mut self, deliveries: Deliveries, step: &mut Step<'_, '_>) {
        let count = deliveries.runs.iter().map(|run| u64::from(run.count)).sum();
        give_back(deliveries, step.session, step.turn);
        if self.window.give(count) {
            self.resume(step.turn);
        }
    }
}

/// The body, which is the end of the record, as a view of the buffer that owns it.
pub(super) fn body_of(run: &DeliveryRun, index: u32, body_len: usize) -> bytes::Bytes {
    let record = run.slice(index);
    record.slice(record.len() - body_len..)
}
