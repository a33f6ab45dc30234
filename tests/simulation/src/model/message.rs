//! A message as the model knows it, and what its deaths write on it.

use std::{fmt, sync::Arc};

use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::queue::{ConsumerId, DeadLetterReason, Position};

use crate::plan::{GROUP_HEADER, Headers, Name, USUAL_GROUP_HEADER};

/// What does not change while a message lies in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// The number that its publisher gave it; the copies that routing and dead-lettering make share it.
    pub(crate) root: u64,
    /// The copies it was made from, oldest first.
    pub(crate) ancestors: Vec<u64>,
    /// The length of its body.
    pub(crate) bytes: u64,
    /// It was never in a queue that does not keep it over a restart: a confirm is about this copy too.
    pub(crate) is_promised: bool,
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// The priority property.
    pub(crate) priority: u8,
    /// When it came into the queue, in milliseconds since the Unix epoch.
    pub(crate) timestamp_ms: u64,
    /// The expiration property.
    pub(crate) expiration_ms: Option<u64>,
    /// The exchange it was published to.
    pub(crate) exchange: Name,
    /// Its routing key.
    pub(crate) key: Name,
    /// The header CC.
    pub(crate) copies: Vec<Name>,
    /// The header BCC, which nobody gets to see. Gone when the message was routed.
    pub(crate) blind_copies: Vec<Name>,
    /// Its group, in each header and property that may name it.
    pub(crate) group: Option<u8>,
    /// The header x-delay; less than zero when that time is over.
    pub(crate) delay_ms: Option<i64>,
    /// Other headers.
    pub(crate) headers: Headers,
    /// Newest first.
    pub(crate) deaths: Vec<Death>,
    /// The oldest death ever.
    pub(crate) first_death: Option<Death>,
}

/// A copy of a message in a queue, and what has become of it there.
#[derive(Clone)]
pub(crate) struct Message {
    /// Unique in a run.
    pub(crate) copy: u64,
    /// See there.
    pub(crate) content: Arc<Content>,
    /// Its place in the order of arrival; the same for those of which it is not known.
    pub(crate) rank: u64,
    /// Where the broker has it, once that was seen.
    pub(crate) place: Option<Position>,
    /// Not with a consumer.
    pub(crate) is_ready: bool,
    /// With whom it is, or was last; `None` is basic.get.
    pub(crate) holder: Option<ConsumerId>,
    /// It was with a consumer at some time.
    pub(crate) was_delivered: bool,
    /// It may be marked as redelivered although it was not.
    pub(crate) may_seem_delivered: bool,
    /// Counted attempts (`x-delivery-count`).
    pub(crate) attempts: u32,
    /// Counted returns (`x-acquired-count`).
    pub(crate) returns: u32,
    /// It came back and is not to be tried again before this time.
    pub(crate) waits_until_ms: Option<u64>,
}

impl Message {
    /// With somebody, or on the way there.
    pub(crate) fn is_held(&self) -> bool {
        !self.is_ready && self.waits_until_ms.is_none()
    }
}

/// An entry of `x-death`.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    queue: Name,
    reason: DeadLetterReason,
    count: i64,
    time_s: u64,
    exchange: Name,
    keys: Vec<Name>,
    expiration_ms: Option<u64>,
}

impl Content {
    /// When its own time is over or that of the queue; `None` is never.
    pub(crate) fn due_ms(&self, ttl_ms: Option<u64>) -> Option<u64> {
        let lifetime_ms = self.expiration_ms.into_iter().chain(ttl_ms).min()?;
        Some(self.timestamp_ms + lifetime_ms)
    }

    /// For how long an exchange would hold it back.
    pub(crate) fn held_ms(&self) -> Option<u64> {
        self.delay_ms.and_then(|delay_ms| u64::try_from(delay_ms).ok()).filter(|delay_ms| *delay_ms > 0)
    }

    /// The message as it goes on from the exchange that held it back.
    pub(crate) fn released(&self, copy: u64, now_ms: u64) -> Self {
        let mut next = self.clone();
        next.ancestors.push(copy);
        next.delay_ms = self.delay_ms.map(|delay_ms| -delay_ms);
        next.timestamp_ms = now_ms;
        next
    }

    /// All routing keys.
    pub(crate) fn keys(&self) -> Vec<&str> {
        std::iter::once(&self.key).chain(&self.copies).chain(&self.blind_copies).map(|key| &**key).collect()
    }

    /// The message as it leaves a queue for the dead-letter exchange.
    pub(crate) fn died(&self, copy: u64, queue: &Name, reason: DeadLetterReason, now_ms: u64) -> Self {
        let mut next = self.clone();
        let earlier = next.deaths.iter().position(|death| death.queue == *queue && death.reason == reason);
        let death = match earlier.map(|place| next.deaths.remove(place)) {
            Some(death) => Death { count: death.count + 1, ..death },
            None => Death {
                queue: Arc::clone(queue),
                reason,
                count: 1,
                time_s: now_ms / 1000,
                exchange: Arc::clone(&self.exchange),
                keys: std::iter::once(&self.key).chain(&self.copies).cloned().collect(),
                expiration_ms: self.expiration_ms,
            },
        };
        let last = Death { exchange: Arc::clone(&self.exchange), ..death.clone() };
        next.first_death.get_or_insert(last);
        next.deaths.insert(0, death);
        next.ancestors.push(copy);
        next.expiration_ms = None;
        next.blind_copies.clear();
        next.timestamp_ms = now_ms;
        next
    }

    /// Whether it died in `queue` and nobody has rejected it since: it would go round for ever.
    pub(crate) fn goes_round(&self, queue: &str) -> bool {
        let since_rejection = self.deaths.iter().take_while(|death| death.reason != DeadLetterReason::Rejected);
        since_rejection.into_iter().any(|death| *death.queue == *queue)
    }

    /// The headers that say neither where it goes to nor where it comes from.
    pub(crate) fn own_headers(&self) -> FieldTable {
        let mut headers = FieldTable::new();
        for (name, value) in &self.headers {
            headers.insert(&**name, *value);
        }
        if let Some(group) = self.group {
            headers.insert(GROUP_HEADER, i64::from(group));
            headers.insert(USUAL_GROUP_HEADER, text(&group.to_string()));
        }
        if let Some(delay_ms) = self.delay_ms {
            // The broker writes it shorter than it was.
            let delay = if delay_ms < 0 { FieldValue::I32(delay_ms as i32) } else { FieldValue::I64(delay_ms) };
            headers.insert("x-delay", delay);
        }
        headers
    }

    /// The headers that it should be delivered with. Those that tell of the last death are left out: they say nothing
    /// that the first entry of `x-death` does not.
    pub(crate) fn headers(&self) -> FieldTable {
        let mut headers = self.own_headers();
        if !self.copies.is_empty() {
            headers.insert("CC", texts(&self.copies));
        }
        if let Some(first) = &self.first_death {
            headers.insert("x-death", FieldValue::Array(self.deaths.iter().map(Death::table).collect()));
            headers.insert("x-first-death-queue", text(&first.queue));
            headers.insert("x-first-death-reason", text(first.reason.as_str()));
            headers.insert("x-first-death-exchange", text(&first.exchange));
        }
        headers
    }
}

impl Death {
    fn table(&self) -> FieldValue {
        let mut table = FieldTable::new()
            .with("count", FieldValue::I64(self.count))
            .with("reason", text(self.reason.as_str()))
            .with("queue", text(&self.queue))
            .with("time", FieldValue::Timestamp(self.time_s))
            .with("exchange", text(&self.exchange))
            .with("routing-keys", texts(&self.keys));
        if let Some(expiration_ms) = self.expiration_ms {
            table.insert("original-expiration", text(&expiration_ms.to_string()));
        }
        FieldValue::Table(table)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copy, content, place, is_ready, waits_until_ms, .. } = self;
        let state = match waits_until_ms {
            _ if *is_ready => "ready",
            None => "unacked",
            Some(_) => "waiting",
        };
        let place = place.map_or("an unknown place".to_owned(), |place| format!("{}:{}", place.level, place.seq));
        write!(formatter, "message {} (copy {copy}, priority {}, {state} at {place})", content.root, content.priority)
    }
}

/// A long string.
pub(crate) fn text(text: &str) -> FieldValue {
    FieldValue::LongString(text.as_bytes().to_vec())
}

/// An array of long strings.
pub(crate) fn texts(names: &[Name]) -> FieldValue {
    FieldValue::Array(names.iter().map(|name| text(name)).collect())
}
