//! Field tables and values.

use leveret_amqp::{
    FieldTable, FieldValue, RawTable, ReplyCode, TABLE_DEPTH_MAX, TABLE_VALUES_MAX, WireError, equivalent,
};
use proptest::prelude::*;

use crate::samples::{any_table, any_value, every_type};

fn contents(table: &FieldTable) -> Vec<u8> {
    let mut out = Vec::new();
    table.encode_contents(&mut out);
    out
}

/// A table in a table, `levels` in all.
fn nested(levels: u32) -> FieldTable {
    (1..levels).fold(FieldTable::new(), |inner, _| FieldTable::new().with("t", inner))
}

fn array_of_void(values: u32) -> FieldTable {
    FieldTable::new().with("a", vec![FieldValue::Void; values as usize])
}

#[test]
fn every_type_round_trip() {
    let table = every_type();
    let mut out = Vec::new();
    table.encode(&mut out);
    assert_eq!(FieldTable::decode(&out).unwrap(), table);
    let raw = RawTable::new(&out[4..]);
    assert_eq!(raw.decode().unwrap(), table);
    assert_eq!(raw.validate(), Ok(()));
    let kinds: Vec<u8> = raw.iter().map(|entry| entry.unwrap().1.kind()).collect();
    let names: Vec<u8> = raw.iter().flat_map(|entry| entry.unwrap().0.to_vec()).collect();
    assert_eq!(kinds, names, "the samples are named by their type octets");
}

#[test]
fn types_have_the_octets_of_rabbitmq() {
    let bytes = |value: FieldValue| {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    };
    assert_eq!(bytes(FieldValue::I8(-1)), b"b\xff");
    assert_eq!(bytes(FieldValue::U8(255)), b"B\xff");
    assert_eq!(bytes(FieldValue::I16(1)), b"s\x00\x01");
    assert_eq!(bytes(FieldValue::U16(1)), b"u\x00\x01");
    assert_eq!(bytes(FieldValue::I32(1)), b"I\x00\x00\x00\x01");
    assert_eq!(bytes(FieldValue::U32(1)), b"i\x00\x00\x00\x01");
    assert_eq!(bytes(FieldValue::I64(1)), b"l\x00\x00\x00\x00\x00\x00\x00\x01");
    assert_eq!(bytes(FieldValue::F32(1.0)), b"f\x3f\x80\x00\x00");
    assert_eq!(bytes(FieldValue::Decimal { scale: 2, value: 3 }), b"D\x02\x00\x00\x00\x03");
    assert_eq!(bytes("ab".into()), b"S\x00\x00\x00\x02ab");
    assert_eq!(bytes(FieldValue::ByteArray(vec![7])), b"x\x00\x00\x00\x01\x07");
    assert_eq!(bytes(vec![FieldValue::Void].into()), b"A\x00\x00\x00\x01V");
    assert_eq!(bytes(FieldTable::new().with("k", true).into()), b"F\x00\x00\x00\x04\x01kt\x01");
}

#[test]
fn unsigned_64_bit_is_read_as_signed() {
    let table = FieldTable::decode_contents(b"\x01kL\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
    assert_eq!(table.get("k"), Some(&FieldValue::I64(-1)));
}

#[test]
fn type_names_are_those_of_rabbitmq() {
    let names: Vec<_> = every_type().into_iter().map(|(_, value)| value.type_name()).collect();
    let expected = "bool byte unsignedbyte short unsignedshort signedint unsignedint long float double decimal longstr \
                    binary array timestamp table void";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn integers_of_every_width_have_a_value() {
    let values: Vec<_> = every_type().into_iter().filter_map(|(_, value)| value.as_i64()).collect();
    assert_eq!(values, [-1, 200, -300, 60_000, -70_000, 4_000_000_000, i64::MIN]);
    assert_eq!(FieldValue::Timestamp(1).as_i64(), None);
}

#[test]
fn equivalence_ignores_widths_and_order() {
    let same = |a: FieldValue, b: FieldValue| equivalent(&a, &b) && equivalent(&b, &a);
    assert!(same(FieldValue::I32(5), FieldValue::I64(5)));
    assert!(same(FieldValue::U8(5), FieldValue::I16(5)));
    assert!(same(FieldValue::F32(0.5), FieldValue::F64(0.5)));
    assert!(same(vec![FieldValue::I8(1)].into(), vec![FieldValue::I64(1)].into()));
    assert!(same(
        FieldTable::new().with("a", 1_i32).with("b", 2_i32).into(),
        FieldTable::new().with("b", 2_i64).with("a", 1_u8).into()
    ));
    assert!(!same(FieldValue::I32(5), FieldValue::I32(6)));
    assert!(!same(FieldValue::I32(5), FieldValue::F64(5.0)));
    assert!(!same(FieldValue::I32(5), "5".into()));
    assert!(!same(FieldValue::I64(5), FieldValue::Timestamp(5)));
    assert!(!same("a".into(), FieldValue::ByteArray(b"a".to_vec())));
    assert!(!same(FieldTable::new().with("a", 1_i32).into(), FieldTable::new().into()));
    assert!(!same(vec![FieldValue::Void].into(), FieldValue::Array(Vec::new())));
}

#[test]
fn a_table_is_an_ordered_map() {
    let mut table = FieldTable::new();
    assert_eq!(table.insert("b", 1_i32), None);
    assert_eq!(table.insert("a", "text"), None);
    assert_eq!(table.insert("b", true), Some(FieldValue::I32(1)));
    assert_eq!(table.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(table.get("a").and_then(FieldValue::as_str), Some("text"));
    assert_eq!(table.get("b").and_then(FieldValue::as_bool), Some(true));
    assert_eq!(table.to_string(), "{b: true, a: text}");
    assert_eq!(table.remove("b"), Some(FieldValue::Bool(true)));
    assert_eq!((table.len(), table.contains("b"), table.remove("b")), (1, false, None));
}

#[test]
fn of_a_name_sent_twice_the_first_counts() {
    let wire = b"\x01kI\x00\x00\x00\x01\x01kI\x00\x00\x00\x02";
    let mut table = FieldTable::decode_contents(wire).unwrap();
    assert_eq!(table.get("k"), Some(&FieldValue::I32(1)));
    assert_eq!(RawTable::new(wire).find("k"), Ok(Some(FieldValue::I32(1))));
    assert_eq!(contents(&table), wire);
    assert!(table.equivalent(&FieldTable::new().with("k", 1_i64)));
    assert_eq!(table.remove("k"), Some(FieldValue::I32(1)));
    assert!(table.is_empty());
}

#[test]
fn one_value_is_found_without_reading_the_others() {
    let mut wire = contents(&every_type());
    let raw = RawTable::new(&wire);
    assert_eq!(raw.find("T"), Ok(Some(FieldValue::Timestamp(1_700_000_000))));
    assert_eq!(raw.find_raw("S").unwrap().unwrap().as_bytes(), Some(&b"long string"[..]));
    assert_eq!(raw.find("missing"), Ok(None));
    wire.push(1);
    assert!(RawTable::new(&wire).find("t").unwrap().is_some());
    assert_eq!(RawTable::new(&wire).find("missing").unwrap_err().reply_code(), ReplyCode::SyntaxError);
    assert_eq!(RawTable::new(&wire).iter().filter(Result::is_err).count(), 1);
}

#[test]
fn depth_is_limited() {
    let deepest = contents(&nested(TABLE_DEPTH_MAX));
    assert!(RawTable::new(&deepest).decode().is_ok());
    assert!(RawTable::new(&deepest).validate().is_ok());
    let too_deep = contents(&nested(TABLE_DEPTH_MAX + 1));
    assert_eq!(RawTable::new(&too_deep).decode(), Err(WireError::TableTooDeep(TABLE_DEPTH_MAX)));
    assert_eq!(RawTable::new(&too_deep).validate(), Err(WireError::TableTooDeep(TABLE_DEPTH_MAX)));
    let arrays = (0..TABLE_DEPTH_MAX).fold(FieldValue::Void, |inner, _| FieldValue::Array(vec![inner]));
    assert!(RawTable::new(&contents(&FieldTable::new().with("a", arrays))).decode().is_err());
}

#[test]
fn depth_is_counted_by_nesting_not_by_number() {
    let wide: FieldTable = (0..200).map(|index| (index.to_string(), nested(3))).collect();
    assert_eq!(RawTable::new(&contents(&wide)).decode(), Ok(wide));
}

#[test]
fn the_number_of_values_is_limited() {
    let largest = contents(&array_of_void(TABLE_VALUES_MAX - 1));
    assert!(RawTable::new(&largest).decode().is_ok());
    assert!(RawTable::new(&largest).validate().is_ok());
    let too_large = contents(&array_of_void(TABLE_VALUES_MAX));
    assert_eq!(RawTable::new(&too_large).decode(), Err(WireError::TableTooLarge(TABLE_VALUES_MAX)));
    assert_eq!(RawTable::new(&too_large).validate(), Err(WireError::TableTooLarge(TABLE_VALUES_MAX)));
}

#[test]
fn malformed_tables_are_syntax_errors() {
    for wire in [&b"\x01"[..], b"\x01k", b"\x01kI\x00", b"\x01kS\x00\x00\x00\x09x", b"\x01kZ", b"\x01\xfft\x01"] {
        let error = RawTable::new(wire).decode().unwrap_err();
        assert_eq!(error.reply_code(), ReplyCode::SyntaxError);
        assert_eq!(RawTable::new(wire).validate(), Err(error));
    }
    assert_eq!(FieldTable::decode(b"\x00\x00\x00\x00\x00").unwrap_err().reply_code(), ReplyCode::SyntaxError);
}

#[test]
fn long_field_names_are_cut() {
    let table = FieldTable::new().with("n".repeat(300), 1_i32);
    assert!(FieldTable::decode_contents(&contents(&table)).unwrap().contains(&"n".repeat(255)));
}

proptest! {
    #[test]
    fn any_table_round_trip(table in any_table()) {
        let wire = contents(&table);
        prop_assert_eq!(RawTable::new(&wire).validate(), Ok(()));
        prop_assert_eq!(RawTable::new(&wire).decode().unwrap(), table);
    }

    #[test]
    fn any_value_is_equivalent_to_itself(value in any_value()) {
        prop_assert!(equivalent(&value, &value));
    }

    #[test]
    fn checking_and_decoding_agree(table in any_table(), at: prop::sample::Index, byte: u8) {
        let mut wire = contents(&table);
        if !wire.is_empty() {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let raw = RawTable::new(&wire);
        prop_assert_eq!(raw.validate(), raw.decode().map(drop));
    }
}
