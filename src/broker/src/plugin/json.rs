//! Field tables, properties and payloads as JSON, as RabbitMQ's API shows them, and field tables from it.

use base64::{Engine, engine::general_purpose::STANDARD};
use leveret_amqp::{FieldTable, FieldValue, OwnedProperties, fits_short_string};
use serde_json::{Map, Number, Value, json};

/// A field table as a JSON object: texts that are not UTF-8 lose what is not.
#[must_use]
pub fn table_to_json(table: &FieldTable) -> Value {
    Value::Object(table.iter().map(|(name, value)| (name.to_owned(), value_to_json(value))).collect())
}

fn value_to_json(value: &FieldValue) -> Value {
    if let Some(integer) = value.as_i64() {
        return json!(integer);
    }
    match value {
        FieldValue::Array(values) => Value::Array(values.iter().map(value_to_json).collect()),
        FieldValue::Bool(flag) => json!(flag),
        FieldValue::F32(number) => json!(number),
        FieldValue::F64(number) => json!(number),
        FieldValue::Table(table) => table_to_json(table),
        FieldValue::Timestamp(seconds) => json!(seconds),
        FieldValue::Void => Value::Null,
        other => match other.as_bytes() {
            Some(bytes) => json!(String::from_utf8_lossy(bytes)),
            None => json!(format!("{other:?}")),
        },
    }
}

/// What JSON says and a field table cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonTableError {
    /// A short string has no room for it.
    #[error("the name '{0}' is longer than 255 bytes")]
    Name(String),
    /// No type has room for it.
    #[error("the number {0} is too large")]
    Number(Number),
}

/// A JSON object as a field table: integers become 64 bits wide, texts long strings.
///
/// # Errors
/// For a name that is too long, and a number that is too large.
pub fn table_from_json(object: &Map<String, Value>) -> Result<FieldTable, JsonTableError> {
    let mut table = FieldTable::default();
    for (name, value) in object {
        if !fits_short_string(name.as_bytes()) {
            return Err(JsonTableError::Name(name.clone()));
        }
        table.insert(name.as_str(), value_from_json(value)?);
    }
    Ok(table)
}

fn value_from_json(value: &Value) -> Result<FieldValue, JsonTableError> {
    Ok(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(flag) => FieldValue::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => FieldValue::I64(integer),
            (None, Some(float)) => FieldValue::F64(float),
            (None, None) => return Err(JsonTableError::Number(number.clone())),
        },
        Value::String(text) => FieldValue::LongString(text.as_bytes().to_vec()),
        Value::Array(values) => FieldValue::Array(values.iter().map(value_from_json).collect::<Result<_, _>>()?),
        Value::Object(object) => FieldValue::Table(table_from_json(object)?),
    })
}

/// A message's properties as a JSON object, without those that it has not.
#[must_use]
pub fn properties_to_json(properties: &OwnedProperties) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| json!(String::from_utf8_lossy(bytes)));
    put("content_type", text(&properties.content_type));
    put("content_encoding", text(&properties.content_encoding));
    put("headers", properties.headers.as_ref().map(table_to_json));
    put("delivery_mode", properties.delivery_mode.map(|mode| json!(mode)));
    put("priority", properties.priority.map(|priority| json!(priority)));
    put("correlation_id", text(&properties.correlation_id));
    put("reply_to", text(&properties.reply_to));
    put("expiration", text(&properties.expiration));
    put("message_id", text(&properties.message_id));
    put("timestamp", properties.timestamp.map(|timestamp| json!(timestamp)));
    put("type", text(&properties.kind));
    put("user_id", text(&properties.user_id));
    put("app_id", text(&properties.app_id));
    put("cluster_id", text(&properties.cluster_id));
    Value::Object(object)
}

/// A payload, and its encoding's name: text as it is, anything else and where it `must_be_base64` in base64.
#[must_use]
pub fn payload_to_json(payload: &[u8], must_be_base64: bool) -> (String, &'static str) {
    match str::from_utf8(payload) {
        Ok(text) if !must_be_base64 => (text.to_owned(), "string"),
        _ => (STANDARD.encode(payload), "base64"),
    }
}
