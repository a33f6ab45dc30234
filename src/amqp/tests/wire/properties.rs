//! Basic properties.

use leveret_amqp::{EMPTY_RAW, OwnedProperties, Properties, RawTable, ReplyCode, WireError};

use crate::samples::{all_properties, every_type};

/// Properties with only the field of this number, in the order of the wire.
fn only(field: usize) -> OwnedProperties {
    let all = all_properties();
    let mut one = OwnedProperties::default();
    match field {
        0 => one.content_type = all.content_type,
        1 => one.content_encoding = all.content_encoding,
        2 => one.headers = all.headers,
        3 => one.delivery_mode = all.delivery_mode,
        4 => one.priority = all.priority,
        5 => one.correlation_id = all.correlation_id,
        6 => one.reply_to = all.reply_to,
        7 => one.expiration = all.expiration,
        8 => one.message_id = all.message_id,
        9 => one.timestamp = all.timestamp,
        10 => one.kind = all.kind,
        11 => one.user_id = all.user_id,
        12 => one.app_id = all.app_id,
        _ => one.cluster_id = all.cluster_id,
    }
    one
}

#[test]
fn all_fourteen_round_trip() {
    let all = all_properties();
    let raw = all.to_raw();
    assert_eq!(raw[..2], 0xFFFC_u16.to_be_bytes());
    assert_eq!(OwnedProperties::decode(&raw).unwrap(), all);
    let view = Properties::parse(&raw).unwrap();
    assert_eq!(view.content_type, Some(&b"text/plain"[..]));
    assert_eq!(view.headers.map(RawTable::decode), Some(Ok(every_type())));
    assert_eq!((view.delivery_mode, view.priority, view.timestamp), (Some(2), Some(9), Some(1_700_000_000)));
    assert_eq!((view.kind, view.cluster_id), (Some(&b"order"[..]), Some(&[0xFF, 0xFE][..])));
    assert!(view.is_persistent());
    let mut again = Vec::new();
    view.encode(&mut again);
    assert_eq!(again, raw);
}

#[test]
fn each_alone_has_its_flag() {
    for field in 0..14 {
        let one = only(field);
        let raw = one.to_raw();
        assert_eq!(raw[..2], (0x8000_u16 >> field).to_be_bytes());
        assert_eq!(OwnedProperties::decode(&raw).unwrap(), one);
    }
}

#[test]
fn none_is_two_zeros() {
    assert_eq!(OwnedProperties::default().to_raw(), EMPTY_RAW);
    assert_eq!(Properties::parse(&EMPTY_RAW), Ok(Properties::default()));
}

#[test]
fn a_field_is_changed_by_way_of_the_view() {
    let raw = all_properties().to_raw();
    let view = Properties {
        expiration: None,
        headers: Some(RawTable::new(b"\x01kt\x01")),
        ..Properties::parse(&raw).unwrap()
    };
    let mut changed = Vec::new();
    view.encode(&mut changed);
    let decoded = OwnedProperties::decode(&changed).unwrap();
    assert_eq!((decoded.expiration, decoded.headers.unwrap().len()), (None, 1));
    assert_eq!((decoded.user_id, decoded.cluster_id), (all_properties().user_id, all_properties().cluster_id));
}

#[test]
fn every_prefix_and_any_extra_byte_is_refused() {
    let mut raw = all_properties().to_raw();
    for len in 0..raw.len() {
        assert_eq!(Properties::parse(&raw[..len]), Err(WireError::Truncated("basic properties")));
    }
    raw.push(0);
    assert!(matches!(Properties::parse(&raw), Err(WireError::Trailing { count: 1, .. })));
}

#[test]
fn undefined_flags_are_refused() {
    for flags in [1_u8, 2, 3] {
        let error = Properties::parse(&[0, flags, 0, 0]).unwrap_err();
        assert_eq!(error.reply_code(), ReplyCode::SyntaxError);
    }
}

#[test]
fn malformed_headers_show_when_they_are_read() {
    let raw = b"\x20\x00\x00\x00\x00\x02\x01k";
    let view = Properties::parse(raw).unwrap();
    assert!(view.headers.unwrap().validate().is_err());
    assert!(OwnedProperties::try_from(&view).is_err());
}

#[test]
fn long_strings_are_cut() {
    let long = OwnedProperties { message_id: Some(vec![b'm'; 300]), priority: Some(1), ..Default::default() };
    let decoded = OwnedProperties::decode(&long.to_raw()).unwrap();
    assert_eq!((decoded.message_id, decoded.priority), (Some(vec![b'm'; 255]), Some(1)));
}
