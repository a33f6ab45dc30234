//! Ready messages that were passed over because their group is with somebody else: they are ready in every respect, but
//! for those behind them to be delivered first.

use std::ops::Range;

use super::{Head, Level, Span};
use crate::queue::{DeliveryRun, segment::Stretch};

/// Something that whoever sets messages aside has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// A message waits, which was unacked.
    Waits(u64),
    /// A message that waits was read from the store.
    FoundWaiting(u64),
    /// A message waits no more.
    WaitEnded(u64),
    /// A message that was set aside is gone.
    AsideGone(u64),
    /// Ready messages are gone, so that others may be next.
    ReadyGone,
}

impl Level {
    /// Has changes noted, for whoever sets messages aside.
    pub(crate) fn take_notes(&mut self) {
        self.notes.get_or_insert_default();
    }

    /// What was noted since the last call.
    pub(crate) fn noted(&mut self) -> Vec<Noted> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn note(&mut self, noted: Noted) {
        if let Some(notes) = &mut self.notes {
            notes.push(noted);
        }
    }

    /// Ready messages that were not set aside.
    pub(crate) fn in_turn_count(&self) -> u64 {
        self.ready.count.saturating_sub(self.aside.count())
    }

    /// Where nothing is in turn, nothing has to be read before what comes now: on disk is only what was set aside, or is
    /// settled.
    pub(super) fn pass_what_is_left_of_others(&mut self) {
        if self.in_turn_count() == 0 && !self.has_waiting_on_disk() {
            self.requeued.clear();
            self.cursor = self.next_seq;
        }
    }

    /// Of these, none lies before.
    pub(crate) fn in_turn_from(&self) -> u64 {
        self.first_ready_range().map_or(self.next_seq, |ready| ready.start)
    }

    /// Whether what comes next was requeued, and lies before what was never handed out.
    pub(crate) fn has_requeued(&self) -> bool {
        !self.requeued.is_empty()
    }

    /// Passes over the message that comes next.
    pub(crate) fn set_aside(&mut self, seq: u64) {
        self.pass_until(seq + 1);
        self.aside.insert(seq, seq >= self.delivered_until);
    }

    /// A message that was set aside.
    pub(crate) fn aside_at(&mut self, seq: u64) -> Head {
        if !self.aside.contains(seq) {
            return Head::Nothing;
        }
        match self.spans.get(self.spans.index_of(seq)) {
            Some(span) if !span.seqs().contains(&seq) => Head::Nothing,
            None => Head::Nothing,
            Some(Span::OnDisk(_)) => Head::Absent(seq),
            Some(Span::Resident(segment)) => match segment.stretch(seq, seq + 1) {
                Some(stretch) => Head::Ready(stretch),
                None => Head::Absent(segment.key),
            },
        }
    }

    /// A message that was set aside, the first of `stretch`, becomes unacked.
    pub(crate) fn hand_out_aside(&mut self, stretch: &Stretch) {
        let seq = stretch.seq;
        let Some((_, segment)) = self.spans.find(seq) else { return };
        let totals = stretch.totals_of_first();
        segment.unacked += totals;
        let remembered = segment.persistent && segment.written_epoch > 0;
        self.ready -= totals;
        self.unacked += totals;
        // Others behind it may have been delivered before, of which the store need not know.
        self.writing.touched |= remembered && self.aside.is_fresh(seq);
        self.aside.remove(seq);
        self.delivered_until = self.delivered_until.max(seq + 1);
    }

    /// A message that was set aside is not there any more.
    pub(crate) fn lose_aside(&mut self, seq: u64) {
        self.aside.remove(seq);
        self.note(Noted::AsideGone(seq));
    }

    /// What was set aside of `part` is gone.
    pub(super) fn forget_aside(&mut self, part: Range<u64>) {
        if self.aside.count() == 0 {
            return;
        }
        let gone: Vec<u64> = self.aside.within(part).collect();
        gone.into_iter().for_each(|seq| self.lose_aside(seq));
    }

    /// The ready message that came first, set aside or not.
    pub(crate) fn oldest(&mut self) -> Head {
        let head = if self.in_turn_count() > 0 { self.head() } else { Head::Nothing };
        let Some(first) = self.aside.first() else { return head };
        match head.seq() {
            Some(seq) if seq < first => head,
            _ => self.aside_at(first),
        }
    }

    /// The message that a stretch begins with, as it is handed to somebody.
    pub(crate) fn run_of_one(&self, stretch: &Stretch) -> DeliveryRun {
        self.run(stretch, 0, 1)
    }

    /// The record of an unsettled message, if it is in memory.
    pub(crate) fn unsettled(&mut self, seq: u64) -> Option<Stretch> {
        let (_, segment) = self.spans.find(seq)?;
        segment.stretch(seq, seq + 1)
    }
}

impl Head {
    /// Where it is.
    pub(crate) fn seq(&self) -> Option<u64> {
        match self {
            Self::Ready(stretch) => Some(stretch.seq),
            Self::Absent(seq) => Some(*seq),
            Self::Nothing => None,
        }
    }
}

/// For tests.
#[cfg(test)]
impl Level {
    pub(super) fn check_aside(&self) {
        let aside: Vec<u64> = self.aside.within(0..u64::MAX).collect();
        assert_eq!(aside.len() as u64, self.aside.count());
        assert!(aside.last().is_none_or(|last| *last < self.cursor));
        assert!(aside.iter().all(|seq| self.requeued.within(*seq..seq + 1).next().is_none()));
        for seq in aside {
            let span = self.spans.get(self.spans.index_of(seq)).filter(|span| span.seqs().contains(&seq));
            let lives = match span {
                None => false,
                Some(Span::OnDisk(_)) => true,
                Some(Span::Resident(segment)) => segment.next_in_turn(seq, seq + 1) == seq,
            };
            assert!(lives, "message {seq} was set aside and is gone");
        }
    }
}
