//! A set that counts how often each element was added, with fast iteration and fast removal.

use std::{collections::HashMap, hash::Hash};

/// From this many elements on, removal looks them up instead of walking. Below it, walking is faster and a set costs
/// no more than its elements: an exchange may have a million routing keys with one destination each.
const INDEXED_FROM: usize = 32;

/// What a removal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// The element was not there.
    Nothing,
    /// It is still there, once less.
    Once,
    /// It is gone.
    Last,
}

/// A multiset; the order of its elements means nothing.
#[derive(Debug)]
pub(super) struct CountedSet<K> {
    entries: Vec<(K, u32)>,
    // Boxed because it is rare: an empty map in each of a million sets would cost more than the sets.
    #[expect(clippy::box_collection)]
    places: Option<Box<HashMap<K, usize, ahash::RandomState>>>,
}

impl<K> Default for CountedSet<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: None }
    }
}

impl<K: Clone + Eq + Hash> CountedSet<K> {
    /// Adds an element once more.
    pub(super) fn add(&mut self, key: &K) {
        if let Some(place) = self.place(key) {
            self.entries[place].1 += 1;
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(key.clone(), self.entries.len());
        }
        self.entries.push((key.clone(), 1));
        if self.entries.len() == INDEXED_FROM {
            self.index();
        }
    }

    /// Takes an element out once.
    pub(super) fn remove(&mut self, key: &K) -> Removed {
        let Some(place) = self.place(key) else { return Removed::Nothing };
        self.entries[place].1 -= 1;
        if self.entries[place].1 > 0 {
            return Removed::Once;
        }
        self.entries.swap_remove(place);
        self.forget_place(key, place);
        Removed::Last
    }

    /// The elements and how often each was added.
    pub(super) fn entries(&self) -> &[(K, u32)] {
        &self.entries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn place(&self, key: &K) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(key).copied(),
            None => self.entries.iter().position(|(present, _)| present == key),
        }
    }

    fn index(&mut self) {
        let places = self.entries.iter().enumerate().map(|(place, (key, _))| (key.clone(), place));
        self.places = Some(Box::new(places.collect()));
    }

    fn forget_place(&mut self, key: &K, place: usize) {
        let Some(places) = &mut self.places else { return };
        places.remove(key);
        if let Some((moved, _)) = self.entries.get(place) {
            places.insert(moved.clone(), place);
        }
        if self.entries.len() < INDEXED_FROM / 2 {
            self.places = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_like_a_map(steps in proptest::collection::vec((any::<bool>(), 0..80_u32), 0..600)) {
            let mut set = CountedSet::default();
            let mut model = BTreeMap::<u32, u32>::new();
            for (add, key) in steps {
                let count = model.get(&key).copied().unwrap_or(0);
                if add {
                    set.add(&key);
                    model.insert(key, count + 1);
                } else {
                    let expected = [Removed::Nothing, Removed::Last, Removed::Once][count.min(2) as usize];
                    prop_assert_eq!(set.remove(&key), expected);
                    if count > 1 { model.insert(key, count - 1); } else { model.remove(&key); }
                }
            }
            let mut entries = set.entries().to_vec();
            entries.sort_unstable();
            prop_assert_eq!(entries, model.into_iter().collect::<Vec<_>>());
        }
    }
}
