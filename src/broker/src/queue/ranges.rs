//! An ordered set of sequence numbers, kept as ranges.

use std::{collections::BTreeMap, ops::Range};

/// Disjoint ranges, ascending; neighbours are merged. Empty costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// Start to end, exclusive.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.ends.first_key_value().map(|(start, end)| *start..*end)
    }

    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        while let Some((other_start, other_end)) = self.last_starting_until(end) {
            if other_end < start {
                break;
            }
            start = start.min(other_start);
            end = end.max(other_end);
            self.ends.remove(&other_start);
        }
        self.ends.insert(start, end);
    }

    /// Removes everything below `seq`.
    pub(crate) fn remove_below(&mut self, seq: u64) {
        while let Some(first) = self.ends.first_entry() {
            if *first.key() >= seq {
                return;
            }
            let end = first.remove();
            if end > seq {
                self.ends.insert(seq, end);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.ends.clear();
    }

    /// The parts of `range` that are in the set, ascending.
    pub(crate) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let before = self.ends.range(..range.start).next_back().filter(|(_, end)| **end > range.start);
        before
            .into_iter()
            .chain(self.ends.range(range.clone()))
            .map(move |(start, end)| (*start).max(range.start)..(*end).min(range.end))
    }

    /// The parts of `range` that are not in the set, ascending.
    pub(crate) fn outside(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let mut from = range.start;
        let sentinel = range.end..range.end;
        self.within(range)
            .chain(std::iter::once(sentinel))
            .map(move |taken| std::mem::replace(&mut from, taken.end)..taken.start)
            .filter(|gap| !gap.is_empty())
    }

    fn last_starting_until(&self, seq: u64) -> Option<(u64, u64)> {
        self.ends.range(..=seq).next_back().map(|(start, end)| (*start, *end))
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    fn ranges(list: &[(u64, u64)]) -> Ranges {
        let mut ranges = Ranges::default();
        for (start, end) in list {
            ranges.insert(*start..*end);
        }
        ranges
    }

    #[test]
    fn neighbours_and_overlaps_merge() {
        assert_eq!(ranges(&[(1, 3), (3, 5)]), ranges(&[(1, 5)]));
        assert_eq!(ranges(&[(5, 8), (1, 3), (2, 6)]), ranges(&[(1, 8)]));
        assert_eq!(ranges(&[(1, 9), (3, 4)]), ranges(&[(1, 9)]));
        assert_ne!(ranges(&[(1, 3), (4, 5)]), ranges(&[(1, 5)]));
        assert!(ranges(&[(4, 4)]).is_empty());
    }

    #[test]
    fn removing_below_cuts_a_range() {
        let mut set = ranges(&[(1, 3), (5, 9)]);
        set.remove_below(6);
        assert_eq!(set, ranges(&[(6, 9)]));
        set.remove_below(9);
        assert!(set.is_empty());
    }

    #[test]
    fn inside_and_outside_complete_each_other() {
        let set = ranges(&[(2, 4), (6, 8)]);
        assert_eq!(set.within(3..7).collect::<Vec<_>>(), [3..4, 6..7]);
        assert_eq!(set.outside(3..7).collect::<Vec<_>>(), vec![4..6]);
        assert_eq!(set.outside(0..10).collect::<Vec<_>>(), [0..2, 4..6, 8..10]);
        assert_eq!(set.outside(2..4).count(), 0);
        assert_eq!(Ranges::default().outside(1..2).collect::<Vec<_>>(), vec![1..2]);
    }
}
