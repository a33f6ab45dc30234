//! Settling: basic.ack, nack, reject and recover, gathered over a read batch and grouped by queue.
//!
//! A client that acknowledges each message by itself sends hundreds of acks in one read; their queues are locked once.

use std::sync::Arc;

use leveret_amqp::{ReplyCode, basic};
use leveret_broker::{
    Error, Turn,
    queue::{ConsumerId, Outcome, Queue, Run, Runs, Window},
};
use smallvec::smallvec;

use super::{Channel, stats, unacked::Entries};
use crate::step::Step;

/// Where deliveries came from, and where they are settled.
#[derive(Debug)]
pub(super) struct Origin {
    /// The queue.
    pub(super) queue: Arc<Queue>,
    /// The consumer; `None` for basic.get.
    pub(super) consumer: Option<ConsumerId>,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.queue.id == other.queue.id && self.consumer == other.consumer
    }
}

/// Settlements that their queues have not been told of yet: all of one outcome.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    outcome: Option<Outcome>,
    groups: Vec<(Arc<Origin>, Runs<Run>)>,
}

impl Settlements {
    /// Adds deliveries. Those gathered so far are applied first where their outcome is another. True as for
    /// [`Self::apply`].
    pub(super) fn add(
        &mut self,
        entries: Entries<Arc<Origin>>,
        outcome: Outcome,
        window: &Window,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut resumes = false;
        if self.outcome.is_some_and(|gathered| gathered != outcome) {
            resumes = self.apply(window, turn);
        }
        self.outcome = Some(outcome);
        for entry in entries {
            self.add_run(entry.origin, entry.run);
        }
        resumes
    }

    /// Tells the queues. True where another queue of the channel may have waited for the room in `window`: the caller
    /// resumes them.
    pub(super) fn apply(&mut self, window: &Window, turn: &mut Turn<'_>) -> bool {
        let Some(outcome) = self.outcome.take() else { return false };
        let consumed = self.consumed();
        for (origin, runs) in self.groups.drain(..) {
            origin.queue.settle(turn, origin.consumer, runs, outcome);
        }
        // The room last: where it was all taken, the queues that were settled must not have it before the others.
        window.give(consumed)
    }

    /// Messages that had been taken from the channel's window: all but those of basic.get.
    fn consumed(&self) -> u64 {
        let consumed = self.groups.iter().filter(|(origin, _)| origin.consumer.is_some());
        consumed.flat_map(|(_, runs)| runs).map(|run| u64::from(run.count)).sum()
    }

    fn add_run(&mut self, origin: Arc<Origin>, run: Run) {
        let Some((_, runs)) = self.groups.iter_mut().rev().find(|(known, _)| *known == origin) else {
            self.groups.push((origin, smallvec![run]));
            return;
        };
        match runs.last_mut() {
            Some(last) if continues(last, &run) => last.count += run.count,
            _ => runs.push(run),
        }
    }
}

fn continues(last: &Run, next: &Run) -> bool {
    last.position.level == next.position.level
        && last.end_seq() == next.position.seq
        && last.count.checked_add(next.count).is_some()
}

impl Channel {
    pub(super) fn ack(&mut self, ack: &basic::Ack, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.settle(ack.delivery_tag, ack.multiple, Outcome::Ack, step)
    }

    /// A nack that requeues does not count towards the delivery limit, a reject does (RabbitMQ 4.3).
    pub(super) fn nack(&mut self, nack: &basic::Nack, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let outcome = match nack.requeue {
            true => Outcome::Requeue { count_attempt: false },
            false => Outcome::Reject,
        };
        self.settle(nack.delivery_tag, nack.multiple, outcome, step)
    }

    pub(super) fn reject(&mut self, reject: &basic::Reject, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let outcome = match reject.requeue {
            true => Outcome::Requeue { count_attempt: true },
            false => Outcome::Reject,
        };
        self.settle(reject.delivery_tag, false, outcome, step)
    }

    pub(super) fn recover(&mut self, recover: &basic::Recover, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.requeue_all(recover.requeue, step)?;
        self.reply(basic::RecoverOk, step);
        Ok(())
    }

    pub(super) fn recover_async(
        &mut self,
        recover: &basic::RecoverAsync,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Error> {
        self.requeue_all(recover.requeue, step)
    }

    /// Settles deliveries now, or at the next hand-over, whichever comes first.
    pub(super) fn settle_entries(&mut self, entries: Entries<Arc<Origin>>, outcome: Outcome, turn: &mut Turn<'_>) {
        if outcome == Outcome::Ack {
            let acknowledged = entries.iter().map(|entry| u64::from(entry.run.count)).sum();
            stats::count(&self.stats.acknowledged, acknowledged);
        }
        if self.settlements.add(entries, outcome, &self.window, turn) {
            self.resume(turn);
        }
        stats::set(&self.stats.unacked, self.unacked.len());
    }

    fn settle(&mut self, tag: u64, multiple: bool, outcome: Outcome, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let entries = self.take_unacked(tag, multiple)?;
        match &mut self.transaction {
            Some(transaction) => transaction.settle(entries, outcome, &self.stats),
            None => self.settle_entries(entries, outcome, step.turn),
        }
        Ok(())
    }

    fn take_unacked(&mut self, tag: u64, multiple: bool) -> Result<Entries<Arc<Origin>>, Error> {
        let taken = match (tag, multiple) {
            (0, true) => Some(self.unacked.take_all()),
            (_, true) => self.unacked.take_through(tag),
            (_, false) => self.unacked.take_one(tag).map(|entry| smallvec![entry]),
        };
        taken
            .or_else(|| self.unacked.take_late(tag, multiple))
            .ok_or_else(|| Error::new(ReplyCode::PreconditionFailed, format!("unknown delivery tag {tag}")))
    }

    fn requeue_all(&mut self, requeue: bool, step: &mut Step<'_, '_>) -> Result<(), Error> {
        if !requeue {
            return Err(Error::new(ReplyCode::NotImplemented, "requeue=false"));
        }
        let entries = self.unacked.take_all();
        self.settle_entries(entries, Outcome::Requeue { count_attempt: false }, step.turn);
        self.hand_over(step.turn);
        Ok(())
    }
}
