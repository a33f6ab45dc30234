//! How long a commit is put off in the hope that it becomes needless.
//!
//! A message that is acknowledged before it is committed is never written, so where consumers are quick, syncs can be
//! spared by waiting for them. Whether they are is not known beforehand. So, as somebody who does not know how often he
//! will ski rents until he has paid the price of skis: without progress, a commit waits for about as long as it would
//! take, which makes the worst case twice the best. And it learns: where waiting does not pay, it is hardly ever tried,
//! and where it pays again and again, it is given up a little later, since under load threads wait for the processor.
//!
//! Not taken: a fixed wait (costs everybody latency whose consumers are slower), the same price for all commits (gives up
//! just when many wait and a sync would cost most), and averages (one stall of the disk would make it wait for long).

use std::time::Duration;

/// Longest that anybody waits, however well it goes.
pub(crate) const PATIENCE_MAX: Duration = Duration::from_millis(10);

/// Most confidence there can be, in waits that have paid.
const HOPE_MAX: u32 = 16;

/// So much of it is worth waiting for the price of a commit once more.
const HOPE_FOR_ANOTHER_PRICE: u32 = 4;

/// What a wait in vain costs of it.
const DISAPPOINTMENT: u32 = 2;

/// Without hope, one commit in so many waits all the same: times change.
const COMMITS_BETWEEN_TRIES: u32 = 64;

/// With each commit that takes longer, the fastest so far counts for longer by one part in this many.
const FORGETTING: u32 = 8;

/// Commits are told apart by the power of two of their waiters, up to this one.
const SIZES: usize = 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Patience {
    hope: u32,
    commits_without: u32,
    /// What a synced commit takes at least, of late, by size.
    fastest: [Option<Duration>; SIZES],
    /// The commit under way was waited with.
    has_waited: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { hope: HOPE_MAX / 2, commits_without: 0, fastest: [None; SIZES], has_waited: false }
    }
}

impl Patience {
    /// How long a commit with so many waiters may wait without progress. `None` where waiting is not worth while, and
    /// before anything is known.
    pub(crate) fn limit(&self, waiters: usize) -> Option<Duration> {
        let tries = self.hope > 0 || self.commits_without >= COMMITS_BETWEEN_TRIES;
        let price = self.price(waiters).filter(|_| tries)?;
        Some((price + price * self.hope / HOPE_FOR_ANOTHER_PRICE).min(PATIENCE_MAX))
    }

    /// What a commit with so many waiters takes, or, where that is not known, one with fewer.
    fn price(&self, waiters: usize) -> Option<Duration> {
        self.fastest[..=size(waiters)].iter().rev().find_map(|fastest| *fastest)
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
        let fastest = &mut self.fastest[size(waiters)];
        *fastest = Some(fastest.map_or(took, |fastest| took.min(fastest + fastest / FORGETTING)));
        if self.has_waited {
            self.hope = self.hope.saturating_sub(DISAPPOINTMENT);
        }
    }
}

fn size(waiters: usize) -> usize {
    (waiters.max(1).ilog2() as usize).min(SIZES - 1)
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
    fn the_price_is_what_a_commit_of_that_size_took_of_late() {
        let mut patience = Patience::default();
        assert_eq!(patience.limit(1), None, "nothing is known yet");
        patience.synced(SYNC, 1);
        patience.synced(SYNC * 20, 40);
        assert_eq!(
            [1, 7, 32, 1000].map(|waiters| patience.price(waiters)),
            [1, 1, 20, 20].map(|price| Some(SYNC * price))
        );
        patience.synced(SYNC * 5, 1);
        assert!(patience.price(1).is_some_and(|price| price > SYNC && price < SYNC * 2), "one stall is not believed");
        (0..100).for_each(|_| patience.synced(SYNC * 5, 1));
        assert_eq!(patience.price(1), Some(SYNC * 5));
        patience.synced(SYNC, 1);
        assert_eq!(patience.price(1), Some(SYNC));
    }

    #[test]
    fn hope_makes_patient_within_bounds() {
        let mut patience = Patience::default();
        patience.synced(SYNC, 1);
        (0..100).for_each(|_| patience.paid());
        assert_eq!(patience.limit(1), Some(SYNC * 5));
        (0..HOPE_MAX / DISAPPOINTMENT - 1).for_each(|_| assert!(commit(&mut patience)));
        assert_eq!(patience.limit(1), Some(SYNC * 3 / 2));
        (0..100).for_each(|_| patience.synced(PATIENCE_MAX * 5, 1));
        patience.paid();
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
