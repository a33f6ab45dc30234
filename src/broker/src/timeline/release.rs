//! What is due goes on: from its exchange to queues, as if it came in just now.

use std::sync::atomic::Ordering::Relaxed;

use leveret_amqp::{OwnedProperties, Properties};

use super::{Timeline, state::Taken};
use crate::{Error, Publisher, Turn, message::RecordView, publisher::Publish, routing::Sender};

/// Messages sent on in one turn, and their bytes; others come in between.
const BATCH_COUNT_MAX: usize = 1024;
pub(super) const BATCH_BYTES_MAX: usize = 1 << 20;

/// Messages sent on in one turn, however short memory is: somebody may be waiting for them who frees it.
const BATCH_COUNT_MIN: usize = 16;

/// Between two turns while memory is short. What is sent on is in memory until it is written.
pub(super) const PAUSE_MS: u64 = 5;

/// How many messages may be sent on in one turn; `slack` is
/// [`Broker::message_memory_slack`](crate::Broker::message_memory_slack).
pub(super) fn batch_count(slack: f64) -> usize {
    ((BATCH_COUNT_MAX as f64 * slack) as usize).max(BATCH_COUNT_MIN)
}

/// How long the next turn has to wait.
pub(super) fn pause_ms(slack: f64) -> u64 {
    if slack < 1.0 { PAUSE_MS } else { 0 }
}

/// Why a message that is due cannot go on.
#[derive(Debug, thiserror::Error)]
enum Stranded {
    #[error("its record cannot be read")]
    Record,
    #[error("its properties cannot be read: {0}")]
    Properties(#[from] leveret_amqp::WireError),
    #[error("{0}")]
    Routing(#[from] Error),
}

impl Timeline {
    /// Routes messages that have left, in order. What no queue takes is counted, and logged once for all of them.
    pub(super) fn release(&self, turn: &mut Turn<'_>, due: &[Taken]) {
        let Some(vhost) = turn.broker.vhost(&self.vhost).filter(|_| !due.is_empty()) else { return };
        let mut publisher = Publisher::from(Sender::Hold, vhost);
        let mut unroutable = 0;
        for (tag, taken) in (1..).zip(due) {
            self.totals.lateness.count(turn.now_ms.saturating_sub(taken.slot.due_ms), 1);
            match self.send_on(turn, &mut publisher, taken, tag) {
                Ok(true) => {}
                Ok(false) => unroutable += 1,
                Err(reason) => {
                    unroutable += 1;
                    tracing::debug!(exchange = %self.exchange, vhost = %self.vhost, %reason, "delayed message dropped");
                }
            }
        }
        unroutable += publisher.flush(turn).len() as u64;
        if unroutable > 0 {
            self.totals.unroutable.fetch_add(unroutable, Relaxed);
            tracing::warn!(
                exchange = %self.exchange, vhost = %self.vhost, count = unroutable,
                "no queue took messages that were due; an alternate exchange would have got those without a route"
            );
        }
    }

    /// Whether a queue takes it.
    fn send_on(
        &self,
        turn: &mut Turn<'_>,
        publisher: &mut Publisher,
        taken: &Taken,
        tag: u64,
    ) -> Result<bool, Stranded> {
        let record = RecordView::parse(taken.records.record(taken.index as usize)).ok_or(Stranded::Record)?;
        let mut properties = OwnedProperties::try_from(&Properties::parse(record.properties_raw)?)?;
        if let (Some(hold), Some(headers)) = (&self.hold, &mut properties.headers) {
            hold.released(headers);
        }
        let properties_raw = properties.to_raw();
        let publish = Publish {
            exchange_and_key: record.exchange_and_key,
            // Where it goes on, which is not where it came in where one exchange led to the other.
            exchange: &self.exchange,
            routing_key: record.routing_key,
            properties: &Properties::parse(&properties_raw)?,
            properties_raw: &properties_raw,
            body: record.body,
            dead_lettered: record.dead_lettered,
        };
        Ok(publisher.publish(turn, &publish, tag)?.routed)
    }
}
