//! Methods: ids, names, fields, bits, errors.

use std::collections::HashSet;

use leveret_amqp::{Frame, FrameKind, Method, ReplyCode, WireError, access, basic, decode, exchange, queue};
use proptest::prelude::*;

use crate::samples::{any_table, every_method, frame_of, short_text};

/// The method in a frame's payload, as class, method id, and the bytes of the fields.
fn payload(frame: &[u8]) -> &[u8] {
    decode(frame, 0).unwrap().unwrap().0.payload
}

#[test]
fn every_method_comes_out_as_it_went_in() {
    for (class_id, method_id, name, method) in every_method() {
        let bytes = frame_of(&method);
        let (frame, consumed) = decode(&bytes, 0).unwrap().unwrap();
        assert_eq!(consumed, bytes.len(), "{name}");
        assert_eq!((frame.kind, frame.channel), (FrameKind::Method, 7), "{name}");
        assert_eq!(Method::decode(frame.payload).unwrap(), method, "{name}");
        assert_eq!(Method::peek_ids(frame.payload), (class_id, method_id), "{name}");
        assert_eq!((method.ids(), method.name()), ((class_id, method_id), name));
    }
}

#[test]
fn the_samples_are_all_methods_there_are() {
    let samples: HashSet<_> = every_method().iter().map(|(class_id, method_id, ..)| (*class_id, *method_id)).collect();
    assert_eq!(samples.len(), 66);
    for class_id in 0..=200_u16 {
        for method_id in 0..=200_u16 {
            let ids = [class_id.to_be_bytes(), method_id.to_be_bytes()].concat();
            let unknown = Method::decode(&ids) == Err(WireError::UnknownMethod { class_id, method_id });
            assert_eq!(unknown, !samples.contains(&(class_id, method_id)), "{class_id}.{method_id}");
        }
    }
}

#[test]
fn unknown_methods_are_not_implemented() {
    let error = Method::decode(&[0, 60, 0, 41]).unwrap_err();
    assert_eq!(error.reply_code(), ReplyCode::NotImplemented);
}

#[test]
fn unbinding_exchanges_is_answered_with_method_51() {
    let unbind_ok: Method<'_> = exchange::UnbindOk.into();
    assert_eq!(unbind_ok.ids(), (40, 51));
    assert_eq!(payload(&frame_of(&unbind_ok)), [0, 40, 0, 51]);
    assert_eq!(Method::decode(&[0, 40, 0, 41]).unwrap_err().reply_code(), ReplyCode::NotImplemented);
}

#[test]
fn publish_has_the_bytes_of_the_specification() {
    let publish = basic::Publish { exchange: "x", routing_key: b"key", mandatory: true, ..Default::default() };
    let bytes = frame_of(&publish.into());
    assert_eq!(bytes[..], *b"\x01\x00\x07\x00\x00\x00\x0d\x00\x3c\x00\x28\x00\x00\x01x\x03key\x01\xce");
    let Method::Basic(basic::Method::Publish(decoded)) = Method::decode(payload(&bytes)).unwrap() else {
        panic!("not a publish");
    };
    assert_eq!(decoded.exchange_and_key, b"\x01x\x03key");
    assert_eq!((decoded.mandatory, decoded.immediate), (true, false));
}

#[test]
fn bits_fill_an_octet_from_the_lowest() {
    let request =
        access::Request { realm: "", exclusive: true, passive: false, active: false, write: true, read: true };
    assert_eq!(payload(&frame_of(&request.into())), [0, 30, 0, 10, 0, 0b11001]);
    let declare = exchange::Declare { no_wait: true, durable: true, ..Default::default() };
    assert_eq!(payload(&frame_of(&declare.into())), [0, 40, 0, 10, 0, 0, 0, 0, 0b10010, 0, 0, 0, 0]);
}

#[test]
fn reserved_fields_may_hold_anything() {
    // channel.open with an out-of-band string, connection.open with capabilities and insist, basic.get with ticket 1.
    assert!(Method::decode(b"\x00\x14\x00\x0a\x03\xff\xffx").is_ok());
    assert!(Method::decode(b"\x00\x0a\x00\x28\x01/\x02ab\x01").is_ok());
    assert!(Method::decode(b"\x00\x3c\x00\x46\x00\x01\x01q\x00").is_ok());
}

#[test]
fn content_follows_four_methods() {
    let names: Vec<_> =
        every_method().into_iter().filter(|(.., method)| method.carries_content()).map(|(.., name, _)| name).collect();
    assert_eq!(names, ["basic.publish", "basic.return", "basic.deliver", "basic.get-ok"]);
}

#[test]
fn names_are_utf8_and_keys_are_bytes() {
    let error = Method::decode(b"\x00\x3c\x00\x28\x00\x00\x01\xff\x00\x00").unwrap_err();
    assert_eq!(error, WireError::InvalidUtf8("basic.publish"));
    assert_eq!(error.reply_code(), ReplyCode::SyntaxError);
    assert!(Method::decode(b"\x00\x3c\x00\x28\x00\x00\x00\x01\xff\x00").is_ok());
}

#[test]
fn bytes_after_the_last_field_are_refused() {
    for (.., name, method) in every_method() {
        let bytes = frame_of(&method);
        let longer = [payload(&bytes), &[0]].concat();
        assert_eq!(Method::decode(&longer), Err(WireError::Trailing { what: name, count: 1 }));
    }
}

#[test]
fn every_prefix_of_a_method_is_truncated() {
    for (.., name, method) in every_method() {
        let bytes = frame_of(&method);
        let payload = payload(&bytes);
        for len in 0..payload.len() {
            assert!(matches!(Method::decode(&payload[..len]), Err(WireError::Truncated(_))), "{name} at {len}");
        }
    }
}

#[test]
fn long_names_are_cut_between_characters() {
    let name = "é".repeat(200);
    let key = [b'k'; 300];
    let bind = queue::Bind { queue: &name, exchange: &name, routing_key: &key, ..Default::default() };
    let bytes = frame_of(&bind.into());
    let Method::Queue(queue::Method::Bind(decoded)) = Method::decode(payload(&bytes)).unwrap() else {
        panic!("not a bind");
    };
    assert_eq!(decoded.queue, "é".repeat(127));
    assert_eq!(decoded.exchange, "é".repeat(127));
    assert_eq!(decoded.routing_key, &key[..255]);
}

#[test]
fn frames_are_appended() {
    let mut out = frame_of(&basic::QosOk.into());
    let ack: Method<'_> = basic::Ack { delivery_tag: 1, multiple: false }.into();
    ack.encode(9, &mut out);
    let (_, consumed) = decode(&out, 0).unwrap().unwrap();
    let second = decode(&out[consumed..], 0).unwrap().unwrap().0;
    assert_eq!(Method::decode(second.payload).unwrap(), ack);
    assert!(matches!(second, Frame { channel: 9, .. }));
}

proptest! {
    #[test]
    fn declare_round_trip(queue in short_text(), bits in any::<[bool; 5]>(), arguments in any_table()) {
        let [passive, durable, exclusive, auto_delete, no_wait] = bits;
        let method =
            queue::Declare { queue: &queue, passive, durable, exclusive, auto_delete, no_wait, arguments }.into();
        let bytes = frame_of(&method);
        prop_assert_eq!(Method::decode(payload(&bytes)).unwrap(), method);
    }

    #[test]
    fn publish_round_trip(
        exchange in short_text(),
        routing_key in prop::collection::vec(any::<u8>(), 0..=255),
        mandatory: bool,
        immediate: bool,
    ) {
        let mut names = Vec::new();
        leveret_amqp::encode_exchange_and_key(&exchange, &routing_key, &mut names);
        let method = basic::Publish {
            exchange: &exchange, routing_key: &routing_key, mandatory, immediate, exchange_and_key: &names,
        }.into();
        let bytes = frame_of(&method);
        prop_assert_eq!(Method::decode(payload(&bytes)).unwrap(), method);
    }
}
