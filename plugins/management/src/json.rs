//! JSON as field tables.

use leveret_amqp::{FieldTable, FieldValue};
use serde_json::{Map, Value};

use crate::error::ApiError;

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
