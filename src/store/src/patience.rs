//! How long a commit is put off in the hope that it becomes needless.
//!
//! A message that is acknowledged before it is committed is never written, so where consumers are quick, syncs can be
//! spared by waiting for them. Whether they are is not known beforehand. So, as somebody who does not know how often he
//! will ski rents until he has paid the price of skis: without progress, a commit waits for no longer than it would
//! take, which makes the worst case twice the best. And it learns: where waiting does not pay, it is hardly ever tried.
//!
//! Not taken: a fixed wait (costs everybody latency whose consumers are slower), and waiting for as long as the fastest
//! sync takes (gives up just when many wait, and a sync would cost most).

use std::time::Duration;

/// Longest that anybody waits, however well it goes.
pub(crate) const PATIENCE_MAX: Duration = Duration::from_millis(10);

/// Most confidence there can be, in waits that have paid.
const HOPE_MAX: u32 = 16;

/// What a wait in vain costs of it.
const DISAPPOINTMENT: u32 = 2;

/// Without hope, one commit in so many waits all the same: times change.
const COMMITS_BETWEEN_TRIES: u32 = 64;

/// A new duration counts for one part in this many.
const SMOOTHING: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Patience {
    hope: u32,
    commits_without: u32,
    /// What a sync takes at least, of late. Zero until there was one.
    fastest: Duration,
    /// What a sync takes for each of its waiters, on average.
    per_waiter: Duration,
    /// The commit under way was waited with.
    has_waited: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            hope: HOPE_MAX / 2,
            commits_without: 0,
            fastest: Duration::ZERO,
            per_waiter: Duration::ZERO,
            has_waited: false,
        }
    }
}

impl Patience {
    /// How long a commit with so many waiters may wait without progress: about as long as it would take. `None` where
    /// waiting is not worth while.
    pub(crate) fn limit(&self, waiters: usize) -> Option<Duration> {
        let tries = self.hope > 0 || self.commits_without >= COMMITS_BETWEEN_TRIES;
        let waiters = u32::try_from(waiters).unwrap_or(u32::MAX);
        let price = self.fastest.max(self.per_waiter.saturating_mul(waiters));
        (tries && !self.fastest.is_zero()).then_some(price.min(PATIENCE_MAX))
    }

    /// A wait has spared somebody the commit.
    pub(crate) fn paid(&mut self) {
        self.hope = (self.hope + 1).min(HOPE_MAX);
    }

    /// A commit begins, with or without a wait before.
    pub(crate) fn begin_commit(&mut self, has_waited: bool) {
        self.has_waited = has_waited;
        self.commits_without = if has_waited { 0 } else { self.commits_without.saturating_add(1) };
    }

    /// The commit had to be synced after all, for so many waiters.
    pub(crate) fn synced(&mut self, took: Duration, waiters: usize) {
        let share = took / u32::try_from(waiters.max(1)).unwrap_or(u32::MAX);
        if self.fastest.is_zero() {
            (self.fastest, self.per_waiter) = (took, share);
        }
        self.fastest = took.min(self.fastest + self.fastest / SMOOTHING);
        self.per_waiter = (self.per_waiter * (SMOOTHING - 1) + share) / SMOOTHING;
        if self.has_waited {
            self.hope = self.hope.saturating_sub(DISAPPOINTMENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(200);

    fn commit(patience: &mut Patience) -> bool {
        let waits = patience.limit(1).is_some();
        patience.begin_commit(waits);
        patience.synced(SYNC, 1);
        waits
    }

    #[test]
    fn waits_for_as_long_as_a_commit_takes_within_bounds() {
        let mut patience = Patience::default();
        assert_eq!(patience.limit(1), None, "what a sync takes is not known yet");
        patience.synced(SYNC, 1);
        assert_eq!(patience.limit(1), Some(SYNC));
        (0..100).for_each(|_| patience.synced(SYNC * 20, 40));
        let limit = patience.limit(100).unwrap_or_default();
        assert!(limit > SYNC * 49 && limit < SYNC * 51, "{limit:?}");
        patience.synced(SYNC, 1);
        assert_eq!(patience.limit(1), Some(SYNC), "the fastest is known again at once");
        (0..100).for_each(|_| patience.synced(PATIENCE_MAX * 5, 1));
        assert_eq!(patience.limit(1), Some(PATIENCE_MAX));
    }

    #[test]
    fn waiting_in_vain_ends_soon_and_is_tried_again_now_and_then() {
        let mut patience = Patience::default();
        patience.synced(SYNC, 1);
        let waits = (0..1000).filter(|_| commit(&mut patience)).count();
        assert!((10..30).contains(&waits), "{waits} of 1000");
    }

    #[test]
    fn what_pays_again_is_done_again() {
        let mut patience = Patience::default();
        (0..200).for_each(|_| _ = commit(&mut patience));
        (0..10).for_each(|_| patience.paid());
        assert!(commit(&mut patience));
    }
}
