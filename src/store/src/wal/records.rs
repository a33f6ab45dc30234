//! The engine's log files: blocks of 32 KiB, in them pieces of records, each with a checksum.
//!
//! ```text
//! checksum: u32 | length: u16 | kind: u8 | number of the log: u32 (only kinds for logs that are used again) | data
//! ```
//!
//! The checksum (CRC-32C, masked) is of everything behind it. What is shorter than a head at the end of a block is empty.

use std::borrow::Cow;
use std::ops::Range;

const BLOCK_BYTES: usize = 32 << 10;
const HEAD_BYTES: usize = 7;
const LOG_NUMBER_BYTES: usize = 4;

/// A piece's place in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    First,
    Middle,
    Last,
    /// Of a kind that says something about the log and holds no record.
    Other,
}

struct Piece<'a> {
    place: Place,
    data: &'a [u8],
    end: usize,
}

/// What is found in a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A record that is whole.
    Record(Cow<'a, [u8]>),
    /// From this byte on something cannot be read: the end of what was written, or damage.
    Unreadable(u64),
}

/// Reads a log that is used again under other numbers: what has another number is not of this log. Goes on behind what it
/// cannot read with the next piece that it can.
pub(super) fn reused<'a>(bytes: &'a [u8], number: u64) -> impl Iterator<Item = Found<'a>> {
    Reader { bytes, position: 0, number: Some(number as u32), begun: None, is_lost: false }
}

/// Reads a log that is written once.
pub(super) fn plain(bytes: &[u8]) -> impl Iterator<Item = Found<'_>> {
    Reader { bytes, position: 0, number: None, begun: None, is_lost: false }
}

/// A stretch of a log written once that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Up to the next piece that can be read, or the end.
    pub(super) bytes: Range<usize>,
    /// Whether it is the beginning of a piece, and the log ends before that does.
    pub(super) is_cut_short: bool,
}

/// The first stretch of a log written once that cannot be read.
pub(super) fn unreadable(bytes: &[u8]) -> Option<Stretch> {
    let mut reader = Reader { bytes, position: 0, number: None, begun: None, is_lost: false };
    reader.find(|found| matches!(found, Found::Unreadable(_)))?;
    let start = reader.position;
    let end = (start..bytes.len()).find(|&position| reader.piece(position).is_some()).unwrap_or(bytes.len());
    Some(Stretch { bytes: start..end, is_cut_short: end == bytes.len() && is_cut_short(&bytes[start..]) })
}

fn is_cut_short(piece: &[u8]) -> bool {
    let Some((head, data)) = piece.split_at_checked(HEAD_BYTES) else { return true };
    let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
    place(head[6], false).is_some() && length > data.len()
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    number: Option<u32>,
    /// The pieces of a record whose last one has not come.
    begun: Option<Vec<u8>>,
    /// Whether what is before the position could not be read.
    is_lost: bool,
}

impl<'a> Iterator for Reader<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        while self.position < self.bytes.len() {
            let Some(piece) = self.piece(self.position) else {
                if std::mem::replace(&mut self.is_lost, true) {
                    self.position += 1;
                    continue;
                }
                self.begun = None;
                return Some(Found::Unreadable(self.position as u64));
            };
            self.is_lost = false;
            self.position = piece.end;
            match piece.place {
                Place::Whole => return Some(Found::Record(Cow::Borrowed(piece.data))),
                Place::First => self.begun = Some(piece.data.to_vec()),
                Place::Middle => self.extend(piece.data),
                Place::Last => {
                    self.extend(piece.data);
                    if let Some(record) = self.begun.take() {
                        return Some(Found::Record(Cow::Owned(record)));
                    }
                }
                Place::Other => {}
            }
        }
        None
    }
}

impl<'a> Reader<'a> {
    fn extend(&mut self, data: &[u8]) {
        if let Some(begun) = &mut self.begun {
            begun.extend_from_slice(data);
        }
    }

    /// The piece that begins here, or in the next block where this one has no room for it.
    fn piece(&self, position: usize) -> Option<Piece<'a>> {
        let head_bytes = HEAD_BYTES + self.number.map_or(0, |_| LOG_NUMBER_BYTES);
        let block_end = (position / BLOCK_BYTES + 1) * BLOCK_BYTES;
        if block_end - position < head_bytes && !self.is_lost {
            return self.piece_within(block_end, block_end + BLOCK_BYTES, head_bytes);
        }
        self.piece_within(position, block_end, head_bytes)
    }

    fn piece_within(&self, position: usize, block_end: usize, head_bytes: usize) -> Option<Piece<'a>> {
        let rest = self.bytes.get(position..block_end.min(self.bytes.len()))?;
        let (head, behind) = rest.split_at_checked(head_bytes)?;
        let place = place(head[6], self.number.is_some())?;
        if let Some(number) = self.number
            && head[7..] != number.to_le_bytes()
        {
            return None;
        }
        let length = usize::from(u16::from_le_bytes([head[4], head[5]]));
        let data = behind.get(..length)?;
        let checksum = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let is_intact = masked(crc32c::crc32c(&rest[6..head_bytes + length])) == checksum;
        is_intact.then_some(Piece { place, data, end: position + head_bytes + length })
    }
}

fn place(kind: u8, is_reused: bool) -> Option<Place> {
    match (kind, is_reused) {
        (1, false) | (5, true) => Some(Place::Whole),
        (2, false) | (6, true) => Some(Place::First),
        (3, false) | (7, true) => Some(Place::Middle),
        (4, false) | (8, true) => Some(Place::Last),
        (11 | 131, true) => Some(Place::Other),
        _ => None,
    }
}

/// As the engine stores checksums, because one of something that holds checksums is weak.
pub(super) fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::super::rig::put_piece;
    use super::*;

    const NUMBER: u32 = 9;

    fn record(bytes: &[u8]) -> Found<'_> {
        Found::Record(Cow::Borrowed(bytes))
    }

    #[test]
    fn records_are_put_together_from_pieces_over_blocks() {
        let mut log = Vec::new();
        put_piece(&mut log, 5, Some(NUMBER), b"whole");
        let first = vec![1; BLOCK_BYTES - log.len() - 11 - 3];
        put_piece(&mut log, 6, Some(NUMBER), &first);
        log.extend_from_slice(&[0; 3]);
        put_piece(&mut log, 8, Some(NUMBER), b"end");
        let found: Vec<_> = reused(&log, NUMBER.into()).collect();
        assert_eq!(found, [record(b"whole"), Found::Record(Cow::Owned([&first[..], b"end"].concat()))]);
    }

    #[test]
    fn reading_goes_on_behind_damage_and_skips_another_logs_records() {
        let mut log = Vec::new();
        put_piece(&mut log, 5, Some(NUMBER), b"one");
        let damaged = log.len();
        put_piece(&mut log, 5, Some(NUMBER), b"two");
        put_piece(&mut log, 5, Some(NUMBER), b"three");
        let end = log.len();
        put_piece(&mut log, 5, Some(NUMBER - 1), b"of another log");
        log[damaged + 12] ^= 1;
        let found: Vec<_> = reused(&log, NUMBER.into()).collect();
        let expected =
            [record(b"one"), Found::Unreadable(damaged as u64), record(b"three"), Found::Unreadable(end as u64)];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_piece_that_ends_behind_the_log_is_cut_short() {
        let plain = |data: &[u8]| {
            let mut log = Vec::new();
            put_piece(&mut log, 1, None, data);
            log
        };
        let (one, two) = (plain(b"one"), plain(b"two"));
        let log = [&one[..], &two].concat();
        assert_eq!(unreadable(&log), None);
        for end in one.len() + 1..log.len() {
            let expected = Stretch { bytes: one.len()..end, is_cut_short: true };
            assert_eq!(unreadable(&log[..end]), Some(expected), "byte {end}");
        }
        let flipped = |offset: usize, bit: u8| {
            let mut log = log.clone();
            log[offset] ^= bit;
            unreadable(&log).unwrap()
        };
        assert_eq!(flipped(8, 1), Stretch { bytes: 0..one.len(), is_cut_short: false });
        assert_eq!(flipped(4, 64), Stretch { bytes: 0..one.len(), is_cut_short: false }, "its length");
        assert_eq!(flipped(one.len() + 6, 4), Stretch { bytes: one.len()..log.len(), is_cut_short: false }, "its kind");
    }

    #[test]
    fn a_record_with_a_piece_missing_is_none() {
        let mut log = Vec::new();
        put_piece(&mut log, 6, Some(NUMBER), b"first");
        let damaged = log.len();
        put_piece(&mut log, 7, Some(NUMBER), b"middle");
        put_piece(&mut log, 8, Some(NUMBER), b"last");
        put_piece(&mut log, 5, Some(NUMBER), b"next");
        log[damaged] ^= 1;
        let found: Vec<_> = reused(&log, NUMBER.into()).collect();
        assert_eq!(found, [Found::Unreadable(damaged as u64), record(b"next")]);
    }
}
