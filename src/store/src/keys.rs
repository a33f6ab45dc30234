//! Keys, and the column families they belong to.
//!
//! Numbers are big-endian, so that bytes sort as numbers do: a log's chunks lie side by side in sequence, and its due
//! times in time.

use crate::error::StoreError;
use crate::log::LogId;
use crate::timeline::Slot;

/// A kind of value, kept apart from the others by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Catalogue,
    Chunks,
    Marks,
    Logs,
    Due,
    /// Records of timelines, and their labels.
    Timeline,
    /// Chunks of transient messages; in a database of its own.
    Transient,
}

impl Family {
    /// Those of the database that outlives the process.
    pub(crate) const ALL: [Self; 6] =
        [Self::Catalogue, Self::Chunks, Self::Marks, Self::Logs, Self::Due, Self::Timeline];
    /// The families whose keys begin with a queue's number.
    pub(crate) const OF_QUEUES: [Self; 4] = [Self::Chunks, Self::Marks, Self::Logs, Self::Due];
    /// The families whose keys begin with a timeline's number. Queues and timelines are numbered together.
    pub(crate) const OF_TIMELINES: [Self; 2] = [Self::Logs, Self::Timeline];
    /// The families that hold the contents of a log.
    pub(crate) const OF_LOGS: [Self; 3] = [Self::Chunks, Self::Marks, Self::Due];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Chunks => "chunks",
            Self::Marks => "marks",
            Self::Logs => "logs",
            Self::Due => "due",
            Self::Timeline => "timeline",
            Self::Transient => "transient",
        }
    }
}

/// Of a queue's number and a level.
pub(crate) const LOG_KEY_BYTES: usize = 9;

/// `queue | level`.
pub(crate) fn log_key(log: LogId) -> [u8; LOG_KEY_BYTES] {
    let mut key = [0; LOG_KEY_BYTES];
    key[..8].copy_from_slice(&log.queue.to_be_bytes());
    key[8] = log.level;
    key
}

/// `queue | level | first_seq`: of a chunk and of its marks.
pub(crate) fn chunk_key(log: LogId, first_seq: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[..9].copy_from_slice(&log_key(log));
    key[9..].copy_from_slice(&first_seq.to_be_bytes());
    key
}

/// `queue | level | due_ms | first_seq`.
pub(crate) fn due_key(log: LogId, due_ms: u64, first_seq: u64) -> [u8; 25] {
    let mut key = [0; 25];
    key[..9].copy_from_slice(&log_key(log));
    key[9..17].copy_from_slice(&due_ms.to_be_bytes());
    key[17..].copy_from_slice(&first_seq.to_be_bytes());
    key
}

/// The end of all keys that begin with `prefix`.
pub(crate) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    for position in (0..end.len()).rev() {
        if let Some(next) = end[position].checked_add(1) {
            end[position] = next;
            end.truncate(position + 1);
            return end;
        }
    }
    // Nothing is greater than all ones, except something longer than any key.
    vec![0xff; 32]
}

/// The end of a log's due times up to and with `until_ms`.
pub(crate) fn end_of_due(log: LogId, until_ms: u64) -> Vec<u8> {
    match until_ms.checked_add(1) {
        Some(next_ms) => due_key(log, next_ms, 0).to_vec(),
        None => end_of(&log_key(log)),
    }
}

pub(crate) fn parse_log_key(key: &[u8]) -> Result<LogId, StoreError> {
    match key.split_first_chunk::<8>() {
        Some((queue, &[level])) => Ok(LogId { queue: u64::from_be_bytes(*queue), level }),
        _ => Err(foreign(Family::Logs, key)),
    }
}

/// The last number of a key of `family`, which must be `length` bytes long.
pub(crate) fn last_number(family: Family, key: &[u8], length: usize) -> Result<u64, StoreError> {
    match key.split_last_chunk::<8>() {
        Some((_, last)) if key.len() == length => Ok(u64::from_be_bytes(*last)),
        _ => Err(foreign(family, key)),
    }
}

/// The due time and the first sequence number of a due key.
pub(crate) fn parse_due_key(key: &[u8]) -> Result<(u64, u64), StoreError> {
    let first_seq = last_number(Family::Due, key, 25)?;
    Ok((last_number(Family::Due, &key[..17], 17)?, first_seq))
}

/// The byte behind a timeline's number: of records, and of labels.
const RECORD: u8 = 0;
const LABEL: u8 = 1;

/// `timeline | 0 | due_ms | seq`: of a record.
pub(crate) fn timeline_key(timeline: u64, slot: Slot) -> [u8; 25] {
    due_key(LogId { queue: timeline, level: RECORD }, slot.due_ms, slot.seq)
}

/// The end of a timeline's records before `until`; of all of them, where that is the last slot there is.
pub(crate) fn end_of_timeline(timeline: u64, until: Slot) -> Vec<u8> {
    match until {
        Slot::MAX => end_of(&log_key(LogId { queue: timeline, level: RECORD })),
        until => timeline_key(timeline, until).to_vec(),
    }
}

/// `timeline | 1 | label`: what the keys of a label begin with.
pub(crate) fn label_prefix(timeline: u64, label: u64) -> [u8; 17] {
    chunk_key(LogId { queue: timeline, level: LABEL }, label)
}

/// `timeline | 1 | label | due_ms | seq`.
pub(crate) fn label_key(timeline: u64, label: u64, slot: Slot) -> [u8; 33] {
    let mut key = [0; 33];
    key[..17].copy_from_slice(&label_prefix(timeline, label));
    key[17..25].copy_from_slice(&slot.due_ms.to_be_bytes());
    key[25..].copy_from_slice(&slot.seq.to_be_bytes());
    key
}

pub(crate) fn parse_timeline_key(key: &[u8]) -> Result<Slot, StoreError> {
    slot_at_end(key, 25)
}

pub(crate) fn parse_label_key(key: &[u8]) -> Result<Slot, StoreError> {
    slot_at_end(key, 33)
}

fn slot_at_end(key: &[u8], length: usize) -> Result<Slot, StoreError> {
    let seq = last_number(Family::Timeline, key, length)?;
    Ok(Slot { due_ms: last_number(Family::Timeline, &key[..length - 8], length - 8)?, seq })
}

pub(crate) fn hexadecimal(key: &[u8]) -> String {
    use std::fmt::Write;
    key.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn foreign(family: Family, key: &[u8]) -> StoreError {
    StoreError::ForeignKey { family: family.name(), key: hexadecimal(key) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_behind_all_its_keys() {
        assert_eq!(end_of(&[1, 2]), [1, 3]);
        assert_eq!(end_of(&[1, 0xff]), [2]);
        let last = LogId { queue: u64::MAX, level: u8::MAX };
        assert!(end_of(&log_key(last)).as_slice() > due_key(last, u64::MAX, u64::MAX).as_slice());
    }

    #[test]
    fn keys_are_read_back() {
        let log = LogId { queue: 5, level: 9 };
        assert_eq!(parse_log_key(&log_key(log)).unwrap(), log);
        assert_eq!(parse_due_key(&due_key(log, 1 << 40, 77)).unwrap(), (1 << 40, 77));
        assert_eq!(last_number(Family::Chunks, &chunk_key(log, 3), 17).unwrap(), 3);
        assert!(last_number(Family::Chunks, &[1; 16], 17).is_err());
        let slot = Slot { due_ms: 1 << 50, seq: 3 };
        assert_eq!(parse_timeline_key(&timeline_key(9, slot)).unwrap(), slot);
        assert_eq!(parse_label_key(&label_key(9, 1 << 60, slot)).unwrap(), slot);
        assert!(parse_timeline_key(&[0; 33]).is_err() && parse_label_key(&[0; 25]).is_err());
        assert!(parse_due_key(&[0; 3]).is_err());
        assert!(parse_log_key(&[0; 8]).is_err());
    }
}
