//! Time, and what is fetched from the store.

use leveret_store::StoredChunk;

use super::{Action, DeadLetterReason, DueChunk, State};
use crate::queue::{
    Overflow,
    level::{ExpiryPass, Head, Level},
};

impl State {
    /// Lets expire what is due before `now_ms`, or also at it if `inclusive`. What is due exactly now may be delivered
    /// in the same step that brought it, which is what a TTL of 0 means.
    pub(super) fn expire(&mut self, now_ms: u64, inclusive: bool, actions: &mut Vec<Action>) {
        if self.has_condemned() {
            return;
        }
        let mut pass = ExpiryPass {
            before_ms: now_ms.saturating_add(u64::from(inclusive)),
            ttl_ms: self.settings.ttl_ms,
            keeps_runs: self.settings.dead_letter_exchange.is_some(),
            runs: Vec::new(),
        };
        self.overdue = None;
        for (number, level) in (0..=u8::MAX).zip(&mut self.levels) {
            let overdue = level.expire(&mut pass);
            self.overdue = self.overdue.or(overdue.map(|from_seq| (number, from_seq)));
        }
        if !pass.runs.is_empty() {
            let reason = DeadLetterReason::Expired;
            actions.push(Action::DeadLetter { reason, runs: pass.runs });
        }
    }

    /// Messages that have waited long enough are ready again.
    pub(super) fn end_waits(&mut self, now_ms: u64) {
        for level in &mut self.levels {
            level.end_waits(now_ms);
        }
    }

    /// Whether messages that were rejected before have yet to be read for the dead-letter exchange: they go first.
    pub(super) fn has_condemned(&self) -> bool {
        self.levels.iter().any(Level::has_condemned)
    }

    /// Whether something may be over.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        let ttl_ms = self.settings.ttl_ms;
        self.levels.iter().any(|level| level.next_due_ms(ttl_ms) <= now_ms)
    }

    /// Whether something in the store has to be read because it is over.
    pub(super) fn is_overdue_on_disk(&self, now_ms: u64) -> bool {
        self.overdue.is_some() || self.levels.iter().any(|level| level.wants_due_index(now_ms))
    }

    pub(super) fn tick(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        self.wake_at_ms = u64::MAX;
        if self.expires_at_ms() <= now_ms {
            // Should the shell keep the queue, its time starts again.
            self.unused_since_ms = Some(now_ms);
            actions.push(Action::Expired);
        }
    }

    pub(super) fn loaded(&mut self, number: u8, chunks: &[StoredChunk], actions: &mut Vec<Action>) {
        let asked = self.loading.take().filter(|(level, _)| *level == number);
        let first_seq = chunks.first().map_or(u64::MAX, |first| first.first_seq);
        let from_seq = asked.map_or(first_seq, |(_, from_seq)| from_seq);
        let resident_bytes_max = self.sizing.resident_bytes;
        self.level_mut(number).load(from_seq, chunks, resident_bytes_max);
        self.note_groups();
        self.bury_condemned(usize::from(number), actions);
    }

    pub(super) fn loaded_due(&mut self, number: u8, found: &[DueChunk], next_due_ms: Option<u64>) {
        self.loading = None;
        let resident_bytes_max = self.sizing.resident_bytes;
        self.level_mut(number).load_due(found, next_due_ms, resident_bytes_max);
        self.note_groups();
    }

    /// Asks for one thing from the store, the most urgent: what comes after it is asked for when it is there.
    pub(super) fn load_next(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        if let Some(wanted) = self.wanted_records() {
            return self.load(wanted, actions);
        }
        if (self.waiting_get.is_some() || self.loads_left > 0)
            && let Some(head) = self.wanted_head()
        {
            return self.load(head, actions);
        }
        if self.loads_left == 0 {
            return;
        }
        if let Some(number) = self.levels.iter().position(|level| level.wants_due_index(now_ms)) {
            let level = u8::try_from(number).unwrap_or(u8::MAX);
            self.loads_left -= 1;
            self.loading = Some((level, u64::MAX));
            let from = self.levels[number].due_from();
            actions.push(Action::LoadDue { level, from, until_ms: now_ms });
        } else if let Some(overdue) = self.overdue {
            self.load(overdue, actions);
        }
    }

    /// Asks to be collected, and to be woken.
    pub(super) fn announce(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        if !self.dirty && self.levels.iter().any(Level::is_touched) {
            self.dirty = true;
            actions.push(Action::Dirty);
        }
        let awaited_from = self.levels.iter().filter_map(Level::awaited_from).min();
        self.announce_awaited(awaited_from, actions);
        if self.loading.is_some() {
            return;
        }
        let wake_at_ms = self.next_wake_ms(now_ms);
        if wake_at_ms < self.wake_at_ms {
            self.wake_at_ms = wake_at_ms;
            actions.push(Action::WakeAt(wake_at_ms));
        }
    }

    pub(super) fn announce_awaited(&mut self, now: Option<u64>, actions: &mut Vec<Action>) {
        let was = std::mem::replace(&mut self.awaited_from, now);
        if was != now {
            actions.push(Action::Awaited { was, now });
        }
    }

    fn next_wake_ms(&mut self, now_ms: u64) -> u64 {
        if self.loads_left == 0 && self.wanted_head().is_some() {
            // One step has done its share; the rest must not keep others from the queue's lock.
            return now_ms;
        }
        let ttl_ms = self.settings.ttl_ms;
        let of_levels = self.levels.iter().map(|level| level.next_due_ms(ttl_ms)).min();
        of_levels.unwrap_or(u64::MAX).min(self.expires_at_ms())
    }

    fn expires_at_ms(&self) -> u64 {
        match (self.settings.expires_ms, self.unused_since_ms) {
            (Some(expires_ms), Some(since_ms)) if self.consumers.is_empty() => since_ms.saturating_add(expires_ms),
            _ => u64::MAX,
        }
    }

    fn load(&mut self, (level, from_seq): (u8, u64), actions: &mut Vec<Action>) {
        self.loads_left = self.loads_left.saturating_sub(1);
        self.loading = Some((level, from_seq));
        let bytes_max = self.sizing.load_bytes;
        actions.push(Action::Load { level, from_seq, bytes_max });
    }

    fn wanted_records(&mut self) -> Option<(u8, u64)> {
        let mut levels = (0..=u8::MAX).zip(&mut self.levels);
        levels.find_map(|(number, level)| Some((number, level.next_wanted()?)))
    }

    /// Where the front of the queue is on disk while somebody has use for it.
    fn wanted_head(&mut self) -> Option<(u8, u64)> {
        let shortens = self.settings.overflow == Overflow::DropHead && self.is_too_long() && self.overdue.is_none();
        let is_asked_for = self.waiting_get.is_some() || self.consumers.anyone_waits();
        if self.groups.is_some() {
            let wanted = if is_asked_for { self.wanted_in_groups() } else { None };
            if wanted.is_some() || !shortens {
                return wanted;
            }
        }
        if !shortens && !is_asked_for {
            return None;
        }
        match self.first_to_drop()? {
            (number, Head::Absent(from_seq)) => Some((u8::try_from(number).unwrap_or(u8::MAX), from_seq)),
            _ => None,
        }
    }
}
