//! Input that nobody sends by accident. What is asserted is mostly that nothing panics.

use leveret_amqp::{
    ContentHeader, FieldTable, Method, OwnedProperties, Properties, RawTable, decode, split_exchange_and_key,
};
use proptest::prelude::*;

use crate::samples::{all_properties, every_method, frame_of};

/// Gives the bytes to every decoder there is.
fn decode_all(bytes: &[u8]) {
    for frame_max in [0, 9, 4096] {
        let mut rest = bytes;
        while let Ok(Some((frame, consumed))) = decode(rest, frame_max) {
            assert!(consumed <= rest.len() && consumed >= 8);
            decode_payload(frame.payload);
            rest = &rest[consumed..];
        }
    }
    decode_payload(bytes);
}

fn decode_payload(bytes: &[u8]) {
    if let Ok(method) = Method::decode(bytes) {
        let encoded = frame_of(&method);
        assert!(decode(&encoded, 0).unwrap().is_some());
    }
    if let Ok(header) = ContentHeader::decode(bytes) {
        let _ = OwnedProperties::decode(header.properties_raw);
    }
    if let Ok(properties) = Properties::parse(bytes) {
        let mut again = Vec::new();
        properties.encode(&mut again);
        assert_eq!(again, bytes);
    }
    let raw = RawTable::new(bytes);
    let _ = (raw.decode(), raw.validate(), raw.find("k"), raw.iter().count());
    let _ = (FieldTable::decode(bytes), split_exchange_and_key(bytes));
}

#[test]
fn nesting_of_a_whole_frame_does_not_exhaust_the_stack() {
    // As many table starts as fit: name "", type F, and a length that takes in all that follows.
    let mut bytes = Vec::new();
    for level in (0..20_000_u32).rev() {
        bytes.extend_from_slice(&[0, b'F']);
        bytes.extend_from_slice(&(level * 6).to_be_bytes());
    }
    assert!(RawTable::new(&bytes).decode().is_err());
    assert!(RawTable::new(&bytes).validate().is_err());
}

#[test]
fn every_single_byte_of_every_method_may_be_wrong() {
    for (.., method) in every_method() {
        let mut frame = frame_of(&method);
        for at in 0..frame.len() {
            let right = frame[at];
            for wrong in [0, 1, 127, 128, 206, 255, right.wrapping_add(1), right ^ 0x80] {
                frame[at] = wrong;
                decode_all(&frame);
            }
            frame[at] = right;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_all(&bytes);
    }

    #[test]
    fn random_fields_of_known_methods_never_panic(
        index: prop::sample::Index,
        fields in prop::collection::vec(prop_oneof![0..12_u8, any::<u8>()], 0..60),
    ) {
        let methods = every_method();
        let (class_id, method_id, ..) = methods[index.index(methods.len())];
        decode_all(&[&class_id.to_be_bytes()[..], &method_id.to_be_bytes(), &fields].concat());
    }

    #[test]
    fn damaged_properties_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut raw = all_properties().to_raw();
        let at = at.index(raw.len());
        raw[at] = byte;
        decode_all(&raw);
        raw.truncate(cut.index(raw.len()));
        decode_all(&raw);
    }
}
