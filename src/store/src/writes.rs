//! What one commit changes.
//!
//! Filled under the gate, so it only takes references; encoding and writing happen after the gate is open again.

use crate::log::{LogId, LogState, Marks, Piece};
use crate::records::Records;
use crate::timeline::Slot;

/// An ordered list of changes: a later one wins over an earlier one of the same thing.
#[derive(Debug, Default)]
pub struct Writes {
    pub(crate) changes: Vec<Change>,
    needs_sync: bool,
}

/// One change.
#[derive(Debug)]
pub(crate) enum Change {
    PutChunk { log: LogId, first_seq: u64, pieces: Vec<Piece> },
    DeleteChunk { log: LogId, first_seq: u64 },
    PutTransient { log: LogId, first_seq: u64, pieces: Vec<Piece> },
    DeleteTransient { log: LogId, first_seq: u64 },
    DeleteTransientLog { log: LogId },
    DeleteTransientQueue { queue: u64 },
    PutMarks { log: LogId, first_seq: u64, marks: Marks },
    PutDue { log: LogId, due_ms: u64, first_seq: u64 },
    DeleteDue { log: LogId, due_ms: u64, first_seq: u64 },
    PutTimeline { timeline: u64, slot: Slot, records: Records, index: u32 },
    DeleteTimeline { timeline: u64, slot: Slot },
    PutLabel { timeline: u64, label: u64, slot: Slot },
    DeleteLabel { timeline: u64, label: u64, slot: Slot },
    DropTimeline { timeline: u64 },
    PutLog { log: LogId, state: LogState },
    DeleteLog { log: LogId },
    DeleteQueue { queue: u64 },
    PutCatalogue { key: Vec<u8>, value: Vec<u8> },
    DeleteCatalogue { key: Vec<u8> },
}

impl Writes {
    /// Nothing to write yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether everybody who waits may only be told after a sync: once a chunk or a catalogue change is in. Settlements
    /// alone ask for it only where somebody waits for the commit itself: losing them costs a redelivery, never a message.
    pub fn needs_sync(&self) -> bool {
        self.needs_sync
    }

    /// Stores a chunk. `first_seq` names it and is the sequence number of its first record; the pieces must ascend
    /// from there. Chunks of a log must not overlap: between a chunk's first and last number there is none of another
    /// chunk. Cutting at a sensible size (about 64 KiB) is the caller's business. Without any record it is nothing.
    pub fn put_chunk(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>) {
        if pieces.iter().all(|piece| piece.picks.is_empty()) {
            return;
        }
        self.needs_sync = true;
        self.changes.push(Change::PutChunk { log, first_seq, pieces });
    }

    /// Deletes a chunk and its marks.
    pub fn delete_chunk(&mut self, log: LogId, first_seq: u64) {
        self.changes.push(Change::DeleteChunk { log, first_seq });
    }

    /// Stores a chunk that need not survive a restart, beside the others of the log and under the same rules; it has
    /// no marks.
    pub fn put_transient(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>) {
        self.changes.push(Change::PutTransient { log, first_seq, pieces });
    }

    /// Deletes a chunk that [`put_transient`](Self::put_transient) stored.
    pub fn delete_transient(&mut self, log: LogId, first_seq: u64) {
        self.changes.push(Change::DeleteTransient { log, first_seq });
    }

    /// Deletes all transient chunks of a log.
    pub fn delete_transient_log(&mut self, log: LogId) {
        self.changes.push(Change::DeleteTransientLog { log });
    }

    /// Deletes all transient chunks of a queue, over all levels.
    pub fn delete_transient_queue(&mut self, queue: u64) {
        self.changes.push(Change::DeleteTransientQueue { queue });
    }

    /// Replaces the marks of a chunk; empty marks are deleted.
    pub fn put_marks(&mut self, log: LogId, first_seq: u64, marks: Marks) {
        self.changes.push(Change::PutMarks { log, first_seq, marks });
    }

    /// Notes that the chunk `first_seq` holds something due at `due_ms` (milliseconds since the Unix epoch).
    pub fn put_due(&mut self, log: LogId, due_ms: u64, first_seq: u64) {
        self.changes.push(Change::PutDue { log, due_ms, first_seq });
    }

    /// Takes back what [`put_due`](Self::put_due) noted.
    pub fn delete_due(&mut self, log: LogId, due_ms: u64, first_seq: u64) {
        self.changes.push(Change::DeleteDue { log, due_ms, first_seq });
    }

    /// Stores a record of a timeline: the one at `index` of `records`.
    pub fn put_timeline(&mut self, timeline: u64, slot: Slot, records: Records, index: u32) {
        self.needs_sync = true;
        self.changes.push(Change::PutTimeline { timeline, slot, records, index });
    }

    /// Deletes a record of a timeline; its labels are the caller's.
    pub fn delete_timeline(&mut self, timeline: u64, slot: Slot) {
        self.changes.push(Change::DeleteTimeline { timeline, slot });
    }

    /// Has a record of a timeline found by a label. Several records may have the same.
    pub fn put_label(&mut self, timeline: u64, label: u64, slot: Slot) {
        self.changes.push(Change::PutLabel { timeline, label, slot });
    }

    /// Takes back what [`put_label`](Self::put_label) noted.
    pub fn delete_label(&mut self, timeline: u64, label: u64, slot: Slot) {
        self.changes.push(Change::DeleteLabel { timeline, label, slot });
    }

    /// Deletes all of a timeline, its counters among it.
    pub fn drop_timeline(&mut self, timeline: u64) {
        self.changes.push(Change::DropTimeline { timeline });
    }

    /// Replaces the counters of a log.
    pub fn put_log(&mut self, log: LogId, state: LogState) {
        self.changes.push(Change::PutLog { log, state });
    }

    /// Deletes all chunks, marks and due times of a log, as a purge does, but for transient chunks. Its counters stay as
    /// they are.
    pub fn delete_log(&mut self, log: LogId) {
        self.changes.push(Change::DeleteLog { log });
    }

    /// Deletes everything of a queue but its transient chunks, over all levels. Each call leaves range tombstones that reads have to look at
    /// until they are compacted away: not for queues of which nothing was ever written.
    pub fn delete_queue(&mut self, queue: u64) {
        self.changes.push(Change::DeleteQueue { queue });
    }

    /// Stores a catalogue record.
    pub fn put_catalogue(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.needs_sync = true;
        self.changes.push(Change::PutCatalogue { key, value });
    }

    /// Deletes a catalogue record.
    pub fn delete_catalogue(&mut self, key: Vec<u8>) {
        self.needs_sync = true;
        self.changes.push(Change::DeleteCatalogue { key });
    }

    /// Puts the changes of `other` behind these and leaves `other` empty.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.changes.append(&mut other.changes);
        self.needs_sync |= std::mem::take(&mut other.needs_sync);
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
        self.needs_sync = false;
    }
}
