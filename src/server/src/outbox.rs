//! What waits to be written to the peer.
//!
//! Small things are copied into one buffer, since a copy is cheaper than one more entry in a vectored write. Large
//! bodies stay where they are (a slice of the queue's records) and are written from there.
//!
//! Delivered messages are paid for in bytes of the connection's window ([`Outbox::charge`]); the connection gives back
//! what [`Outbox::advance`] says has been written. Replies are not paid for: the connection stops reading requests
//! when [`Outbox::unpaid`] grows too large.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use leveret_amqp::{
    FRAME_END, FrameKind, Method, body_chunk_len, encode_body, encode_deliver, encode_frame_start, encode_header,
    encode_heartbeat,
};

/// From this length on a fragment of a body is written from where it lies instead of being copied.
const SHARED_BYTES_MIN: usize = 16 * 1024;

/// A buffer that grew beyond this is given back to the allocator once it is empty.
const KEPT_CAPACITY_MAX: usize = 1024 * 1024;

/// What an idle connection holds.
const INITIAL_CAPACITY: usize = 1024;

/// The encoded frames that wait to be written, in order.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Written first. Everything here is complete.
    segments: VecDeque<Bytes>,
    /// Written last; what is being added goes here.
    tail: BytesMut,
    frame_max: u32,
    appended: u64,
    written: u64,
    charges: VecDeque<Charge>,
    charged: u64,
}

/// `bytes` of the window come back when everything before `until` is written.
#[derive(Debug)]
struct Charge {
    until: u64,
    bytes: u64,
}

impl Outbox {
    /// An empty outbox. `frame_max` counts the whole frame; 0 is no limit.
    #[must_use]
    pub(crate) fn new(frame_max: u32) -> Self {
        Self {
            segments: VecDeque::new(),
            tail: BytesMut::with_capacity(INITIAL_CAPACITY),
            frame_max,
            appended: 0,
            written: 0,
            charges: VecDeque::new(),
            charged: 0,
        }
    }

    /// Sets the negotiated frame size.
    pub(crate) fn set_frame_max(&mut self, frame_max: u32) {
        self.frame_max = frame_max;
    }

    /// Bytes that wait.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.appended - self.written).unwrap_or(usize::MAX)
    }

    /// Whether nothing waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.appended == self.written
    }

    /// Bytes that wait and that no window pays for, roughly: what requests of the peer have brought about.
    #[must_use]
    pub(crate) fn unpaid(&self) -> usize {
        self.len().saturating_sub(usize::try_from(self.charged).unwrap_or(usize::MAX))
    }

    /// Adds a method frame.
    pub(crate) fn method(&mut self, channel: u16, method: &Method<'_>) {
        self.append(|tail| method.encode(channel, tail));
    }

    /// Adds a heartbeat.
    pub(crate) fn heartbeat(&mut self) {
        self.append(encode_heartbeat);
    }

    /// Adds bytes as they are: an encoded reply, a protocol header.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.append(|tail| tail.extend_from_slice(bytes));
    }

    /// Adds the method frame of a basic.deliver; [`Self::content`] must follow.
    pub(crate) fn deliver(
        &mut self,
        channel: u16,
        consumer_tag: &[u8],
        delivery_tag: u64,
        redelivered: bool,
        exchange_and_key: &[u8],
    ) {
        self.append(|tail| {
            encode_deliver(tail, channel, consumer_tag, delivery_tag, redelivered, exchange_and_key);
        });
    }

    /// Adds a content header and a body. `shared` gives the same body as a view into the buffer that owns it; it is
    /// asked only where the body is large.
    pub(crate) fn content(&mut self, channel: u16, properties_raw: &[u8], body: &[u8], shared: impl FnOnce() -> Bytes) {
        let fragment = body_chunk_len(self.frame_max);
        if body.len().min(fragment) < SHARED_BYTES_MIN {
            let frame_max = self.frame_max;
            self.append(|tail| {
                encode_header(channel, body.len() as u64, properties_raw, tail);
                encode_body(channel, frame_max, body, tail);
            });
            return;
        }
        self.append(|tail| encode_header(channel, body.len() as u64, properties_raw, tail));
        let body = shared();
        for start in (0..body.len()).step_by(fragment) {
            let end = body.len().min(start.saturating_add(fragment));
            self.shared_body(channel, body.slice(start..end));
        }
    }

    /// Notes that what was added last has taken `bytes` from the connection's window.
    pub(crate) fn charge(&mut self, bytes: u64) {
        self.charged += bytes;
        match self.charges.back_mut() {
            Some(last) if last.until == self.appended => last.bytes += bytes,
            _ => self.charges.push_back(Charge { until: self.appended, bytes }),
        }
    }

    /// The next bytes to write, in order; how many entries of `slices` are filled.
    pub(crate) fn fill_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let waiting = self.segments.iter().map(|segment| &segment[..]).chain(tail);
        let mut filled = 0;
        for (slice, bytes) in slices.iter_mut().zip(waiting) {
            *slice = IoSlice::new(bytes);
            filled += 1;
        }
        filled
    }

    /// Notes that the first `count` bytes are written; how many bytes of the window come back.
    #[must_use = "the window must be given them back"]
    pub(crate) fn advance(&mut self, count: usize) -> u64 {
        self.written += count as u64;
        self.drop_written(count);
        let mut released = 0;
        while let Some(charge) = self.charges.front().filter(|charge| charge.until <= self.written) {
            released += charge.bytes;
            self.charges.pop_front();
        }
        self.charged -= released;
        released
    }

    /// Forgets everything that waits, where the peer will not read it any more; how many bytes of the window come
    /// back.
    #[must_use = "the window must be given them back"]
    pub(crate) fn clear(&mut self) -> u64 {
        self.advance(self.len())
    }

    /// Gives the buffer back if nothing waits in it. Any other capacity than the first may be the rest of a large one.
    pub(crate) fn relax(&mut self) {
        if self.is_empty() && self.tail.capacity() != INITIAL_CAPACITY {
            self.tail = BytesMut::with_capacity(INITIAL_CAPACITY);
        }
    }

    fn drop_written(&mut self, mut count: usize) {
        while let Some(segment) = self.segments.front_mut() {
            if count < segment.len() {
                segment.advance(count);
                return;
            }
            count -= segment.len();
            self.segments.pop_front();
        }
        self.tail.advance(count);
        if self.tail.is_empty() && self.tail.capacity() > KEPT_CAPACITY_MAX {
            self.tail = BytesMut::with_capacity(INITIAL_CAPACITY);
        }
    }

    fn append(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        let before = self.tail.len();
        encode(&mut self.tail);
        self.appended += (self.tail.len() - before) as u64;
    }

    fn shared_body(&mut self, channel: u16, fragment: Bytes) {
        self.append(|tail| {
            let size = u32::try_from(fragment.len()).unwrap_or(u32::MAX);
            encode_frame_start(FrameKind::Body, channel, size, tail);
        });
        self.segments.push_back(self.tail.split().freeze());
        self.appended += fragment.len() as u64;
        self.segments.push_back(fragment);
        self.append(|tail| tail.extend_from_slice(&[FRAME_END]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes everything out in pieces of at most `piece` bytes, as a slow socket would.
    fn drain(outbox: &mut Outbox, piece: usize) -> (Vec<u8>, u64) {
        let (mut written, mut released) = (Vec::new(), 0);
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = outbox.fill_slices(&mut slices);
            let waiting: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
            let count = waiting.len().min(piece);
            written.extend_from_slice(&waiting[..count]);
            released += outbox.advance(count);
        }
        (written, released)
    }

    fn bodies(wire: &[u8], frame_max: u32) -> Vec<u8> {
        let (mut rest, mut body) = (wire, Vec::new());
        while let Some((frame, length)) = leveret_amqp::decode(rest, frame_max).unwrap() {
            if frame.kind == FrameKind::Body {
                body.extend_from_slice(frame.payload);
            }
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
        body
    }

    #[test]
    fn a_body_comes_out_as_it_went_in_copied_or_shared() {
        for (frame_max, length) in
            [(4096, 0), (4096, 50_000), (131_072, 100), (131_072, 16_384), (131_072, 500_000), (0, 40_000)]
        {
            let body: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let mut outbox = Outbox::new(frame_max);
            outbox.heartbeat();
            outbox.content(7, &leveret_amqp::EMPTY_RAW, &body, || Bytes::from(body.clone()));
            outbox.heartbeat();
            let (wire, _) = drain(&mut outbox, 1000);
            assert_eq!(bodies(&wire, frame_max), body);
        }
    }

    #[test]
    fn only_large_fragments_are_shared() {
        let mut outbox = Outbox::new(131_072);
        outbox.content(1, &leveret_amqp::EMPTY_RAW, &[0; 100], || panic!("a small body is copied"));
        let mut small_frames = Outbox::new(4096);
        small_frames.content(1, &leveret_amqp::EMPTY_RAW, &[0; 100_000], || panic!("small fragments are copied"));
        assert!(small_frames.len() > 100_000);
    }

    #[test]
    fn the_window_gets_back_what_is_written_and_not_before() {
        let mut outbox = Outbox::new(131_072);
        outbox.heartbeat();
        outbox.charge(10);
        outbox.heartbeat();
        outbox.charge(5);
        outbox.heartbeat();
        assert_eq!(outbox.len(), 24);
        assert_eq!(outbox.unpaid(), 9);
        assert_eq!(outbox.advance(7), 0);
        assert_eq!(outbox.advance(1), 10);
        assert_eq!(outbox.advance(10), 5);
        assert_eq!(outbox.clear(), 0);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_was_charged_on_an_empty_outbox_comes_back_with_the_next_write() {
        let mut outbox = Outbox::new(131_072);
        outbox.charge(3);
        outbox.heartbeat();
        assert_eq!(outbox.advance(8), 3);
    }

    #[test]
    fn only_an_empty_outbox_gives_its_buffer_back() {
        let mut outbox = Outbox::new(131_072);
        outbox.content(1, &leveret_amqp::EMPTY_RAW, &[1; 10_000], || panic!("a small body is copied"));
        outbox.relax();
        assert_eq!(bodies(&drain(&mut outbox, 999).0, 131_072), [1; 10_000]);
        outbox.relax();
        assert_eq!(outbox.tail.capacity(), INITIAL_CAPACITY);
    }

    #[test]
    fn clearing_gives_everything_back() {
        let mut outbox = Outbox::new(131_072);
        outbox.content(1, &leveret_amqp::EMPTY_RAW, &[1; 20_000], || Bytes::from(vec![1; 20_000]));
        outbox.charge(20_000);
        assert_eq!(outbox.clear(), 20_000);
        assert_eq!(outbox.fill_slices(&mut [IoSlice::new(&[])]), 0);
    }
}
