//! Content headers, bodies, and the fast way to write deliveries.

use bytes::BytesMut;
use leveret_amqp::{
    ContentHeader, EMPTY_RAW, FrameKind, Method, ReplyCode, basic, body_chunk_len, decode, encode_body, encode_deliver,
    encode_exchange_and_key, encode_header, split_exchange_and_key,
};
use proptest::prelude::*;

use crate::samples::{all_properties, frame_of, short_text};

/// The body in a run of body frames, and how many there are. Every frame keeps the limit.
fn collect_body(mut input: &[u8], frame_max: u32) -> (Vec<u8>, usize) {
    let (mut body, mut frames) = (Vec::new(), 0);
    while !input.is_empty() {
        let (frame, consumed) = decode(input, frame_max).unwrap().unwrap();
        assert_eq!((frame.kind, frame.channel), (FrameKind::Body, 2));
        assert!(!frame.payload.is_empty());
        body.extend_from_slice(frame.payload);
        frames += 1;
        input = &input[consumed..];
    }
    (body, frames)
}

#[test]
fn header_round_trip() {
    for raw in [EMPTY_RAW.to_vec(), all_properties().to_raw()] {
        let mut out = BytesMut::new();
        encode_header(5, u64::MAX, &raw, &mut out);
        let (frame, consumed) = decode(&out, 0).unwrap().unwrap();
        assert_eq!((frame.kind, frame.channel, consumed), (FrameKind::Header, 5, out.len()));
        let header = ContentHeader::decode(frame.payload).unwrap();
        assert_eq!(header, ContentHeader { class_id: 60, body_size: u64::MAX, properties_raw: &raw });
    }
}

#[test]
fn a_header_without_flags_gets_empty_ones() {
    let mut out = BytesMut::new();
    encode_header(1, 0, &[], &mut out);
    let header = ContentHeader::decode(decode(&out, 0).unwrap().unwrap().0.payload).unwrap();
    assert_eq!(header.properties_raw, EMPTY_RAW);
}

#[test]
fn short_headers_and_weights_are_refused() {
    let payload = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0];
    for len in 0..12 {
        assert!(ContentHeader::decode(&payload[..len]).is_err());
    }
    assert!(ContentHeader::decode(&payload).is_ok());
    let weighted = [0, 60, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0];
    assert_eq!(ContentHeader::decode(&weighted).unwrap_err().reply_code(), ReplyCode::SyntaxError);
}

#[test]
fn bodies_are_cut_at_the_frame_size() {
    let chunk_len = body_chunk_len(4096);
    assert_eq!(chunk_len, 4088);
    for (len, frames) in [(0, 0), (1, 1), (chunk_len, 1), (chunk_len + 1, 2), (3 * chunk_len, 3), (100_000, 25)] {
        let body: Vec<u8> = (0..len).map(|index| index as u8).collect();
        let mut out = BytesMut::new();
        encode_body(2, 4096, &body, &mut out);
        assert_eq!(collect_body(&out, 4096), (body.clone(), frames));
        out.clear();
        encode_body(2, 0, &body, &mut out);
        assert_eq!(collect_body(&out, 0), (body, usize::from(len > 0)));
    }
}

#[test]
fn absurd_frame_sizes_still_end() {
    for frame_max in 1..=9 {
        assert_eq!(body_chunk_len(frame_max), 1);
        let mut out = BytesMut::new();
        encode_body(2, frame_max, b"abc", &mut out);
        assert_eq!(collect_body(&out, 0), (b"abc".to_vec(), 3));
    }
    assert_eq!(body_chunk_len(u32::MAX), u32::MAX as usize - 8);
}

#[test]
fn names_are_taken_apart_again() {
    let mut names = Vec::new();
    encode_exchange_and_key("amq.topic", b"a\xFF", &mut names);
    assert_eq!(split_exchange_and_key(&names), Ok(("amq.topic", &b"a\xFF"[..])));
    for wrong in [&b""[..], b"\x00", b"\x05x", b"\x00\x00\x00", b"\x01\xff\x00"] {
        assert!(split_exchange_and_key(wrong).is_err());
    }
}

#[test]
fn long_consumer_tags_are_cut() {
    let mut out = BytesMut::new();
    encode_deliver(&mut out, 1, &[b'c'; 300], 1, false, b"\x00\x00");
    let payload = decode(&out, 0).unwrap().unwrap().0.payload;
    let Method::Basic(basic::Method::Deliver(deliver)) = Method::decode(payload).unwrap() else {
        panic!("not a deliver");
    };
    assert_eq!(deliver.consumer_tag.len(), 255);
}

proptest! {
    #[test]
    fn the_fast_deliver_is_the_declared_one(
        consumer_tag in short_text(),
        exchange in short_text(),
        routing_key in prop::collection::vec(any::<u8>(), 0..=255),
        delivery_tag: u64,
        redelivered: bool,
    ) {
        let mut names = Vec::new();
        encode_exchange_and_key(&exchange, &routing_key, &mut names);
        let mut fast = BytesMut::new();
        encode_deliver(&mut fast, 7, consumer_tag.as_bytes(), delivery_tag, redelivered, &names);
        let declared = basic::Deliver {
            consumer_tag: &consumer_tag, delivery_tag, redelivered, exchange: &exchange, routing_key: &routing_key,
        };
        prop_assert_eq!(fast, frame_of(&declared.into()));
    }

    #[test]
    fn any_body_round_trip(body in prop::collection::vec(any::<u8>(), 0..3000), frame_max in 9_u32..600) {
        let mut out = BytesMut::new();
        encode_body(2, frame_max, &body, &mut out);
        prop_assert_eq!(collect_body(&out, frame_max).0, body);
    }
}
