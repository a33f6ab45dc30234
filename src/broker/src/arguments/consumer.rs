//! The arguments of `basic.consume`.

use leveret_amqp::{FieldTable, FieldValue};

use super::{type_module, value};
use crate::{Error, queue::Kind};

/// What a consumer's arguments ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerArguments {
    /// `x-priority`: consumers of higher priority are served first. Beyond 32 bits, as high or low as there is.
    pub priority: i32,
    /// `x-consumer-timeout` in milliseconds: how long a delivery may stay unacknowledged.
    pub timeout_ms: Option<u64>,
}

/// Checks the arguments of a consumer of a queue. Unknown ones are fine.
///
/// # Errors
/// 406 where a known one has no integer, or is for streams.
pub fn validate_consumer_arguments(
    arguments: &FieldTable,
    kind: Kind,
    vhost: &str,
    queue: &str,
) -> Result<ConsumerArguments, Error> {
    let refuse = |key: &'static str| move |term: String| Error::invalid_arg(key, "queue", queue, vhost, term);
    if let Some(priority) = arguments.get("x-priority") {
        value::integer(priority).map_err(refuse("x-priority"))?;
    }
    if let Some(timeout) = arguments.get("x-consumer-timeout") {
        value::not_negative(timeout).map_err(refuse("x-consumer-timeout"))?;
    }
    if arguments.contains("x-stream-offset") {
        return Err(super::not_for_type("x-stream-offset", type_module(kind), vhost, queue));
    }
    let integer = |key| arguments.get(key).and_then(FieldValue::as_i64);
    let priority = integer("x-priority").unwrap_or_default().clamp(i32::MIN.into(), i32::MAX.into());
    Ok(ConsumerArguments {
        priority: i32::try_from(priority).unwrap_or_default(),
        timeout_ms: integer("x-consumer-timeout").and_then(|timeout_ms| u64::try_from(timeout_ms).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(arguments: &FieldTable) -> Result<ConsumerArguments, String> {
        validate_consumer_arguments(arguments, Kind::Classic, "/", "q").map_err(|error| error.text)
    }

    #[test]
    fn reads_priority_and_timeout() {
        let arguments = FieldTable::new()
            .with("x-priority", -3_i8)
            .with("x-consumer-timeout", 1000)
            .with("x-cancel-on-ha-failover", true)
            .with("mine", FieldValue::Void);
        assert_eq!(validate(&arguments), Ok(ConsumerArguments { priority: -3, timeout_ms: Some(1000) }));
        assert_eq!(validate(&FieldTable::new()), Ok(ConsumerArguments::default()));
        let extreme = validate(&FieldTable::new().with("x-priority", i64::MIN)).unwrap();
        assert_eq!(extreme.priority, i32::MIN);
    }

    #[test]
    fn refuses_as_rabbitmq_does() {
        assert_eq!(
            validate(&FieldTable::new().with("x-priority", "high")).unwrap_err(),
            "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\""
        );
        assert_eq!(
            validate(&FieldTable::new().with("x-consumer-timeout", -1)).unwrap_err(),
            "invalid arg 'x-consumer-timeout' for queue 'q' in vhost '/': {value_negative,-1}"
        );
        assert_eq!(
            validate(&FieldTable::new().with("x-stream-offset", "first")).unwrap_err(),
            "invalid arg 'x-stream-offset' for queue 'q' in vhost '/' of queue type rabbit_classic_queue"
        );
    }
}
