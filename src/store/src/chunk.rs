//! The stored form of a chunk: all records that a log received since the last commit, in one value.
//!
//! `version | count | (sequence number less the least it can be, length) for each record | records`, numbers as
//! varints. Two bytes of overhead a record when there are no holes and records are short. The key carries the first
//! sequence number, so holes cost one number each.

use bytes::Bytes;

use crate::codec::{DecodeError, Reader, put_varint};
use crate::log::{Marks, Piece};
use crate::records::Records;

/// Version byte of a stored chunk.
const VERSION: u8 = 1;

/// A chunk as it was read.
#[derive(Debug, Clone)]
pub struct StoredChunk {
    /// Whether it survives a restart.
    pub persistent: bool,
    /// The chunk's name within its log, which is also the sequence number of its first record.
    pub first_seq: u64,
    /// The sequence number of each record, ascending.
    pub seqs: Vec<u64>,
    /// The records, settled ones included.
    pub records: Records,
    /// What was marked beside the chunk.
    pub marks: Marks,
}

/// The stored form of the chunk that `pieces` make up.
///
/// # Panics
/// When the pieces are not in ascending order of sequence numbers from `first_seq` on, or name records that are not
/// there: that would be written once and be wrong for ever.
pub fn encode(first_seq: u64, pieces: &[Piece]) -> Vec<u8> {
    let count: usize = pieces.iter().map(|piece| piece.picks.len()).sum();
    let bytes: usize = pieces.iter().map(|piece| piece.records.bytes_of(piece.picks.clone()).len()).sum();
    let mut out = Vec::with_capacity(8 + count * 4 + bytes);
    out.push(VERSION);
    put_varint(&mut out, count as u64);
    let mut least = first_seq;
    for piece in pieces.iter().filter(|piece| !piece.picks.is_empty()) {
        assert!(piece.first_seq >= least, "pieces out of order: {} after {least}", piece.first_seq);
        put_lengths(&mut out, piece, piece.first_seq - least);
        least = piece.first_seq + u64::from(piece.picks.end - piece.picks.start);
    }
    for piece in pieces {
        out.extend_from_slice(piece.records.bytes_of(piece.picks.clone()));
    }
    out
}

fn put_lengths(out: &mut Vec<u8>, piece: &Piece, hole: u64) {
    let mut hole = hole;
    for index in piece.picks.clone() {
        put_varint(out, hole);
        put_varint(out, piece.records.record_len(index as usize) as u64);
        hole = 0;
    }
}

/// Reads a stored chunk; `value` becomes the buffer of its records. It is taken for persistent; the marks are left empty.
///
/// # Errors
/// When `value` was not written by [`encode`].
pub fn decode(first_seq: u64, value: Vec<u8>) -> Result<StoredChunk, DecodeError> {
    let mut reader = Reader::versioned(&value, VERSION)?;
    let count = reader.count()?;
    let mut seqs = Vec::with_capacity(count);
    let mut ends = Vec::with_capacity(count);
    let (mut least, mut end) = (first_seq, 0usize);
    for _ in 0..count {
        let seq = least.checked_add(reader.varint()?).ok_or(DecodeError::Number)?;
        least = seq.checked_add(1).ok_or(DecodeError::Number)?;
        end = end.checked_add(reader.varint_u32()? as usize).ok_or(DecodeError::Number)?;
        seqs.push(seq);
        ends.push(end);
    }
    let start = value.len() - reader.remaining();
    check_length(reader.remaining(), end)?;
    ends.pop();
    let inner_ends = ends.iter().map(|&end| offset(start + end)).collect::<Result<_, _>>()?;
    let records = Records::from_parts(Bytes::from(value), offset(start)?, count as u32, inner_ends);
    Ok(StoredChunk { persistent: true, first_seq, seqs, records, marks: Marks::default() })
}

fn check_length(found: usize, announced: usize) -> Result<(), DecodeError> {
    match found.cmp(&announced) {
        std::cmp::Ordering::Less => Err(DecodeError::Truncated),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(DecodeError::Trailing),
    }
}

fn offset(position: usize) -> Result<u32, DecodeError> {
    u32::try_from(position).map_err(|_| DecodeError::Number)
}
