//! What of a message is hashed.

use leveret_amqp::{FieldTable, FieldValue, RawValue};
use leveret_broker::{
    Error,
    exchange::{RouteInput, put_canonical},
};
use twox_hash::XxHash3_64;

pub(crate) const HASH_HEADER: &str = "hash-header";
pub(crate) const HASH_PROPERTY: &str = "hash-property";

/// The part of a message that decides where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HashOn {
    RoutingKey,
    Header(String),
    MessageId,
    CorrelationId,
    Timestamp,
}

impl HashOn {
    /// As an exchange's arguments say.
    pub(crate) fn of(arguments: &FieldTable) -> Result<Self, Error> {
        match (arguments.get(HASH_HEADER), arguments.get(HASH_PROPERTY)) {
            (None, None) => Ok(Self::RoutingKey),
            (Some(header), None) => Ok(Self::Header(text(HASH_HEADER, header)?.to_owned())),
            (None, Some(property)) => Self::property(text(HASH_PROPERTY, property)?),
            (Some(_), Some(_)) => {
                Err(Error::precondition_failed("hash-header and hash-property are mutually exclusive"))
            }
        }
    }

    fn property(name: &str) -> Result<Self, Error> {
        match name {
            "message_id" => Ok(Self::MessageId),
            "correlation_id" => Ok(Self::CorrelationId),
            "timestamp" => Ok(Self::Timestamp),
            other => Err(Error::precondition_failed(format!("Unsupported property: {other}"))),
        }
    }

    /// The message's hash. Messages that lack what is hashed have all the same, as in RabbitMQ.
    ///
    /// XXH3 is specified to the bit, so that a key stays where it is over restarts and releases.
    pub(crate) fn hash(&self, input: &RouteInput<'_>) -> u64 {
        let properties = input.properties;
        match self {
            Self::RoutingKey => XxHash3_64::oneshot(input.routing_key),
            Self::MessageId => XxHash3_64::oneshot(properties.message_id.unwrap_or_default()),
            Self::CorrelationId => XxHash3_64::oneshot(properties.correlation_id.unwrap_or_default()),
            Self::Timestamp => match properties.timestamp {
                Some(timestamp) => XxHash3_64::oneshot(&timestamp.to_be_bytes()),
                None => XxHash3_64::oneshot(&[]),
            },
            Self::Header(name) => match properties.headers.map(|headers| headers.find_raw(name)) {
                Some(Ok(Some(value))) => hash_value(value),
                _ => XxHash3_64::oneshot(&[]),
            },
        }
    }
}

/// Equal values have the same hash: a 5 of one width is a 5 of another.
fn hash_value(value: RawValue<'_>) -> u64 {
    if let Some(bytes) = value.as_bytes() {
        return XxHash3_64::oneshot(bytes);
    }
    let mut bytes = Vec::new();
    put_canonical(value, &mut bytes);
    XxHash3_64::oneshot(&bytes)
}

fn text<'a>(key: &str, value: &'a FieldValue) -> Result<&'a str, Error> {
    let kind = value.type_name();
    let bytes = value.as_bytes().ok_or_else(|| format!("invalid type '{kind}' for arg '{key}': expected longstr"));
    bytes
        .and_then(|bytes| str::from_utf8(bytes).map_err(|_| format!("invalid arg '{key}': not UTF-8")))
        .map_err(Error::precondition_failed)
}

#[cfg(test)]
mod tests {
    use leveret_amqp::{Properties, RawTable};

    use super::*;

    fn refused(arguments: &FieldTable) -> String {
        HashOn::of(arguments).unwrap_err().to_string()
    }

    fn hash_of_header(value: impl Into<FieldValue>) -> u64 {
        let mut contents = Vec::new();
        FieldTable::new().with("other", 1_i32).with("h", value).encode_contents(&mut contents);
        let properties = Properties { headers: Some(RawTable::new(&contents)), ..Properties::EMPTY };
        HashOn::Header("h".to_owned()).hash(&RouteInput { routing_key: b"", properties: &properties })
    }

    #[test]
    fn arguments_say_what_is_hashed() {
        let of = |key: &str, value: &str| HashOn::of(&FieldTable::new().with(key, value)).unwrap();
        assert_eq!(HashOn::of(&FieldTable::new()).unwrap(), HashOn::RoutingKey);
        assert_eq!(of("hash-header", "h"), HashOn::Header("h".to_owned()));
        assert_eq!(of("hash-property", "message_id"), HashOn::MessageId);
        assert_eq!(of("hash-property", "correlation_id"), HashOn::CorrelationId);
        assert_eq!(of("hash-property", "timestamp"), HashOn::Timestamp);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let arguments = FieldTable::new;
        assert_eq!(
            refused(&arguments().with("hash-header", "h").with("hash-property", "message_id")),
            "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive"
        );
        assert_eq!(
            refused(&arguments().with("hash-property", "app_id")),
            "PRECONDITION_FAILED - Unsupported property: app_id"
        );
        assert_eq!(
            refused(&arguments().with("hash-header", 1_i32)),
            "PRECONDITION_FAILED - invalid type 'signedint' for arg 'hash-header': expected longstr"
        );
        assert_eq!(
            refused(&arguments().with("hash-header", FieldValue::LongString(vec![0xff]))),
            "PRECONDITION_FAILED - invalid arg 'hash-header': not UTF-8"
        );
    }

    #[test]
    fn headers_are_hashed_by_value() {
        assert_eq!(hash_of_header(5_i32), hash_of_header(5_i64));
        assert_ne!(hash_of_header(5_i32), hash_of_header(6_i32));
        assert_ne!(hash_of_header("a"), hash_of_header("b"));
        assert_ne!(hash_of_header(true), hash_of_header(false));
    }

    #[test]
    fn what_is_missing_has_one_hash() {
        let none = RouteInput::of_key(b"key");
        let all = [HashOn::Header("h".to_owned()), HashOn::MessageId, HashOn::CorrelationId, HashOn::Timestamp];
        let hashes = all.map(|on| on.hash(&none));
        assert!(hashes.iter().all(|hash| *hash == hashes[0] && *hash != HashOn::RoutingKey.hash(&none)));
    }

    #[test]
    fn properties_are_hashed_each_by_itself() {
        let properties = Properties {
            message_id: Some(b"message"),
            correlation_id: Some(b"correlation"),
            timestamp: Some(7),
            ..Properties::EMPTY
        };
        let input = RouteInput { routing_key: b"key", properties: &properties };
        let hash = |on: HashOn| on.hash(&input);
        assert_eq!(hash(HashOn::MessageId), XxHash3_64::oneshot(b"message"));
        assert_eq!(hash(HashOn::CorrelationId), XxHash3_64::oneshot(b"correlation"));
        assert_eq!(hash(HashOn::Timestamp), XxHash3_64::oneshot(&7_u64.to_be_bytes()));
        assert_eq!(hash(HashOn::RoutingKey), XxHash3_64::oneshot(b"key"));
    }
}
