//! A delivery as it was seen.

use std::fmt;

use leveret_amqp::{OwnedProperties, Properties};
use leveret_broker::{
    message::{self, RecordView},
    queue::{ConsumerId, DeliveryRun, Position},
};
use leveret_store::Records;

use super::message::Message;

/// One message that was handed out.
#[derive(Clone)]
pub(crate) struct Seen {
    /// To whom; `None` is basic.get.
    pub(crate) consumer: Option<ConsumerId>,
    /// Its place in the queue.
    pub(crate) place: Position,
    redelivered: bool,
    attempts: u32,
    returns: u32,
    records: Records,
    index: usize,
}

impl Seen {
    /// The messages of a run.
    pub(crate) fn all(consumer: Option<ConsumerId>, run: &DeliveryRun) -> impl Iterator<Item = Self> + '_ {
        (0..run.count).map(move |index| Self {
            consumer,
            place: Position { level: run.position.level, seq: run.position.seq + u64::from(index) },
            redelivered: run.redelivered,
            attempts: run.delivery_count,
            returns: run.acquired_count,
            records: run.records.clone(),
            index: (run.first + index) as usize,
        })
    }

    fn record(&self) -> Option<RecordView<'_>> {
        RecordView::parse(self.records.record(self.index))
    }

    /// The number that its publisher gave it.
    pub(super) fn root(&self) -> Option<u64> {
        let body = self.record()?.body;
        Some(u64::from_le_bytes(*body.first_chunk()?))
    }

    /// Whether this may be `message`: the same number, and of several with that number the one with this past.
    pub(crate) fn is(&self, message: &Message) -> bool {
        let same_place = message.place.is_none_or(|place| place == self.place);
        same_place && self.root() == Some(message.content.root) && self.check_record(message).is_ok()
            || message.place == Some(self.place)
    }

    /// Compares everything there is with what is expected.
    pub(crate) fn check(&self, message: &Message, level: u8) -> Result<(), String> {
        self.check_record(message)?;
        let was_delivered = message.was_delivered || message.may_seem_delivered && self.redelivered;
        let found = (self.place.level, self.redelivered, self.attempts, self.returns);
        let expected = (level, was_delivered, message.attempts, message.returns);
        equal("level, redelivered, attempts, returns", &found, &expected).map_err(|error| format!("{self:?}: {error}"))
    }

    fn check_record(&self, message: &Message) -> Result<(), String> {
        let content = &*message.content;
        let record = self.record().ok_or("an unreadable record was delivered")?;
        equal("number", &self.root(), &Some(content.root))?;
        equal("body length", &(record.body.len() as u64), &content.bytes)?;
        equal("exchange", &record.exchange, &&*content.exchange)?;
        equal("routing key", &record.routing_key, &content.key.as_bytes())?;
        equal("persistence", &record.persistent, &content.persistent)?;
        equal("priority", &record.priority, &content.priority)?;
        equal("timestamp", &record.timestamp_ms, &content.timestamp_ms)?;
        let properties = OwnedProperties::decode(record.properties_raw).map_err(|error| error.to_string())?;
        let view = Properties::parse(record.properties_raw).map_err(|error| error.to_string())?;
        let expiration_ms = message::expiration_ms(&view).map_err(|error| error.to_string())?;
        equal("expiration", &expiration_ms, &content.expiration_ms)?;
        let mut headers = properties.headers.unwrap_or_default();
        for of_last_death in ["x-last-death-queue", "x-last-death-reason", "x-last-death-exchange"] {
            headers.remove(of_last_death);
        }
        let expected = content.headers();
        match headers.iter().len() == expected.iter().len()
            && expected.iter().all(|(name, value)| headers.get(name) == Some(value))
        {
            true => Ok(()),
            false => Err(format!("headers are {headers:?} and should be {expected:?}")),
        }
    }
}

fn equal<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} and should be {expected:?}")),
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { level, seq } = self.place;
        write!(formatter, "message {:?} at {level}:{seq} for consumer {:?}", self.root().unwrap_or(0), self.consumer)
    }
}
