//! The record of a message: how it lies in a batch, in a queue and in the store.
//!
//! A record is nearly what goes out on the wire again: exchange, routing key and properties are kept as they came, and
//! read through a view where somebody asks. In front stand the few facts that a queue needs of every message, at fixed
//! places. All numbers are little-endian:
//!
//! ```text
//! flags u8 | priority u8 | timestamp_ms u64 | expiration_ms u64 | properties length u32
//! | exchange shortstr | routing key shortstr | properties | body
//! ```
//!
//! Not taken: the delivery count in the record (it would have to be rewritten), an absolute expiry (a queue's TTL
//! counts from the timestamp as well, and `x-death` wants the original expiration).

use leveret_amqp::{Properties, ReplyCode};

use crate::Error;

/// The delivery mode of messages that survive a restart.
pub const PERSISTENT: u8 = 2;

const FLAG_PERSISTENT: u8 = 1;
const FLAG_DEAD_LETTERED: u8 = 2;
const TIMESTAMP: usize = 2;
const EXPIRATION: usize = 10;
const PROPERTIES_LEN: usize = 18;
const EXCHANGE: usize = 22;
/// In place of an expiration, for a message without one.
const NO_EXPIRATION: u64 = u64::MAX;

/// What a record is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Delivery mode 2.
    pub persistent: bool,
    /// Came from a dead-letter exchange of this broker, so that its `x-death` can be trusted.
    pub dead_lettered: bool,
    /// The priority property, 0 where there is none.
    pub priority: u8,
    /// When it was published, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// The expiration property.
    pub expiration_ms: Option<u64>,
    /// Exchange and routing key as two short strings, as on the wire.
    pub exchange_and_key: &'a [u8],
    /// Property flags and list as on the wire.
    pub properties_raw: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

/// Appends a record. `exchange_and_key` must be two well-formed short strings, and the properties shorter than 4 GiB:
/// both are so when they come from frames.
pub fn append_record(buffer: &mut Vec<u8>, record: &NewRecord<'_>) {
    let flags = u8::from(record.persistent) * FLAG_PERSISTENT + u8::from(record.dead_lettered) * FLAG_DEAD_LETTERED;
    let properties_len = u32::try_from(record.properties_raw.len()).unwrap_or(u32::MAX);
    let mut prefix = [0; EXCHANGE];
    prefix[0] = flags;
    prefix[1] = record.priority;
    prefix[TIMESTAMP..EXPIRATION].copy_from_slice(&record.timestamp_ms.to_le_bytes());
    let expiration_ms = record.expiration_ms.unwrap_or(NO_EXPIRATION);
    prefix[EXPIRATION..PROPERTIES_LEN].copy_from_slice(&expiration_ms.to_le_bytes());
    prefix[PROPERTIES_LEN..EXCHANGE].copy_from_slice(&properties_len.to_le_bytes());
    buffer.reserve(EXCHANGE + record.exchange_and_key.len() + record.properties_raw.len() + record.body.len());
    buffer.extend_from_slice(&prefix);
    buffer.extend_from_slice(record.exchange_and_key);
    buffer.extend_from_slice(record.properties_raw);
    buffer.extend_from_slice(record.body);
}

/// A record, read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Delivery mode 2.
    pub persistent: bool,
    /// Came from a dead-letter exchange of this broker.
    pub dead_lettered: bool,
    /// The priority property.
    pub priority: u8,
    /// When it was published, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// The expiration property.
    pub expiration_ms: Option<u64>,
    /// Exchange and routing key as two short strings, as on the wire.
    pub exchange_and_key: &'a [u8],
    /// The exchange's name.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a [u8],
    /// Property flags and list as on the wire.
    pub properties_raw: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// Reads a record; `None` if it is not one.
    #[must_use]
    pub fn parse(record: &'a [u8]) -> Option<Self> {
        let prefix = Prefix::parse(record)?;
        let rest = record.get(EXCHANGE..)?;
        let (exchange, after_exchange) = short_string(rest)?;
        let (routing_key, after_key) = short_string(after_exchange)?;
        let properties_len = usize::try_from(u32_at(record, PROPERTIES_LEN)?).ok()?;
        let (properties_raw, body) = after_key.split_at_checked(properties_len)?;
        Some(Self {
            persistent: prefix.persistent,
            dead_lettered: record[0] & FLAG_DEAD_LETTERED != 0,
            priority: prefix.priority,
            timestamp_ms: prefix.timestamp_ms,
            expiration_ms: (prefix.expiration_ms != NO_EXPIRATION).then_some(prefix.expiration_ms),
            exchange_and_key: &rest[..rest.len() - after_key.len()],
            exchange: std::str::from_utf8(exchange).ok()?,
            routing_key,
            properties_raw,
            body,
        })
    }
}

/// The facts at fixed places, which a queue reads of every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) persistent: bool,
    pub(crate) priority: u8,
    pub(crate) timestamp_ms: u64,
    expiration_ms: u64,
}

impl Prefix {
    #[inline]
    pub(crate) fn parse(record: &[u8]) -> Option<Self> {
        let prefix = record.get(..EXCHANGE)?;
        Some(Self {
            persistent: prefix[0] & FLAG_PERSISTENT != 0,
            priority: prefix[1],
            timestamp_ms: u64_at(prefix, TIMESTAMP)?,
            expiration_ms: u64_at(prefix, EXPIRATION)?,
        })
    }

    /// When the message's own expiration ends it; `u64::MAX` where it has none.
    #[inline]
    pub(crate) fn due_ms(self) -> u64 {
        self.timestamp_ms.saturating_add(self.expiration_ms)
    }
}

/// The length of a record's body, which is what length limits count; 0 for what is not a record.
#[inline]
pub(crate) fn body_len(record: &[u8]) -> u64 {
    let lengths = || {
        let exchange_len = usize::from(*record.get(EXCHANGE)?);
        let key_len = usize::from(*record.get(EXCHANGE + 1 + exchange_len)?);
        let properties_len = usize::try_from(u32_at(record, PROPERTIES_LEN)?).ok()?;
        record.len().checked_sub(EXCHANGE + 2 + exchange_len + key_len + properties_len)
    };
    lengths().map_or(0, |len| len as u64)
}

/// The expiration property in milliseconds.
///
/// # Errors
/// 406 with RabbitMQ's text if it is not a whole number that is at least 0. A number beyond 2^32 - 1, which RabbitMQ
/// refuses, is taken.
pub fn expiration_ms(properties: &Properties<'_>) -> Result<Option<u64>, Error> {
    let Some(text) = properties.expiration else { return Ok(None) };
    let text = String::from_utf8_lossy(text);
    match parse_expiration(&text) {
        Ok(expiration_ms) => Ok(Some(expiration_ms)),
        Err(reason) => Err(Error::new(ReplyCode::PreconditionFailed, format!("invalid expiration '{text}': {reason}"))),
    }
}

/// As Erlang's `string:to_integer/1` and RabbitMQ's check of its result see it, reasons included.
fn parse_expiration(text: &str) -> Result<u64, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits_len = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, leftover) = unsigned.split_at(digits_len);
    if digits.is_empty() {
        return Err("no_integer".to_owned());
    }
    if !leftover.is_empty() {
        return Err(format!("{{leftover_string,\"{leftover}\"}}"));
    }
    if text.starts_with('-') && digits.bytes().any(|digit| digit != b'0') {
        return Err(format!("{{value_negative,-{digits}}}"));
    }
    digits.parse().map_err(|_| format!("{{value_too_big,{digits}}}"))
}

fn short_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sample() -> NewRecord<'static> {
        NewRecord {
            persistent: true,
            dead_lettered: false,
            priority: 7,
            timestamp_ms: 1_000,
            expiration_ms: Some(250),
            exchange_and_key: b"\x02ex\x03key",
            properties_raw: &[0, 0],
            body: b"hello",
        }
    }

    fn encoded(record: &NewRecord<'_>) -> Vec<u8> {
        let mut buffer = Vec::new();
        append_record(&mut buffer, record);
        buffer
    }

    #[test]
    fn a_record_reads_back() {
        let buffer = encoded(&sample());
        let view = RecordView::parse(&buffer).unwrap();
        assert!(view.persistent && !view.dead_lettered);
        assert_eq!((view.priority, view.timestamp_ms, view.expiration_ms), (7, 1_000, Some(250)));
        assert_eq!((view.exchange, view.routing_key), ("ex", b"key".as_slice()));
        assert_eq!(view.exchange_and_key, b"\x02ex\x03key");
        assert_eq!((view.properties_raw, view.body), ([0, 0].as_slice(), b"hello".as_slice()));
    }

    #[test]
    fn the_prefix_tells_due_time_and_body_length() {
        let buffer = encoded(&sample());
        assert_eq!(Prefix::parse(&buffer).unwrap().due_ms(), 1_250);
        assert_eq!(body_len(&buffer), 5);
        let lasting = encoded(&NewRecord { expiration_ms: None, ..sample() });
        assert_eq!(Prefix::parse(&lasting).unwrap().due_ms(), u64::MAX);
        assert_eq!(RecordView::parse(&lasting).unwrap().expiration_ms, None);
    }

    #[test]
    fn a_cut_record_is_no_record() {
        let buffer = encoded(&sample());
        let end_of_properties = buffer.len() - 5;
        for len in 0..end_of_properties {
            assert_eq!(RecordView::parse(&buffer[..len]), None, "cut at {len}");
            assert_eq!(body_len(&buffer[..len]), 0, "cut at {len}");
        }
    }

    #[test]
    fn expirations_are_judged_as_rabbitmq_does() {
        assert_eq!(parse_expiration("0"), Ok(0));
        assert_eq!(parse_expiration("+60000"), Ok(60_000));
        assert_eq!(parse_expiration("99999999999"), Ok(99_999_999_999));
        assert_eq!(parse_expiration("abc"), Err("no_integer".to_owned()));
        assert_eq!(parse_expiration(""), Err("no_integer".to_owned()));
        assert_eq!(parse_expiration("12x"), Err("{leftover_string,\"x\"}".to_owned()));
        assert_eq!(parse_expiration("-5"), Err("{value_negative,-5}".to_owned()));
    }
}
