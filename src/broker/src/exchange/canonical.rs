//! Field values as bytes that are equal where the values are: to look them up without decoding or comparing.
//!
//! Equal is what [`leveret_amqp::equivalent`] says: integers by value whatever their width, floats likewise, tables
//! whatever their order. Not a number is the exception: here it is equal to itself.

use leveret_amqp::{FieldTable, FieldValue, RawValue};

/// Appends the canonical form of a value.
pub(super) fn put(value: &FieldValue, out: &mut Vec<u8>) {
    if let Some(integer) = value.as_i64() {
        return put_fixed(b'l', integer.to_be_bytes(), out);
    }
    if let Some(float) = value.as_f64() {
        // Minus zero equals zero: adding zero makes it so.
        return put_fixed(b'd', (float + 0.0).to_be_bytes(), out);
    }
    match value {
        FieldValue::LongString(bytes) => put_bytes(b'S', bytes, out),
        FieldValue::ByteArray(bytes) => put_bytes(b'x', bytes, out),
        FieldValue::Array(values) => {
            put_len(b'A', values.len(), out);
            values.iter().for_each(|value| put(value, out));
        }
        FieldValue::Table(table) => put_table(table, out),
        other => other.encode(out),
    }
}

/// Appends the canonical form of a value on the wire: bytes that are equal where values are, integers by value whatever
/// their width. False where it is malformed. Allocates for arrays and tables only.
pub fn put_canonical(value: RawValue<'_>, out: &mut Vec<u8>) -> bool {
    if let Some(bytes) = value.as_bytes() {
        put_bytes(b'S', bytes, out);
        return true;
    }
    value.decode().inspect(|value| put(value, out)).is_ok()
}

fn put_table(table: &FieldTable, out: &mut Vec<u8>) {
    let mut entries: Vec<_> = table.iter().collect();
    // The sort is stable, and the first entry of a name is the one that counts.
    entries.sort_by_key(|(name, _)| *name);
    entries.dedup_by_key(|(name, _)| *name);
    put_len(b'F', entries.len(), out);
    for (name, value) in entries {
        put_bytes(b'S', name.as_bytes(), out);
        put(value, out);
    }
}

fn put_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    put_len(kind, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_len(kind: u8, len: usize, out: &mut Vec<u8>) {
    put_fixed(kind, (len as u64).to_be_bytes(), out);
}

fn put_fixed<const N: usize>(kind: u8, bytes: [u8; N], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use leveret_amqp::{RawTable, equivalent};
    use proptest::prelude::*;

    use super::{super::testing::value, *};

    fn canonical(value: &FieldValue) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(value, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn equal_bytes_are_equivalent_values(one in value(), other in value()) {
            prop_assert_eq!(canonical(&one) == canonical(&other), equivalent(&one, &other));
        }

        #[test]
        fn the_wire_form_gives_the_same_bytes(value in value()) {
            let mut contents = Vec::new();
            FieldTable::new().with("k", value.clone()).encode_contents(&mut contents);
            let raw = RawTable::new(&contents).find_raw("k").unwrap().unwrap();
            let mut bytes = Vec::new();
            prop_assert!(put_canonical(raw, &mut bytes));
            prop_assert_eq!(bytes, canonical(&value));
        }
    }

    #[test]
    fn widths_and_signs_of_zero_do_not_matter() {
        assert_eq!(canonical(&FieldValue::U8(5)), canonical(&FieldValue::I64(5)));
        assert_eq!(canonical(&FieldValue::F32(-0.0)), canonical(&FieldValue::F64(0.0)));
        assert_ne!(canonical(&FieldValue::Timestamp(5)), canonical(&FieldValue::I64(5)));
    }
}
