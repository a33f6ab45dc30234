//! What commits are written to and read from.
//!
//! There are two engines: RocksDB in earnest ([`crate::rocks`]), and one in memory for the simulation
//! ([`crate::simulation`]). They are called once for a commit or for a page, never for a message, so a call through a
//! table costs nothing that could be measured. What a change means in keys and values is said once, for both.

use crate::chunk::{self, StoredChunk};
use crate::error::StoreError;
use crate::keys::{Family, chunk_key, due_key, end_of, label_key, log_key, timeline_key};
use crate::log::{LogId, LogState};
use crate::timeline;
use crate::writes::{Change, Writes};

/// Looks at a key and its value; whether it wants more.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError> + 'a;

/// Key and value of a catalogue record.
pub type CatalogueRecord = (Vec<u8>, Vec<u8>);

/// See the module. Reads see what has been written, synced or not.
pub(crate) trait Engine: Send + Sync {
    /// Writes all changes or none, but for transient chunks, which may be written without the rest: nobody looks for
    /// them then. Syncs them and all before them where asked to. Returns the bytes written; the error is the engine's
    /// reason.
    fn write(&self, writes: &Writes, sync: bool) -> Result<usize, String>;

    /// Syncs what earlier writes left unsynced.
    fn sync(&self) -> Result<(), String>;

    /// Chunks from the one that holds `from_seq`, or from the next one, up to `bytes_max`; at least one if there is any.
    fn chunks(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Vec<StoredChunk>, StoreError>;

    /// The chunk named `first_seq`, but for transient ones.
    fn chunk(&self, log: LogId, first_seq: u64) -> Result<Option<StoredChunk>, StoreError>;

    /// See [`Store::read_due`](crate::Store::read_due).
    fn due(&self, log: LogId, from: (u64, u64), until_ms: u64, limit: usize) -> Result<Vec<(u64, u64)>, StoreError>;

    /// Gives `visit` what timelines have from one key up to, but without, another, in order, until it says that it has
    /// enough.
    fn scan_timeline(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// The counters of all logs, in the order of queue and level.
    fn logs(&self) -> Result<Vec<(LogId, LogState)>, StoreError>;

    /// All catalogue records, in the order of their keys.
    fn catalogue(&self) -> Result<Vec<CatalogueRecord>, StoreError>;

    /// Whether what is written says of everything synced that it is.
    fn is_sync_noted(&self) -> bool;

    /// Writes what is synced, for a time at which no commit comes that would say it; the error is the engine's reason.
    fn note_sync(&self) -> Result<(), String>;

    /// Writes out what is kept in memory beside the log, and waits for it.
    fn write_out(&self) -> Result<(), StoreError>;

    /// See [`Store::merge_room`](crate::Store::merge_room).
    fn merge_room(&self) -> u64;

    /// Lets the next write or sync fail. For tests of what happens then.
    fn fail_next_write(&self);
}

/// What an engine writes at once.
pub(crate) trait Batch {
    /// Sets a value.
    fn put(&mut self, family: Family, key: &[u8], value: Vec<u8>);
    /// Removes a value.
    fn delete(&mut self, family: Family, key: &[u8]);
    /// Removes all values from one key up to, but without, another.
    fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]);
}

/// Adds a change to `batch`.
pub(crate) fn encode(change: &Change, batch: &mut impl Batch) {
    match change {
        Change::PutChunk { log, first_seq, pieces } => {
            batch.put(Family::Chunks, &chunk_key(*log, *first_seq), chunk::encode(*first_seq, pieces));
        }
        Change::DeleteChunk { log, first_seq } => {
            batch.delete(Family::Chunks, &chunk_key(*log, *first_seq));
            batch.delete(Family::Marks, &chunk_key(*log, *first_seq));
        }
        Change::PutMarks { log, first_seq, marks } if marks.is_empty() => {
            batch.delete(Family::Marks, &chunk_key(*log, *first_seq));
        }
        Change::PutMarks { log, first_seq, marks } => {
            batch.put(Family::Marks, &chunk_key(*log, *first_seq), marks.encode(*first_seq));
        }
        Change::PutDue { log, due_ms, first_seq } => {
            batch.put(Family::Due, &due_key(*log, *due_ms, *first_seq), Vec::new());
        }
        Change::DeleteDue { log, due_ms, first_seq } => {
            batch.delete(Family::Due, &due_key(*log, *due_ms, *first_seq));
        }
        Change::PutTransient { log, first_seq, pieces } => {
            batch.put(Family::Transient, &chunk_key(*log, *first_seq), chunk::encode(*first_seq, pieces));
        }
        Change::DeleteTransient { log, first_seq } => batch.delete(Family::Transient, &chunk_key(*log, *first_seq)),
        Change::DeleteTransientLog { log } => delete_prefix(batch, &[Family::Transient], &log_key(*log)),
        Change::DeleteTransientQueue { queue } => {
            delete_prefix(batch, &[Family::Transient], &queue.to_be_bytes());
        }
        Change::PutTimeline { timeline, slot, records, index } => {
            let value = timeline::encode(records.record(*index as usize));
            batch.put(Family::Timeline, &timeline_key(*timeline, *slot), value);
        }
        Change::DeleteTimeline { timeline, slot } => batch.delete(Family::Timeline, &timeline_key(*timeline, *slot)),
        Change::PutLabel { timeline, label, slot } => {
            batch.put(Family::Timeline, &label_key(*timeline, *label, *slot), Vec::new());
        }
        Change::DeleteLabel { timeline, label, slot } => {
            batch.delete(Family::Timeline, &label_key(*timeline, *label, *slot));
        }
        Change::DropTimeline { timeline } => delete_prefix(batch, &Family::OF_TIMELINES, &timeline.to_be_bytes()),
        Change::PutLog { log, state } => batch.put(Family::Logs, &log_key(*log), state.encode()),
        Change::DeleteLog { log } => delete_prefix(batch, &Family::OF_LOGS, &log_key(*log)),
        Change::DeleteQueue { queue } => delete_prefix(batch, &Family::OF_QUEUES, &queue.to_be_bytes()),
        Change::PutCatalogue { key, value } => batch.put(Family::Catalogue, key, value.clone()),
        Change::DeleteCatalogue { key } => batch.delete(Family::Catalogue, key),
    }
}

fn delete_prefix(batch: &mut impl Batch, families: &[Family], prefix: &[u8]) {
    let end = end_of(prefix);
    for &family in families {
        batch.delete_range(family, prefix, &end);
    }
}
