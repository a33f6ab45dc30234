//! Which messages of a level were set aside, and which of these were never delivered.
//!
//! They come and go one by one and lie scattered, so they are bits in words, and a word is there while it has a bit. Not
//! taken: [`Ranges`](super::ranges::Ranges), in which each of them would be a range, cut out of another and merged again.

use std::{collections::BTreeMap, ops::Range};

const WORD: u64 = u64::BITS as u64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// By sequence number divided by the bits of a word.
    words: BTreeMap<u64, Word>,
    count: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Word {
    all: u64,
    /// Of these, those that were never delivered.
    fresh: u64,
}

impl Aside {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.word(seq).all & bit(seq) != 0
    }

    /// Whether a message was passed over before it could be delivered for the first time.
    pub(crate) fn is_fresh(&self, seq: u64) -> bool {
        self.word(seq).fresh & bit(seq) != 0
    }

    /// Adds a message that is not in it.
    pub(crate) fn insert(&mut self, seq: u64, is_fresh: bool) {
        let word = self.words.entry(seq / WORD).or_default();
        word.all |= bit(seq);
        word.fresh |= if is_fresh { bit(seq) } else { 0 };
        self.count += 1;
    }

    pub(crate) fn remove(&mut self, seq: u64) {
        let Some(word) = self.words.get_mut(&(seq / WORD)) else { return };
        self.count -= u64::from(word.all & bit(seq) != 0);
        word.all &= !bit(seq);
        word.fresh &= !bit(seq);
        if word.all == 0 {
            self.words.remove(&(seq / WORD));
        }
    }

    pub(crate) fn first(&self) -> Option<u64> {
        let (index, word) = self.words.first_key_value()?;
        Some(index * WORD + u64::from(word.all.trailing_zeros()))
    }

    /// Those of `seqs` that are in it, ascending.
    pub(crate) fn within(&self, seqs: Range<u64>) -> impl Iterator<Item = u64> + '_ {
        let words = if seqs.is_empty() { 0..0 } else { seqs.start / WORD..(seqs.end - 1) / WORD + 1 };
        let bits = self.words.range(words).flat_map(|(index, word)| {
            let mut left = word.all;
            std::iter::from_fn(move || {
                let at = (left != 0).then(|| u64::from(left.trailing_zeros()))?;
                left &= left - 1;
                Some(index * WORD + at)
            })
        });
        bits.filter(move |seq| seqs.contains(seq))
    }

    /// The parts of `seqs` that are not in it, ascending.
    pub(crate) fn outside(&self, seqs: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let (mut from, end) = (seqs.start, seqs.end);
        let gaps = self.within(seqs).chain(std::iter::once(end));
        gaps.map(move |seq| std::mem::replace(&mut from, seq + 1)..seq).filter(|gap| !gap.is_empty())
    }

    fn word(&self, seq: u64) -> Word {
        match self.count {
            0 => Word::default(),
            _ => self.words.get(&(seq / WORD)).copied().unwrap_or_default(),
        }
    }
}

fn bit(seq: u64) -> u64 {
    1 << (seq % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::Aside;

    #[test]
    fn gaps_lie_between() {
        let mut aside = Aside::default();
        [3, 4, 63, 64, 200].into_iter().for_each(|seq| aside.insert(seq, false));
        assert_eq!(aside.outside(3..201).collect::<Vec<_>>(), [5..63, 65..200]);
        assert_eq!(aside.outside(0..4).collect::<Vec<_>>(), vec![0..3]);
        assert_eq!(aside.outside(3..5).count() + aside.outside(9..9).count(), 0);
        assert_eq!(aside.outside(1000..1003).collect::<Vec<_>>(), vec![1000..1003]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_map(steps in prop::collection::vec((0u64..300, any::<Option<bool>>()), 0..200), from in 0u64..300, len in 0u64..300) {
            let (mut aside, mut plain) = (Aside::default(), BTreeMap::new());
            for (seq, is_fresh) in steps {
                match is_fresh {
                    Some(is_fresh) if !plain.contains_key(&seq) => {
                        aside.insert(seq, is_fresh);
                        plain.insert(seq, is_fresh);
                    }
                    _ => {
                        aside.remove(seq);
                        plain.remove(&seq);
                    }
                }
            }
            prop_assert_eq!(aside.count(), plain.len() as u64);
            prop_assert_eq!(aside.first(), plain.keys().next().copied());
            for seq in 0..300 {
                prop_assert_eq!(aside.contains(seq), plain.contains_key(&seq));
                prop_assert_eq!(aside.is_fresh(seq), plain.get(&seq) == Some(&true));
            }
            let within = from..from + len;
            let inside: Vec<u64> = aside.within(within.clone()).collect();
            prop_assert_eq!(&inside, &plain.range(within.clone()).map(|(seq, _)| *seq).collect::<Vec<_>>());
            let outside: Vec<u64> = aside.outside(within.clone()).flatten().collect();
            prop_assert_eq!(outside, within.filter(|seq| !inside.contains(seq)).collect::<Vec<_>>());
        }
    }
}
