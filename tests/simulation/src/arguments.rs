//! What is said of a queue as it is declared, or by a policy, in the words of the protocol.

use leveret_amqp::{FieldTable, FieldValue};
use leveret_broker::queue::{Backoff, DelayedRetry, DelayedReturns, GroupKey, GroupProperty, Overflow};
use serde_json::Value;

use crate::plan::{QueuePlan, USUAL_GROUP_HEADER};

/// What a queue is declared with.
pub(crate) fn arguments(plan: &QueuePlan) -> FieldTable {
    let mut arguments = FieldTable::new();
    let numbers = [
        ("x-max-priority", plan.max_priority.map(u64::from)),
        ("x-message-ttl", plan.ttl_ms),
        ("x-expires", plan.expires_ms),
        ("x-max-length", plan.max_length),
        ("x-max-length-bytes", plan.max_length_bytes),
        ("x-delivery-limit", plan.delivery_limit.map(u64::from)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            arguments.insert(name, number as i64);
        }
    }
    let texts = [
        ("x-queue-type", plan.quorum.then_some("quorum")),
        ("x-dead-letter-exchange", plan.dead_letter_exchange.as_deref()),
        ("x-dead-letter-routing-key", plan.dead_letter_key.as_deref()),
        ("x-overflow", overflow(plan.overflow)),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            arguments.insert(name, text);
        }
    }
    if plan.single_active {
        arguments.insert("x-single-active-consumer", true);
    }
    if let Some((name, value)) = plan.group_key.as_ref().map(group_argument) {
        arguments.insert(name, value);
    }
    for (key, value) in plan.delayed_retry.iter().flat_map(delayed_retry) {
        let value = match value {
            Value::String(text) => FieldValue::from(text.as_str()),
            Value::Array(steps) => {
                FieldValue::Array(steps.iter().filter_map(Value::as_i64).map(FieldValue::I64).collect())
            }
            number => FieldValue::I64(number.as_i64().unwrap_or_default()),
        };
        arguments.insert(format!("x-{key}").as_str(), value);
    }
    arguments
}

fn group_argument(key: &GroupKey) -> (&'static str, FieldValue) {
    match key {
        GroupKey::Header(name) if **name == *USUAL_GROUP_HEADER => ("x-message-group-header", true.into()),
        GroupKey::Header(name) => ("x-message-group-header", FieldValue::from(&**name)),
        GroupKey::Property(property) => {
            let name = match property {
                GroupProperty::MessageId => "message_id",
                GroupProperty::CorrelationId => "correlation_id",
                GroupProperty::Timestamp => "timestamp",
            };
            ("x-message-group-property", FieldValue::from(name))
        }
    }
}

/// As policies say it, and arguments with other words for the values.
pub(crate) fn delayed_retry(retry: &DelayedRetry) -> Vec<(&'static str, Value)> {
    let returns = match retry.returns {
        DelayedReturns::All => "all",
        DelayedReturns::Failed => "failed",
        DelayedReturns::Returned => "returned",
    };
    let mut said = vec![("delayed-retry-type", Value::from(returns))];
    let mut limits = |mode: &str, min_ms: u64, max_ms: u64| {
        said.push(("delayed-retry-mode", mode.into()));
        said.push(("delayed-retry-min", min_ms.into()));
        said.push(("delayed-retry-max", max_ms.into()));
    };
    match &retry.backoff {
        Backoff::Linear { min_ms, max_ms } => limits("linear", *min_ms, *max_ms),
        Backoff::Exponential { min_ms, max_ms } => limits("exponential", *min_ms, *max_ms),
        Backoff::Steps(steps) => said.push(("delayed-retry-steps", steps.to_vec().into())),
    }
    said
}

/// As arguments and policies name it; without a word it is the default.
pub(crate) fn overflow(overflow: Overflow) -> Option<&'static str> {
    match overflow {
        Overflow::DropHead => None,
        Overflow::RejectPublish => Some("reject-publish"),
        Overflow::RejectPublishDlx => Some("reject-publish-dlx"),
    }
}
