//! Parts of a segment that lie side by side in one buffer, in ascending order of sequence numbers.

use std::ops::Range;

use leveret_store::{Piece, Records, StoredChunk};
use smallvec::SmallVec;

/// The parts of one segment. Most have one.
pub(super) type Pieces = SmallVec<[Piece; 1]>;

/// The contiguous parts of a stored chunk.
pub(super) fn pieces_of(chunk: &StoredChunk) -> Pieces {
    let mut pieces = Pieces::new();
    for (index, seq) in chunk.seqs.iter().enumerate() {
        match pieces.last_mut() {
            Some(piece) if piece_end(piece) == *seq => piece.picks.end += 1,
            _ => {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                pieces.push(Piece { records: chunk.records.clone(), picks: index..index + 1, first_seq: *seq });
            }
        }
    }
    pieces
}

/// Whether records lie right behind a piece, in the same buffer.
pub(super) fn continues(piece: &Piece, records: &Records, next: u32) -> bool {
    piece.picks.end == next
        && piece.records.len() == records.len()
        && std::ptr::eq(piece.records.record(next as usize), records.record(next as usize))
}

/// The sequence number after the last message of a piece.
pub(super) fn piece_end(piece: &Piece) -> u64 {
    piece.first_seq + u64::from(piece.picks.end - piece.picks.start)
}

/// Where the record of `seq`, which is in the piece, lies in its buffer.
pub(super) fn record_index(piece: &Piece, seq: u64) -> u32 {
    piece.picks.start + u32::try_from(seq - piece.first_seq).unwrap_or(u32::MAX)
}

/// The piece that holds `seq`.
pub(super) fn piece_at(pieces: &[Piece], seq: u64) -> Option<&Piece> {
    let after = pieces.partition_point(|piece| piece.first_seq <= seq);
    pieces.get(after.checked_sub(1)?).filter(|piece| seq < piece_end(piece))
}

/// Visits the records of `seqs`, as far as there are any.
pub(super) fn for_each_record(pieces: &[Piece], seqs: Range<u64>, mut visit: impl FnMut(u64, &[u8])) {
    let from = pieces.partition_point(|piece| piece_end(piece) <= seqs.start);
    for piece in pieces[from..].iter().take_while(|piece| piece.first_seq < seqs.end) {
        for seq in piece.first_seq.max(seqs.start)..piece_end(piece).min(seqs.end) {
            visit(seq, piece.records.record(record_index(piece, seq) as usize));
        }
    }
}
