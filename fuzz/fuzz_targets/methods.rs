//! Method arguments: what decodes encodes to a frame that decodes to the same method.

#![no_main]

use bytes::BytesMut;
use leveret_amqp::{FrameKind, Method, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let ids = Method::peek_ids(payload);
    match Method::decode(payload) {
        Ok(method) => {
            assert_eq!(method.ids(), ids);
            let mut bytes = BytesMut::new();
            method.encode(7, &mut bytes);
            let (frame, length) = decode(&bytes, 0).expect("an encoded frame").expect("a whole frame");
            assert_eq!((frame.kind, frame.channel, length), (FrameKind::Method, 7, bytes.len()));
            let again = Method::decode(frame.payload).expect("an encoded method");
            // Compared as text: a float that is no number equals nothing, itself included.
            assert_eq!(format!("{again:?}"), format!("{method:?}"));
        }
        Err(error) => {
            let _ = (error.reply_code(), error.to_string());
        }
    }
});
