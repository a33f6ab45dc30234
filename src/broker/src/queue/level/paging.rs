//! Between memory and store: what may be forgotten, and what was read again.

use std::ops::Range;

use leveret_store::StoredChunk;

use super::{FIRST_EPOCH, Level, Noted, Span};
use crate::queue::{
    segment::Segment,
    state::{DeadLetterReason, DueChunk},
    totals::Totals,
};

impl Level {
    /// Takes chunks that were read from `from_seq` on. What lies between them is not there; nor is what was asked for
    /// if nothing came.
    pub(crate) fn load(&mut self, from_seq: u64, chunks: &[StoredChunk], resident_bytes_max: usize) {
        self.page_out(resident_bytes_max);
        let mut expected = from_seq;
        for chunk in chunks {
            self.spans.void(&(expected..chunk.first_seq));
            expected = expected.max(self.take_chunk(chunk));
        }
        if chunks.is_empty() {
            self.spans.void(&(from_seq..u64::MAX));
        } else if expected <= from_seq {
            // An unreadable chunk must not be asked for for ever.
            self.spans.void(&(from_seq..from_seq.saturating_add(1)));
        }
        self.give_up_without_data(from_seq);
        self.settle_account();
    }

    /// Where nothing is left on disk, neither ranges nor counters go on saying so.
    fn settle_account(&mut self) {
        if self.on_disk.count == 0 && self.waiting.on_disk.count == 0 || !self.spans.has_on_disk() {
            self.ready -= self.on_disk;
            self.missing += self.on_disk.count + self.waiting.on_disk.count;
            self.forget_on_disk();
        }
    }

    /// Nothing is on disk that is not in a segment as well.
    pub(super) fn forget_on_disk(&mut self) {
        self.spans.remove_on_disk();
        self.on_disk = Totals::default();
        self.waiting.forget_on_disk();
        self.transient = Totals::default();
        for segment in self.spans.segments().filter(|segment| !segment.persistent) {
            self.transient += segment.live;
        }
    }

    /// Takes chunks found through the due index. Their messages are expired like all others; here only the entries
    /// are looked after. An entry that was read stays where it is while its chunk is in memory, so that it is the first
    /// to be found after a restart: what was unacked then is ready again, and may be over.
    pub(crate) fn load_due(&mut self, found: &[DueChunk], next_due_ms: Option<u64>, resident_bytes_max: usize) {
        self.page_out(resident_bytes_max);
        for entry in found {
            if let Some(chunk) = &entry.chunk {
                self.take_due_chunk(chunk, entry.due_ms);
            }
            let in_force_ms = self.segment_of_chunk(entry.first_seq).and_then(|segment| segment.due_key_ms);
            if in_force_ms != Some(entry.due_ms) {
                // The entry is stale, or the other one only a guess made when the chunk was read.
                self.move_due(entry.first_seq, Some(entry.due_ms), in_force_ms);
                self.note_change(self.spans.index_of(entry.first_seq));
            }
        }
        self.settle_account();
        match found.last() {
            None => self.disk_due_ms = next_due_ms.unwrap_or(u64::MAX),
            Some(last) => {
                // There may be more.
                self.due_from = (last.due_ms, last.first_seq.saturating_add(1));
                self.disk_due_ms = 0;
            }
        }
    }

    /// The segments whose records are asked for before anything else can go on.
    pub(crate) fn next_wanted(&mut self) -> Option<u64> {
        while let Some(key) = self.wanted.front().copied() {
            if self.segment_of_chunk(key).is_some_and(|segment| !segment.has_data()) {
                return Some(key);
            }
            self.wanted.pop_front();
        }
        let first_seq = self.condemned.front()?.0.start;
        let (_, segment) = self.spans.find(first_seq)?;
        (!segment.has_data()).then_some(segment.key)
    }

    /// Keeps unacked messages until their records, which will be asked for, and those before them can be dead-lettered.
    pub(crate) fn condemn(&mut self, part: Range<u64>, reason: DeadLetterReason) {
        self.condemned.push_back((part, reason));
    }

    /// Whether there is something that [`Self::condemn`] keeps.
    pub(crate) fn has_condemned(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// The first that [`Self::condemn`] keeps, if its records are there.
    pub(crate) fn next_condemned(&mut self) -> Option<(Range<u64>, DeadLetterReason)> {
        let first_seq = self.condemned.front()?.0.start;
        self.has_data(first_seq).then(|| self.condemned.pop_front())?
    }

    /// Whether the records of the segment that holds `seq` are in memory.
    pub(crate) fn has_data(&mut self, seq: u64) -> bool {
        self.spans.find(seq).is_some_and(|(_, segment)| segment.has_data())
    }

    /// Forgets records that can be read back until no more than `resident_bytes_max` are held: first those of messages
    /// that are all with consumers, then from the end of the queue.
    pub(crate) fn page_out(&mut self, resident_bytes_max: usize) {
        for index in 0..self.spans.len() {
            if self.resident_bytes <= resident_bytes_max {
                break;
            }
            let is_out = |segment: &Segment| segment.has_data() && segment.ready().count == 0;
            if self.spans.get(index).and_then(Span::segment).is_some_and(is_out) {
                self.drop_data(index);
            }
        }
        let head = self.first_ready_range().map_or(usize::MAX, |ready| self.spans.index_of(ready.start));
        for index in (0..self.spans.len()).rev() {
            let is_full = self.resident_bytes > resident_bytes_max;
            if !is_full && self.segments_without_data == 0 {
                break;
            }
            let is_needed = index == head && !self.is_larger_than(index, resident_bytes_max);
            self.page_out_segment(index, is_full && !is_needed);
        }
    }

    fn is_larger_than(&self, index: usize, bytes: usize) -> bool {
        self.spans.get(index).and_then(Span::segment).is_some_and(|segment| segment.memory_bytes() > bytes)
    }

    /// Replaces a segment by the knowledge that it is on disk, if that is all there is to know; else lets go of its
    /// records, if `may_drop_data`.
    fn page_out_segment(&mut self, index: usize, may_drop_data: bool) {
        let Some(segment) = self.spans.get(index).and_then(Span::segment) else { return };
        let is_clean = segment.unacked.count == 0 && self.is_all_stored(segment);
        if !self.is_stored(segment) || segment.has_data() && !may_drop_data {
            return;
        }
        if !is_clean || !self.has_due_entry_in_time(index) {
            self.drop_data(index);
            return;
        }
        let Some(segment) = self.spans.get(index).and_then(Span::segment) else { return };
        let (has_data, bytes) = (segment.has_data(), segment.memory_bytes());
        let (live, due_ms) = (segment.live, segment.floor.own_due_ms);
        self.memory_bytes -= bytes;
        if has_data {
            self.resident_bytes -= bytes;
        } else {
            self.segments_without_data -= 1;
        }
        self.on_disk += live;
        self.disk_due_ms = self.disk_due_ms.min(due_ms);
        self.spans.page_out(index);
    }

    /// What only the store knows must come up in its due index in time: its entry was not read yet, and is for no later
    /// time than the messages. Otherwise the entry is corrected first, unless something is over already.
    fn has_due_entry_in_time(&mut self, index: usize) -> bool {
        let due_from = self.due_from;
        let Some(segment) = self.spans.segment_at(index) else { return false };
        let key = segment.key;
        let is_unread = |due_ms: u64| (due_ms, key) >= due_from;
        let (entry_ms, due_ms) = (segment.due_key_ms, segment.floor.own_due_ms);
        let next_ms = Some(due_ms).filter(|due_ms| *due_ms != u64::MAX);
        if entry_ms.map_or(next_ms.is_none(), |entry_ms| is_unread(entry_ms) && entry_ms <= due_ms) {
            return true;
        }
        if next_ms.is_none_or(is_unread) {
            segment.due_key_ms = next_ms;
            self.move_due(key, entry_ms, next_ms);
            self.note_change(index);
        }
        false
    }

    fn drop_data(&mut self, index: usize) {
        let durable_epoch = self.durable_epoch;
        let Some(segment) = self.spans.segment_at(index) else { return };
        let is_stored = segment.written_epoch > 0 && segment.written_epoch <= durable_epoch;
        if is_stored && segment.has_data() {
            let bytes = segment.memory_bytes();
            segment.drop_data();
            self.memory_bytes -= bytes;
            self.memory_bytes += segment.memory_bytes();
            self.resident_bytes -= bytes;
            self.segments_without_data += 1;
        }
    }

    /// Takes a chunk in if it is where something is said to be on disk, or gives a segment its records back. What is
    /// known better in memory is passed over. The sequence number after the chunk.
    fn take_chunk(&mut self, chunk: &StoredChunk) -> u64 {
        let end_seq = chunk.seqs.last().map_or(chunk.first_seq, |last| last + 1);
        let index = self.spans.index_of(chunk.first_seq);
        let durable_epoch = self.durable_epoch;
        match self.spans.get(index) {
            Some(Span::OnDisk(on_disk)) if on_disk.seqs.start < end_seq => self.take_in(index, chunk),
            Some(Span::Resident(segment)) if segment.key == chunk.first_seq && !segment.has_data() => {
                let Some(segment) = self.spans.segment_at(index) else { return end_seq };
                self.memory_bytes -= segment.memory_bytes();
                segment.refill(chunk);
                let bytes = segment.memory_bytes();
                self.memory_bytes += bytes;
                self.segments_without_data -= 1;
                if segment.is_in_memory_only() {
                    self.transient_bytes += bytes;
                } else if segment.written_epoch > 0 && segment.written_epoch <= durable_epoch {
                    self.resident_bytes += bytes;
                }
            }
            _ => {}
        }
        end_seq
    }

    fn take_in(&mut self, index: usize, chunk: &StoredChunk) {
        let Some(segment) = Segment::from_stored(chunk, FIRST_EPOCH) else { return };
        let (first_seq, is_empty) = (segment.first_seq, segment.live.count == 0);
        self.on_disk -= segment.ready();
        self.waiting.take_in(&segment);
        if self.notes.is_some() {
            segment.waiting_in(segment.seqs()).for_each(|(seq, _)| self.note(Noted::FoundWaiting(seq)));
        }
        self.memory_bytes += segment.memory_bytes();
        self.resident_bytes += segment.memory_bytes();
        self.hint.merge(segment.floor);
        self.spans.split_in(index, segment);
        if is_empty {
            self.finish_segment(self.spans.index_of(first_seq));
        }
    }

    /// As [`Self::take_chunk`]; of a chunk that was on disk only, the entry found is the one in force.
    fn take_due_chunk(&mut self, chunk: &StoredChunk, due_ms: u64) {
        let index = self.spans.index_of(chunk.first_seq);
        let was_on_disk = matches!(self.spans.get(index), Some(Span::OnDisk(_)));
        self.take_chunk(chunk);
        if was_on_disk && let Some(segment) = self.segment_of_chunk(chunk.first_seq) {
            segment.due_key_ms = Some(due_ms);
        }
    }

    /// Records that were asked for and did not come do not exist: their messages are gone.
    fn give_up_without_data(&mut self, key: u64) {
        let Some(segment) = self.segment_of_chunk(key).filter(|segment| !segment.has_data()) else { return };
        let seqs = segment.seqs();
        for part in self.ready_parts(key) {
            self.missing += part.end - part.start;
            self.discard(part);
        }
        let waiting: Vec<u64> = self
            .spans
            .find(key)
            .map_or(Vec::new(), |(_, segment)| segment.waiting_in(segment.seqs()).map(|(seq, _)| seq).collect());
        for seq in waiting {
            self.missing += 1;
            self.discard_waiting(seq);
        }
        for (part, reason) in std::mem::take(&mut self.condemned) {
            if seqs.contains(&part.start) {
                self.missing += part.end - part.start;
                self.settle(part);
            } else {
                self.condemned.push_back((part, reason));
            }
        }
        self.wanted.retain(|wanted| *wanted != key);
    }

    fn segment_of_chunk(&mut self, key: u64) -> Option<&mut Segment> {
        let (_, segment) = self.spans.find(key)?;
        (segment.key == key).then_some(segment)
    }
}

/// Whether the counters agree with the messages. For tests.
#[cfg(test)]
impl Level {
    pub(crate) fn check(&self) {
        let (mut ready, mut unacked, mut resident, mut without) = (self.on_disk, Totals::default(), 0, 0);
        let (mut memory, mut transient) = (0, 0);
        let (mut unwritten, mut first_unwritten) = (0, None);
        let mut end = 0;
        for span in self.spans.iter() {
            assert!(span.seqs().start >= end && !span.seqs().is_empty(), "spans ascend");
            end = span.seqs().end;
            let Some(segment) = span.segment() else { continue };
            assert!(segment.live.count > 0, "finished segments go");
            ready += segment.ready();
            unacked += segment.unacked;
            unacked -= segment.waiting;
            without += usize::from(!segment.has_data());
            if segment.is_unwritten() {
                unwritten += segment.live.count;
                first_unwritten = first_unwritten.or(Some(segment.next_live(segment.first_seq, segment.end_seq())));
            }
            let bytes = segment.memory_bytes();
            memory += bytes;
            if segment.has_data() {
                resident += if self.is_stored(segment) { bytes } else { 0 };
                transient += if segment.is_in_memory_only() { bytes } else { 0 };
            }
            let counted: u64 = self.ready_parts(segment.first_seq).iter().map(|part| part.end - part.start).sum();
            assert_eq!(counted, segment.ready().count, "ready messages of {:?}", segment.seqs());
        }
        assert_eq!((ready, unacked), (self.ready, self.unacked));
        self.waiting.check(self.spans.segments());
        self.check_aside();
        assert_eq!((resident, without), (self.resident_bytes, self.segments_without_data));
        assert_eq!((memory, transient), (self.memory_bytes, self.transient_bytes));
        assert_eq!((unwritten, first_unwritten), (self.unwritten.count(), self.unwritten.first_seq()));
        assert!(unwritten == 0 || self.is_touched());
        assert!(self.spans.has_on_disk() || self.on_disk == Totals::default());
    }

    /// Spans and segments with records, for tests of paging.
    pub(crate) fn residency(&self) -> (usize, usize) {
        (self.spans.len(), self.spans.segments().filter(|segment| segment.has_data()).count())
    }
}
