//! Which group a message belongs to (`x-message-group-header`, `x-message-group-property`).

use std::sync::Arc;

use leveret_amqp::Properties;

use crate::{exchange::put_canonical, message::RecordView};

/// Where a message says which group it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupKey {
    /// In a header of this name.
    Header(Arc<str>),
    /// In a property.
    Property(GroupProperty),
}

/// The properties that can name a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupProperty {
    /// `message_id`
    MessageId,
    /// `correlation_id`
    CorrelationId,
    /// `timestamp`
    Timestamp,
}

impl GroupProperty {
    /// The names, as RabbitMQ's consistent hash exchange has them.
    pub(crate) const NAMES: &[&str] = &["message_id", "correlation_id", "timestamp"];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "message_id" => Some(Self::MessageId),
            "correlation_id" => Some(Self::CorrelationId),
            "timestamp" => Some(Self::Timestamp),
            _ => None,
        }
    }
}

impl GroupKey {
    /// Appends the name of the group, in a form that is equal where the values are; false for a message of no group:
    /// without the header or property, or with a header that is neither text nor number nor truth value.
    pub(crate) fn put_group(&self, record: &[u8], name: &mut Vec<u8>) -> bool {
        let Some(properties) = RecordView::parse(record).and_then(|view| Properties::parse(view.properties_raw).ok())
        else {
            return false;
        };
        match self {
            Self::Header(header) => {
                let value = properties.headers.and_then(|headers| headers.find_raw(header).ok()?);
                value.is_some_and(|value| !matches!(value.kind(), b'A' | b'F' | b'V') && put_canonical(value, name))
            }
            Self::Property(GroupProperty::MessageId) => put_text(properties.message_id, name),
            Self::Property(GroupProperty::CorrelationId) => put_text(properties.correlation_id, name),
            Self::Property(GroupProperty::Timestamp) => {
                let seconds = properties.timestamp.map(u64::to_be_bytes);
                put_text(seconds.as_ref().map(<[u8; 8]>::as_slice), name)
            }
        }
    }
}

fn put_text(text: Option<&[u8]>, name: &mut Vec<u8>) -> bool {
    text.map(|text| name.extend_from_slice(text)).is_some()
}

#[cfg(test)]
mod tests {
    use leveret_amqp::{FieldTable, FieldValue, OwnedProperties};

    use super::*;
    use crate::message::{NewRecord, append_record};

    fn group(key: &GroupKey, properties: &OwnedProperties) -> Option<Vec<u8>> {
        let (mut record, mut name) = (Vec::new(), Vec::new());
        let new = NewRecord {
            persistent: true,
            dead_lettered: false,
            priority: 0,
            timestamp_ms: 0,
            expiration_ms: None,
            exchange_and_key: b"\0\x01k",
            properties_raw: &properties.to_raw(),
            body: b"",
        };
        append_record(&mut record, &new);
        key.put_group(&record, &mut name).then_some(name)
    }

    fn with_header(value: FieldValue) -> OwnedProperties {
        OwnedProperties { headers: Some(FieldTable::new().with("g", value)), ..OwnedProperties::default() }
    }

    #[test]
    fn a_header_names_the_group_whatever_its_width() {
        let key = GroupKey::Header("g".into());
        let of = |value| group(&key, &with_header(value));
        assert_eq!(of(FieldValue::I8(5)), of(FieldValue::I64(5)));
        assert_ne!(of(FieldValue::I8(5)), of("5".into()));
        assert_ne!(of(FieldValue::Bool(true)), of(FieldValue::Bool(false)));
        assert!(of("".into()).is_some(), "an empty name is one");
        for none in [FieldValue::Void, FieldValue::Array(Vec::new()), FieldValue::Table(FieldTable::new())] {
            assert_eq!(of(none), None);
        }
        assert_eq!(group(&key, &OwnedProperties::default()), None);
    }

    #[test]
    fn a_property_names_the_group() {
        let properties = OwnedProperties {
            message_id: Some(b"m".to_vec()),
            correlation_id: Some(b"c".to_vec()),
            timestamp: Some(5),
            ..OwnedProperties::default()
        };
        let of = |property| group(&GroupKey::Property(property), &properties);
        assert_eq!(of(GroupProperty::MessageId), Some(b"m".to_vec()));
        assert_eq!(of(GroupProperty::CorrelationId), Some(b"c".to_vec()));
        assert_eq!(of(GroupProperty::Timestamp), Some(vec![0, 0, 0, 0, 0, 0, 0, 5]));
        assert_eq!(group(&GroupKey::Property(GroupProperty::Timestamp), &OwnedProperties::default()), None);
    }
}
