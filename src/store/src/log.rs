//! What belongs to a message log: its name, the pieces of a chunk, what is settled, its counters.

use std::ops::Range;

use crate::codec::{DecodeError, Reader, put_difference, put_varint};
use crate::records::Records;

/// Version byte of stored marks.
const MARKS_VERSION: u8 = 1;
/// Version byte of a stored log state.
const STATE_VERSION: u8 = 1;

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
    /// Sequence number and number of failed delivery attempts, where there were any.
    pub delivery_counts: Vec<(u64, u32)>,
}

impl Marks {
    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.delivery_counts.is_empty()
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
        put_varint(&mut out, self.delivery_counts.len() as u64);
        for &(seq, count) in &self.delivery_counts {
            put_difference(&mut out, previous, seq);
            put_varint(&mut out, u64::from(count));
            previous = seq;
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When `value` was not written by [`encode`](Self::encode).
    pub fn decode(value: &[u8], first_seq: u64) -> Result<Self, DecodeError> {
        let mut reader = Reader::versioned(value, MARKS_VERSION)?;
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
            marks.delivery_counts.push((seq, reader.varint_u32()?));
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
}

impl LogState {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(41);
        out.push(STATE_VERSION);
        for number in [self.next_seq, self.head_seq, self.count, self.bytes, self.delivered_until] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When `value` was not written by [`encode`](Self::encode).
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::versioned(value, STATE_VERSION)?;
        let state = Self {
            next_seq: reader.u64()?,
            head_seq: reader.u64()?,
            count: reader.u64()?,
            bytes: reader.u64()?,
            delivered_until: reader.u64()?,
        };
        reader.finish()?;
        Ok(state)
    }
}
