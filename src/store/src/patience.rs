//! How long a commit is put off in the hope that it becomes needless.
//!
//! A message that is acknowledged before it is committed is never written, so where consumers are quick, a sync can be
//! spared by waiting for them. Whether they are is not known beforehand. So, as somebody who does not know how often he
//! will ski rents until he has paid the price of skis: a commit waits for no longer than a sync takes, which makes the
//! worst case twice the best. And it learns: where waiting does not pay, it is hardly ever tried.

use std::time::Duration;

/// Most confidence there can be, in waits that have paid.
const HOPE_MAX: u32 = 16;

/// What a wait in vain costs of it.
const DISAPPOINTMENT: u32 = 2;

/// Without hope, one commit in so many waits all the same: times change.
const COMMITS_BETWEEN_TRIES: u32 = 64;

/// Longest wait, however slow the disk.
const LIMIT_MAX: Duration = Duration::from_millis(1);

/// A new duration counts for one part in this many.
const SMOOTHING: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Patience {
    hope: u32,
    commits_without: u32,
    /// What a sync takes, on average. Zero until there was one.
    sync: Duration,
    /// The commit under way was waited with.
    has_waited: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { hope: HOPE_MAX / 2, commits_without: 0, sync: Duration::ZERO, has_waited: false }
    }
}

impl Patience {
    /// How long the next commit may wait; `None` where that is not worth while.
    pub(crate) fn limit(&self) -> Option<Duration> {
        let tries = self.hope > 0 || self.commits_without >= COMMITS_BETWEEN_TRIES;
        (tries && !self.sync.is_zero()).then_some(self.sync.min(LIMIT_MAX))
    }

    /// A wait has made a commit needless.
    pub(crate) fn paid(&mut self) {
        self.hope = (self.hope + 1).min(HOPE_MAX);
    }

    /// A commit begins, with or without a wait before.
    pub(crate) fn begin_commit(&mut self, has_waited: bool) {
        self.has_waited = has_waited;
        self.commits_without = if has_waited { 0 } else { self.commits_without.saturating_add(1) };
    }

    /// The commit had to be synced after all.
    pub(crate) fn synced(&mut self, took: Duration) {
        let smoothed = (self.sync * (SMOOTHING - 1) + took) / SMOOTHING;
        self.sync = if self.sync.is_zero() { took } else { smoothed };
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
        let waits = patience.limit().is_some();
        patience.begin_commit(waits);
        patience.synced(SYNC);
        waits
    }

    #[test]
    fn waits_for_as_long_as_a_sync_takes_within_bounds() {
        let mut patience = Patience::default();
        assert_eq!(patience.limit(), None, "what a sync takes is not known yet");
        patience.synced(SYNC);
        assert_eq!(patience.limit(), Some(SYNC));
        (0..100).for_each(|_| patience.synced(SYNC * 2));
        assert!(patience.limit().is_some_and(|limit| limit > SYNC * 19 / 10 && limit <= SYNC * 2));
        (0..100).for_each(|_| patience.synced(LIMIT_MAX * 5));
        assert_eq!(patience.limit(), Some(LIMIT_MAX));
    }

    #[test]
    fn waiting_in_vain_ends_soon_and_is_tried_again_now_and_then() {
        let mut patience = Patience::default();
        patience.synced(SYNC);
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
