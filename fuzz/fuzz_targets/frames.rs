//! The frame decoder: bytes that arrive in pieces give the same frames as bytes that arrive at once, an error is told as
//! soon as it can be and stays, and a frame encoded again is the same bytes.

#![no_main]

use leveret_amqp::{FRAME_END, FRAME_OVERHEAD, Frame, check_protocol_header, decode, encode_frame_start};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    // 0 is no limit, and none is below a frame without payload.
    let (frame_max, bytes) = (u32::from(input.0), input.1);
    let frame_max = if frame_max == 0 { 0 } else { frame_max.max(FRAME_OVERHEAD) };
    let _ = check_protocol_header(bytes);
    let mut rest = bytes;
    while let Ok(Some((frame, length))) = decode(rest, frame_max) {
        assert!(length <= rest.len() && (frame_max == 0 || length <= frame_max as usize));
        assert_eq!(encoded(&frame), rest[..length]);
        // Nothing less than the whole frame is one, and none of its beginnings is an error.
        for cut in [0, 1, 6, 7, 8, length - 1].into_iter().filter(|cut| *cut < length) {
            assert_eq!(decode(&rest[..cut], frame_max), Ok(None));
        }
        rest = &rest[length..];
    }
    if let Err(error) = decode(rest, frame_max) {
        assert!(!error.to_string().is_empty());
        let longer = [rest, &[0; 32]].concat();
        assert!(decode(&longer, frame_max).is_err());
    }
});

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_frame_start(frame.kind, frame.channel, frame.payload.len() as u32, &mut bytes);
    bytes.extend_from_slice(frame.payload);
    bytes.push(FRAME_END);
    bytes
}
