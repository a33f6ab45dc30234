//! A message's frames: content header, body frames, and the delivery method in front of them on the hot path.

use bytes::BytesMut;

use crate::{
    error::WireError,
    frame::{FRAME_END, FRAME_OVERHEAD, FrameKind, encode_frame_start},
    method::basic,
    properties::EMPTY_RAW,
    wire::{Reader, SHORT_STRING_MAX, Sink, put_short_bytes, put_short_text},
};

/// Bytes of a content header before the properties: class, weight, body size.
const HEADER_FIXED_LEN: usize = 2 + 2 + 8;

/// The payload of a header frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// Class of the method before it; 60 (basic) for all there are.
    pub class_id: u16,
    /// Bytes of all body frames that follow, together.
    pub body_size: u64,
    /// Property flags and list, for [`crate::Properties::parse`].
    pub properties_raw: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Reads the payload of a header frame; the properties are not looked into.
    ///
    /// # Errors
    ///
    /// `SYNTAX_ERROR` when it is too short or has a weight.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "content header");
        let class_id = reader.short()?;
        match reader.short()? {
            0 => {}
            weight => return Err(WireError::Weight(weight)),
        }
        let body_size = reader.long_long()?;
        Ok(Self { class_id, body_size, properties_raw: reader.rest() })
    }
}

/// Writes a header frame of class basic. `properties_raw` as from [`ContentHeader`] or [`crate::OwnedProperties::encode`],
/// where empty stands for [`crate::EMPTY_RAW`]. A header cannot be split: the caller sees to it that it fits the
/// receiver's frame size.
pub fn encode_header(channel: u16, body_size: u64, properties_raw: &[u8], out: &mut BytesMut) {
    let properties_raw = if properties_raw.is_empty() { &EMPTY_RAW } else { properties_raw };
    let payload_len = HEADER_FIXED_LEN + properties_raw.len();
    out.reserve(payload_len + FRAME_OVERHEAD as usize);
    encode_frame_start(FrameKind::Header, channel, payload_len as u32, out);
    let [class_high, class_low] = basic::Method::CLASS_ID.to_be_bytes();
    out.extend_from_slice(&[class_high, class_low, 0, 0]);
    out.extend_from_slice(&body_size.to_be_bytes());
    out.extend_from_slice(properties_raw);
    out.extend_from_slice(&[FRAME_END]);
}

/// Body bytes that fit into one frame of `frame_max` bytes; at least one, so that cutting a body always ends. 0 is no
/// limit.
#[must_use]
pub const fn body_chunk_len(frame_max: u32) -> usize {
    match frame_max {
        0 => (u32::MAX - FRAME_OVERHEAD) as usize,
        1..=FRAME_OVERHEAD => 1,
        _ => (frame_max - FRAME_OVERHEAD) as usize,
    }
}

/// Writes a body as as many frames as it takes; none for an empty body. `frame_max` limits the whole frame, in bytes,
/// 0 is no limit.
pub fn encode_body(channel: u16, frame_max: u32, body: &[u8], out: &mut BytesMut) {
    let chunk_len = body_chunk_len(frame_max);
    out.reserve(body.len() + body.len().div_ceil(chunk_len) * FRAME_OVERHEAD as usize);
    for chunk in body.chunks(chunk_len) {
        encode_frame_start(FrameKind::Body, channel, chunk.len() as u32, out);
        out.extend_from_slice(chunk);
        out.extend_from_slice(&[FRAME_END]);
    }
}

/// Writes a `basic.deliver` frame. `exchange_and_key` are the two short strings as on the wire, from
/// [`basic::Publish::exchange_and_key`] or [`encode_exchange_and_key`]; `consumer_tag` is cut to 255 bytes.
#[inline]
pub fn encode_deliver(
    out: &mut BytesMut,
    channel: u16,
    consumer_tag: &[u8],
    delivery_tag: u64,
    redelivered: bool,
    exchange_and_key: &[u8],
) {
    let consumer_tag = consumer_tag.get(..SHORT_STRING_MAX).unwrap_or(consumer_tag);
    let payload_len = 4 + 1 + consumer_tag.len() + 8 + 1 + exchange_and_key.len();
    out.reserve(payload_len + FRAME_OVERHEAD as usize);
    encode_frame_start(FrameKind::Method, channel, payload_len as u32, out);
    let [class_high, class_low] = basic::Method::CLASS_ID.to_be_bytes();
    let [id_high, id_low] = basic::Deliver::ID.to_be_bytes();
    out.extend_from_slice(&[class_high, class_low, id_high, id_low, consumer_tag.len() as u8]);
    out.extend_from_slice(consumer_tag);
    let [a, b, c, d, e, f, g, h] = delivery_tag.to_be_bytes();
    out.extend_from_slice(&[a, b, c, d, e, f, g, h, u8::from(redelivered)]);
    out.extend_from_slice(exchange_and_key);
    out.extend_from_slice(&[FRAME_END]);
}

/// Writes exchange name and routing key as two short strings, each cut to 255 bytes: the form that
/// [`encode_deliver`] takes.
pub fn encode_exchange_and_key<S: Sink>(exchange: &str, routing_key: &[u8], out: &mut S) {
    put_short_text(out, exchange);
    put_short_bytes(out, routing_key);
}

/// Takes apart what [`encode_exchange_and_key`] writes.
///
/// # Errors
///
/// `SYNTAX_ERROR` when the bytes are not exactly two short strings, the first of them UTF-8.
pub fn split_exchange_and_key(exchange_and_key: &[u8]) -> Result<(&str, &[u8]), WireError> {
    let mut reader = Reader::new(exchange_and_key, "exchange and routing key");
    let names = (reader.short_text()?, reader.short_bytes()?);
    reader.finish()?;
    Ok(names)
}
