//! Field tables as JSON without loss: every type, every order, every duplicate name comes back as it was.
//!
//! A table is a flat list of name, type letter and value; an array one of type letter and value. The letters are the
//! wire's. Flat, so that one level of a table is one level of JSON: the wire's limit of
//! [`TABLE_DEPTH_MAX`](leveret_amqp::TABLE_DEPTH_MAX) levels stays within the 128 that `serde_json` reads. What JSON does
//! not have is written so that nothing is lost: floats by their bits, and bytes that are no text as `{"base64": …}`.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use leveret_amqp::{FieldTable, FieldValue};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// `#[serde(with = "field_json::table")]` for a [`FieldTable`].
pub(super) mod table {
    use super::{Deserialize, Deserializer, FieldTable, Serialize, Serializer, Value, table_from, table_value};

    pub(in super::super) fn serialize<S: Serializer>(table: &FieldTable, serializer: S) -> Result<S::Ok, S::Error> {
        table_value(table).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FieldTable, D::Error> {
        let value = Value::deserialize(deserializer)?;
        table_from(value).map_err(super::error)
    }
}

/// `#[serde(with = "field_json::bytes")]` for bytes that are mostly text, such as a routing key.
pub(super) mod bytes {
    use std::sync::Arc;

    use super::{Deserialize, Deserializer, Serialize, Serializer, Value, bytes_from, bytes_value};

    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        bytes_value(bytes).serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        bytes_from(value).map(Arc::from).map_err(super::error)
    }
}

/// What a value should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected(&'static str);

fn error<E: serde::de::Error>(expected: Expected) -> E {
    E::custom(format_args!("expected {}", expected.0))
}

/// The JSON form of a table.
pub(super) fn table_value(table: &FieldTable) -> Value {
    let mut parts = Vec::with_capacity(table.len() * 3);
    for (name, value) in table.iter() {
        let (letter, value) = typed(value);
        parts.extend([name.into(), letter.into(), value]);
    }
    Value::Array(parts)
}

/// The same entries by name, at every level, to tell whether two tables mean the same.
pub(super) fn sorted(table: &FieldTable) -> FieldTable {
    let mut entries: Vec<_> = table.iter().map(|(name, value)| (name, sorted_value(value))).collect();
    entries.sort_by_key(|(name, _)| *name);
    entries.dedup_by_key(|(name, _)| *name);
    entries.into_iter().collect()
}

fn sorted_value(value: &FieldValue) -> FieldValue {
    match value {
        FieldValue::Table(table) => FieldValue::Table(sorted(table)),
        FieldValue::Array(values) => FieldValue::Array(values.iter().map(sorted_value).collect()),
        other => other.clone(),
    }
}

fn typed(value: &FieldValue) -> (&'static str, Value) {
    match value {
        FieldValue::Bool(value) => ("t", json!(value)),
        FieldValue::I8(value) => ("b", json!(value)),
        FieldValue::U8(value) => ("B", json!(value)),
        FieldValue::I16(value) => ("s", json!(value)),
        FieldValue::U16(value) => ("u", json!(value)),
        FieldValue::I32(value) => ("I", json!(value)),
        FieldValue::U32(value) => ("i", json!(value)),
        FieldValue::I64(value) => ("l", json!(value)),
        FieldValue::F32(value) => ("f", json!(value.to_bits())),
        FieldValue::F64(value) => ("d", json!(value.to_bits())),
        FieldValue::Decimal { scale, value } => ("D", json!([scale, value])),
        FieldValue::LongString(bytes) => ("S", bytes_value(bytes)),
        FieldValue::ByteArray(bytes) => ("x", bytes_value(bytes)),
        FieldValue::Array(values) => ("A", array_value(values)),
        FieldValue::Timestamp(seconds) => ("T", json!(seconds)),
        FieldValue::Table(table) => ("F", table_value(table)),
        FieldValue::Void => ("V", Value::Null),
    }
}

fn array_value(values: &[FieldValue]) -> Value {
    let pairs = values.iter().map(typed);
    Value::Array(pairs.flat_map(|(letter, value)| [letter.into(), value]).collect())
}

fn bytes_value(bytes: &[u8]) -> Value {
    str::from_utf8(bytes).map_or_else(|_| json!({"base64": STANDARD.encode(bytes)}), Value::from)
}

fn table_from(value: Value) -> Result<FieldTable, Expected> {
    const FORM: Expected = Expected("a table as a list of names, types and values");
    let Value::Array(parts) = value else { return Err(FORM) };
    let mut entries = Vec::with_capacity(parts.len() / 3);
    let mut parts = parts.into_iter();
    while let Some(name) = parts.next() {
        match (name, parts.next(), parts.next()) {
            (Value::String(name), Some(Value::String(letter)), Some(value)) => {
                entries.push((name, value_from(&letter, value)?));
            }
            _ => return Err(FORM),
        }
    }
    table_of(entries)
}

/// A table is made by inserting, which replaces. Only the wire makes tables with a name twice, so those go over it again.
fn table_of(entries: Vec<(String, FieldValue)>) -> Result<FieldTable, Expected> {
    let names: BTreeSet<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() == entries.len() {
        return Ok(entries.into_iter().collect());
    }
    let mut contents = Vec::new();
    for (name, value) in entries {
        FieldTable::new().with(name, value).encode_contents(&mut contents);
    }
    FieldTable::decode_contents(&contents).map_err(|_| Expected("a table within the limits of the wire"))
}

fn array_from(value: Value) -> Result<Vec<FieldValue>, Expected> {
    const FORM: Expected = Expected("an array as a list of types and values");
    let Value::Array(parts) = value else { return Err(FORM) };
    let mut values = Vec::with_capacity(parts.len() / 2);
    let mut parts = parts.into_iter();
    while let Some(letter) = parts.next() {
        match (letter, parts.next()) {
            (Value::String(letter), Some(value)) => values.push(value_from(&letter, value)?),
            _ => return Err(FORM),
        }
    }
    Ok(values)
}

fn value_from(letter: &str, value: Value) -> Result<FieldValue, Expected> {
    Ok(match letter {
        "t" => FieldValue::Bool(value.as_bool().ok_or(Expected("true or false"))?),
        "b" => FieldValue::I8(integer(&value)?),
        "B" => FieldValue::U8(integer(&value)?),
        "s" => FieldValue::I16(integer(&value)?),
        "u" => FieldValue::U16(integer(&value)?),
        "I" => FieldValue::I32(integer(&value)?),
        "i" => FieldValue::U32(integer(&value)?),
        "l" => FieldValue::I64(integer(&value)?),
        "f" => FieldValue::F32(f32::from_bits(integer(&value)?)),
        "d" => FieldValue::F64(f64::from_bits(integer(&value)?)),
        "D" => decimal(&value)?,
        "S" => FieldValue::LongString(bytes_from(value)?),
        "x" => FieldValue::ByteArray(bytes_from(value)?),
        "A" => FieldValue::Array(array_from(value)?),
        "T" => FieldValue::Timestamp(integer(&value)?),
        "F" => FieldValue::Table(table_from(value)?),
        "V" => FieldValue::Void,
        _ => return Err(Expected("a type letter of AMQP")),
    })
}

/// An integer that fits the type it is for.
fn integer<T: TryFrom<i64> + TryFrom<u64>>(value: &Value) -> Result<T, Expected> {
    let signed = value.as_i64().and_then(|value| T::try_from(value).ok());
    let unsigned = || value.as_u64().and_then(|value| T::try_from(value).ok());
    signed.or_else(unsigned).ok_or(Expected("an integer of its type"))
}

fn decimal(value: &Value) -> Result<FieldValue, Expected> {
    match value.as_array().map(Vec::as_slice) {
        Some([scale, value]) => Ok(FieldValue::Decimal { scale: integer(scale)?, value: integer(value)? }),
        _ => Err(Expected("a scale and a value")),
    }
}

fn bytes_from(value: Value) -> Result<Vec<u8>, Expected> {
    match value {
        Value::String(text) => Ok(text.into_bytes()),
        other => {
            let encoded = other.get("base64").and_then(Value::as_str);
            encoded.and_then(|encoded| STANDARD.decode(encoded).ok()).ok_or(Expected("text or base64"))
        }
    }
}
