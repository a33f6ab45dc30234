//! The arguments of `queue.declare` that mean something: which values they take and for which queue types.
//!
//! One table, in the order in which RabbitMQ checks them (`rabbit_amqqueue:declare_args`), after the capabilities of its
//! queue types. Where Leveret gives more: `x-delivery-limit`, `x-consumer-timeout` and `x-delayed-retry-*` also for classic queues,
//! of these two that RabbitMQ has not (`-mode`, `-steps`), `x-message-group-*`, and `x-queue-mode` and `x-queue-version` of old declarations,
//! which are kept and have no effect.

use leveret_amqp::{FieldTable, FieldValue};

use super::{max_age_ms, value};
use crate::queue::{GroupProperty, Kind};

/// Checks a value, in the light of the other arguments; the error is an Erlang term as RabbitMQ writes it.
pub(super) type Check = fn(&FieldValue, &FieldTable) -> Result<(), String>;

/// Which queue types take an argument. What is for streams only, neither of them does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Both,
    Classic,
    Quorum,
    Streams,
}

/// A known argument.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) check: Check,
    queues: For,
    /// Has no part in telling whether a re-declaration is the same.
    pub(super) free: bool,
}

impl Key {
    pub(super) fn is_for(&self, kind: Kind) -> bool {
        match self.queues {
            For::Both => true,
            For::Classic => kind == Kind::Classic,
            For::Quorum => kind == Kind::Quorum,
            For::Streams => false,
        }
    }
}

const fn key(name: &'static str, check: Check, queues: For) -> Key {
    Key { name, check, queues, free: false }
}

const fn free_key(name: &'static str, check: Check, queues: For) -> Key {
    Key { name, check, queues, free: true }
}

const STRATEGIES: &[&str] = &["at-most-once", "at-least-once"];
const OVERFLOWS: &[&str] = &["drop-head", "reject-publish", "reject-publish-dlx"];
const LOCATORS: &[&str] = &["client-local", "balanced", "random", "least-leaders", "min-masters"];
const RETRY_TYPES: &[&str] = &["disabled", "all", "failed", "returned"];
const RETRY_MODES: &[&str] = &["linear", "exponential"];
const MAX_PRIORITY: i64 = 255;
const QUEUE_VERSIONS: std::ops::RangeInclusive<i64> = 1..=2;

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("x-expires", |found, _| value::expires(found), For::Both),
    key("x-message-ttl", |found, _| value::time_to_live(found), For::Both),
    key("x-dead-letter-exchange", |found, _| value::name(found), For::Both),
    key("x-dead-letter-routing-key", dead_letter_routing_key, For::Both),
    key("x-dead-letter-strategy", |found, _| value::one_of(found, STRATEGIES, "invalid_dlx_strategy"), For::Quorum),
    key("x-max-length", |found, _| value::not_negative(found), For::Both),
    key("x-max-length-bytes", |found, _| value::not_negative(found), For::Both),
    key("x-max-in-memory-length", |found, _| value::not_negative(found), For::Quorum),
    key("x-max-in-memory-bytes", |found, _| value::not_negative(found), For::Quorum),
    key("x-max-priority", max_priority, For::Classic),
    key("x-overflow", |found, _| value::one_of(found, OVERFLOWS, "invalid_overflow"), For::Both),
    key("x-queue-version", queue_version, For::Classic),
    key("x-single-active-consumer", |found, _| value::boolean(found), For::Both),
    free_key("x-consumer-timeout", |found, _| value::not_negative(found), For::Both),
    free_key("x-consumer-disconnected-timeout", |found, _| value::not_negative(found), For::Quorum),
    key("x-queue-type", |found, _| value::text(found), For::Both),
    key("x-quorum-initial-group-size", |found, _| value::positive(found), For::Quorum),
    key("x-max-age", max_age, For::Streams),
    key("x-stream-max-segment-size-bytes", |found, _| value::not_negative(found), For::Streams),
    key("x-stream-filter-size-bytes", |found, _| value::not_negative(found), For::Streams),
    key("x-initial-cluster-size", |found, _| value::positive(found), For::Streams),
    key("x-queue-leader-locator", |found, _| value::one_of(found, LOCATORS, "invalid_queue_locator_arg"), For::Both),
    key("x-member-placement-tag", member_placement_tag, For::Quorum),
    key("x-delivery-limit", |found, _| value::integer(found).map(drop), For::Both),
    key("x-delayed-retry-type", delayed_retry_type, For::Both),
    key("x-delayed-retry-min", |found, _| value::expires(found), For::Both),
    key("x-delayed-retry-max", delayed_retry_max, For::Both),
    key("x-delayed-retry-mode", |found, _| value::one_of(found, RETRY_MODES, "invalid_delayed_retry_mode"), For::Both),
    key("x-delayed-retry-steps", delayed_retry_steps, For::Both),
    key("x-message-group-header", message_group_header, For::Both),
    key("x-message-group-property", message_group_property, For::Both),
    key("x-queue-mode", |found, _| value::text(found), For::Classic),
    key("x-queue-master-locator", |found, _| value::text(found), For::Classic),
];

/// The known argument of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn dead_letter_routing_key(found: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    value::name(found)?;
    if arguments.contains("x-dead-letter-exchange") { Ok(()) } else { Err("routing_key_but_no_dlx_defined".into()) }
}

fn max_priority(found: &FieldValue, _: &FieldTable) -> Result<(), String> {
    value::not_negative(found)?;
    match value::integer(found)? {
        exceeding if exceeding > MAX_PRIORITY => Err(format!("{{max_value_exceeded,{exceeding}}}")),
        _ => Ok(()),
    }
}

fn queue_version(found: &FieldValue, _: &FieldTable) -> Result<(), String> {
    value::not_negative(found)?;
    match value::integer(found)? {
        version if QUEUE_VERSIONS.contains(&version) => Ok(()),
        version => Err(format!("\"unsupported queue version '{version}'\"")),
    }
}

fn max_age(found: &FieldValue, _: &FieldTable) -> Result<(), String> {
    value::text(found)?;
    let age = found.as_str().and_then(max_age_ms);
    age.map(drop).ok_or_else(|| "invalid_max_age".into())
}

fn delayed_retry_type(found: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    value::one_of(found, RETRY_TYPES, "invalid_delayed_retry_type")?;
    let has_delays = ["x-delayed-retry-min", "x-delayed-retry-steps"].iter().any(|key| arguments.contains(key));
    if has_delays || found.as_str() == Some("disabled") {
        Ok(())
    } else {
        Err("delayed_retry_type_but_no_min_or_steps_defined".into())
    }
}

fn delayed_retry_max(found: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    value::expires(found)?;
    let (max, min) = (value::integer(found)?, arguments.get("x-delayed-retry-min").and_then(FieldValue::as_i64));
    match min {
        Some(min) if max < min => Err(format!("{{less_than_delayed_retry_min,{max},{min}}}")),
        _ => Ok(()),
    }
}

fn delayed_retry_steps(found: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    value::steps(found)?;
    let others = ["x-delayed-retry-min", "x-delayed-retry-mode"];
    match others.iter().find(|key| arguments.contains(key)) {
        Some(other) => Err(format!("{{not_together_with,\"{other}\"}}")),
        None => Ok(()),
    }
}

/// A header's name, or true for the usual one.
fn message_group_header(found: &FieldValue, _: &FieldTable) -> Result<(), String> {
    if found.as_bool() == Some(true) {
        return Ok(());
    }
    value::name(found)?;
    if found.as_str() == Some("") { Err("no_header_name".into()) } else { Ok(()) }
}

fn message_group_property(found: &FieldValue, arguments: &FieldTable) -> Result<(), String> {
    value::one_of(found, GroupProperty::NAMES, "invalid_message_group_property")?;
    if arguments.contains("x-message-group-header") {
        Err("{not_together_with,\"x-message-group-header\"}".into())
    } else {
        Ok(())
    }
}

fn member_placement_tag(found: &FieldValue, _: &FieldTable) -> Result<(), String> {
    value::text(found)?;
    if found.as_bytes().is_some_and(|tag| !tag.is_empty()) {
        Ok(())
    } else {
        Err("invalid_member_placement_tag_arg".into())
    }
}
