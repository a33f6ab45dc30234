//! What makes a message a repetition: the arguments of exchanges and queues.

use leveret_amqp::{FieldTable, FieldValue, RawTable, fits_short_string};
use sha2::{Digest, Sha256};

use crate::Error;

const SWITCH: &str = "x-message-deduplication";
const HEADER: &str = "x-deduplication-header";
const SIZE: &str = "x-cache-size";
const TTL: &str = "x-cache-ttl";
const PERSISTENCE: &str = "x-cache-persistence";

/// All arguments, in which a second declaration must agree with the first.
pub(crate) const ARGUMENTS: [&str; 5] = [SWITCH, HEADER, SIZE, TTL, PERSISTENCE];

/// Values that a cache remembers unless it is told how many: LavinMQ's number.
const CACHE_SIZE: u64 = 128;

/// Values that a cache may remember. Each takes about 64 bytes for as long as the exchange or queue lives.
pub const CACHE_SIZE_MAX: u64 = 1_000_000;

/// When a message is a repetition of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The header whose values are compared; messages without it are all different.
    pub header: String,
    /// How many values are remembered; beyond it the oldest is forgotten.
    pub size: usize,
    /// How long a value is remembered, in milliseconds; for ever without. A message's header `x-cache-ttl` goes before it.
    pub ttl_ms: Option<u64>,
    /// Whether what is remembered survives a restart, where the exchange or queue does.
    pub is_kept: bool,
}

impl Rule {
    /// The rule of an exchange or a queue (`kind`) that is declared with these arguments, where they ask for one. Where the
    /// exchange's type is there for nothing else it need not be asked for, but a size must be given, as in RabbitMQ's plugin.
    ///
    /// # Errors
    /// 406 for an argument of the wrong type or value.
    pub fn of(
        arguments: &FieldTable,
        is_by_type: bool,
        kind: &str,
        name: &str,
        vhost: &str,
    ) -> Result<Option<Self>, Error> {
        let invalid = |argument: &str, term: String| Error::invalid_arg(argument, kind, name, vhost, term);
        let wrong_type = |argument: &str, found: &FieldValue| {
            invalid(argument, format!("{{unacceptable_type,{}}}", found.type_name()))
        };
        let is_on = match arguments.get(SWITCH) {
            None => is_by_type,
            Some(found) => found.as_bool().ok_or_else(|| wrong_type(SWITCH, found))? || is_by_type,
        };
        if !is_on {
            return Ok(None);
        }
        let positive = |argument: &str| {
            let Some(found) = arguments.get(argument) else { return Ok(None) };
            let number = found.as_i64().ok_or_else(|| wrong_type(argument, found))?;
            let positive = u64::try_from(number).ok().filter(|number| *number > 0);
            positive.map(Some).ok_or_else(|| invalid(argument, format!("{{value_not_positive,{number}}}")))
        };
        let size = positive(SIZE)?;
        if let Some(size) = size.filter(|size| *size > CACHE_SIZE_MAX) {
            return Err(invalid(SIZE, format!("{{max_value_exceeded,{size}}}")));
        }
        if is_by_type && size.is_none() {
            return Err(invalid(SIZE, "\"a size is required\"".to_owned()));
        }
        let header = match arguments.get(HEADER) {
            None => HEADER.to_owned(),
            Some(found) => match found.as_str().filter(|header| fits_short_string(header.as_bytes())) {
                Some(header) => header.to_owned(),
                None => return Err(wrong_type(HEADER, found)),
            },
        };
        let is_kept = match arguments.get(PERSISTENCE) {
            None => true,
            Some(found) => match found.as_str() {
                Some("disk") => true,
                Some("memory") => false,
                _ => return Err(invalid(PERSISTENCE, "\"expected memory or disk\"".to_owned())),
            },
        };
        let size = usize::try_from(size.unwrap_or(CACHE_SIZE)).unwrap_or(usize::MAX);
        Ok(Some(Self { header, size, ttl_ms: positive(TTL)?, is_kept }))
    }

    /// What stands for a message's value, and until when it is remembered; `None` for a message without one.
    ///
    /// # Errors
    /// 406 for a time that is none.
    pub(super) fn digest(&self, headers: Option<RawTable<'_>>, now_ms: u64) -> Result<Option<(u128, u64)>, Error> {
        let Some(headers) = headers else { return Ok(None) };
        let Some(value) = headers.find(&self.header)? else { return Ok(None) };
        let ttl_ms = match headers.find(TTL)? {
            None => self.ttl_ms,
            Some(found) => Some(of_message(&found)?),
        };
        let until_ms = ttl_ms.map_or(u64::MAX, |ttl_ms| now_ms.saturating_add(ttl_ms));
        Ok(Some((digest(&value), until_ms)))
    }
}

fn of_message(found: &FieldValue) -> Result<u64, Error> {
    let number = found.as_i64().or_else(|| found.as_str()?.trim().parse().ok());
    number.and_then(|ttl_ms| u64::try_from(ttl_ms).ok()).ok_or_else(|| {
        let kind = found.type_name();
        Error::precondition_failed(format!("invalid header '{TTL}' of type '{kind}': it must be milliseconds"))
    })
}

/// Integers of different widths are the same value, as in arguments. Must be the same in all versions.
fn digest(value: &FieldValue) -> u128 {
    let mut bytes = Vec::new();
    match value.as_i64() {
        Some(number) => FieldValue::I64(number).encode(&mut bytes),
        None => value.encode(&mut bytes),
    }
    let digest = Sha256::digest(&bytes);
    digest[..16].iter().fold(0, |digest, byte| digest << 8 | u128::from(*byte))
}
