//! A turn: one consistent step of the broker.
//!
//! Everything that happens within a turn — a batch of publishes, a whole transaction, a dead-letter move from one
//! queue into others — is in the same commit of the store or in none, because the committer takes its cut only
//! between turns. So nothing above the store needs two-phase anything, and a crash finds a message in exactly one
//! place.
//!
//! Follow-up work that one queue causes in another (dead letters) or in the topology (a queue that deletes itself) is
//! not done while the first queue's lock is held: it goes to the turn's work-list and is done before the turn ends.
//! That is why no two queue locks are ever held at once, and why a dead-letter cycle cannot recurse.
//!
//! Not taken: one batch per operation handed to the store (a move over several queues would need a join of its
//! parts), and a write-ahead intent per move (two writes for each message).

use std::{collections::VecDeque, sync::Arc};

use crate::{
    Broker, dead_letter,
    plugin::{EventKind, News},
    queue::Queue,
};

/// One consistent step of the broker. Obtained from [`Broker::turn`], ended by dropping it; never held across an
/// await, since the committer waits for it.
pub struct Turn<'a> {
    /// Milliseconds since the Unix epoch, the same for everything in this turn.
    pub now_ms: u64,
    pub(crate) broker: &'a Broker,
    pub(crate) store: leveret_store::Turn<'a>,
    work: VecDeque<Work>,
    // Dropped after `store`: who is told of what has happened may open a turn of its own.
    news: News<'a>,
}

/// What a queue's actions ask for beyond the queue itself.
#[derive(Debug)]
pub(crate) enum Work {
    /// Messages have left a queue and go to its dead-letter exchange.
    DeadLetter(Arc<Queue>),
    /// The last consumer of an auto-delete queue is gone, or the queue was unused for its `x-expires`.
    DeleteQueue(Arc<Queue>),
}

impl<'a> Turn<'a> {
    pub(crate) fn new(broker: &'a Broker, now_ms: u64) -> Self {
        let news = News::new(broker.observers());
        Self { now_ms, store: broker.store().turn(), broker, work: VecDeque::new(), news }
    }

    /// The turn of a user: what happens in it is this user's doing. Otherwise it is the broker's own.
    #[must_use]
    pub fn by(mut self, user: &'a Arc<str>) -> Self {
        self.news.set_user(user);
        self
    }

    /// Has observers told, once the turn is over, that something has happened. Without observers nothing is done.
    pub fn tell(&self, event: impl FnOnce() -> EventKind) {
        self.news.add(self.now_ms, event);
    }

    /// Runs `waiter` on the committer's thread once everything done so far is as durable as the store is configured
    /// to make it, or once the store has failed. Waiters run in the order in which they were registered.
    pub fn after_commit(&self, waiter: leveret_store::Waiter) {
        self.store.after_commit(waiter);
    }

    /// Runs `waiter` once nothing of what was done so far could be lost any more: it is as durable as the store is
    /// configured to make it, or it is settled. On any thread, and in no order with those of other turns.
    pub fn when_safe(&self, waiter: leveret_store::Waiter) {
        self.store.when_safe(waiter);
    }

    /// Does the follow-up work now, so that what comes next in this turn sees its effects.
    pub fn settle_work(&mut self) {
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::DeadLetter(queue) => {
                    queue.move_dead_letters(|letters| dead_letter::deliver(self, &queue, &letters));
                }
                Work::DeleteQueue(queue) => self.delete_queue(&queue),
            }
        }
    }

    pub(crate) fn push(&mut self, work: Work) {
        self.work.push_back(work);
    }

    fn delete_queue(&mut self, queue: &Arc<Queue>) {
        if let Some(vhost) = self.broker.vhost(&queue.vhost) {
            vhost.remove_queue(self, queue);
        }
    }
}

impl Drop for Turn<'_> {
    /// Completes the step even where the caller left early with an error: half a turn must not be committed.
    fn drop(&mut self) {
        self.settle_work();
    }
}
