//! Arguments of declarations, consumers and messages: validation, equivalence, and what they come to.
//!
//! The rules and texts are RabbitMQ's (`rabbit_amqqueue`, `rabbit_misc`): a known argument of the wrong type or value is
//! refused, an unknown one is kept and has no effect. Values are validated when something is declared for the first
//! time; declaring it again compares only ([`check_equivalent`]), as RabbitMQ does.

mod consumer;
mod equivalence;
mod expiration;
mod keys;
mod value;

use leveret_amqp::{FieldTable, FieldValue};

pub use consumer::{ConsumerArguments, validate_consumer_arguments};
pub use equivalence::{QueueDeclaration, check_equivalent};
pub use expiration::parse_expiration;

use crate::{
    Error,
    policy::effective_settings,
    queue::{GroupKey, GroupProperty, Kind, Settings},
};
use keys::KEYS;

/// Longest time to live or expiry, in milliseconds: ten years, RabbitMQ's limit.
pub const EXPIRY_MS_MAX: u64 = 315_360_000_000;

/// Steps of `x-delayed-retry-steps`: more than anybody writes down, and few enough to keep with each queue.
pub const RETRY_STEPS_MAX: usize = 100;

/// What the arguments of a queue come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueArguments {
    /// `x-queue-type`.
    pub kind: Kind,
    /// `x-max-priority`; `None` where messages have no priority here, also for 0.
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`.
    pub single_active_consumer: bool,
    /// `x-message-group-header` or `x-message-group-property`.
    pub group_key: Option<GroupKey>,
    /// What the arguments alone make of the settings. Policies come on top with
    /// [`effective_settings`](crate::policy::effective_settings).
    pub settings: Settings,
}

/// Checks the arguments of a queue that is declared for the first time.
///
/// # Errors
/// 406: an argument with a value it does not take, of another queue type, or flags that the queue type does not allow.
pub fn validate_queue_arguments(
    arguments: &FieldTable,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    vhost: &str,
    name: &str,
) -> Result<QueueArguments, Error> {
    let kind = check_queue_type(arguments, vhost, name)?;
    check_values(arguments, kind, vhost, name)?;
    for (argument, _) in arguments.iter() {
        if keys::find(argument).is_some_and(|key| !key.is_for(kind)) {
            return Err(not_for_type(argument, type_module(kind), vhost, name));
        }
    }
    if kind == Kind::Quorum {
        check_quorum_flags(durable, exclusive, auto_delete, vhost, name)?;
    }
    Ok(queue_arguments(arguments))
}

/// What valid arguments come to, such as those of a queue from the catalogue.
#[must_use]
pub fn queue_arguments(arguments: &FieldTable) -> QueueArguments {
    let max_priority = arguments.get("x-max-priority").and_then(FieldValue::as_i64);
    QueueArguments {
        kind: queue_kind(arguments),
        max_priority: max_priority.and_then(|levels| u8::try_from(levels).ok()).filter(|levels| *levels > 0),
        single_active_consumer: arguments.get("x-single-active-consumer").and_then(FieldValue::as_bool) == Some(true),
        group_key: group_key(arguments),
        settings: effective_settings(arguments, None, None),
    }
}

fn group_key(arguments: &FieldTable) -> Option<GroupKey> {
    let text = |key| arguments.get(key).and_then(FieldValue::as_str);
    let usual = || arguments.get("x-message-group-header")?.as_bool()?.then_some("x-group-id");
    let header = || Some(GroupKey::Header(text("x-message-group-header").or_else(usual)?.into()));
    let property = || text("x-message-group-property").and_then(GroupProperty::from_name).map(GroupKey::Property);
    header().or_else(property)
}

/// The kind of queue that `x-queue-type` asks for: classic where it is absent or no type.
#[must_use]
pub fn queue_kind(arguments: &FieldTable) -> Kind {
    arguments.get("x-queue-type").and_then(FieldValue::as_str).and_then(Kind::from_name).unwrap_or_default()
}

/// Milliseconds of an age such as `7D` or `12h` (units `Y M D h m s`), as streams and `max-age` have them.
#[must_use]
pub fn max_age_ms(text: &str) -> Option<u64> {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "Y" => 365 * DAY,
        "M" => 30 * DAY,
        "D" => DAY,
        "h" => 3600 * SECOND,
        "m" => 60 * SECOND,
        "s" => SECOND,
        _ => return None,
    };
    number.parse::<u64>().ok().filter(|number| *number > 0)?.checked_mul(unit_ms)
}

/// The name of a queue type in RabbitMQ's texts.
const fn type_module(kind: Kind) -> &'static str {
    match kind {
        Kind::Classic => "rabbit_classic_queue",
        Kind::Quorum => "rabbit_quorum_queue",
    }
}

/// Streams are refused like any type that does not exist.
fn check_queue_type(arguments: &FieldTable, vhost: &str, queue: &str) -> Result<Kind, Error> {
    let Some(found) = arguments.get("x-queue-type") else { return Ok(Kind::default()) };
    let kind = match found {
        FieldValue::LongString(name) => str::from_utf8(name)
            .ok()
            .and_then(Kind::from_name)
            .ok_or_else(|| format!("\"unsupported queue type '{}'\"", String::from_utf8_lossy(name))),
        other => Err(value::unacceptable(other)),
    };
    kind.map_err(|term| Error::invalid_arg("x-queue-type", "queue", queue, vhost, term))
}

fn check_values(arguments: &FieldTable, kind: Kind, vhost: &str, queue: &str) -> Result<(), Error> {
    for key in KEYS.iter().filter(|key| key.is_for(kind)) {
        if let Some(found) = arguments.get(key.name) {
            (key.check)(found, arguments).map_err(|term| Error::invalid_arg(key.name, "queue", queue, vhost, term))?;
        }
    }
    Ok(())
}

fn check_quorum_flags(
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    vhost: &str,
    queue: &str,
) -> Result<(), Error> {
    let violated = match (auto_delete, exclusive, durable) {
        (true, ..) => "auto-delete",
        (_, true, _) => "exclusive-owner",
        (.., false) => "non-durable",
        _ => return Ok(()),
    };
    let queue = crate::error::resource("queue", queue, vhost);
    Err(Error::precondition_failed(format!("invalid property '{violated}' for {queue}")))
}

fn not_for_type(argument: &str, type_module: &str, vhost: &str, queue: &str) -> Error {
    let queue = crate::error::resource("queue", queue, vhost);
    Error::precondition_failed(format!("invalid arg '{argument}' for {queue} of queue type {type_module}"))
}

#[cfg(test)]
mod tests;
