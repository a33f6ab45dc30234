//! Frames and the protocol header.

use bytes::BytesMut;
use leveret_amqp::{
    FRAME_END, Frame, FrameKind, PROTOCOL_HEADER, ProtocolHeader, ReplyCode, WireError, check_protocol_header, decode,
    encode_frame_start, encode_heartbeat,
};

use crate::samples::{every_method, frame_of};

fn body_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame_start(FrameKind::Body, 3, u32::try_from(payload.len()).unwrap(), &mut frame);
    frame.extend_from_slice(payload);
    frame.push(FRAME_END);
    frame
}

#[test]
fn heartbeat_round_trip() {
    let mut out = BytesMut::new();
    encode_heartbeat(&mut out);
    let (frame, consumed) = decode(&out, 4096).unwrap().unwrap();
    assert_eq!((frame, consumed), (Frame { kind: FrameKind::Heartbeat, channel: 0, payload: &[] }, 8));
}

#[test]
fn a_frame_is_taken_off_the_front() {
    let mut input = body_frame(b"hello");
    input.extend_from_slice(b"more");
    let (frame, consumed) = decode(&input, 0).unwrap().unwrap();
    assert_eq!((frame, consumed), (Frame { kind: FrameKind::Body, channel: 3, payload: b"hello" }, 13));
}

#[test]
fn the_limit_counts_the_whole_frame() {
    let fits = body_frame(&[0; 4088]);
    assert!(decode(&fits, 4096).unwrap().is_some());
    assert!(decode(&fits, 0).unwrap().is_some());
    let too_large = body_frame(&[0; 4089]);
    let error = decode(&too_large, 4096).unwrap_err();
    assert!(matches!(error, WireError::FrameTooLarge { size: 4089, size_max: 4088, .. }));
    assert_eq!(error.reply_code(), ReplyCode::FrameError);
}

#[test]
fn a_frame_too_large_is_refused_before_it_has_arrived() {
    let mut start = Vec::new();
    encode_frame_start(FrameKind::Body, 1, u32::MAX, &mut start);
    assert!(decode(&start, 131_072).is_err());
    assert_eq!(decode(&start, 0), Ok(None));
}

#[test]
fn limits_below_the_overhead_allow_empty_frames_only() {
    for frame_max in 1..=8 {
        assert!(decode(&body_frame(b""), frame_max).unwrap().is_some());
        assert!(decode(&body_frame(b"x"), frame_max).is_err());
    }
}

#[test]
fn errors_have_the_words_of_rabbitmq() {
    let mut wrong_end = body_frame(&[1, 2, 3]);
    *wrong_end.last_mut().unwrap() = 0;
    let text = decode(&wrong_end, 0).unwrap_err().to_string();
    assert_eq!(text, "type 3, all octets = <<1,2,3>>: {invalid_frame_end_marker,0}");

    let mut wrong_end = body_frame(b"seventeen letters");
    *wrong_end.last_mut().unwrap() = 0x41;
    let text = decode(&wrong_end, 0).unwrap_err().to_string();
    assert_eq!(text, "type 3, first 16 octets = <<\"seventeen letter\">>: {invalid_frame_end_marker,65}");

    let text = decode(b"GET / HTTP/1.1\r\n", 0).unwrap_err().to_string();
    assert_eq!(text, "type 71, all octets = <<84,84,80,47,49,46,49,13,10>>: unknown_frame");
}

#[test]
fn unknown_types_and_heartbeats_with_a_payload_are_refused() {
    for kind in (0..=255_u8).filter(|kind| ![1, 2, 3, 8].contains(kind)) {
        let error = decode(&[kind, 0, 0, 0, 0, 0, 0], 0).unwrap_err();
        assert_eq!(error.reply_code(), ReplyCode::FrameError);
    }
    assert!(decode(&[8, 0, 0, 0, 0, 0, 1, 0, FRAME_END], 0).is_err());
}

#[test]
fn every_prefix_of_a_frame_is_incomplete() {
    for (.., name, method) in every_method() {
        let frame = frame_of(&method);
        for len in 0..frame.len() {
            assert_eq!(decode(&frame[..len], 131_072), Ok(None), "{name} at {len}");
        }
    }
}

#[test]
fn protocol_headers() {
    for len in 0..PROTOCOL_HEADER.len() {
        assert_eq!(check_protocol_header(&PROTOCOL_HEADER[..len]), ProtocolHeader::Incomplete);
    }
    assert_eq!(check_protocol_header(b"AMQP\x00\x00\x09\x01\x01"), ProtocolHeader::Accepted);
    for wrong in [&b"G"[..], b"AMQP\x01", b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00", b"\x16\x03\x01"] {
        assert_eq!(check_protocol_header(wrong), ProtocolHeader::Rejected);
    }
}
