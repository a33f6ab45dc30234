//! Transient messages that find no room in memory: written to the store without a log, and read back as the others are.
//!
//! What is written and has not changed since is only a range on disk, as with persistent messages. What has changed
//! keeps its segment without its records, because nothing about a transient chunk is ever written a second time. The
//! same holds for messages with an expiration of their own: they have no entry in the store's due index, which would
//! have to be cleaned up after a crash.

use leveret_store::LogId;

use super::{Level, LogWriter};
use crate::queue::segment::Segment;

impl Level {
    /// Asks for a commit when more than `transient_bytes_max` of transient messages are in memory only.
    pub(crate) fn ask_to_spill(&mut self, transient_bytes_max: usize) {
        self.writing.touched |= self.transient_bytes > transient_bytes_max;
    }

    /// Hands transient segments to `writer` until no more than `bytes_max` are in memory only. What is needed last goes
    /// first.
    pub(super) fn spill(&mut self, log: LogId, bytes_max: usize, writer: &mut impl LogWriter) {
        let epoch = self.epoch;
        let mut spilled = Vec::new();
        let mut segments = self.spans.segments_mut().rev();
        while self.transient_bytes > bytes_max
            && let Some(segment) = segments.next()
        {
            if !segment.is_in_memory_only() || !segment.has_data() {
                continue;
            }
            let pieces = segment.live_pieces();
            segment.key = pieces.first().map_or(segment.first_seq, |first| first.first_seq);
            segment.sealed = true;
            segment.written_epoch = epoch;
            segment.changed_epoch = epoch;
            self.transient_bytes -= segment.memory_bytes();
            spilled.push(segment.first_seq);
            writer.put_transient(log, segment.key, pieces);
        }
        self.has_spilled |= !spilled.is_empty();
        self.writing.spilled = spilled;
    }

    /// What the last commit spilled can be read back.
    pub(super) fn spilled(&mut self) {
        let durable_epoch = self.durable_epoch;
        for first_seq in std::mem::take(&mut self.writing.spilled) {
            if let Some((_, segment)) = self.spans.find(first_seq)
                && segment.written_epoch == durable_epoch
            {
                self.resident_bytes += segment.memory_bytes();
            }
        }
    }

    /// Whether everything about a stored segment is in the store, but for what is unacked.
    pub(super) fn is_all_stored(&self, segment: &Segment) -> bool {
        if segment.persistent {
            return segment.changed_epoch <= self.durable_epoch;
        }
        segment.changed_epoch == segment.written_epoch
            && !segment.has_returned()
            && segment.expiry.own_due_ms == u64::MAX
    }
}
