//! Small numbers for values that recur, so that routing compares and marks numbers.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// Gives each distinct value a number for as long as it is used. Numbers are reused, hence dense.
#[derive(Debug)]
pub(super) struct Interner<K> {
    numbers: HashMap<K, u32, ahash::RandomState>,
    slots: Vec<Slot<K>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<K> {
    value: Option<K>,
    uses: u32,
}

impl<K> Default for Interner<K> {
    fn default() -> Self {
        Self { numbers: HashMap::default(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<K: Clone + Eq + Hash> Interner<K> {
    /// Uses a value once more. True when it was not in use before.
    pub(super) fn acquire<'q, Q>(&mut self, value: &'q Q, own: impl FnOnce(&'q Q) -> K) -> (u32, bool)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(number) = self.find(value) {
            self.slots[number as usize].uses += 1;
            return (number, false);
        }
        (self.add(own(value)), true)
    }

    /// Gives up one use. True when it was the last.
    pub(super) fn release(&mut self, number: u32) -> bool {
        let slot = &mut self.slots[number as usize];
        slot.uses -= 1;
        if slot.uses > 0 {
            return false;
        }
        if let Some(value) = slot.value.take() {
            self.numbers.remove(&value);
        }
        self.free.push(number);
        true
    }

    /// The number of a value in use.
    pub(super) fn find<Q>(&self, value: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.numbers.get(value).copied()
    }

    /// The value of a number in use.
    pub(super) fn value(&self, number: u32) -> Option<&K> {
        self.slots.get(number as usize)?.value.as_ref()
    }

    /// All numbers are below this.
    pub(super) fn bound(&self) -> usize {
        self.slots.len()
    }

    /// True when no value is in use.
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn add(&mut self, value: K) -> u32 {
        let slot = Slot { value: Some(value.clone()), uses: 1 };
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = slot;
                number
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.numbers.insert(value, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn numbers_are_kept_while_used_and_reused_after() {
        let mut interner = Interner::<Arc<[u8]>>::default();
        assert_eq!(interner.acquire(&b"a"[..], Arc::from), (0, true));
        assert_eq!(interner.acquire(&b"b"[..], Arc::from), (1, true));
        assert_eq!(interner.acquire(&b"a"[..], Arc::from), (0, false));
        assert!(!interner.release(0));
        assert!(interner.release(0));
        assert_eq!(interner.find(&b"a"[..]), None);
        assert_eq!(interner.acquire(&b"c"[..], Arc::from), (0, true));
        assert_eq!(interner.value(0).map(AsRef::as_ref), Some(&b"c"[..]));
        assert_eq!(interner.bound(), 2);
    }
}
