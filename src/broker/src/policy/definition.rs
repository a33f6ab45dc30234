//! The settings that a policy may have: which values they take, what they apply to, and how an operator policy and a
//! policy merge. One table, after `rabbit_policies` and the queue types' capabilities.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{PolicyError, PolicyRole, ResourceKind};
use crate::{
    arguments::{EXPIRY_MS_MAX, RETRY_STEPS_MAX, max_age_ms},
    term::{Pairs, Term},
};

/// The values a setting takes.
#[derive(Clone, Copy)]
enum Rule {
    Text,
    NonEmptyText,
    OneOf(&'static [&'static str]),
    Integer,
    /// An integer from the first to the second.
    Within(u64, u64),
    MaxAge,
    /// Delays of retries.
    Steps,
}

/// How a setting of the policy and the same one of the operator policy become one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    /// Not for operator policies.
    Never,
    /// The operator's value.
    Operator,
    Lower,
    Higher,
    /// The lower one, where negative means none at all.
    LowerLimit,
}

/// Queues that a policy with this setting leaves alone as a whole, as in RabbitMQ.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spares {
    Nothing,
    Classic,
    Quorum,
    Both,
}

struct Setting {
    key: &'static str,
    rule: Rule,
    /// What goes into `… is not a valid <noun>`.
    noun: &'static str,
    merge: Merge,
    spares: Spares,
}

const fn setting(key: &'static str, rule: Rule, noun: &'static str, merge: Merge, spares: Spares) -> Setting {
    Setting { key, rule, noun, merge, spares }
}

const COUNT: Rule = Rule::Within(0, u64::MAX);
const POSITIVE: Rule = Rule::Within(1, u64::MAX);
const STREAM_SEGMENT_BYTES_MAX: u64 = 3_000_000_000;

const LOCATORS: &[&str] = &["client-local", "balanced", "random", "least-leaders"];
const RETRY_TYPES: &[&str] = &["all", "failed", "returned", "disabled"];
const RETRY_MODES: &[&str] = &["linear", "exponential"];
const OVERFLOWS: &[&str] = &["drop-head", "reject-publish", "reject-publish-dlx"];
const STRATEGIES: &[&str] = &["at-most-once", "at-least-once"];

#[rustfmt::skip]
const SETTINGS: &[Setting] = &[
    setting("alternate-exchange", Rule::Text, "alternate exchange name", Merge::Never, Spares::Nothing),
    setting("consumer-disconnected-timeout", COUNT, "consumer disconnected timeout", Merge::Never, Spares::Nothing),
    setting("consumer-timeout", COUNT, "consumer timeout", Merge::Never, Spares::Nothing),
    setting("dead-letter-exchange", Rule::Text, "dead letter exchange name", Merge::Never, Spares::Nothing),
    setting("dead-letter-routing-key", Rule::Text, "dead letter routing key", Merge::Never, Spares::Nothing),
    setting("dead-letter-strategy", Rule::OneOf(STRATEGIES), "dead letter strategy", Merge::Never, Spares::Classic),
    setting("delayed-retry-max", POSITIVE, "delayed retry maximum delay. Must be a positive integer", Merge::Lower, Spares::Nothing),
    setting("delayed-retry-min", POSITIVE, "delayed retry minimum delay. Must be a positive integer", Merge::Higher, Spares::Nothing),
    setting("delayed-retry-mode", Rule::OneOf(RETRY_MODES), "delayed retry mode. Must be one of: linear, exponential", Merge::Operator, Spares::Nothing),
    setting("delayed-retry-steps", Rule::Steps, "list of delayed retry steps. Must be 1 to 100 positive integers", Merge::Operator, Spares::Nothing),
    setting("delayed-retry-type", Rule::OneOf(RETRY_TYPES), "delayed retry type. Must be one of: all, failed, returned, disabled", Merge::Operator, Spares::Nothing),
    setting("delivery-limit", Rule::Integer, "delivery limit", Merge::LowerLimit, Spares::Classic),
    setting("expires", POSITIVE, "queue expiry", Merge::Lower, Spares::Nothing),
    setting("initial-cluster-size", COUNT, "cluster size", Merge::Never, Spares::Both),
    setting("max-age", Rule::MaxAge, "max age", Merge::Never, Spares::Both),
    setting("max-in-memory-bytes", COUNT, "maximum memory in bytes", Merge::Lower, Spares::Classic),
    setting("max-in-memory-length", COUNT, "maximum memory in bytes", Merge::Lower, Spares::Classic),
    setting("max-length", COUNT, "maximum length", Merge::Lower, Spares::Nothing),
    setting("max-length-bytes", COUNT, "maximum length in bytes", Merge::Lower, Spares::Nothing),
    setting("member-placement-tag", Rule::NonEmptyText, "member-placement-tag value. Must be a non-empty string", Merge::Operator, Spares::Nothing),
    setting("message-ttl", COUNT, "message TTL", Merge::Lower, Spares::Nothing),
    setting("overflow", Rule::OneOf(OVERFLOWS), "overflow value", Merge::Operator, Spares::Nothing),
    setting("queue-leader-locator", Rule::OneOf(LOCATORS), "queue leader locator value", Merge::Never, Spares::Nothing),
    setting("queue-mode", Rule::OneOf(&["default", "lazy"]), "queue-mode value", Merge::Never, Spares::Quorum),
    setting("queue-version", Rule::Within(1, 2), "queue-version value", Merge::Operator, Spares::Nothing),
    setting("stream-filter-size-bytes", Rule::Within(16, 255), "filter size. Valid range is 16-255", Merge::Never, Spares::Nothing),
    setting("stream-max-segment-size-bytes", Rule::Within(0, STREAM_SEGMENT_BYTES_MAX), "segment size", Merge::Never, Spares::Both),
    setting("target-group-size", POSITIVE, "qq target count value", Merge::Higher, Spares::Classic),
];

impl Rule {
    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::NonEmptyText => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Within(least, most) => value.as_u64().is_some_and(|value| (least..=most).contains(&value)),
            Self::MaxAge => value.as_str().is_some_and(|text| max_age_ms(text).is_some()),
            Self::Steps => value.as_array().is_some_and(|steps| {
                let is_step =
                    |step: &Value| step.as_u64().is_some_and(|step_ms| (1..=EXPIRY_MS_MAX).contains(&step_ms));
                (1..=RETRY_STEPS_MAX).contains(&steps.len()) && steps.iter().all(is_step)
            }),
        }
    }
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Checks keys and values. `extra` are the settings that plugins have registered, whose values are their own affair.
///
/// # Errors
/// The first value that is not valid, or the keys that are not known.
pub(super) fn validate(
    definition: &Map<String, Value>,
    role: PolicyRole,
    extra: &BTreeSet<String>,
) -> Result<(), PolicyError> {
    if definition.is_empty() {
        return Err(PolicyError::Empty);
    }
    let mut unknown = Vec::new();
    for (key, value) in definition {
        match find(key) {
            Some(setting) if role == PolicyRole::Ordinary || setting.merge != Merge::Never => {
                if !setting.rule.accepts(value) {
                    return Err(PolicyError::Value(format!("{} is not a valid {}", Term(value), setting.noun)));
                }
            }
            _ if extra.contains(key) => {}
            _ => unknown.push((key.as_str(), value)),
        }
    }
    if !unknown.is_empty() {
        return Err(PolicyError::Unrecognised(Pairs(&unknown).to_string()));
    }
    check_delayed_retry(definition)
}

fn check_delayed_retry(definition: &Map<String, Value>) -> Result<(), PolicyError> {
    let number = |key: &str| definition.get(key).and_then(Value::as_u64);
    let (min, max) = (number("delayed-retry-min"), number("delayed-retry-max"));
    let has_steps = definition.contains_key("delayed-retry-steps");
    let excluded = ["delayed-retry-min", "delayed-retry-mode"].into_iter().find(|key| definition.contains_key(*key));
    if let Some(other) = excluded.filter(|_| has_steps) {
        return Err(PolicyError::Value(format!("delayed-retry-steps cannot be used together with {other}")));
    }
    match (definition.get("delayed-retry-type").and_then(Value::as_str), min, max) {
        (Some(kind), None, _) if kind != "disabled" && !has_steps => {
            Err(PolicyError::Value(format!("delayed-retry-min is required when delayed-retry-type is {kind}")))
        }
        (_, Some(min), Some(max)) if max < min => Err(PolicyError::Value(format!(
            "delayed-retry-max ({max}) must not be smaller than delayed-retry-min ({min})"
        ))),
        _ => Ok(()),
    }
}

/// True when every setting of the definition means something to such an object: a policy for streams does not displace
/// another one of a classic queue just because its pattern matches.
pub(super) fn applies_to(definition: &Map<String, Value>, kind: ResourceKind) -> bool {
    definition.keys().filter_map(|key| find(key)).all(|setting| match kind {
        ResourceKind::ClassicQueue => !matches!(setting.spares, Spares::Classic | Spares::Both),
        ResourceKind::QuorumQueue => !matches!(setting.spares, Spares::Quorum | Spares::Both),
        ResourceKind::Exchange => true,
    })
}

/// One setting of both policies.
pub(super) fn merged<'a>(key: &str, ordinary: &'a Value, operator: &'a Value) -> &'a Value {
    let lower = |first: &Value, second: &Value| integer(first) < integer(second);
    let ordinary_first = match find(key).map_or(Merge::Operator, |setting| setting.merge) {
        Merge::Never | Merge::Operator => false,
        Merge::Lower => lower(ordinary, operator),
        Merge::Higher => lower(operator, ordinary),
        Merge::LowerLimit => {
            let unlimited = [ordinary, operator].iter().any(|value| integer(value).is_some_and(i128::is_negative));
            lower(ordinary, operator) != unlimited
        }
    };
    if ordinary_first { ordinary } else { operator }
}

/// An integer of a definition, wherever in the 65 bits of JSON numbers.
pub(super) fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(definition: Value, role: PolicyRole) -> String {
        let Value::Object(definition) = definition else { panic!("not an object") };
        validate(&definition, role, &BTreeSet::from(["federation-upstream".to_owned()])).unwrap_err().to_string()
    }

    fn is_valid(definition: &Value) -> bool {
        let definition = definition.as_object().unwrap();
        validate(definition, PolicyRole::Ordinary, &BTreeSet::from(["federation-upstream".to_owned()])).is_ok()
    }

    #[test]
    fn accepts_every_setting() {
        assert!(is_valid(&json!({
            "alternate-exchange": "ae", "dead-letter-exchange": "", "dead-letter-routing-key": "k",
            "dead-letter-strategy": "at-least-once", "delivery-limit": -1, "expires": 1, "message-ttl": 0,
            "max-length": 0, "max-length-bytes": u64::MAX, "max-age": "7D", "overflow": "reject-publish-dlx",
            "queue-mode": "lazy", "queue-version": 2, "stream-filter-size-bytes": 16, "queue-leader-locator": "balanced",
            "delayed-retry-type": "all", "delayed-retry-min": 5, "delayed-retry-max": 5, "federation-upstream": [1],
        })));
    }

    #[test]
    fn steps_stand_for_the_least_delay() {
        assert!(is_valid(
            &json!({"delayed-retry-type": "failed", "delayed-retry-steps": [1, 5000], "delayed-retry-max": 9})
        ));
        assert!(is_valid(&json!({"delayed-retry-type": "disabled"})));
    }

    #[test]
    fn refuses_as_rabbitmq_does() {
        let ordinary = |definition| refusal(definition, PolicyRole::Ordinary);
        assert_eq!(ordinary(json!({})), "no policy provided");
        assert_eq!(ordinary(json!({"message-ttl": -1})), "-1 is not a valid message TTL");
        assert_eq!(ordinary(json!({"message-ttl": 1.5})), "1.5 is not a valid message TTL");
        assert_eq!(ordinary(json!({"expires": 0})), "0 is not a valid queue expiry");
        assert_eq!(ordinary(json!({"max-length": "10"})), r#"<<"10">> is not a valid maximum length"#);
        assert_eq!(ordinary(json!({"overflow": "drop"})), r#"<<"drop">> is not a valid overflow value"#);
        assert_eq!(ordinary(json!({"dead-letter-exchange": 1})), "1 is not a valid dead letter exchange name");
        assert_eq!(ordinary(json!({"max-age": "7x"})), r#"<<"7x">> is not a valid max age"#);
        assert_eq!(
            ordinary(json!({"max-priority": 5, "foo": "x", "message-ttl": 1})),
            r#"[{<<"foo">>,<<"x">>},{<<"max-priority">>,5}] are not recognised policy settings"#
        );
        assert_eq!(
            ordinary(json!({"delayed-retry-type": "all"})),
            "delayed-retry-min is required when delayed-retry-type is all"
        );
        assert_eq!(
            ordinary(json!({"delayed-retry-min": 5, "delayed-retry-max": 4})),
            "delayed-retry-max (4) must not be smaller than delayed-retry-min (5)"
        );
        assert_eq!(
            ordinary(json!({"delayed-retry-steps": [5], "delayed-retry-mode": "linear"})),
            "delayed-retry-steps cannot be used together with delayed-retry-mode"
        );
        let no_steps = "is not a valid list of delayed retry steps. Must be 1 to 100 positive integers";
        for steps in [json!([]), json!([0]), json!([-1]), json!(["1"]), json!(5), json!(vec![1; 101])] {
            assert!(ordinary(json!({"delayed-retry-steps": steps})).ends_with(no_steps), "{steps}");
        }
    }

    #[test]
    fn operator_policies_have_fewer_settings() {
        assert_eq!(
            refusal(json!({"dead-letter-exchange": "x"}), PolicyRole::Operator),
            r#"[{<<"dead-letter-exchange">>,<<"x">>}] are not recognised policy settings"#
        );
    }

    #[test]
    fn merges() {
        let merge = |key, ordinary: Value, operator: Value| merged(key, &ordinary, &operator).clone();
        assert_eq!(merge("max-length", json!(5), json!(10)), json!(5));
        assert_eq!(merge("max-length", json!(u64::MAX), json!(10)), json!(10));
        assert_eq!(merge("overflow", json!("drop-head"), json!("reject-publish")), json!("reject-publish"));
        assert_eq!(merge("target-group-size", json!(5), json!(3)), json!(5));
        assert_eq!(merge("delivery-limit", json!(5), json!(10)), json!(5));
        assert_eq!(merge("delivery-limit", json!(-1), json!(10)), json!(10));
        assert_eq!(merge("delivery-limit", json!(10), json!(-1)), json!(10));
        assert_eq!(merge("from-a-plugin", json!(1), json!(2)), json!(2));
    }
}
