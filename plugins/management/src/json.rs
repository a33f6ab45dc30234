//! Field tables as JSON and back, as RabbitMQ's API shows arguments and headers.

use leveret_amqp::{FieldTable, FieldValue};
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// A field table as a JSON object, as RabbitMQ's API shows it: texts that are not UTF-8 lose what is not.
#[must_use]
pub fn from_table(table: &FieldTable) -> Value {
    Value::Object(table.iter().map(|(name, value)| (name.to_string(), from_value(value))).collect())
}

fn from_value(value: &FieldValue) -> Value {
    if let Some(integer) = value.as_i64() {
        return json!(integer);
    }
    match value {
        FieldValue::Array(values) => Value::Array(values.iter().map(from_value).collect()),
        FieldValue::Bool(flag) => json!(flag),
        FieldValue::F32(number) => json!(number),
        FieldValue::F64(number) => json!(number),
        FieldValue::Table(table) => from_table(table),
        FieldValue::Timestamp(seconds) => json!(seconds),
        FieldValue::Void => Value::Null,
        other => match other.as_bytes() {
            Some(bytes) => json!(String::from_utf8_lossy(bytes)),
            None => json!(format!("{other:?}")),
        },
    }
}

/// A JSON object as a field table: integers become 64 bits wide, texts long strings.
pub(crate) fn to_table(object: &Map<String, Value>) -> Result<FieldTable, ApiError> {
    let mut table = FieldTable::default();
    for (name, value) in object {
        if name.len() > usize::from(u8::MAX) {
            return Err(ApiError::bad_request(format!("the name '{name}' is longer than 255 bytes")));
        }
        table.insert(name.as_str(), to_value(value)?);
    }
    Ok(table)
}

fn to_value(value: &Value) -> Result<FieldValue, ApiError> {
    Ok(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(flag) => FieldValue::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => FieldValue::I64(integer),
            (None, Some(float)) => FieldValue::F64(float),
            (None, None) => return Err(ApiError::bad_request(format!("the number {number} is too large"))),
        },
        Value::String(text) => FieldValue::LongString(text.as_bytes().to_vec()),
        Value::Array(values) => FieldValue::Array(values.iter().map(to_value).collect::<Result<_, _>>()?),
        Value::Object(object) => FieldValue::Table(to_table(object)?),
    })
}
