//! What holds for an object: its arguments, its policy and its operator policy, as one.
//!
//! A declared argument wins over the policy, except for numbers that limit, where the lower one wins: an operator can
//! always make a limit tighter, and never looser.

use std::sync::Arc;

use leveret_amqp::{FieldTable, FieldValue};
use serde_json::{Map, Value};

use super::{
    Policy,
    definition::{integer, merged},
};
use crate::{
    arguments::{EXPIRY_MS_MAX, queue_kind},
    queue::{Backoff, DelayedRetry, DelayedReturns, Kind, Overflow, Settings},
};

/// The settings of both policies as one definition, for show (`effective_policy_definition`) and for use.
#[must_use]
pub fn effective_definition(policy: Option<&Policy>, operator_policy: Option<&Policy>) -> Map<String, Value> {
    let mut definition = policy.map(|policy| policy.definition.clone()).unwrap_or_default();
    for (key, operator) in operator_policy.iter().flat_map(|policy| &policy.definition) {
        let value = definition.get(key).map_or(operator, |ordinary| merged(key, ordinary, operator)).clone();
        definition.insert(key.clone(), value);
    }
    definition
}

/// The settings of a queue with these arguments, which have passed
/// [`validate_queue_arguments`](crate::arguments::validate_queue_arguments), under these policies.
#[must_use]
pub fn effective_settings(
    arguments: &FieldTable,
    policy: Option<&Policy>,
    operator_policy: Option<&Policy>,
) -> Settings {
    let kind = queue_kind(arguments);
    let sources = Sources { arguments, definition: effective_definition(policy, operator_policy) };
    let defaults = Settings::defaults(kind);
    Settings {
        // Beyond ten years, a policy's time means "never", and must not overflow when added to the present.
        ttl_ms: sources.lower("message-ttl").map(|ttl_ms| ttl_ms.min(EXPIRY_MS_MAX)),
        expires_ms: sources.lower("expires").map(|expires_ms| expires_ms.min(EXPIRY_MS_MAX)),
        max_length: sources.lower("max-length"),
        max_length_bytes: sources.lower("max-length-bytes"),
        overflow: sources.overflow(kind),
        dead_letter_exchange: sources.text("dead-letter-exchange"),
        dead_letter_routing_key: sources.text("dead-letter-routing-key"),
        delivery_limit: sources.delivery_limit().unwrap_or(defaults.delivery_limit),
        delayed_retry: sources.delayed_retry(),
    }
}

/// The alternate exchange of an exchange with these arguments under this policy. An argument wins.
#[must_use]
pub fn effective_alternate_exchange(arguments: &FieldTable, policy: Option<&Policy>) -> Option<Arc<str>> {
    let argument = arguments.get("alternate-exchange").and_then(FieldValue::as_str);
    argument.or_else(|| policy?.definition.get("alternate-exchange")?.as_str()).map(Arc::from)
}

struct Sources<'a> {
    arguments: &'a FieldTable,
    definition: Map<String, Value>,
}

impl Sources<'_> {
    fn argument(&self, key: &str) -> Option<&FieldValue> {
        self.arguments.get(&format!("x-{key}"))
    }

    fn lower(&self, key: &str) -> Option<u64> {
        let argument = self.argument(key).and_then(FieldValue::as_i64).and_then(|value| u64::try_from(value).ok());
        let policy = self.definition.get(key).and_then(Value::as_u64);
        argument.into_iter().chain(policy).min()
    }

    fn word(&self, key: &str) -> Option<&str> {
        let argument = self.argument(key).and_then(FieldValue::as_str);
        argument.or_else(|| self.definition.get(key)?.as_str())
    }

    fn text(&self, key: &str) -> Option<Arc<str>> {
        self.word(key).map(Arc::from)
    }

    /// A quorum queue does not know `reject-publish-dlx`, and drops from its head instead, as in RabbitMQ.
    fn overflow(&self, kind: Kind) -> Overflow {
        match (self.word("overflow"), kind) {
            (Some("reject-publish"), _) => Overflow::RejectPublish,
            (Some("reject-publish-dlx"), Kind::Classic) => Overflow::RejectPublishDlx,
            _ => Overflow::DropHead,
        }
    }

    fn delayed_retry(&self) -> Option<DelayedRetry> {
        let returns = match self.word("delayed-retry-type")? {
            "all" => DelayedReturns::All,
            "failed" => DelayedReturns::Failed,
            "returned" => DelayedReturns::Returned,
            _ => return None,
        };
        Some(DelayedRetry { returns, backoff: self.backoff()? })
    }

    /// Delays of the arguments hold against those of the policies, whichever of them are a list of steps.
    fn backoff(&self) -> Option<Backoff> {
        let max_ms = self.lower("delayed-retry-max").unwrap_or(u64::MAX).min(EXPIRY_MS_MAX);
        let steps = |steps: Vec<u64>| Backoff::Steps(steps.iter().map(|step_ms| *step_ms.min(&max_ms)).collect());
        let from = |min_ms: u64| {
            let min_ms = min_ms.min(EXPIRY_MS_MAX);
            match self.word("delayed-retry-mode") {
                Some("exponential") => Backoff::Exponential { min_ms, max_ms },
                _ => Backoff::Linear { min_ms, max_ms },
            }
        };
        let number = |value: &FieldValue| u64::try_from(value.as_i64()?).ok();
        let of_arguments = |key| self.argument(key)?.as_array()?.iter().map(number).collect::<Option<Vec<_>>>();
        let of_policy =
            |key| self.definition.get(key)?.as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<_>>>();
        of_arguments("delayed-retry-steps")
            .filter(|values| !values.is_empty())
            .map(steps)
            .or_else(|| self.argument("delayed-retry-min").and_then(number).map(from))
            .or_else(|| of_policy("delayed-retry-steps").map(steps))
            .or_else(|| self.definition.get("delayed-retry-min").and_then(Value::as_u64).map(from))
    }

    /// Outer `None`: nobody says anything. Inner `None`: no limit. A limit of one side holds against none of the other.
    fn delivery_limit(&self) -> Option<Option<u32>> {
        let argument = self.argument("delivery-limit").and_then(FieldValue::as_i64).map(i128::from);
        let policy = self.definition.get("delivery-limit").and_then(integer);
        let said = || argument.into_iter().chain(policy);
        let lowest = said().filter(|limit| *limit >= 0).min();
        said().next().map(|_| lowest.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(definition: &Value) -> Policy {
        Policy { definition: definition.as_object().unwrap().clone(), ..Policy::sample() }
    }

    #[test]
    fn the_lower_limit_wins() {
        let arguments = FieldTable::new().with("x-max-length", 10).with("x-message-ttl", 1000_i64);
        let policy = policy(&json!({"max-length": 5, "message-ttl": 2000, "max-length-bytes": 7, "expires": u64::MAX}));
        let settings = effective_settings(&arguments, Some(&policy), None);
        assert_eq!((settings.max_length, settings.ttl_ms), (Some(5), Some(1000)));
        assert_eq!((settings.max_length_bytes, settings.expires_ms), (Some(7), Some(EXPIRY_MS_MAX)));
    }

    #[test]
    fn an_argument_wins_over_a_policy() {
        let arguments = FieldTable::new().with("x-dead-letter-exchange", "mine").with("x-overflow", "reject-publish");
        let policy = policy(&json!({
            "dead-letter-exchange": "theirs", "dead-letter-routing-key": "k", "overflow": "drop-head"
        }));
        let settings = effective_settings(&arguments, Some(&policy), None);
        assert_eq!(settings.dead_letter_exchange.as_deref(), Some("mine"));
        assert_eq!(settings.dead_letter_routing_key.as_deref(), Some("k"));
        assert_eq!(settings.overflow, Overflow::RejectPublish);
    }

    #[test]
    fn operator_policies_tighten() {
        let ordinary = policy(&json!({"max-length": 5, "message-ttl": 9, "dead-letter-exchange": "x"}));
        let operator = policy(&json!({"max-length": 10, "message-ttl": 3, "overflow": "reject-publish"}));
        let settings = effective_settings(&FieldTable::new(), Some(&ordinary), Some(&operator));
        assert_eq!((settings.max_length, settings.ttl_ms), (Some(5), Some(3)));
        assert_eq!(settings.overflow, Overflow::RejectPublish);
        assert_eq!(settings.dead_letter_exchange.as_deref(), Some("x"));
        let definition = effective_definition(Some(&ordinary), Some(&operator));
        assert_eq!(
            Value::Object(definition),
            json!({"max-length": 5, "message-ttl": 3, "overflow": "reject-publish", "dead-letter-exchange": "x"})
        );
        assert!(effective_definition(None, None).is_empty());
    }

    #[test]
    fn delivery_limits() {
        let quorum = || FieldTable::new().with("x-queue-type", "quorum");
        let limit = |arguments: FieldTable, policy: Option<&Policy>| {
            effective_settings(&arguments, policy, None).delivery_limit
        };
        assert_eq!(limit(quorum(), None), Some(20));
        assert_eq!(limit(FieldTable::new(), None), None);
        assert_eq!(limit(FieldTable::new().with("x-delivery-limit", 3), None), Some(3));
        assert_eq!(limit(quorum().with("x-delivery-limit", -1), None), None);
        assert_eq!(limit(quorum(), Some(&policy(&json!({"delivery-limit": 50})))), Some(50));
        assert_eq!(limit(quorum().with("x-delivery-limit", 7), Some(&policy(&json!({"delivery-limit": 50})))), Some(7));
        assert_eq!(
            limit(quorum().with("x-delivery-limit", -1), Some(&policy(&json!({"delivery-limit": 50})))),
            Some(50)
        );
        assert_eq!(limit(quorum().with("x-delivery-limit", i64::MAX), None), Some(u32::MAX));
    }

    #[test]
    fn delayed_retries() {
        let retry =
            |arguments: FieldTable, policy: Option<&Policy>| effective_settings(&arguments, policy, None).delayed_retry;
        let arguments = || FieldTable::new().with("x-delayed-retry-type", "failed");
        let linear =
            |returns, min_ms, max_ms| Some(DelayedRetry { returns, backoff: Backoff::Linear { min_ms, max_ms } });
        assert_eq!(retry(FieldTable::new(), None), None);
        assert_eq!(
            retry(arguments().with("x-delayed-retry-min", 5), None),
            linear(DelayedReturns::Failed, 5, EXPIRY_MS_MAX)
        );
        let of_policy = policy(&json!({
            "delayed-retry-type": "all", "delayed-retry-min": 9, "delayed-retry-max": 90, "delayed-retry-mode": "linear"
        }));
        assert_eq!(retry(FieldTable::new(), Some(&of_policy)), linear(DelayedReturns::All, 9, 90));
        let mine = arguments().with("x-delayed-retry-min", 5).with("x-delayed-retry-mode", "exponential");
        assert_eq!(
            retry(mine, Some(&of_policy)),
            Some(DelayedRetry {
                returns: DelayedReturns::Failed,
                backoff: Backoff::Exponential { min_ms: 5, max_ms: 90 }
            })
        );
        let steps = FieldValue::Array(vec![FieldValue::I32(5), FieldValue::I64(500)]);
        let steps = retry(arguments().with("x-delayed-retry-steps", steps), Some(&of_policy));
        assert_eq!(steps.map(|retry| retry.backoff), Some(Backoff::Steps(Arc::from([5, 90]))));
        assert_eq!(retry(FieldTable::new().with("x-delayed-retry-type", "disabled"), Some(&of_policy)), None);
    }

    #[test]
    fn quorum_queues_know_two_ways_to_overflow() {
        let arguments = FieldTable::new().with("x-overflow", "reject-publish-dlx");
        assert_eq!(effective_settings(&arguments, None, None).overflow, Overflow::RejectPublishDlx);
        let arguments = arguments.with("x-queue-type", "quorum");
        assert_eq!(effective_settings(&arguments, None, None).overflow, Overflow::DropHead);
    }

    #[test]
    fn alternate_exchanges() {
        let policy = policy(&json!({"alternate-exchange": "theirs"}));
        let arguments = FieldTable::new().with("alternate-exchange", "mine");
        assert_eq!(effective_alternate_exchange(&arguments, Some(&policy)).as_deref(), Some("mine"));
        assert_eq!(effective_alternate_exchange(&FieldTable::new(), Some(&policy)).as_deref(), Some("theirs"));
        assert_eq!(effective_alternate_exchange(&FieldTable::new(), None), None);
    }
}
