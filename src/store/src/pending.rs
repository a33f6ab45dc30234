//! What the next commit takes, when it is due, and who need not wait for it.
//!
//! Waiters are numbered. A source that has something which must be synced says which waiters that concerns: those from
//! a number on. So those before the lowest of these numbers are safe without a commit.

use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::commit::{Source, Waiter};
use crate::patience::{PATIENCE_MAX, Patience};
use crate::writes::Writes;

/// How long changes may stay uncommitted where nobody is kept waiting: nobody asked to be told of them, or confirms go out
/// without commits, because consumers settle messages before these are written. Each queue that changes takes part in each
/// commit: with 10 ms instead, a message that comes alone costs 1 µs more.
const UNCOMMITTED_MAX: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) sources: Vec<Arc<dyn Source>>,
    pub(crate) catalogue: Writes,
    waiters: VecDeque<Waiting>,
    /// One of them waits for the commit itself, not just for there being nothing to lose.
    has_strict: bool,
    /// How many sources concern the waiters from a number on, by that number.
    awaited: BTreeMap<u64, usize>,
    /// When the first of the pending changes was made.
    dirty_since: Option<Instant>,
    /// When a waiter was last found safe without a commit.
    progress: Option<Instant>,
    /// Earlier commits have written what must be synced before any waiter is told.
    unsynced_commits: bool,
    rest: Rest,
    pub(crate) patience: Patience,
    pub(crate) closing: bool,
    /// No thread will ever look at this again.
    pub(crate) closed: bool,
}

struct Waiting {
    number: u64,
    since: Instant,
    is_strict: bool,
    waiter: Waiter,
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

/// What the committer is to do next.
pub(crate) enum Next {
    Tell(Vec<Waiter>),
    Commit,
    WaitUntil(Instant),
    Wait,
}

impl Pending {
    /// Notes that there are changes; whether they are the first.
    pub(crate) fn mark_dirty(&mut self, now: impl FnOnce() -> Instant) -> bool {
        let is_first = self.dirty_since.is_none();
        if is_first {
            self.dirty_since = Some(now());
        }
        is_first
    }

    /// Adds a waiter. Numbers ascend.
    pub(crate) fn add_waiter(&mut self, number: u64, waiter: Waiter, is_strict: bool, since: Instant) {
        self.has_strict |= is_strict;
        self.waiters.push_back(Waiting { number, since, is_strict, waiter });
    }

    /// One more source concerns the waiters from `number` on.
    pub(crate) fn awaited(&mut self, number: u64) {
        *self.awaited.entry(number).or_default() += 1;
    }

    /// One source does so no more.
    pub(crate) fn settled(&mut self, number: u64) {
        if let Some(sources) = self.awaited.get_mut(&number) {
            *sources -= 1;
            if *sources == 0 {
                self.awaited.remove(&number);
            }
        }
    }

    /// The waiters that need no commit, because nothing is left that they could lose. None while a commit is under way:
    /// what it is about to sync may concern them.
    pub(crate) fn take_safe(&mut self, now: impl FnOnce() -> Instant) -> Vec<Waiter> {
        if self.rest == Rest::None || self.unsynced_commits || !self.catalogue.is_empty() {
            return Vec::new();
        }
        let awaited_from = self.awaited.first_key_value().map_or(u64::MAX, |(number, _)| *number);
        let is_safe = |waiting: &Waiting| waiting.number < awaited_from && !waiting.is_strict;
        let count = self.waiters.iter().take_while(|waiting| is_safe(waiting)).count();
        if count > 0 && self.rest == Rest::Patient {
            self.patience.paid();
            self.progress = Some(now());
        }
        self.waiters.drain(..count).map(|waiting| waiting.waiter).collect()
    }

    /// Whether the committer must be woken, after changes of which these may be the first.
    pub(crate) fn wakes_committer(&self, is_first_change: bool) -> bool {
        match self.rest {
            Rest::None => false,
            Rest::Asleep => is_first_change || !self.waiters.is_empty(),
            Rest::Patient => !self.may_get_less(),
        }
    }

    /// The committer has nothing under way.
    pub(crate) fn next(&mut self, unsynced_commits: bool, now: Instant) -> Next {
        self.unsynced_commits = unsynced_commits;
        if self.rest == Rest::None {
            self.rest = Rest::Asleep;
        }
        let safe = self.take_safe(|| now);
        if !safe.is_empty() {
            return Next::Tell(safe);
        }
        match self.due() {
            Due::At(due, rest) if now < due => {
                self.rest = rest;
                Next::WaitUntil(due)
            }
            Due::Never => {
                self.rest = Rest::Asleep;
                Next::Wait
            }
            Due::Now | Due::At(..) => {
                self.patience.begin_commit(self.rest == Rest::Patient && !self.waiters.is_empty());
                self.rest = Rest::None;
                Next::Commit
            }
        }
    }

    fn due(&self) -> Due {
        if self.closing {
            return Due::Now;
        }
        let latest = self.dirty_since.map(|since| since + UNCOMMITTED_MAX);
        let Some(first) = self.waiters.front() else {
            return latest.map_or(Due::Never, |latest| Due::At(latest, Rest::Asleep));
        };
        let Some(limit) = self.patience.limit(self.waiters.len()).filter(|_| self.may_get_less()) else {
            return Due::Now;
        };
        let without_progress = self.progress.map_or(first.since, |progress| progress.max(first.since)) + limit;
        let due = latest.into_iter().fold(without_progress.min(first.since + PATIENCE_MAX), Instant::min);
        Due::At(due, Rest::Patient)
    }

    /// Whether there may be fewer waiters in a moment without a commit.
    fn may_get_less(&self) -> bool {
        !self.has_strict && self.catalogue.is_empty() && !self.unsynced_commits
    }

    /// The waiters of the commit that takes its lists now, and whether one of them waits for the commit itself. What
    /// sources have said of waiters is told anew for the next.
    pub(crate) fn take_waiters(&mut self) -> (Vec<Waiter>, bool) {
        self.dirty_since = None;
        self.awaited.clear();
        let waiters = take(&mut self.waiters).into_iter().map(|waiting| waiting.waiter).collect();
        (waiters, take(&mut self.has_strict))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty() && self.dirty_since.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: bool = false;
    const STRICT: bool = true;

    /// A committer that sleeps, knows what a sync takes, and has these waiters, numbered from 1.
    fn pending(waiters: &[bool]) -> Pending {
        let mut pending = Pending::default();
        pending.patience.synced(Duration::from_secs(1), 1);
        assert!(matches!(pending.next(false, Instant::now()), Next::Wait));
        for (number, is_strict) in (1..).zip(waiters) {
            pending.add_waiter(number, Box::new(|_| ()), *is_strict, Instant::now());
        }
        pending
    }

    #[test]
    fn who_does_not_wait_for_what_is_unsynced_is_safe() {
        let mut pending = pending(&[SAFE; 5]);
        pending.awaited(2);
        pending.awaited(4);
        pending.awaited(4);
        assert_eq!(pending.take_safe(Instant::now).len(), 1);
        pending.settled(2);
        assert_eq!(pending.take_safe(Instant::now).len(), 2);
        pending.settled(4);
        assert_eq!(pending.take_safe(Instant::now).len(), 0);
        pending.settled(4);
        assert_eq!(pending.take_safe(Instant::now).len(), 2);
    }

    #[test]
    fn who_waits_for_a_commit_holds_up_those_behind() {
        let mut pending = pending(&[SAFE, STRICT, SAFE]);
        assert_eq!(pending.take_safe(Instant::now).len(), 1);
        assert!(pending.wakes_committer(false));
        assert!(matches!(pending.next(false, Instant::now()), Next::Commit));
        assert_eq!(pending.take_waiters().0.len(), 2);
    }

    #[test]
    fn nobody_is_safe_during_a_commit_nor_before_what_it_left_is_synced() {
        let mut pending = pending(&[STRICT]);
        assert!(matches!(pending.next(false, Instant::now()), Next::Commit));
        pending.take_waiters();
        pending.add_waiter(2, Box::new(|_| ()), SAFE, Instant::now());
        assert_eq!(pending.take_safe(Instant::now).len(), 0);
        assert!(matches!(pending.next(true, Instant::now()), Next::Commit));
        assert!(matches!(pending.next(false, Instant::now()), Next::Tell(safe) if safe.len() == 1));
    }

    #[test]
    fn a_commit_waits_while_there_is_hope() {
        let mut pending = pending(&[SAFE]);
        pending.awaited(1);
        assert!(matches!(pending.next(false, Instant::now()), Next::WaitUntil(_)));
        assert!(!pending.wakes_committer(true), "it wakes by itself");
        for _ in 0..100 {
            pending.patience.begin_commit(true);
            pending.patience.synced(Duration::from_secs(1), 1);
        }
        assert!(matches!(pending.next(false, Instant::now()), Next::Commit));
    }
}
