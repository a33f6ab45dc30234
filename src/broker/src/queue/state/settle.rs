//! What consumers say about messages they were given.

use std::ops::Range;

use super::{Action, ConsumerId, DeadLetterReason, Outcome, State};
use crate::queue::{DeliveryRun, Run};

/// Dead letters of one command, by reason.
#[derive(Debug, Default)]
struct Letters {
    rejected: Vec<DeliveryRun>,
    over_limit: Vec<DeliveryRun>,
}

impl State {
    pub(super) fn settle(
        &mut self,
        now_ms: u64,
        consumer: Option<ConsumerId>,
        runs: &[Run],
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        let mut letters = Letters::default();
        let mut settled = 0;
        let mut parts = std::mem::take(&mut self.parts);
        for run in runs {
            let number = usize::from(run.position.level);
            let Some(level) = self.levels.get_mut(number) else { continue };
            level.unacked_parts(run.position.seq..run.end_seq(), &mut parts);
            for part in parts.drain(..) {
                settled += part.end - part.start;
                self.settle_part(now_ms, number, part, outcome, &mut letters);
            }
        }
        self.parts = parts;
        letters.emit(actions);
        self.note_groups();
        if let Some(consumer) = consumer {
            self.consumers.settled(consumer, settled);
            if let Some(groups) = &mut self.groups {
                groups.open_line(consumer);
            }
        }
    }

    /// Dead-letters what had to wait for its records.
    pub(super) fn bury_condemned(&mut self, number: usize, actions: &mut Vec<Action>) {
        let mut letters = Letters::default();
        while let Some((part, reason)) = self.levels[number].next_condemned() {
            self.bury_now(number, part, reason, &mut letters);
        }
        letters.emit(actions);
    }

    fn settle_part(&mut self, now_ms: u64, number: usize, part: Range<u64>, outcome: Outcome, letters: &mut Letters) {
        match outcome {
            Outcome::Ack => {
                self.release(number, part.clone());
                self.levels[number].settle(part);
            }
            Outcome::Reject => self.bury(number, part, DeadLetterReason::Rejected, letters),
            Outcome::Undelivered => self.requeue(number, part),
            Outcome::Requeue { count_attempt } => {
                let counts_all = self.settings.counts_returns(self.nature.kind);
                if count_attempt || counts_all {
                    part.for_each(|seq| self.put_back(now_ms, number, seq, count_attempt, counts_all, letters));
                } else {
                    self.requeue(number, part);
                }
            }
        }
    }

    fn requeue(&mut self, number: usize, part: Range<u64>) {
        self.release(number, part.clone());
        self.levels[number].requeue(part);
    }

    /// An unacked message came back: it is given up, or waits, or is ready again.
    fn put_back(
        &mut self,
        now_ms: u64,
        number: usize,
        seq: u64,
        has_failed: bool,
        counts_all: bool,
        letters: &mut Letters,
    ) {
        let level = &mut self.levels[number];
        let returned = level.count_return(seq, has_failed, counts_all);
        let limit = self.settings.delivery_limit.unwrap_or(u32::MAX);
        if has_failed && returned.delivery_count > limit {
            return self.bury(number, seq..seq + 1, DeadLetterReason::DeliveryLimit, letters);
        }
        match self.settings.delayed_retry.as_ref().and_then(|retry| retry.delay_ms(has_failed, returned)) {
            Some(delay_ms) => level.wait(seq, now_ms.saturating_add(delay_ms)),
            None => self.requeue(number, seq..seq + 1),
        }
    }

    /// Unacked messages go to the dead-letter exchange, if there is one: now, or when they have been read.
    fn bury(&mut self, number: usize, part: Range<u64>, reason: DeadLetterReason, letters: &mut Letters) {
        self.release(number, part.clone());
        let level = &mut self.levels[number];
        let is_wanted = self.settings.dead_letter_exchange.is_some();
        if is_wanted && (level.has_condemned() || !level.has_data(part.start)) {
            level.condemn(part, reason);
        } else {
            self.bury_now(number, part, reason, letters);
        }
    }

    fn bury_now(&mut self, number: usize, part: Range<u64>, reason: DeadLetterReason, letters: &mut Letters) {
        let level = &mut self.levels[number];
        if self.settings.dead_letter_exchange.is_some() {
            level.runs(part.clone(), letters.of(reason));
        }
        level.settle(part);
    }
}

impl Letters {
    fn of(&mut self, reason: DeadLetterReason) -> &mut Vec<DeliveryRun> {
        match reason {
            DeadLetterReason::DeliveryLimit => &mut self.over_limit,
            _ => &mut self.rejected,
        }
    }

    fn emit(self, actions: &mut Vec<Action>) {
        let by_reason =
            [(DeadLetterReason::Rejected, self.rejected), (DeadLetterReason::DeliveryLimit, self.over_limit)];
        for (reason, runs) in by_reason {
            if !runs.is_empty() {
                actions.push(Action::DeadLetter { reason, runs });
            }
        }
    }
}
