//! Which messages of a segment are settled.

use std::ops::Range;

const WORD: u32 = u64::BITS;

/// A set of small indexes that is mostly a prefix: settling in order costs one number, and the bitmap is allocated only
/// when something out of order comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled {
    /// All below are in the set.
    prefix: u32,
    bits: Vec<u64>,
}

impl Settled {
    #[cfg(test)]
    pub(crate) fn contains(&self, index: u32) -> bool {
        self.next_set(index, index + 1) == index
    }

    /// The first index from `from` that is not in the set; `end` if there is none before it.
    #[inline]
    pub(crate) fn next_clear(&self, from: u32, end: u32) -> u32 {
        self.next(false, from.max(self.prefix), end)
    }

    /// The first index from `from` that is in the set; `end` if there is none before it.
    #[inline]
    pub(crate) fn next_set(&self, from: u32, end: u32) -> u32 {
        if from < self.prefix { from.min(end) } else { self.next(true, from, end) }
    }

    pub(crate) fn insert(&mut self, range: Range<u32>) {
        if range.start <= self.prefix {
            self.prefix = self.prefix.max(range.end);
            self.prefix = self.next(false, self.prefix, self.bits_end().max(self.prefix));
            return;
        }
        let words = range.end.div_ceil(WORD) as usize;
        if self.bits.len() < words {
            self.bits.resize(words, 0);
        }
        for index in range {
            self.bits[(index / WORD) as usize] |= 1 << (index % WORD);
        }
    }

    /// The settled ranges below `end`.
    pub(crate) fn ranges(&self, end: u32) -> Vec<Range<u32>> {
        let mut ranges = Vec::new();
        let mut start = self.next_set(0, end);
        while start < end {
            let stop = self.next_clear(start, end);
            ranges.push(start..stop);
            start = self.next_set(stop, end);
        }
        ranges
    }

    fn bits_end(&self) -> u32 {
        u32::try_from(self.bits.len()).unwrap_or(u32::MAX / WORD) * WORD
    }

    /// The first index in `from..end` that is in the set or not, as `wanted`; `end` if there is none.
    fn next(&self, wanted: bool, from: u32, end: u32) -> u32 {
        if from >= end {
            return end;
        }
        let mut index = from;
        while index < end.min(self.bits_end()) {
            let word = self.bits[(index / WORD) as usize];
            let word = (if wanted { word } else { !word }) >> (index % WORD);
            if word != 0 {
                return (index + word.trailing_zeros()).min(end);
            }
            index = (index / WORD + 1) * WORD;
        }
        if wanted { end } else { index.min(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::Settled;

    #[test]
    fn in_order_needs_no_bitmap() {
        let mut settled = Settled::default();
        settled.insert(0..5);
        settled.insert(5..70);
        assert!(settled.bits.is_empty());
        assert_eq!(settled.next_clear(0, 100), 70);
        assert_eq!(settled.next_clear(0, 70), 70);
        assert_eq!(settled.next_set(3, 100), 3);
        assert_eq!(settled.next_set(70, 100), 100);
    }

    #[test]
    fn the_prefix_swallows_what_it_meets() {
        let mut settled = Settled::default();
        settled.insert(3..6);
        settled.insert(64..130);
        assert_eq!(settled.next_clear(3, 200), 6);
        assert_eq!(settled.ranges(200), [3..6, 64..130]);
        settled.insert(0..3);
        assert_eq!(settled.prefix, 6);
        settled.insert(6..64);
        assert_eq!(settled.prefix, 130);
        assert_eq!(settled.ranges(200), vec![0..130]);
        assert_eq!(settled.ranges(100), vec![0..100]);
    }

    #[test]
    fn agrees_with_a_plain_set() {
        let mut settled = Settled::default();
        let mut plain = [false; 300];
        let mut seed: u32 = 7;
        for _ in 0..200 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let start = (seed >> 8) % 290;
            let end = start + (seed >> 20) % 10;
            settled.insert(start..end);
            plain[start as usize..end as usize].fill(true);
            for index in 0..300 {
                assert_eq!(settled.contains(index), plain[index as usize], "{index}");
                let clear = (index..300).find(|at| !plain[*at as usize]).unwrap_or(300);
                assert_eq!(settled.next_clear(index, 300), clear);
            }
        }
    }
}
