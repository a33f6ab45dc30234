//! Dead-lettering: what is written on a message when it dies, and the move to its next queues.
//!
//! The move is part of the turn in which the message left its queue, so that one commit holds both sides: after a crash
//! the message is in the old queue or in the new ones, never in both and never in none.
//!
//! `x-death` follows RabbitMQ 4: one entry for each pair of queue and reason, newest first, with the time of the first
//! death of that pair. Entries that a client sent are not believed: only what this broker wrote counts, which the
//! record's own flag tells.

use std::sync::Arc;

use leveret_amqp::{FieldTable, FieldValue, OwnedProperties, Properties};
use leveret_store::{AWAITED_BY_ALL, RecordsBuilder};

use crate::{
    Turn, VHost,
    message::{self, NewRecord, RecordView},
    queue::{Admission, DeadLetterReason, DeliveryRun, Queue},
    routing::{Routed, Sender},
    timeline::{Held, Kept, Timeline},
};

/// Messages that died together in one queue.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    pub(crate) reason: DeadLetterReason,
    pub(crate) runs: Vec<DeliveryRun>,
}

/// Moves dead letters to the queues that their queue's dead-letter exchange routes them to.
pub(crate) fn deliver(turn: &mut Turn<'_>, source: &Queue, letters: &DeadLetters) {
    let Some(vhost) = turn.broker.vhost(&source.vhost) else { return };
    let settings = source.settings();
    let Some(exchange) = settings.dead_letter_exchange else { return };
    turn.broker.totals().count_dead_letters(letters.reason, letters.runs.iter().map(|run| u64::from(run.count)).sum());
    let address = Address { exchange: &exchange, routing_key: settings.dead_letter_routing_key.as_deref() };
    for run in &letters.runs {
        for index in run.first..run.first + run.count {
            let Some(record) = RecordView::parse(run.records.record(index as usize)) else { continue };
            if let Err(reason) = forward(turn, &vhost, source, letters.reason, &address, &record) {
                tracing::debug!(queue = %source.name, vhost = %source.vhost, exchange = %address.exchange, %reason, "dead letter dropped");
            }
        }
    }
}

/// Where a queue's dead letters go.
struct Address<'a> {
    exchange: &'a str,
    routing_key: Option<&'a str>,
}

/// Why a dead letter ends here.
#[derive(Debug, thiserror::Error)]
enum Dropped {
    #[error("its properties cannot be read: {0}")]
    Properties(#[from] leveret_amqp::WireError),
    #[error("{0}")]
    Routing(#[from] crate::Error),
}

fn forward(
    turn: &mut Turn<'_>,
    vhost: &VHost,
    source: &Queue,
    reason: DeadLetterReason,
    address: &Address<'_>,
    record: &RecordView<'_>,
) -> Result<(), Dropped> {
    let mut properties = OwnedProperties::try_from(&Properties::parse(record.properties_raw)?)?;
    let routing_key = address.routing_key.map_or(record.routing_key, str::as_bytes);
    let mut headers = properties.headers.take().unwrap_or_default();
    let expiration = properties.expiration.take();
    let death = Death {
        reason,
        queue: &source.name,
        exchange: record.exchange,
        routing_keys: routing_keys(record.routing_key, &headers),
        original_expiration: expiration.as_deref(),
        time_s: turn.now_ms / 1000,
    };
    death.write(&mut headers, record.dead_lettered);
    if address.routing_key.is_some() {
        headers.remove("CC");
    }
    properties.headers = Some(headers);
    let mut properties_raw = Vec::new();
    properties.encode(&mut properties_raw);
    let view = Properties::parse(&properties_raw)?;
    let mut routed = vhost.route(Sender::Broker, address.exchange, routing_key, &view, turn.now_ms)?;
    if let Some(headers) = &properties.headers {
        routed.queues.retain(|queue| !is_automatic_cycle(headers, &queue.name));
    }
    enqueue(turn, &routed, record, &address_on_wire(address.exchange, routing_key), &properties_raw);
    Ok(())
}

fn enqueue(
    turn: &mut Turn<'_>,
    routed: &Routed<Arc<Queue>, Arc<Timeline>>,
    record: &RecordView<'_>,
    exchange_and_key: &[u8],
    properties_raw: &[u8],
) {
    if routed.queues.is_empty() && routed.held.is_empty() && routed.kept.is_empty() {
        return;
    }
    let mut builder = RecordsBuilder::new();
    message::append_record(
        builder.buffer(),
        &NewRecord {
            persistent: record.persistent,
            dead_lettered: true,
            priority: record.priority,
            timestamp_ms: turn.now_ms,
            expiration_ms: None,
            exchange_and_key,
            properties_raw,
            body: record.body,
        },
    );
    builder.end_record();
    let records = builder.finish();
    for (timeline, due_ms) in &routed.held {
        timeline.hold(turn, &records, [Held { index: 0, due_ms: *due_ms }], AWAITED_BY_ALL);
    }
    for (timeline, length) in &routed.kept {
        timeline.keep(turn, &records, [Kept { index: 0, length: *length }], AWAITED_BY_ALL);
    }
    for queue in &routed.queues {
        // A queue that refuses a dead letter (reject-publish) loses it, as in RabbitMQ's at-most-once dead-lettering.
        queue.publish(turn, records.clone(), vec![0..1], Admission::Judged, AWAITED_BY_ALL);
    }
}

/// The two short strings of an address as a publish has them on the wire. Both were short strings before.
fn address_on_wire(exchange: &str, routing_key: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(exchange.len() + routing_key.len() + 2);
    for part in [exchange.as_bytes(), routing_key] {
        let part = &part[..part.len().min(usize::from(u8::MAX))];
        wire.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        wire.extend_from_slice(part);
    }
    wire
}

/// The routing key and the CC keys, which the consumer may know; BCC was removed at publish.
fn routing_keys(routing_key: &[u8], headers: &FieldTable) -> Vec<FieldValue> {
    let mut keys = vec![long_string(routing_key)];
    if let Some(FieldValue::Array(carbon_copies)) = headers.get("CC") {
        keys.extend(carbon_copies.iter().cloned());
    }
    keys
}

/// One death of a message.
struct Death<'a> {
    reason: DeadLetterReason,
    queue: &'a str,
    exchange: &'a str,
    routing_keys: Vec<FieldValue>,
    original_expiration: Option<&'a [u8]>,
    time_s: u64,
}

impl Death<'_> {
    /// Writes the death into `headers`. `dead_lettered` says whether the `x-death` found there is this broker's own.
    fn write(self, headers: &mut FieldTable, dead_lettered: bool) {
        let text = |text: &str| long_string(text.as_bytes());
        let known = if dead_lettered { headers.remove("x-death") } else { None };
        let mut deaths = match known {
            Some(FieldValue::Array(deaths)) => deaths,
            _ => Vec::new(),
        };
        for (name, value) in [("reason", self.reason.as_str()), ("queue", self.queue), ("exchange", self.exchange)] {
            let first = format!("x-first-death-{name}");
            if !dead_lettered || !headers.contains(&first) {
                headers.insert(&first, text(value));
            }
            headers.insert(format!("x-last-death-{name}"), text(value));
        }
        let earlier = deaths.iter().position(|death| is_death(death, self.queue, self.reason.as_str()));
        let entry = match earlier.map(|place| deaths.remove(place)) {
            Some(entry) => counted_again(entry),
            None => self.into_entry(),
        };
        deaths.insert(0, entry);
        headers.insert("x-death", FieldValue::Array(deaths));
    }

    fn into_entry(self) -> FieldValue {
        let mut entry = FieldTable::default();
        entry.insert("count", FieldValue::I64(1));
        entry.insert("reason", long_string(self.reason.as_str().as_bytes()));
        entry.insert("queue", long_string(self.queue.as_bytes()));
        entry.insert("time", FieldValue::Timestamp(self.time_s));
        entry.insert("exchange", long_string(self.exchange.as_bytes()));
        entry.insert("routing-keys", FieldValue::Array(self.routing_keys));
        if let Some(expiration) = self.original_expiration {
            entry.insert("original-expiration", long_string(expiration));
        }
        FieldValue::Table(entry)
    }
}

fn long_string(bytes: &[u8]) -> FieldValue {
    FieldValue::LongString(bytes.to_vec())
}

fn is_death(death: &FieldValue, queue: &str, reason: &str) -> bool {
    let FieldValue::Table(entry) = death else { return false };
    let is = |key, expected| entry.get(key).and_then(FieldValue::as_str) == Some(expected);
    is("queue", queue) && is("reason", reason)
}

fn counted_again(entry: FieldValue) -> FieldValue {
    let FieldValue::Table(mut entry) = entry else { return entry };
    let count = entry.get("count").and_then(FieldValue::as_i64).unwrap_or(0);
    entry.insert("count", FieldValue::I64(count.saturating_add(1)));
    FieldValue::Table(entry)
}

/// Whether `queue` is in `x-death` and everything since was automatic: a message that circles without any client's
/// doing would circle for ever. A rejection is somebody's decision and breaks the cycle.
fn is_automatic_cycle(headers: &FieldTable, queue: &str) -> bool {
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { return false };
    for death in deaths {
        let FieldValue::Table(entry) = death else { continue };
        let text = |key| entry.get(key).and_then(FieldValue::as_str);
        if text("reason") == Some(DeadLetterReason::Rejected.as_str()) {
            return false;
        }
        if text("queue") == Some(queue) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use leveret_amqp::OwnedProperties;
    use leveret_store::{SyncMode, simulation};

    use super::*;
    use crate::{Broker, BrokerConfig, Publisher, publisher::Publish, queue::Sizing, vhost::DeclareQueue};

    fn publish(broker: &Broker, vhost: &Arc<VHost>, now_ms: u64, body: &[u8]) {
        let mut turn = broker.turn_at(now_ms);
        let mut publisher = Publisher::new(Arc::clone(vhost));
        let properties_raw = OwnedProperties::default().to_raw();
        let publish = Publish {
            exchange_and_key: b"\0\x06source",
            exchange: "",
            routing_key: b"source",
            properties: &Properties::parse(&properties_raw).unwrap(),
            properties_raw: &properties_raw,
            body,
            dead_lettered: false,
        };
        publisher.publish(&mut turn, &publish, 1).unwrap();
        publisher.flush(&mut turn);
    }

    #[test]
    fn what_dies_in_two_turns_at_once_keeps_its_order() {
        let (store, _steps) = simulation::open(&simulation::Disk::new(), SyncMode::Commit, usize::MAX).unwrap();
        let config = BrokerConfig {
            default_user: "guest".to_owned(),
            default_password: "guest".to_owned(),
            loopback_users: Vec::new(),
            message_memory_bytes: usize::MAX,
        };
        let broker = Broker::open_by_hand(store, &config, Arc::default(), Sizing::default(), 0).unwrap();
        let vhost = broker.vhost("/").unwrap();
        let declare = |name, arguments: &FieldTable| {
            let declare = DeclareQueue { name, durable: true, auto_delete: false, exclusive_to: None, arguments };
            vhost.declare_queue(&mut broker.turn_at(0), &declare).unwrap()
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-message-ttl", FieldValue::I32(100));
        arguments.insert("x-dead-letter-exchange", FieldValue::from(""));
        arguments.insert("x-dead-letter-routing-key", FieldValue::from("target"));
        let (source, target) = (declare("source", &arguments), declare("target", &FieldTable::default()));
        publish(&broker, &vhost, 1, b"first");
        publish(&broker, &vhost, 2, b"second");

        let (mut early, mut late) = (broker.turn_at(101), broker.turn_at(102));
        source.tick(&mut early);
        source.tick(&mut late);
        drop(late);
        drop(early);

        let mut turn = broker.turn_at(103);
        let mut next = || {
            target.get(&mut turn, true).unwrap().map(|got| {
                let record = got.run.records.record(got.run.first as usize);
                RecordView::parse(record).unwrap().body.to_vec()
            })
        };
        assert_eq!([next(), next(), next()], [Some(b"first".to_vec()), Some(b"second".to_vec()), None]);
    }
}
