//! One priority level of a queue: its messages in order, and what has become of each.
//!
//! A message is settled or waiting (its segment says so), or ready, or unacked. Waiting is what came back and is not to be
//! tried again yet: its segment keeps it as handed out, only that nobody holds it. Of the others, ready is what lies at
//! or behind the cursor, and what was requeued; all else is unacked. So handing out a run of any length moves one number, and
//! the usual requeue of many messages adds one range.
//!
//! Commits are numbered. What is written with commit `epoch` is on disk once `durable_epoch` has reached that number;
//! only then may memory forget what can be read back. Six parts of the level's work have files of their own:
//! [`paging`] between memory and store, [`writing`] to the store, [`spilling`] of transient messages, [`expiry`],
//! [`waiting`] for a retry, and what is set [`aside`].
//!
//! Not taken: a list of messages with a state each (memory for every message of a long queue), and a separate list
//! for requeued messages with copies of them (order and expiry would be kept twice).

mod aside;
mod expiry;
mod paging;
mod spilling;
mod unwritten;
mod waiting;
mod writing;

use std::{collections::VecDeque, ops::Range};

pub(crate) use aside::Noted;
pub(crate) use expiry::ExpiryPass;
use leveret_store::{LogState, Returned};
use unwritten::Unwritten;
use waiting::Waiting;
pub(crate) use writing::LogWriter;

use super::{
    DeliveryRun, Position, Sizing,
    aside::Aside,
    ranges::Ranges,
    segment::{Arrival, Segment, Stretch},
    spans::{OnDisk, Span, Spans},
    state::DeadLetterReason,
    totals::{Expiry, Totals},
};

/// The commit number of what was on disk before the queue was opened.
const FIRST_EPOCH: u64 = 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct Level {
    number: u8,
    spans: Spans,
    /// Whatever is below was handed out once, or is gone.
    cursor: u64,
    next_seq: u64,
    /// Below, messages may have been delivered before; also before the queue was opened.
    delivered_until: u64,
    /// Below the cursor and ready again. May include settled messages.
    requeued: Ranges,
    /// Below the cursor and ready, but passed over. None of them is requeued.
    pub(crate) aside: Aside,
    pub(crate) ready: Totals,
    pub(crate) unacked: Totals,
    pub(crate) waiting: Waiting,
    /// Of all three, what never goes to disk.
    transient: Totals,
    /// Of the ready, what is in no segment.
    on_disk: Totals,
    /// What the messages take in memory.
    pub(crate) memory_bytes: usize,
    /// Of this, what could be read back.
    resident_bytes: usize,
    /// Of this, what is transient and was never written.
    transient_bytes: usize,
    /// Transient messages were written.
    pub(crate) has_spilled: bool,
    /// Segments without their records.
    segments_without_data: usize,
    /// Lower bound over everything but the store's due index.
    hint: Expiry,
    /// Lower bound of the due index for what is on disk only.
    disk_due_ms: u64,
    /// Entries of the due index before this one were read, and are not looked at again: due time and chunk.
    due_from: (u64, u64),
    epoch: u64,
    durable_epoch: u64,
    /// Segments from here on may not have been written.
    unwritten_from: u64,
    unwritten: Unwritten,
    writing: writing::Pending,
    /// Segments whose records are needed again, by key.
    wanted: VecDeque<u64>,
    /// Unacked messages to be dead-lettered in this order, as soon as the records of the first are there.
    condemned: VecDeque<(Range<u64>, DeadLetterReason)>,
    /// Messages that the store should have had and had not, since somebody last asked.
    missing: u64,
    /// Changes that somebody has to know, if anybody has.
    notes: Option<Vec<Noted>>,
}

/// What comes next in a level.
#[derive(Debug)]
pub(crate) enum Head {
    /// These.
    Ready(Stretch),
    /// Something that has to be read from the store, from this sequence number on.
    Absent(u64),
    /// Nothing is ready.
    Nothing,
}

impl Level {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            number,
            spans: Spans::default(),
            cursor: 0,
            next_seq: 0,
            delivered_until: 0,
            requeued: Ranges::default(),
            aside: Aside::default(),
            ready: Totals::default(),
            unacked: Totals::default(),
            waiting: Waiting::default(),
            transient: Totals::default(),
            on_disk: Totals::default(),
            memory_bytes: 0,
            resident_bytes: 0,
            transient_bytes: 0,
            has_spilled: false,
            segments_without_data: 0,
            hint: Expiry::NEVER,
            disk_due_ms: u64::MAX,
            due_from: (0, 0),
            epoch: FIRST_EPOCH + 1,
            durable_epoch: FIRST_EPOCH,
            unwritten_from: 0,
            unwritten: Unwritten::default(),
            writing: writing::Pending::default(),
            wanted: VecDeque::new(),
            condemned: VecDeque::new(),
            missing: 0,
            notes: None,
        }
    }

    /// A level as the store remembers it: everything that lives is on disk, and ready or waiting.
    pub(crate) fn recover(number: u8, log: LogState) -> Self {
        let mut level = Self::new(number);
        level.next_seq = log.next_seq;
        level.cursor = log.next_seq;
        level.delivered_until = log.delivered_until.min(log.next_seq);
        level.unwritten_from = log.next_seq;
        level.writing.log_written = Some(log);
        if log.count > 0 && log.head_seq < log.next_seq {
            level.cursor = log.head_seq;
            level.waiting = Waiting::recover(&log);
            level.ready = Totals { count: log.count, bytes: log.bytes };
            level.ready -= level.waiting.totals;
            level.on_disk = level.ready;
            // Nothing is known of timestamps and due times: look at the first opportunity.
            level.hint.oldest_ms = 0;
            level.disk_due_ms = 0;
            level.spans.push(Span::OnDisk(OnDisk { seqs: log.head_seq..log.next_seq, oldest_ms: 0 }));
        }
        level
    }

    /// Takes new messages; the store's waiters from `awaited_from` on wait for them.
    pub(crate) fn append(&mut self, arrival: Arrival, awaited_from: u64, sizing: &Sizing) {
        let totals = arrival.totals();
        self.pass_what_is_left_of_others();
        self.ready += totals;
        self.hint.merge(arrival.expiry);
        let persistent = arrival.persistent;
        if persistent {
            self.writing.touched = true;
            self.unwritten.add(self.next_seq, totals.count, awaited_from);
        } else {
            self.transient += totals;
        }
        let bytes = self.append_to_segment(arrival, sizing.segment_bytes);
        self.next_seq += totals.count;
        self.memory_bytes += bytes;
        if !persistent {
            self.transient_bytes += bytes;
            self.ask_to_spill(sizing.transient_bytes);
        }
    }

    /// The memory it takes.
    fn append_to_segment(&mut self, arrival: Arrival, segment_bytes: usize) -> usize {
        let next_seq = self.next_seq;
        let fits = |last: &Segment| {
            !last.sealed
                && last.persistent == arrival.persistent
                && last.end_seq() == next_seq
                && last.bytes + arrival.record_bytes <= segment_bytes
        };
        match self.spans.last() {
            Some(last) if fits(last) => {
                let bytes_before = last.memory_bytes();
                last.append(arrival);
                last.memory_bytes() - bytes_before
            }
            _ => {
                let mut segment = Box::new(Segment::new(next_seq, arrival.persistent));
                segment.append(arrival);
                let bytes = segment.memory_bytes();
                self.spans.push(Span::Resident(segment));
                bytes
            }
        }
    }

    /// What comes next. Passes over what is not there any more.
    pub(crate) fn head(&mut self) -> Head {
        while let Some(ready) = self.first_ready_range() {
            let index = self.spans.index_of(ready.start);
            let passed_until = match self.spans.get(index) {
                None => ready.end,
                // Of what is on disk nothing but waiting messages may be left. Who has them noted has to know of them first.
                Some(Span::OnDisk(on_disk)) if self.on_disk.count == 0 && self.notes.is_none() => {
                    on_disk.seqs.end.min(ready.end)
                }
                Some(Span::OnDisk(on_disk)) if on_disk.seqs.start < ready.end => {
                    return Head::Absent(on_disk.seqs.start.max(ready.start));
                }
                Some(Span::OnDisk(_)) => ready.end,
                Some(Span::Resident(segment)) => {
                    let end = segment.end_seq().min(ready.end);
                    let seq = segment.next_in_turn(ready.start, end);
                    if seq < end {
                        self.pass_until(seq);
                        return self.head_in(index, seq, ready.end);
                    }
                    end
                }
            };
            self.pass_until(passed_until);
        }
        Head::Nothing
    }

    fn head_in(&self, index: usize, seq: u64, end: u64) -> Head {
        let Some(segment) = self.spans.get(index).and_then(Span::segment) else { return Head::Nothing };
        match segment.stretch(seq, self.end_of_alike(seq, end)) {
            Some(stretch) => Head::Ready(stretch),
            None => Head::Absent(segment.key),
        }
    }

    /// Up to where messages from `seq` on are alike in whether they were delivered before.
    fn end_of_alike(&self, seq: u64, end: u64) -> u64 {
        if seq < self.delivered_until { end.min(self.delivered_until) } else { end }
    }

    fn first_ready_range(&self) -> Option<Range<u64>> {
        let behind_cursor = || (self.cursor < self.next_seq).then_some(self.cursor..self.next_seq);
        self.requeued.first().or_else(behind_cursor)
    }

    fn pass_until(&mut self, seq: u64) {
        if self.requeued.is_empty() {
            self.cursor = self.cursor.max(seq);
        } else {
            self.requeued.remove_below(seq);
        }
    }

    /// The first `count` messages of `stretch`, as they are handed to somebody.
    pub(crate) fn run(&self, stretch: &Stretch, from: u32, count: u32) -> DeliveryRun {
        let seq = stretch.seq + u64::from(from);
        DeliveryRun {
            records: stretch.records.clone(),
            first: stretch.first + from,
            count,
            position: Position { level: self.number, seq },
            redelivered: seq < self.delivered_until && !self.aside.is_fresh(seq),
            delivery_count: stretch.returned.delivery_count,
            acquired_count: stretch.returned.acquired_count,
        }
    }

    /// The first messages of the level, from `seq` on, become unacked.
    pub(crate) fn hand_out(&mut self, seq: u64, count: u32) {
        let seqs = seq..seq + u64::from(count);
        let Some((_, segment)) = self.spans.find(seq) else { return };
        let totals = segment.totals(seqs.clone());
        segment.unacked += totals;
        let remembered = segment.persistent && segment.written_epoch > 0;
        self.ready -= totals;
        self.unacked += totals;
        self.pass_until(seqs.end);
        if self.delivered_until < seqs.end {
            self.delivered_until = seqs.end;
            self.writing.touched |= remembered;
        }
    }

    /// Collects those of `seqs` that are unacked: ranges that each lie in one segment.
    pub(crate) fn unacked_parts(&mut self, seqs: Range<u64>, parts: &mut Vec<Range<u64>>) {
        let clipped = seqs.start..seqs.end.min(self.cursor);
        if clipped.is_empty() {
            return;
        }
        let spans = &mut self.spans;
        let mut collect = |handed_out: Range<u64>| {
            let reached = spans.segments_from(handed_out.start);
            for segment in reached.take_while(|segment| segment.first_seq < handed_out.end) {
                segment.parts_in_turn(handed_out.clone(), parts);
            }
        };
        if self.requeued.is_empty() && self.aside.count() == 0 {
            collect(clipped);
        } else {
            self.requeued.outside(clipped).for_each(|part| self.aside.outside(part).for_each(&mut collect));
        }
    }

    /// Settles unacked messages, a part as from [`Self::unacked_parts`].
    pub(crate) fn settle(&mut self, part: Range<u64>) {
        let Some((index, segment)) = self.spans.find(part.start) else { return };
        let totals = segment.totals(part.clone());
        segment.unacked -= totals;
        self.unacked -= totals;
        self.remove(index, part, totals);
    }

    /// Puts unacked messages back to their places, a part as from [`Self::unacked_parts`].
    pub(crate) fn requeue(&mut self, part: Range<u64>) {
        let Some((_, segment)) = self.spans.find(part.start) else { return };
        let totals = segment.totals(part.clone());
        segment.unacked -= totals;
        segment.floor = segment.expiry;
        self.hint.merge(segment.expiry);
        self.unacked -= totals;
        self.ready += totals;
        // What waited since before a restart need not have been passed.
        self.requeued.insert(part.start..part.end.min(self.cursor));
    }

    /// Counts the return of an unacked message: as a failed attempt, and among all returns. What is known of it now.
    pub(crate) fn count_return(&mut self, seq: u64, has_failed: bool, counts_all: bool) -> Returned {
        let Some((index, segment)) = self.spans.find(seq) else { return Returned::default() };
        let returned = segment.count_return(seq, has_failed, counts_all);
        self.note_change(index);
        returned
    }

    /// Removes ready messages that lie in one segment and are not settled.
    pub(crate) fn discard(&mut self, part: Range<u64>) {
        let Some((index, segment)) = self.spans.find(part.start) else { return };
        let totals = segment.totals(part.clone());
        self.ready -= totals;
        self.note(Noted::ReadyGone);
        self.forget_aside(part.clone());
        self.remove(index, part, totals);
    }

    /// Removes all ready and waiting messages; how many there were.
    pub(crate) fn purge(&mut self) -> u64 {
        let purged = self.ready.count + self.waiting.totals.count;
        self.discard_all_waiting();
        let segments: Vec<u64> = self.spans.segments().map(|segment| segment.first_seq).collect();
        for first_seq in segments {
            for part in self.ready_parts(first_seq) {
                self.discard(part);
            }
        }
        self.requeued.clear();
        self.forget_aside(0..u64::MAX);
        self.cursor = self.next_seq;
        self.ready = Totals::default();
        if self.spans.has_on_disk() {
            self.forget_on_disk();
            self.start_over();
        }
        purged
    }

    /// Takes the newest message back, if it is still ready; whether it was.
    pub(crate) fn withdraw_newest(&mut self) -> bool {
        let seq = self.next_seq.saturating_sub(1);
        let first = if self.aside.contains(seq) { seq } else { seq.max(self.cursor) };
        let newest = first..self.next_seq;
        let is_live = self.spans.last().is_some_and(|last| last.live_parts(newest.clone()).next().is_some());
        if is_live {
            self.discard(newest);
        }
        is_live
    }

    /// The ready messages of the segment that holds `seq`.
    fn ready_parts(&self, seq: u64) -> Vec<Range<u64>> {
        let Some(segment) = self.spans.get(self.spans.index_of(seq)).and_then(Span::segment) else { return Vec::new() };
        let mut parts = Vec::new();
        self.ready_ranges(segment.seqs()).for_each(|ready| segment.parts_in_turn(ready, &mut parts));
        if self.aside.count() > 0 {
            self.aside.within(segment.seqs()).for_each(|seq| segment.parts_in_turn(seq..seq + 1, &mut parts));
            parts.sort_unstable_by_key(|part| part.start);
        }
        parts
    }

    /// What of `seqs` is ready and was not set aside, if it is neither settled nor waiting.
    fn ready_ranges(&self, seqs: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let behind_cursor = seqs.start.max(self.cursor)..seqs.end;
        self.requeued.within(seqs).chain(Some(behind_cursor)).filter(|range| !range.is_empty())
    }

    /// The messages of a part as they are handed to the dead-letter exchange. Nothing where records are missing.
    pub(crate) fn runs(&mut self, part: Range<u64>, runs: &mut Vec<DeliveryRun>) {
        let mut seq = part.start;
        while seq < part.end {
            let end = self.end_of_alike(seq, part.end);
            let Some((_, segment)) = self.spans.find(seq) else { return };
            let Some(stretch) = segment.stretch(seq, end) else { return };
            runs.push(self.run(&stretch, 0, stretch.count));
            seq += u64::from(stretch.count);
        }
    }

    /// The counters say that something is ready, and nothing is: they came from a disk that does not keep its word.
    pub(crate) fn forget_ready(&mut self) {
        self.missing += self.ready.count + self.waiting.on_disk.count;
        self.ready = Totals::default();
        self.forget_aside(0..u64::MAX);
        self.forget_on_disk();
    }

    /// How many messages turned out to be missing from the store since the last call.
    pub(crate) fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }

    fn remove(&mut self, index: usize, part: Range<u64>, totals: Totals) {
        let Some(segment) = self.spans.segment_at(index) else { return };
        segment.settle(part.clone(), totals);
        let (is_empty, persistent, is_unwritten) =
            (segment.live.count == 0, segment.persistent, segment.is_unwritten());
        if !persistent {
            self.transient -= totals;
        } else if is_unwritten {
            self.forget_unwritten(part, totals.count);
        }
        if is_empty {
            self.finish_segment(index);
        } else {
            self.note_change(index);
        }
    }
}
