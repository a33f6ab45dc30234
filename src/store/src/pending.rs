//! What the next commit takes, and when it is due.

use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::commit::{LAZY_COMMIT_MS, Source, Waiter};
use crate::patience::Patience;
use crate::writes::Writes;

/// See the module.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) sources: Vec<Arc<dyn Source>>,
    pub(crate) catalogue: Writes,
    pub(crate) waiters: Vec<Waiter>,
    /// When the first of the waiters came.
    waiting_since: Option<Instant>,
    /// Whether one of them waits for the commit itself, not just for there being nothing to lose.
    is_strict: bool,
    /// When the first of the pending changes was made.
    dirty_since: Option<Instant>,
    /// Sources with changes that a waiter must not be told before they are synced.
    pub(crate) unsynced_sources: usize,
    /// The same of earlier commits.
    unsynced_commits: bool,
    rest: Rest,
    pub(crate) patience: Patience,
    pub(crate) closing: bool,
    /// No thread will ever look at this again.
    pub(crate) closed: bool,
}

/// What the committer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rest {
    /// It commits, and looks here when it is done.
    #[default]
    None,
    /// It waits and has to be woken for a waiter.
    Asleep,
    /// It gives those who could make a sync needless a moment, and then wakes by itself.
    Patient,
}

/// When the next commit is due.
enum Due {
    Now,
    At(Instant, Rest),
    Never,
}

/// What the committer is to do once it has been waiting.
pub(crate) enum Wait {
    Over,
    Until(Instant),
    Forever,
}

impl Pending {
    /// Notes that there are changes; whether they are the first.
    pub(crate) fn mark_dirty(&mut self) -> bool {
        let is_first = self.dirty_since.is_none();
        if is_first {
            self.dirty_since = Some(Instant::now());
        }
        is_first
    }

    /// Adds a waiter.
    pub(crate) fn add_waiter(&mut self, waiter: Waiter, is_strict: bool) {
        if self.waiters.is_empty() {
            self.waiting_since = Some(Instant::now());
        }
        self.is_strict |= is_strict;
        self.waiters.push(waiter);
    }

    /// The waiters that need no commit, because nothing is left that could be lost.
    pub(crate) fn take_settled(&mut self) -> Vec<Waiter> {
        if self.rest == Rest::None || self.is_strict || self.waiters.is_empty() || self.must_sync() {
            return Vec::new();
        }
        if self.rest == Rest::Patient {
            self.patience.paid();
        }
        take(&mut self.waiters)
    }

    /// Whether the committer must be woken, after changes of which these may be the first.
    pub(crate) fn wakes_committer(&self, is_first_change: bool) -> bool {
        match self.rest {
            Rest::None => false,
            Rest::Asleep => is_first_change || !self.waiters.is_empty(),
            Rest::Patient => self.is_strict || !self.catalogue.is_empty(),
        }
    }

    /// The committer has nothing under way: how long it is to wait.
    pub(crate) fn rest(&mut self, unsynced_commits: bool) -> Wait {
        self.unsynced_commits = unsynced_commits;
        let now = Instant::now();
        match self.due() {
            Due::At(due, rest) if now < due => {
                self.rest = rest;
                Wait::Until(due)
            }
            Due::Never => {
                self.rest = Rest::Asleep;
                Wait::Forever
            }
            Due::Now | Due::At(..) => {
                self.patience.begin_commit(self.rest == Rest::Patient && !self.waiters.is_empty());
                self.rest = Rest::None;
                Wait::Over
            }
        }
    }

    fn due(&self) -> Due {
        if self.closing {
            return Due::Now;
        }
        if let Some(since) = self.waiting_since.filter(|_| !self.waiters.is_empty()) {
            let may_get_less = !self.is_strict && self.catalogue.is_empty() && !self.unsynced_commits;
            return match self.patience.limit().filter(|_| may_get_less && self.unsynced_sources > 0) {
                Some(limit) => Due::At(since + limit, Rest::Patient),
                None => Due::Now,
            };
        }
        match self.dirty_since {
            Some(since) => Due::At(since + Duration::from_millis(LAZY_COMMIT_MS), Rest::Asleep),
            None => Due::Never,
        }
    }

    /// Resets what belongs to the commit that has taken its lists.
    pub(crate) fn taken(&mut self) {
        self.dirty_since = None;
        self.is_strict = false;
        self.unsynced_sources = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty() && self.dirty_since.is_none()
    }

    fn must_sync(&self) -> bool {
        self.unsynced_sources > 0 || self.unsynced_commits || !self.catalogue.is_empty()
    }
}
