//! How the broker's parts take part in a commit.
//!
//! Whoever changes something does so within a [`Turn`]; the changes of a turn are all in one commit, or all in a later
//! one. Nothing is handed over while changing: a part only says that it is dirty, and is asked for its changes when
//! the commit is cut. So what was pushed and settled in between is never written, and a hundred batches that arrive
//! during one sync are one write. Where nothing is left that a commit would have to sync, nobody waits for one
//! ([`Turn::when_safe`]); how long that is hoped for is decided in `patience`.
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
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::RwLockReadGuard;
use smallvec::SmallVec;

use crate::committer::Core;
use crate::error::CommitError;
use crate::pending::Pending;
use crate::writes::Writes;

/// What comes from another source concerns all waiters: those that were registered before may have waited for it there.
pub const AWAITED_BY_ALL: u64 = 0;

/// Called once with the outcome of a commit, on the committer's thread or at the end of a turn. Must not block, nor wait
/// for the store, nor open a turn.
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
    core: &'a Core,
    is_first_change: Cell<bool>,
    has_waiter: Cell<bool>,
    /// What sources no longer say of waiters. Taken back when the turn is over: what is settled in one queue may be on
    /// its way into another meanwhile.
    settled: RefCell<SmallVec<[u64; 2]>>,
    // Dropped in this order: first the gate opens, then the others are told.
    _gate: RwLockReadGuard<'a, ()>,
    ending: Ending<'a>,
}

impl<'a> Turn<'a> {
    pub(crate) fn start(core: &'a Core) -> Self {
        Self {
            core,
            is_first_change: Cell::default(),
            has_waiter: Cell::default(),
            settled: RefCell::default(),
            _gate: core.gate.read(),
            ending: Ending { core, wakes_committer: false, safe: Vec::new(), refused: RefCell::default() },
        }
    }

    /// Says that `source` has changes. Say it once until its `collect` is called: it is called as often as it was said.
    /// When the store is closed this does nothing.
    pub fn dirty(&self, source: Arc<dyn Source>) {
        let mut pending = self.core.pending.lock();
        if !pending.closed {
            pending.sources.push(source);
            self.mark_dirty(&mut pending);
        }
    }

    /// Adds changes that belong to no source: the catalogue's. They keep their order over all turns, and come after
    /// the changes of sources in the same commit, so deleting a queue here also deletes what the queue itself collects.
    /// `change` runs under a lock: it must be short and must not use the turn.
    pub fn catalogue(&self, change: impl FnOnce(&mut Writes)) {
        let mut pending = self.core.pending.lock();
        change(&mut pending.catalogue);
        if pending.closed {
            pending.catalogue.clear();
        } else if !pending.catalogue.is_empty() {
            self.mark_dirty(&mut pending);
        }
    }

    /// The number of the next waiter: it and all after it wait for what is changed now.
    pub fn next_waiter(&self) -> u64 {
        self.core.next_waiter.load(Relaxed)
    }

    /// Says of a source which waiters must not be told before its changes are synced: those from a number on, as last
    /// said (`was`) and from now on. To be said at each change of that number, `None` where everything is settled that
    /// would have been synced; a source's [`collect`](Source::collect) makes it `None` without a word.
    /// [`AWAITED_BY_ALL`] is lower than any waiter's number.
    pub fn awaited(&self, was: Option<u64>, now: Option<u64>) {
        if let Some(number) = now {
            self.core.pending.lock().awaited(number);
        }
        self.settled.borrow_mut().extend(was);
    }

    /// Calls `waiter` once everything changed so far is committed, in all turns before and in this one. When the store
    /// has failed it gets the error; when it is closed it gets one too, on this thread, as the turn ends.
    pub fn after_commit(&self, waiter: Waiter) {
        self.wait(waiter, true);
    }

    /// Calls `waiter` once nothing of what was changed so far could be lost any more: it is on disk, or it is settled
    /// and there is nothing left to keep. So it may be called, on any thread as a turn ends, without a commit; then
    /// waiters of other turns may be overtaken. Errors as for [`after_commit`](Self::after_commit).
    pub fn when_safe(&self, waiter: Waiter) {
        self.wait(waiter, false);
    }

    fn wait(&self, waiter: Waiter, is_strict: bool) {
        let mut pending = self.core.pending.lock();
        if pending.closed {
            self.ending.refused.borrow_mut().push(waiter);
            return;
        }
        self.has_waiter.set(true);
        let number = self.core.next_waiter.fetch_add(1, Relaxed);
        pending.add_waiter(number, waiter, is_strict, self.core.clock.now());
    }

    fn mark_dirty(&self, pending: &mut Pending) {
        if pending.mark_dirty(|| self.core.clock.now()) {
            self.is_first_change.set(true);
        }
    }
}

impl Drop for Turn<'_> {
    /// Sees who can be told now. Before the gate opens: the next cut forgets what sources have said.
    fn drop(&mut self) {
        let (settled, is_first_change) = (self.settled.take(), self.is_first_change.get());
        if settled.is_empty() && !is_first_change && !self.has_waiter.get() {
            return;
        }
        let mut pending = self.core.pending.lock();
        settled.into_iter().for_each(|number| pending.settled(number));
        self.ending.safe = pending.take_safe(|| self.core.clock.now());
        self.ending.wakes_committer = pending.wakes_committer(is_first_change);
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
    wakes_committer: bool,
    safe: Vec<Waiter>,
    refused: RefCell<Vec<Waiter>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.safe.is_empty() {
            self.core.tell(std::mem::take(&mut self.safe));
        }
        if self.wakes_committer {
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
