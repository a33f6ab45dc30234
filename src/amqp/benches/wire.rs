//! The wire codec on the hot path: publishes in, deliveries out.

#![allow(clippy::unwrap_used, missing_docs)]

use bytes::BytesMut;
use divan::{Bencher, black_box, counter::ItemsCount};
use leveret_amqp::{
    ContentHeader, EMPTY_RAW, FrameKind, Method, basic, decode, encode_body, encode_deliver, encode_header,
};

const MESSAGES: u64 = 1000;
const FRAME_MAX: u32 = 131_072;

fn main() {
    divan::main();
}

/// What a client sends for [`MESSAGES`] publishes of `body_len` bytes.
fn publishes(body_len: usize) -> BytesMut {
    let mut wire = BytesMut::new();
    let publish = basic::Publish {
        exchange: "orders",
        routing_key: b"created",
        mandatory: false,
        immediate: false,
        exchange_and_key: b"\x06orders\x07created",
    };
    for _ in 0..MESSAGES {
        Method::from(publish).encode(1, &mut wire);
        encode_header(1, body_len as u64, &EMPTY_RAW, &mut wire);
        encode_body(1, FRAME_MAX, &vec![0; body_len], &mut wire);
    }
    wire
}

#[divan::bench(args = [16, 1024])]
fn decode_publishes(bencher: Bencher<'_, '_>, body_len: usize) {
    let wire = publishes(body_len);
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let mut rest = &wire[..];
        while let Some((frame, length)) = decode(rest, FRAME_MAX).unwrap() {
            match frame.kind {
                FrameKind::Method => drop(black_box(Method::decode(frame.payload).unwrap())),
                FrameKind::Header => drop(black_box(ContentHeader::decode(frame.payload).unwrap())),
                _ => {
                    black_box(frame.payload);
                }
            }
            rest = &rest[length..];
        }
    });
}

#[divan::bench(args = [16, 1024])]
fn encode_deliveries(bencher: Bencher<'_, '_>, body_len: usize) {
    let body = vec![0; body_len];
    let mut wire = BytesMut::new();
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        wire.clear();
        for tag in 0..MESSAGES {
            encode_deliver(&mut wire, 1, b"amq.ctag-1", tag, false, b"\x06orders\x07created");
            encode_header(1, body.len() as u64, &EMPTY_RAW, &mut wire);
            encode_body(1, FRAME_MAX, &body, &mut wire);
        }
        black_box(wire.len())
    });
}
