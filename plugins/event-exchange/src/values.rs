//! Values of headers.

use leveret_amqp::{FieldTable, FieldValue};
use serde_json::{Map, Value};

pub(crate) fn texts(texts: &[String]) -> FieldValue {
    FieldValue::Array(texts.iter().map(|text| text.as_str().into()).collect())
}

pub(crate) fn integer(number: u64) -> FieldValue {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

pub(crate) fn table(object: &Map<String, Value>) -> FieldTable {
    object.iter().map(|(name, entry)| (name.as_str(), value(entry))).collect()
}

pub(crate) fn value(json: &Value) -> FieldValue {
    match json {
        Value::Null => FieldValue::Void,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().map_or(FieldValue::Void, FieldValue::from),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => FieldValue::Array(values.iter().map(value).collect()),
        Value::Object(object) => table(object).into(),
    }
}
