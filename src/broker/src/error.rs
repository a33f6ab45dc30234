//! What a client is told when the broker refuses something.
//!
//! The texts are RabbitMQ's, taken from its sources (`rabbit_misc`, `rabbit_channel`, `rabbit_exchange`), because
//! clients and people match on them. They are all written here, so that a text exists once.

use std::fmt::Display;

use leveret_amqp::{FieldValue, ReplyCode, WireError, equivalent};

/// A refusal: a reply code and the explanation. How far it reaches follows from the code:
/// [`ReplyCode::closes_connection`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} - {text}", code.name())]
pub struct Error {
    /// Why, as a number.
    pub code: ReplyCode,
    /// Why, in words; without the code's name, which [`ReplyCode::reply_text`] puts before it.
    pub text: String,
}

impl Error {
    /// An error with a text of its own.
    #[must_use]
    pub fn new(code: ReplyCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// 403.
    #[must_use]
    pub fn access_refused(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::AccessRefused, text)
    }

    /// 404.
    #[must_use]
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::NotFound, text)
    }

    /// 406.
    #[must_use]
    pub fn precondition_failed(text: impl Into<String>) -> Self {
        Self::new(ReplyCode::PreconditionFailed, text)
    }

    /// 404: there is no such queue.
    #[must_use]
    pub fn no_queue(name: &str, vhost: &str) -> Self {
        Self::not_found(format!("no {}", resource("queue", name, vhost)))
    }

    /// 404: there is no such exchange.
    #[must_use]
    pub fn no_exchange(name: &str, vhost: &str) -> Self {
        Self::not_found(format!("no {}", resource("exchange", name, vhost)))
    }

    /// 405: an exclusive queue of another connection.
    #[must_use]
    pub fn locked_queue(name: &str, vhost: &str) -> Self {
        let queue = resource("queue", name, vhost);
        Self::new(
            ReplyCode::ResourceLocked,
            format!(
                "cannot obtain exclusive access to locked {queue}. It could be originally declared on another \
                 connection or the exclusive property value does not match that of the original declaration."
            ),
        )
    }

    /// 403: another consumer has the queue to itself, or wants to and is not the first.
    #[must_use]
    pub fn exclusive_use(queue: &str, vhost: &str) -> Self {
        Self::access_refused(format!("{} in exclusive use", resource("queue", queue, vhost)))
    }

    /// 403: declaring, deleting, binding or unbinding the default exchange.
    #[must_use]
    pub fn default_exchange() -> Self {
        Self::access_refused("operation not permitted on the default exchange")
    }

    /// 403: deleting a pre-declared exchange.
    #[must_use]
    pub fn system_exchange(name: &str, vhost: &str) -> Self {
        Self::access_refused(format!("deletion of system {} not allowed", resource("exchange", name, vhost)))
    }

    /// 403: creating something under a name that the specification keeps for brokers. `kind` is `queue` or `exchange`.
    #[must_use]
    pub fn reserved_name(kind: &str, name: &str) -> Self {
        Self::access_refused(format!("{kind} name '{name}' contains reserved prefix 'amq.*'"))
    }

    /// 403: publishing to an exchange that only other exchanges may route to.
    #[must_use]
    pub fn internal_exchange(name: &str, vhost: &str) -> Self {
        Self::access_refused(format!("cannot publish to internal {}", resource("exchange", name, vhost)))
    }

    /// 406: `if-unused` on an exchange that holds messages back.
    #[must_use]
    pub fn holds_messages(exchange: &str, vhost: &str, count: u64) -> Self {
        let place = resource("exchange", exchange, vhost);
        Self::precondition_failed(format!("{place} in use: {count} delayed messages wait in it"))
    }

    /// 406: `if-unused` on something in use. `kind` is `queue` or `exchange`.
    #[must_use]
    pub fn in_use(kind: &str, name: &str, vhost: &str) -> Self {
        Self::precondition_failed(format!("{} in use", resource(kind, name, vhost)))
    }

    /// 406: `if-empty` on a queue with messages.
    #[must_use]
    pub fn not_empty(queue: &str, vhost: &str) -> Self {
        Self::precondition_failed(format!("{} not empty", resource("queue", queue, vhost)))
    }

    /// 406: a transaction that a queue would refuse a part of.
    #[must_use]
    pub fn no_room(queue: &str, vhost: &str) -> Self {
        let queue = resource("queue", queue, vhost);
        Self::precondition_failed(format!("{queue} has no room for the transaction: nothing of it was done"))
    }

    /// 406: declaring an exchange of a type that nobody registered.
    #[must_use]
    pub fn unknown_exchange_type(kind: &str) -> Self {
        Self::precondition_failed(format!("unknown exchange type '{kind}'"))
    }

    /// 406: an exchange that outlived its type, after a plugin was switched off.
    #[must_use]
    pub fn missing_exchange_type(exchange: &str, vhost: &str, kind: &str) -> Self {
        let exchange = resource("exchange", exchange, vhost);
        Self::precondition_failed(format!("Cannot route message through {exchange}: exchange type {kind} not found"))
    }

    /// 406: an argument of the wrong type. `kind` is `queue` or `exchange`.
    #[must_use]
    pub fn argument_type(key: &str, kind: &str, name: &str, vhost: &str, value: &FieldValue) -> Self {
        let resource = resource(kind, name, vhost);
        Self::precondition_failed(format!("invalid type '{}' for arg '{key}' in {resource}", value.type_name()))
    }

    /// 406: an argument with a value that is no good. `reason` is an Erlang term in RabbitMQ.
    #[must_use]
    pub fn invalid_arg(key: &str, kind: &str, name: &str, vhost: &str, reason: impl Display) -> Self {
        Self::precondition_failed(format!("invalid arg '{key}' for {}: {reason}", resource(kind, name, vhost)))
    }

    /// 406: declared again with another property (`durable`, `type`, …). `kind` is `queue` or `exchange`.
    #[must_use]
    pub fn inequivalent_property(
        key: &str,
        kind: &str,
        name: &str,
        vhost: &str,
        received: impl Display,
        current: impl Display,
    ) -> Self {
        Self::inequivalent(key, &resource(kind, name, vhost), &format!("'{received}'"), &format!("'{current}'"))
    }

    /// 406: declared again with another argument. `kind` is `queue` or `exchange`. Types are named only where one side
    /// has no value, as in RabbitMQ.
    #[must_use]
    pub fn inequivalent_arg(
        key: &str,
        kind: &str,
        name: &str,
        vhost: &str,
        received: Option<&FieldValue>,
        current: Option<&FieldValue>,
    ) -> Self {
        match (received, current) {
            (Some(received), Some(current)) => Self::inequivalent_property(key, kind, name, vhost, received, current),
            _ => Self::inequivalent(key, &resource(kind, name, vhost), &typed(received), &typed(current)),
        }
    }

    /// Ok where both declarations give `key` the same value (integers regardless of width) or both give none.
    ///
    /// # Errors
    /// [`Self::inequivalent_arg`].
    pub fn check_equivalent_arg(
        key: &str,
        kind: &str,
        name: &str,
        vhost: &str,
        received: Option<&FieldValue>,
        current: Option<&FieldValue>,
    ) -> Result<(), Self> {
        let same = match (received, current) {
            (Some(received), Some(current)) => equivalent(received, current),
            (received, current) => received.is_none() && current.is_none(),
        };
        if same { Ok(()) } else { Err(Self::inequivalent_arg(key, kind, name, vhost, received, current)) }
    }

    fn inequivalent(key: &str, resource: &str, received: &str, current: &str) -> Self {
        Self::precondition_failed(format!(
            "inequivalent arg '{key}' for {resource}: received {received} but current is {current}"
        ))
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::new(error.reply_code(), error.to_string())
    }
}

/// A name as RabbitMQ's texts give it: `queue 'q' in vhost '/'`.
pub(crate) fn resource(kind: &str, name: &str, vhost: &str) -> String {
    format!("{kind} '{name}' in vhost '{vhost}'")
}

/// Bytes as Erlang prints a binary: `<<"text">>`, or numbers where it is no text.
#[must_use]
pub fn erlang_binary(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok("") => "<<>>".to_owned(),
        Ok(text) if text.chars().any(char::is_control) => erlang_bytes(bytes),
        Ok(text) if text.is_ascii() => format!("<<{text:?}>>"),
        Ok(text) => format!("<<{text:?}/utf8>>"),
        Err(_) => erlang_bytes(bytes),
    }
}

fn erlang_bytes(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

fn typed(value: Option<&FieldValue>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("the value '{value}' of type '{}'", value.type_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inequivalent_argument_names_the_type_where_one_side_has_none() {
        let ten = FieldValue::I32(10);
        let error = Error::inequivalent_arg("x-max-length", "queue", "q", "/", None, Some(&ten));
        assert_eq!(
            error.text,
            "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '10' of \
             type 'signedint'"
        );
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
    }

    #[test]
    fn an_inequivalent_argument_gives_both_values() {
        let (twenty, ten) = (FieldValue::I64(20), FieldValue::I32(10));
        let error = Error::inequivalent_arg("x-max-length", "queue", "q", "/", Some(&twenty), Some(&ten));
        assert_eq!(
            error.text,
            "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '20' but current is '10'"
        );
    }

    #[test]
    fn integers_of_any_width_are_equivalent() {
        let (long, short) = (FieldValue::I64(10), FieldValue::I16(10));
        assert_eq!(Error::check_equivalent_arg("k", "queue", "q", "/", Some(&long), Some(&short)), Ok(()));
        assert_eq!(Error::check_equivalent_arg("k", "queue", "q", "/", None, None), Ok(()));
        assert!(Error::check_equivalent_arg("k", "queue", "q", "/", None, Some(&short)).is_err());
    }

    #[test]
    fn binaries_are_printed_as_erlang_does() {
        assert_eq!(erlang_binary(b"foo"), r#"<<"foo">>"#);
        assert_eq!(erlang_binary("é".as_bytes()), r#"<<"é"/utf8>>"#);
        assert_eq!(erlang_binary(&[1, 255]), "<<1,255>>");
        assert_eq!(erlang_binary(b""), "<<>>");
    }

    #[test]
    fn the_whole_text_has_the_name_of_the_code() {
        assert_eq!(Error::no_queue("q", "/").to_string(), "NOT_FOUND - no queue 'q' in vhost '/'");
    }
}
