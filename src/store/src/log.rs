//! What belongs to a message log: its name, the pieces of a chunk, what is settled, its counters.

use std::ops::Range;

use crate::codec::{DecodeError, Reader, put_difference, put_varint};
use crate::records::Records;

/// Version byte of stored marks. Version 1 knew delivery counts only.
const MARKS_VERSION: u8 = 2;
/// Version byte of a stored log state. Version 1 knew nothing that waits.
const STATE_VERSION: u8 = 2;

/// A message log: one for each priority level of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The queue's number, never used again for another queue.
    pub queue: u64,
    /// The priority level.
    pub level: u8,
}

/// A contiguous part of a chunk: record `picks.start + i` of `records` has sequence number `first_seq + i`.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The run that holds the records.
    pub records: Records,
    /// Which of them belong to the piece.
    pub picks: Range<u32>,
    /// Sequence number of the first.
    pub first_seq: u64,
}

/// What is known of the records of a chunk beyond their bytes. Kept beside the chunk, which is never rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Sequence numbers settled, as ranges.
    pub settled: Vec<Range<u64>>,
    /// Sequence number and what is known of a record that was handed out and came back, where it did.
    pub returned: Vec<(u64, Returned)>,
}

/// What is known of a record that was handed out and came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Returned {
    /// Failed delivery attempts.
    pub delivery_count: u32,
    /// How often it was handed out and came back, for whatever reason.
    pub acquired_count: u32,
    /// It is not to be handed out before this time, in milliseconds since the Unix epoch; 0 where it does not wait.
    pub waits_until_ms: u64,
}

impl Marks {
    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.returned.is_empty()
    }

    /// The stored form. Small when numbers are near `first_seq` and ascending, right in any case.
    pub fn encode(&self, first_seq: u64) -> Vec<u8> {
        let mut out = vec![MARKS_VERSION];
        let mut previous = first_seq;
        put_varint(&mut out, self.settled.len() as u64);
        for range in &self.settled {
            put_difference(&mut out, previous, range.start);
            put_varint(&mut out, range.end.saturating_sub(range.start));
            previous = range.end;
        }
        previous = first_seq;
        put_varint(&mut out, self.returned.len() as u64);
        for &(seq, Returned { delivery_count, acquired_count, waits_until_ms }) in &self.returned {
            put_difference(&mut out, previous, seq);
            put_varint(&mut out, u64::from(delivery_count));
            put_varint(&mut out, u64::from(acquired_count));
            put_varint(&mut out, waits_until_ms);
            previous = seq;
        }
        out
    }

    /// Reads the stored form, of this version or an earlier one.
    ///
    /// # Errors
    /// When `value` was not written by [`encode`](Self::encode).
    pub fn decode(value: &[u8], first_seq: u64) -> Result<Self, DecodeError> {
        let (version, mut reader) = Reader::up_to_version(value, MARKS_VERSION)?;
        let mut marks = Self::default();
        let mut previous = first_seq;
        for _ in 0..reader.count()? {
            let start = reader.difference(previous)?;
            let end = start.checked_add(reader.varint()?).ok_or(DecodeError::Number)?;
            marks.settled.push(start..end);
            previous = end;
        }
        previous = first_seq;
        for _ in 0..reader.count()? {
            let seq = reader.difference(previous)?;
            let delivery_count = reader.varint_u32()?;
            let returned = match version {
                // Each failed attempt handed it out once.
                1 => Returned { delivery_count, acquired_count: delivery_count, waits_until_ms: 0 },
                _ => {
                    Returned { delivery_count, acquired_count: reader.varint_u32()?, waits_until_ms: reader.varint()? }
                }
            };
            marks.returned.push((seq, returned));
            previous = seq;
        }
        reader.finish()?;
        Ok(marks)
    }
}

/// Counters of a log, written with each commit that touches it, so that opening need not read messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogState {
    /// The sequence number that the next record gets.
    pub next_seq: u64,
    /// Nothing below is alive.
    pub head_seq: u64,
    /// Records alive.
    pub count: u64,
    /// Bytes of the records alive.
    pub bytes: u64,
    /// Below this, records may have been delivered once already.
    pub delivered_until: u64,
    /// Of the records alive, those that wait for their time ([`Returned::waits_until_ms`]).
    pub waiting_count: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

impl LogState {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(57);
        out.push(STATE_VERSION);
        let Self { next_seq, head_seq, count, bytes, delivered_until, waiting_count, waiting_bytes } = *self;
        for number in [next_seq, head_seq, count, bytes, delivered_until, waiting_count, waiting_bytes] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads the stored form, of this version or an earlier one.
    ///
    /// # Errors
    /// When `value` was not written by [`encode`](Self::encode).
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (version, mut reader) = Reader::up_to_version(value, STATE_VERSION)?;
        let mut state = Self {
            next_seq: reader.u64()?,
            head_seq: reader.u64()?,
            count: reader.u64()?,
            bytes: reader.u64()?,
            delivered_until: reader.u64()?,
            ..Self::default()
        };
        if version > 1 {
            (state.waiting_count, state.waiting_bytes) = (reader.u64()?, reader.u64()?);
        }
        reader.finish()?;
        Ok(state)
    }
}
