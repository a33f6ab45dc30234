//! The engine over a [`Disk`]: what `read` does with RocksDB's iterators, done with ordered maps.

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::disk::{Disk, Values, Write};
use crate::chunk::{self, StoredChunk};
use crate::engine::{CatalogueRecord, Engine, Visit, encode};
use crate::error::StoreError;
use crate::keys::{Family, chunk_key, due_key, end_of, end_of_due, last_number, log_key, parse_due_key, parse_log_key};
use crate::large::{Early, take_back};
use crate::log::{LogId, LogState, Marks};
use crate::read::corrupt;
use crate::writes::Writes;

/// What a sync takes, in microseconds.
const SYNC_US: u64 = 200;

/// See the module.
pub(super) struct Memory {
    pub(super) disk: Disk,
    /// About so much is written at once.
    pub(super) batch_bytes: usize,
    /// The committer's clock, which a sync moves.
    pub(super) elapsed_us: Arc<AtomicU64>,
}

impl Engine for Memory {
    fn write(&self, writes: &Writes, sync: bool) -> Result<usize, String> {
        self.elapsed_us.fetch_add(if sync { SYNC_US } else { 0 }, Relaxed);
        let early = Early::of(&writes.changes, self.batch_bytes);
        let early_bytes = if early.is_empty() { 0 } else { self.write_early(&early, writes) };
        let mut rest = Write::default();
        writes.changes.iter().filter(|change| !early.contains(change)).for_each(|change| encode(change, &mut rest));
        if !early.is_empty() {
            rest.set_unfinished(None);
        }
        Ok(early_bytes + self.disk.write(rest, sync)?)
    }

    fn sync(&self) -> Result<(), String> {
        self.elapsed_us.fetch_add(SYNC_US, Relaxed);
        self.disk.sync()
    }

    fn chunks(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Vec<StoredChunk>, StoreError> {
        let of = |family| self.disk.read(family, |chunks| chunks_from(family, chunks, log, from_seq));
        let mut both = of(Family::Chunks)?;
        both.append(&mut of(Family::Transient)?);
        both.sort_unstable_by_key(|(_, first_seq, _)| *first_seq);
        let mut found = Vec::new();
        let mut bytes = 0;
        for (family, first_seq, value) in both {
            if !found.is_empty() && bytes + value.len() > bytes_max {
                break;
            }
            let size = value.len();
            let chunk = self.decode(family, log, first_seq, value)?;
            // The one before may end before what is wanted.
            if chunk.seqs.last().is_some_and(|&last| last >= from_seq) {
                bytes += size;
                found.push(chunk);
            }
        }
        Ok(found)
    }

    fn chunk(&self, log: LogId, first_seq: u64) -> Result<Option<StoredChunk>, StoreError> {
        let value = self.disk.read(Family::Chunks, |chunks| chunks.get(chunk_key(log, first_seq).as_slice()).cloned());
        value.map(|value| self.decode(Family::Chunks, log, first_seq, value)).transpose()
    }

    fn due(&self, log: LogId, from: (u64, u64), until_ms: u64, limit: usize) -> Result<Vec<(u64, u64)>, StoreError> {
        self.disk.read(Family::Due, |due| {
            due.range(due_key(log, from.0, from.1).to_vec()..end_of_due(log, until_ms))
                .take(limit)
                .map(|(key, _)| parse_due_key(key))
                .collect()
        })
    }

    fn scan_timeline(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        self.disk.read(Family::Timeline, |timeline| {
            for (key, value) in timeline.range(from.to_vec()..to.to_vec()) {
                if !visit(key, value)? {
                    break;
                }
            }
            Ok(())
        })
    }

    fn logs(&self) -> Result<Vec<(LogId, LogState)>, StoreError> {
        self.disk.read(Family::Logs, |logs| {
            let read = |(key, value): (&Vec<u8>, &Vec<u8>)| {
                let log = parse_log_key(key)?;
                let state = LogState::decode(value).map_err(|error| corrupt(Family::Logs, log, key, error))?;
                Ok((log, state))
            };
            logs.iter().map(read).collect()
        })
    }

    fn catalogue(&self) -> Result<Vec<CatalogueRecord>, StoreError> {
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(self.disk.read(Family::Catalogue, |catalogue| catalogue.iter().map(copy).collect()))
    }

    fn is_sync_noted(&self) -> bool {
        true
    }

    fn note_sync(&self) -> Result<(), String> {
        Ok(())
    }

    fn write_out(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn merge_room(&self) -> u64 {
        0
    }

    fn fail_next_write(&self) {
        self.disk.fail_next_write();
    }
}

impl Memory {
    /// Writes the chunks that come before the rest of a commit; their bytes.
    fn write_early(&self, early: &Early, writes: &Writes) -> usize {
        let mut bytes = 0;
        let mut part = Write::default();
        part.set_unfinished(Some(early.unfinished()));
        for change in writes.changes.iter().filter(|change| early.contains(change)) {
            encode(change, &mut part);
            if part.bytes() >= self.batch_bytes {
                bytes += self.disk.write_part(std::mem::take(&mut part));
            }
        }
        bytes + self.disk.write_part(part)
    }

    /// Removes the chunks of a commit whose rest never came.
    pub(super) fn take_back_unfinished(&self) -> Result<(), StoreError> {
        let Some(logs) = self.disk.unfinished() else { return Ok(()) };
        let mut write = Write::default();
        take_back(&logs, |log| self.state(log), &mut write)?;
        write.set_unfinished(None);
        self.disk.write_part(write);
        self.disk.sync().map_err(|reason| StoreError::Engine { doing: "taking back a commit", reason })
    }

    fn state(&self, log: LogId) -> Result<Option<LogState>, StoreError> {
        let key = log_key(log);
        let value = self.disk.read(Family::Logs, |logs| logs.get(key.as_slice()).cloned());
        let state = value.map(|value| LogState::decode(&value)).transpose();
        state.map_err(|error| corrupt(Family::Logs, log, &key, error))
    }

    fn decode(&self, family: Family, log: LogId, first_seq: u64, value: Vec<u8>) -> Result<StoredChunk, StoreError> {
        let key = chunk_key(log, first_seq);
        let mut chunk = chunk::decode(first_seq, value).map_err(|error| corrupt(family, log, &key, error))?;
        chunk.persistent = family == Family::Chunks;
        let marks = self.disk.read(Family::Marks, |marks| marks.get(key.as_slice()).cloned());
        if let Some(value) = marks.filter(|_| chunk.persistent) {
            chunk.marks = Marks::decode(&value, first_seq).map_err(|error| corrupt(Family::Marks, log, &key, error))?;
        }
        Ok(chunk)
    }
}

/// The chunks of a log from the last one that begins at or before `from_seq`, by first sequence number.
fn chunks_from(
    family: Family,
    chunks: &Values,
    log: LogId,
    from_seq: u64,
) -> Result<Vec<(Family, u64, Vec<u8>)>, StoreError> {
    let start = log_key(log).to_vec();
    let end = end_of(&start);
    let from = chunk_key(log, from_seq).to_vec();
    let before = chunks.range(start..=from.clone()).next_back();
    let behind = chunks.range((Excluded(from), Unbounded)).take_while(|(key, _)| **key < end);
    let read = |(key, value): (&Vec<u8>, &Vec<u8>)| Ok((family, last_number(family, key, 17)?, value.clone()));
    before.into_iter().chain(behind).map(read).collect()
}
