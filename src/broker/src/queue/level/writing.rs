//! From a level to the store: what a commit takes.

use leveret_store::{AWAITED_BY_ALL, LogId, LogState, Marks, Piece, Writes};

use std::ops::Range;

use super::{Level, Span};
use crate::queue::segment::Segment;

/// What a queue writes. [`Writes`] in earnest; tests look at what was written.
pub(crate) trait LogWriter {
    /// See [`Writes::put_chunk`].
    fn put_chunk(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>);
    /// See [`Writes::delete_chunk`].
    fn delete_chunk(&mut self, log: LogId, first_seq: u64);
    /// See [`Writes::put_transient`].
    fn put_transient(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>);
    /// See [`Writes::delete_transient`].
    fn delete_transient(&mut self, log: LogId, first_seq: u64);
    /// See [`Writes::delete_transient_log`].
    fn delete_transient_log(&mut self, log: LogId);
    /// See [`Writes::put_marks`].
    fn put_marks(&mut self, log: LogId, first_seq: u64, marks: Marks);
    /// See [`Writes::put_due`].
    fn put_due(&mut self, log: LogId, due_ms: u64, first_seq: u64);
    /// See [`Writes::delete_due`].
    fn delete_due(&mut self, log: LogId, due_ms: u64, first_seq: u64);
    /// See [`Writes::put_log`].
    fn put_log(&mut self, log: LogId, state: LogState);
    /// See [`Writes::delete_log`].
    fn delete_log(&mut self, log: LogId);
}

impl LogWriter for Writes {
    fn put_chunk(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>) {
        self.put_chunk(log, first_seq, pieces);
    }

    fn delete_chunk(&mut self, log: LogId, first_seq: u64) {
        self.delete_chunk(log, first_seq);
    }

    fn put_transient(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>) {
        self.put_transient(log, first_seq, pieces);
    }

    fn delete_transient(&mut self, log: LogId, first_seq: u64) {
        self.delete_transient(log, first_seq);
    }

    fn delete_transient_log(&mut self, log: LogId) {
        self.delete_transient_log(log);
    }

    fn put_marks(&mut self, log: LogId, first_seq: u64, marks: Marks) {
        self.put_marks(log, first_seq, marks);
    }

    fn put_due(&mut self, log: LogId, due_ms: u64, first_seq: u64) {
        self.put_due(log, due_ms, first_seq);
    }

    fn delete_due(&mut self, log: LogId, due_ms: u64, first_seq: u64) {
        self.delete_due(log, due_ms, first_seq);
    }

    fn put_log(&mut self, log: LogId, state: LogState) {
        self.put_log(log, state);
    }

    fn delete_log(&mut self, log: LogId) {
        self.delete_log(log);
    }
}

/// What the next commit has to say, beyond segments that were never written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// There is something to write.
    pub(super) touched: bool,
    /// Everything on disk goes; what lives is written anew.
    erase: bool,
    /// Segments whose marks have changed, by first sequence number.
    changed: Vec<u64>,
    /// Chunks that are done with.
    pub(super) deleted: Vec<u64>,
    /// The same of transient ones.
    deleted_transient: Vec<u64>,
    /// Transient segments that the commit under way writes, by first sequence number.
    pub(super) spilled: Vec<u64>,
    /// Changes of the due index: chunk, old entry, new entry.
    due_moves: Vec<(u64, Option<u64>, Option<u64>)>,
    /// The counters as last written.
    pub(super) log_written: Option<LogState>,
    /// Where the new segments of the commit under way begin, if there is one.
    in_flight_from: Option<u64>,
    /// Chunks were deleted from between others.
    pub(super) has_holes: bool,
}

impl Level {
    /// Whether there is something to write.
    pub(crate) fn is_touched(&self) -> bool {
        self.writing.touched
    }

    /// The first of the store's waiters that waits for persistent messages here that are in no commit yet.
    pub(crate) fn awaited_from(&self) -> Option<u64> {
        self.unwritten.awaited_from()
    }

    /// Unwritten messages are settled: `count` in `part`.
    pub(super) fn forget_unwritten(&mut self, part: Range<u64>, count: u64) {
        self.unwritten.remove(count);
        if self.unwritten.first_seq().is_some_and(|first_seq| part.contains(&first_seq)) {
            self.find_first_unwritten(part.end);
        }
    }

    fn find_first_unwritten(&mut self, from_seq: u64) {
        let unwritten = self.spans.segments_from(from_seq).filter(|segment| segment.is_unwritten());
        let mut firsts = unwritten.filter_map(|segment| {
            let seq = segment.next_live(from_seq.max(segment.first_seq), segment.end_seq());
            (seq < segment.end_seq()).then_some(seq)
        });
        if let Some(first_seq) = firsts.next() {
            self.unwritten.begin_at(first_seq);
        }
    }

    /// Hands everything to be written to `writer`.
    /// Of transient messages at most `transient_bytes_max` stay in memory only.
    pub(crate) fn collect(&mut self, queue: u64, transient_bytes_max: usize, writer: &mut impl LogWriter) {
        let log = LogId { queue, level: self.number };
        self.writing.touched = false;
        if std::mem::take(&mut self.writing.erase) {
            writer.delete_log(log);
            if self.has_spilled {
                writer.delete_transient_log(log);
            }
        }
        for key in self.writing.deleted.drain(..) {
            writer.delete_chunk(log, key);
        }
        for key in self.writing.deleted_transient.drain(..) {
            writer.delete_transient(log, key);
        }
        self.collect_marks(log, writer);
        self.collect_new(log, writer);
        self.spill(log, transient_bytes_max, writer);
        for (key, old_ms, new_ms) in self.writing.due_moves.drain(..) {
            if let Some(old_ms) = old_ms {
                writer.delete_due(log, old_ms, key);
            }
            if let Some(new_ms) = new_ms {
                writer.put_due(log, new_ms, key);
            }
        }
        self.collect_counters(log, writer);
        self.writing.in_flight_from = Some(self.unwritten_from);
        self.unwritten_from = self.next_seq;
        self.unwritten.clear();
        self.epoch += 1;
    }

    /// What was collected is on disk.
    pub(crate) fn committed(&mut self, resident_bytes_max: usize) {
        let Some(in_flight_from) = self.writing.in_flight_from.take() else { return };
        self.durable_epoch = self.epoch - 1;
        let durable_epoch = self.durable_epoch;
        let new = self.spans.segments_from(in_flight_from);
        let new = new.filter(|new| new.persistent && new.written_epoch == durable_epoch);
        self.resident_bytes += new.map(|new| new.memory_bytes()).sum::<usize>();
        self.spilled();
        if self.writing.has_holes && self.writing.deleted.is_empty() && self.writing.deleted_transient.is_empty() {
            self.writing.has_holes = false;
            self.spans.merge_over_gaps();
        }
        self.page_out(resident_bytes_max);
    }

    /// Everything is erased with the next commit, and what lives is written anew.
    pub(super) fn start_over(&mut self) {
        let durable_epoch = self.durable_epoch;
        for segment in self.spans.segments_mut().filter(|segment| segment.written_epoch > 0) {
            if segment.has_data() && segment.written_epoch <= durable_epoch {
                self.resident_bytes -= segment.memory_bytes();
            }
            if segment.has_data() && !segment.persistent {
                self.transient_bytes += segment.memory_bytes();
            }
            if !segment.has_data() {
                self.wanted.push_back(segment.key);
            }
            segment.written_epoch = 0;
            segment.due_key_ms = None;
        }
        self.unwritten.clear();
        for segment in self.spans.segments().filter(|segment| segment.is_unwritten()) {
            self.unwritten.add(segment.first_seq, segment.live.count, AWAITED_BY_ALL);
        }
        self.find_first_unwritten(0);
        self.unwritten_from = 0;
        self.disk_due_ms = u64::MAX;
        self.writing = Pending {
            touched: true,
            erase: true,
            log_written: self.writing.log_written.take(),
            in_flight_from: self.writing.in_flight_from,
            ..Pending::default()
        };
    }

    /// The segment at `index` is settled altogether.
    pub(super) fn finish_segment(&mut self, index: usize) {
        let Some(segment) = self.spans.get(index).and_then(Span::segment) else { return };
        let bytes = segment.memory_bytes();
        self.memory_bytes -= bytes;
        if !segment.has_data() {
            self.segments_without_data -= 1;
        } else if self.is_stored(segment) {
            self.resident_bytes -= bytes;
        } else if segment.is_in_memory_only() {
            self.transient_bytes -= bytes;
        }
        if segment.written_epoch > 0 {
            let deleted =
                if segment.persistent { &mut self.writing.deleted } else { &mut self.writing.deleted_transient };
            deleted.push(segment.key);
            if segment.due_key_ms.is_some() {
                self.writing.due_moves.push((segment.key, segment.due_key_ms, None));
            }
            self.writing.touched = true;
            self.writing.has_holes |= index > 0;
        }
        self.spans.remove(index);
    }

    /// The marks of the segment at `index` have changed.
    pub(super) fn note_change(&mut self, index: usize) {
        let epoch = self.epoch;
        let Some(segment) = self.spans.segment_at(index) else { return };
        if segment.written_epoch > 0 && segment.changed_epoch != epoch {
            segment.changed_epoch = epoch;
            if segment.persistent {
                self.writing.changed.push(segment.first_seq);
                self.writing.touched = true;
            }
        }
    }

    /// Replaces an entry of the due index.
    pub(super) fn move_due(&mut self, key: u64, old_ms: Option<u64>, new_ms: Option<u64>) {
        self.writing.due_moves.push((key, old_ms, new_ms));
        self.writing.touched = true;
    }

    pub(super) fn is_stored(&self, segment: &Segment) -> bool {
        segment.written_epoch > 0 && segment.written_epoch <= self.durable_epoch
    }

    fn collect_marks(&mut self, log: LogId, writer: &mut impl LogWriter) {
        for first_seq in std::mem::take(&mut self.writing.changed) {
            if let Some((_, segment)) = self.spans.find(first_seq)
                && segment.written_epoch > 0
            {
                writer.put_marks(log, segment.key, segment.marks());
                // What waits has to come up by itself after a restart.
                let (entry_ms, wait_ms) = (segment.due_key_ms, segment.first_wait_ms());
                if wait_ms.is_some_and(|wait_ms| entry_ms.is_none_or(|entry_ms| entry_ms > wait_ms)) {
                    segment.due_key_ms = wait_ms;
                    self.writing.due_moves.push((segment.key, entry_ms, wait_ms));
                }
            }
        }
    }

    fn collect_new(&mut self, log: LogId, writer: &mut impl LogWriter) {
        let epoch = self.epoch;
        for segment in self.spans.segments_from(self.unwritten_from) {
            segment.sealed = true;
            if !segment.is_unwritten() {
                continue;
            }
            let pieces = segment.live_pieces();
            segment.key = pieces.first().map_or(segment.first_seq, |first| first.first_seq);
            segment.written_epoch = epoch;
            segment.changed_epoch = epoch;
            segment.due_key_ms = segment.first_due_of_live();
            if let Some(due_ms) = segment.due_key_ms {
                writer.put_due(log, due_ms, segment.key);
            }
            writer.put_chunk(log, segment.key, pieces);
            if segment.has_returned() {
                writer.put_marks(log, segment.key, segment.marks());
            }
        }
    }

    fn collect_counters(&mut self, log: LogId, writer: &mut impl LogWriter) {
        let mut persistent = self.ready;
        persistent += self.unacked;
        persistent += self.waiting.totals;
        persistent -= self.transient;
        let waiting = self.waiting.persistent();
        let counters = LogState {
            next_seq: self.next_seq,
            head_seq: self.first_persistent_seq(),
            count: persistent.count,
            bytes: persistent.bytes,
            delivered_until: self.delivered_until,
            waiting_count: waiting.count,
            waiting_bytes: waiting.bytes,
        };
        if counters.count > 0 || self.is_remembered() {
            self.put_counters(log, counters, writer);
        }
    }

    /// Whether the store believes that there is something. Of a log that was empty and is empty again it need not know
    /// how many messages went through meanwhile: nothing there has a number that could be given twice.
    fn is_remembered(&self) -> bool {
        self.writing.log_written.is_some_and(|written| written.count > 0)
    }

    fn put_counters(&mut self, log: LogId, counters: LogState, writer: &mut impl LogWriter) {
        if self.writing.log_written != Some(counters) {
            self.writing.log_written = Some(counters);
            writer.put_log(log, counters);
        }
    }

    fn first_persistent_seq(&self) -> u64 {
        let of_span = |span: &Span| match span {
            Span::OnDisk(on_disk) => Some(on_disk.seqs.start),
            Span::Resident(segment) if segment.persistent => {
                Some(segment.next_live(segment.first_seq, segment.end_seq()).max(segment.first_seq))
            }
            Span::Resident(_) => None,
        };
        self.spans.iter().find_map(of_span).unwrap_or(self.next_seq)
    }
}
