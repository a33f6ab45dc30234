//! The exchange type.

use leveret_amqp::{FieldTable, FieldValue, RawTable};
use leveret_broker::{
    Error, erlang_binary,
    exchange::{ExchangeType, Fanout, History, Router},
};

/// Messages that an exchange keeps where it does not say how many, as in RabbitMQ.
pub const LENGTH_DEFAULT: u64 = 20;

/// The most messages that an exchange keeps. All of them are sent at once to whoever binds, so that a bind must not cost
/// any number of messages; RabbitMQ has no limit.
pub const LENGTH_MAX: u64 = 10_000;

/// The argument that says how many.
const LENGTH: &str = "x-recent-history-length";

/// The header of messages that are not kept.
const NO_STORE: &str = "x-recent-history-no-store";

/// Exchange type `x-recent-history`.
pub struct RecentHistory;

impl ExchangeType for RecentHistory {
    fn name(&self) -> &str {
        "x-recent-history"
    }

    fn validate(&self, arguments: &FieldTable) -> Result<(), Error> {
        length(arguments).map(|_| ())
    }

    fn router(&self, arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        length(arguments).map(|_| Box::new(Fanout::default()) as Box<dyn Router>)
    }

    fn history(&self, arguments: &FieldTable) -> Option<History> {
        Some(History { length: length(arguments).ok()?, leaves_out })
    }

    fn compared_arguments(&self) -> &[&str] {
        &[LENGTH]
    }
}

/// How many messages an exchange with these arguments keeps.
fn length(arguments: &FieldTable) -> Result<u64, Error> {
    let Some(value) = arguments.get(LENGTH) else { return Ok(LENGTH_DEFAULT) };
    match value.as_i64().and_then(|length| u64::try_from(length).ok()) {
        None | Some(0) => {
            let value = value.as_bytes().map_or_else(|| value.to_string(), erlang_binary);
            let text = format!("Invalid argument {value}, '{LENGTH}' must be a positive integer");
            Err(Error::precondition_failed(text))
        }
        Some(length) if length > LENGTH_MAX => Err(Error::precondition_failed(format!(
            "Invalid argument {length}, '{LENGTH}' must be at most {LENGTH_MAX}"
        ))),
        Some(length) => Ok(length),
    }
}

/// Only the value true leaves a message out, as in RabbitMQ.
fn leaves_out(headers: Option<RawTable<'_>>) -> bool {
    let value = headers.and_then(|headers| headers.find(NO_STORE).ok().flatten());
    value == Some(FieldValue::Bool(true))
}

#[cfg(test)]
mod tests {
    use leveret_broker::exchange::conformance::{Setup, check};

    use super::*;

    fn with_length(value: impl Into<FieldValue>) -> FieldTable {
        FieldTable::new().with(LENGTH, value)
    }

    #[test]
    fn it_conforms() {
        let refused_arguments =
            vec![with_length(0_i32), with_length(-1_i64), with_length("5"), with_length(10_001_i32)];
        check(&RecentHistory, &Setup { arguments: with_length(5_i32), refused_arguments, ..Setup::default() }).unwrap();
    }

    #[test]
    fn the_length_is_a_positive_integer_with_a_limit() {
        assert_eq!(length(&FieldTable::new()), Ok(20));
        assert_eq!(length(&with_length(FieldValue::U8(1))), Ok(1));
        assert_eq!(length(&with_length(10_000_i64)), Ok(10_000));
        let refused = |value: FieldValue| length(&with_length(value)).unwrap_err().to_string();
        for (value, shown) in [
            (FieldValue::I32(0), "0"),
            (FieldValue::I64(-3), "-3"),
            (FieldValue::from("5"), "<<\"5\">>"),
            (FieldValue::Bool(true), "true"),
        ] {
            let expected = "must be a positive integer";
            let expected = format!("PRECONDITION_FAILED - Invalid argument {shown}, '{LENGTH}' {expected}");
            assert_eq!(refused(value), expected);
        }
        let expected = format!("PRECONDITION_FAILED - Invalid argument 10001, '{LENGTH}' must be at most 10000");
        assert_eq!(refused(FieldValue::I32(10_001)), expected);
    }

    #[test]
    fn only_true_leaves_a_message_out() {
        let is_left_out = |name: &str, value: FieldValue| {
            let mut contents = Vec::new();
            FieldTable::new().with(name, value).encode_contents(&mut contents);
            leaves_out(Some(RawTable::new(&contents)))
        };
        assert!(is_left_out(NO_STORE, true.into()));
        assert!(!is_left_out(NO_STORE, false.into()));
        assert!(!is_left_out(NO_STORE, "true".into()));
        assert!(!is_left_out("other", true.into()));
        assert!(!leaves_out(None));
        assert!(!leaves_out(Some(RawTable::new(b"\x01a"))));
    }

    #[test]
    fn it_keeps_as_many_as_it_says() {
        assert_eq!(RecentHistory.history(&with_length(7_i32)).unwrap().length, 7);
        assert_eq!(RecentHistory.history(&FieldTable::new()).unwrap().length, LENGTH_DEFAULT);
    }
}
