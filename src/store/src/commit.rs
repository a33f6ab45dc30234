//! How the broker's parts take part in a commit.
//!
//! Whoever changes something does so within a [`Turn`]; the changes of a turn are all in one commit, or all in a later
//! one. Nothing is handed over while changing: a part only says that it is dirty, and is asked for its changes when
//! the commit is cut. So what was pushed and settled in between is never written, and a hundred batches that arrive
//! during one sync are one write.
//!
//! ```text
//! turn: change, change, dirty, after_commit …      (many at once, shared side of the gate)
//! cut:  take the lists, ask the dirty sources      (alone, exclusive side, microseconds)
//! commit: encode, write, sync, committed, waiters  (gate open, turns go on)
//! ```
//!
//! Roads not taken: a channel of changes to the committer (writes what is settled a moment later, and costs an
//! allocation for each), a commit per connection (as many syncs as connections), a fixed interval (idle latency, and no
//! gain under load: during a sync the next batch grows by itself).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::RwLockReadGuard;

use crate::committer::{Core, Pending};
use crate::error::CommitError;
use crate::writes::Writes;

/// How long changes that nobody waits for may stay uncommitted, in milliseconds.
pub const LAZY_COMMIT_MS: u64 = 10;

/// Called once with the outcome of a commit, on the committer's thread. Must not block nor wait for the store.
pub type Waiter = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// A part that has changes to commit, for instance a queue.
pub trait Source: Send + Sync {
    /// Adds all changes since the last call. Runs on the committer's thread while no turn is open: it must be short
    /// and must not open a turn. Whatever dedupes [`Turn::dirty`] is reset here.
    fn collect(&self, writes: &mut Writes);

    /// What the last [`collect`](Self::collect) gave is written (and synced if somebody waits for it). Runs on the
    /// committer's thread beside open turns, before the commit's waiters. Not called when the store fails.
    fn committed(&self);
}

/// The right to change things: all changes within a turn are in one commit.
///
/// Keep it short (one batch of read bytes), never across an await, and never open a second one on the same thread: that
/// deadlocks when a commit is about to be cut in between.
#[must_use = "changes belong between taking a turn and dropping it"]
pub struct Turn<'a> {
    // Dropped in this order: first the gate opens, then the committer is woken.
    _gate: RwLockReadGuard<'a, ()>,
    ending: Ending<'a>,
}

impl<'a> Turn<'a> {
    pub(crate) fn start(core: &'a Core) -> Self {
        let gate = core.gate.read();
        Self { _gate: gate, ending: Ending { core, wake: Cell::new(false), refused: RefCell::default() } }
    }

    /// Says that `source` has changes. Say it once until its `collect` is called: it is called as often as it was said.
    /// When the store is closed this does nothing.
    pub fn dirty(&self, source: Arc<dyn Source>) {
        let mut pending = self.ending.core.pending.lock();
        if !pending.closed {
            pending.sources.push(source);
            self.mark_dirty(&mut pending);
        }
    }

    /// Adds changes that belong to no source: the catalogue's. They keep their order over all turns, and come after
    /// the changes of sources in the same commit, so deleting a queue here also deletes what the queue itself collects.
    /// `change` runs under a lock: it must be short and must not use the turn.
    pub fn catalogue(&self, change: impl FnOnce(&mut Writes)) {
        let mut pending = self.ending.core.pending.lock();
        change(&mut pending.catalogue);
        if pending.closed {
            pending.catalogue.clear();
        } else if !pending.catalogue.is_empty() {
            self.mark_dirty(&mut pending);
        }
    }

    /// Calls `waiter` once everything changed so far is durable, in all turns before and in this one. Waiters are
    /// called in the order they were registered. When the store has failed they get the error; when it is closed they
    /// get one too, on this thread, as the turn ends.
    pub fn after_commit(&self, waiter: Waiter) {
        let mut pending = self.ending.core.pending.lock();
        if pending.closed {
            self.ending.refused.borrow_mut().push(waiter);
            return;
        }
        if pending.waiters.is_empty() {
            self.ending.wake.set(true);
        }
        pending.waiters.push(waiter);
    }

    fn mark_dirty(&self, pending: &mut Pending) {
        if pending.dirty_since.is_none() {
            pending.dirty_since = Some(Instant::now());
            self.ending.wake.set(true);
        }
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Turn")
    }
}

/// What is left to do once the gate is open again. Woken any earlier, the committer would only wait for this turn, and
/// keep out all others meanwhile.
struct Ending<'a> {
    core: &'a Core,
    wake: Cell<bool>,
    refused: RefCell<Vec<Waiter>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if self.wake.get() {
            self.core.changed.notify_one();
        }
        for waiter in self.refused.take() {
            waiter(Err(self.core.poison.check().err().unwrap_or_else(closed)));
        }
    }
}

/// The error of those who come after the end.
pub(crate) fn closed() -> CommitError {
    CommitError { reason: Arc::from("it is closed") }
}
