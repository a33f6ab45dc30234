//! Frames: the outermost layer. Type octet, channel, payload length, payload, end marker.

use bytes::BytesMut;

use crate::{
    error::{Snippet, WireError},
    wire::Sink,
};

/// The smallest frame size both sides must accept, in bytes. The specification's value; RabbitMQ 4.1 asks for 8192,
/// which older clients do not offer.
pub const FRAME_MIN_SIZE: u32 = 4096;
/// Bytes of a frame that are not payload: seven before it, one after it.
pub const FRAME_OVERHEAD: u32 = 8;
/// The octet that ends every frame.
pub const FRAME_END: u8 = 0xCE;
/// What a client sends first: `AMQP`, 0, and version 0-9-1.
pub const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

const START_LEN: usize = 7;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A method of a class.
    Method = 1,
    /// The content header of a message.
    Header = 2,
    /// A part of a message's body.
    Body = 3,
    /// A sign of life; no payload, channel 0.
    Heartbeat = 8,
}

impl FrameKind {
    const fn from_octet(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Method),
            2 => Some(Self::Header),
            3 => Some(Self::Body),
            8 => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// One frame, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is.
    pub kind: FrameKind,
    /// The channel's number; 0 is the connection itself.
    pub channel: u16,
    /// The bytes between length and end marker.
    pub payload: &'a [u8],
}

/// Takes the first frame off `input`: the frame and how many bytes it took, or `None` when it has not arrived whole.
///
/// `frame_max` limits the whole frame, overhead included, in bytes; 0 is no limit. A frame that is too large or of an
/// unknown type is refused as soon as its first seven bytes are there, so that nobody waits for its end.
///
/// # Errors
///
/// [`WireError::UnknownFrame`], [`WireError::FrameTooLarge`] and [`WireError::FrameEnd`], all `FRAME_ERROR`.
#[inline]
pub fn decode(input: &[u8], frame_max: u32) -> Result<Option<(Frame<'_>, usize)>, WireError> {
    let Some((&[octet, channel_high, channel_low, a, b, c, d], rest)) = input.split_first_chunk::<START_LEN>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes([a, b, c, d]);
    let size_usize = size as usize;
    let arrived = || Snippet::of(rest.get(..size_usize).unwrap_or(rest));
    let kind = match FrameKind::from_octet(octet) {
        Some(FrameKind::Heartbeat) if size != 0 => None,
        kind => kind,
    };
    let Some(kind) = kind else {
        return Err(WireError::UnknownFrame { kind: octet, snippet: arrived() });
    };
    let size_max = frame_max.saturating_sub(FRAME_OVERHEAD);
    if frame_max != 0 && size > size_max {
        return Err(WireError::FrameTooLarge { kind: octet, snippet: arrived(), size, size_max });
    }
    let Some((payload, after)) = rest.split_at_checked(size_usize) else {
        return Ok(None);
    };
    match after.first() {
        None => Ok(None),
        Some(&FRAME_END) => {
            let channel = u16::from_be_bytes([channel_high, channel_low]);
            Ok(Some((Frame { kind, channel, payload }, START_LEN + size_usize + 1)))
        }
        Some(&found) => Err(WireError::FrameEnd { kind: octet, snippet: Snippet::of(payload), found }),
    }
}

/// Writes the seven bytes before a payload of `payload_len` bytes. The caller adds the payload and [`FRAME_END`]; for
/// bodies that are written from where they lie.
pub fn encode_frame_start<S: Sink>(kind: FrameKind, channel: u16, payload_len: u32, out: &mut S) {
    let [channel_high, channel_low] = channel.to_be_bytes();
    let [a, b, c, d] = payload_len.to_be_bytes();
    out.put(&[kind as u8, channel_high, channel_low, a, b, c, d]);
}

/// Writes a heartbeat frame.
pub fn encode_heartbeat(out: &mut BytesMut) {
    out.extend_from_slice(&[FrameKind::Heartbeat as u8, 0, 0, 0, 0, 0, 0, FRAME_END]);
}

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolHeader {
    /// So far right, but fewer than eight bytes.
    Incomplete,
    /// AMQP 0-9-1; eight bytes are to be consumed.
    Accepted,
    /// Something else: answer with [`PROTOCOL_HEADER`] and close.
    Rejected,
}

/// Compares the first bytes of a connection with [`PROTOCOL_HEADER`]; a difference is told at the first byte that differs.
#[must_use]
pub fn check_protocol_header(input: &[u8]) -> ProtocolHeader {
    if input.starts_with(&PROTOCOL_HEADER) {
        ProtocolHeader::Accepted
    } else if PROTOCOL_HEADER.starts_with(input) {
        ProtocolHeader::Incomplete
    } else {
        ProtocolHeader::Rejected
    }
}
