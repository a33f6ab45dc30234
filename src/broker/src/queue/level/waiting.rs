//! Messages that came back and wait until they may be tried again.
//!
//! Each stays in its place, handed out to nobody, and becomes ready there when its time has come. The segments know
//! which of their messages wait and until when; the level has them in order of time. On disk the marks of a chunk say
//! it, and the due index leads to the chunk in time: after a restart nothing is read before that.
//!
//! Not taken: a second queue for them, in which the message would lose its place, and moving it between the two would
//! have to be one step on disk.

use std::collections::BTreeSet;

use leveret_store::LogState;

use super::{Level, Noted};
use crate::queue::{segment::Segment, totals::Totals};

/// The messages of a level that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) totals: Totals,
    /// Of these, what never goes to disk.
    transient: Totals,
    /// Of these, what is in no segment.
    pub(super) on_disk: Totals,
    /// Those in segments: until when, and which.
    order: BTreeSet<(u64, u64)>,
}

impl Waiting {
    pub(super) fn recover(log: &LogState) -> Self {
        let totals = Totals { count: log.waiting_count.min(log.count), bytes: log.waiting_bytes.min(log.bytes) };
        Self { totals, on_disk: totals, ..Self::default() }
    }

    /// What survives a restart.
    pub(super) fn persistent(&self) -> Totals {
        let mut persistent = self.totals;
        persistent -= self.transient;
        persistent
    }

    /// When the first in a segment may be tried again; `u64::MAX` is never.
    pub(super) fn first_ms(&self) -> u64 {
        self.order.first().map_or(u64::MAX, |(until_ms, _)| *until_ms)
    }

    /// A segment was read from the store.
    pub(super) fn take_in(&mut self, segment: &Segment) {
        self.on_disk -= segment.waiting;
        self.order.extend(segment.waiting_in(segment.seqs()).map(|(seq, until_ms)| (until_ms, seq)));
    }

    /// What was said to be on disk is not there; how many messages.
    pub(super) fn forget_on_disk(&mut self) -> u64 {
        let forgotten = std::mem::take(&mut self.on_disk);
        self.totals -= forgotten;
        forgotten.count
    }

    fn add(&mut self, seq: u64, until_ms: u64, totals: Totals, persistent: bool) {
        self.order.insert((until_ms, seq));
        self.totals += totals;
        if !persistent {
            self.transient += totals;
        }
    }

    fn remove(&mut self, seq: u64, until_ms: u64, totals: Totals, persistent: bool) {
        self.order.remove(&(until_ms, seq));
        self.totals -= totals;
        if !persistent {
            self.transient -= totals;
        }
    }
}

impl Level {
    /// Sets an unacked message aside until it may be tried again.
    pub(crate) fn wait(&mut self, seq: u64, until_ms: u64) {
        let Some((index, segment)) = self.spans.find(seq) else { return };
        let totals = segment.totals(seq..seq + 1);
        segment.wait(seq, until_ms, totals);
        segment.floor = segment.expiry;
        self.hint.merge(segment.expiry);
        self.unacked -= totals;
        self.waiting.add(seq, until_ms, totals, segment.persistent);
        self.note(Noted::Waits(seq));
        self.note_change(index);
    }

    /// Messages whose time has come are ready again, in their places.
    pub(crate) fn end_waits(&mut self, now_ms: u64) {
        while let Some((until_ms, seq)) =
            self.waiting.order.first().copied().filter(|(until_ms, _)| *until_ms <= now_ms)
        {
            if self.end_wait(seq).is_some() {
                self.requeue(seq..seq + 1);
            } else {
                self.waiting.order.remove(&(until_ms, seq));
            }
        }
    }

    /// Whether the store has to be asked for messages whose time may have come: they lie before others.
    pub(crate) fn may_miss_a_retry(&self, now_ms: u64) -> bool {
        self.has_waiting_on_disk() && self.wants_due_index(now_ms)
    }

    /// Whether messages wait of which nothing but their number is known.
    pub(crate) fn has_waiting_on_disk(&self) -> bool {
        self.waiting.on_disk.count > 0
    }

    /// Removes a message that waits.
    pub(super) fn discard_waiting(&mut self, seq: u64) {
        if self.end_wait(seq).is_some() {
            self.settle(seq..seq + 1);
        }
    }

    /// Removes all messages that wait in segments.
    pub(super) fn discard_all_waiting(&mut self) {
        for (_, seq) in std::mem::take(&mut self.waiting.order) {
            self.discard_waiting(seq);
        }
    }

    /// A message that waits counts as unacked from now on.
    fn end_wait(&mut self, seq: u64) -> Option<()> {
        let (index, segment) = self.spans.find(seq)?;
        let (totals, persistent) = (segment.totals(seq..seq + 1), segment.persistent);
        let until_ms = segment.end_wait(seq, totals)?;
        self.waiting.remove(seq, until_ms, totals, persistent);
        self.note(Noted::WaitEnded(seq));
        self.unacked += totals;
        self.note_change(index);
        Some(())
    }
}

/// For tests.
#[cfg(test)]
impl Waiting {
    pub(super) fn check<'s>(&self, segments: impl Iterator<Item = &'s Segment>) {
        let (mut totals, mut order) = (self.on_disk, BTreeSet::new());
        for segment in segments {
            totals += segment.waiting;
            let of_segment: Vec<_> =
                segment.waiting_in(segment.seqs()).map(|(seq, until_ms)| (until_ms, seq)).collect();
            assert_eq!(of_segment.len() as u64, segment.waiting.count);
            order.extend(of_segment);
        }
        assert_eq!((totals, &order), (self.totals, &self.order));
    }
}
