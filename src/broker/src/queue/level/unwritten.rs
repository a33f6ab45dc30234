//! Which messages of a level are in no commit yet, and who waits for them.
//!
//! The store's waiters are numbered. A message that came before waiter 7 was registered concerns that waiter and all
//! after it; once it is settled it concerns nobody any more. Messages are settled in about the order in which they came,
//! so it is enough to know of the first that lives.

use std::collections::VecDeque;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// How many live.
    count: u64,
    /// The first that lives, if any does.
    first_seq: u64,
    /// From a sequence number up to that of the next entry: the first waiter concerned. Both ascend.
    awaited: VecDeque<(u64, u64)>,
}

#[cfg(test)]
impl Unwritten {
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl Unwritten {
    pub(super) fn first_seq(&self) -> Option<u64> {
        (self.count > 0).then_some(self.first_seq)
    }

    /// The first waiter that waits for something here.
    pub(super) fn awaited_from(&self) -> Option<u64> {
        let (_, awaited_from) = self.awaited.front()?;
        (self.count > 0).then_some(*awaited_from)
    }

    /// Adds messages behind all others. That they concern earlier waiters than those before them, those must concern
    /// them too: no harm, and rare.
    pub(super) fn add(&mut self, first_seq: u64, count: u64, awaited_from: u64) {
        if self.count == 0 {
            self.awaited.clear();
            self.first_seq = first_seq;
        }
        self.count += count;
        let mut from_seq = first_seq;
        while let Some((seq, _)) = self.awaited.pop_back_if(|(_, later)| *later >= awaited_from) {
            from_seq = seq;
        }
        self.awaited.push_back((from_seq, awaited_from));
    }

    /// So many are settled. Whoever settles the first says with [`Self::begin_at`] which is the first then.
    pub(super) fn remove(&mut self, count: u64) {
        self.count -= count;
    }

    pub(super) fn begin_at(&mut self, first_seq: u64) {
        self.first_seq = first_seq;
        while self.awaited.get(1).is_some_and(|(seq, _)| *seq <= first_seq) {
            self.awaited.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_lives_says_who_waits() {
        let mut unwritten = Unwritten::default();
        assert_eq!((unwritten.first_seq(), unwritten.awaited_from()), (None, None));
        unwritten.add(10, 5, 1);
        unwritten.add(15, 5, 1);
        unwritten.add(20, 5, 4);
        assert_eq!((unwritten.first_seq(), unwritten.awaited_from()), (Some(10), Some(1)));
        unwritten.remove(9);
        unwritten.begin_at(19);
        assert_eq!(unwritten.awaited_from(), Some(1));
        unwritten.remove(1);
        unwritten.begin_at(20);
        assert_eq!((unwritten.first_seq(), unwritten.awaited_from()), (Some(20), Some(4)));
        unwritten.remove(5);
        assert_eq!((unwritten.first_seq(), unwritten.awaited_from()), (None, None));
        unwritten.add(25, 1, 9);
        assert_eq!((unwritten.first_seq(), unwritten.awaited_from()), (Some(25), Some(9)));
    }

    #[test]
    fn what_concerns_earlier_waiters_concerns_them_from_the_first_on() {
        let mut unwritten = Unwritten::default();
        for (seq, awaited_from) in [(1, 3), (2, 5), (3, 7), (4, 4)] {
            unwritten.add(seq, 1, awaited_from);
        }
        assert_eq!(unwritten.awaited_from(), Some(3));
        unwritten.remove(1);
        unwritten.begin_at(2);
        assert_eq!(unwritten.awaited_from(), Some(4));
        unwritten.remove(2);
        unwritten.begin_at(4);
        assert_eq!(unwritten.awaited_from(), Some(4));
    }
}
