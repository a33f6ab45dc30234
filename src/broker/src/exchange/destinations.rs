//! Destinations in an order of their own, for types that pick one of them by number.

use super::Destination;

/// A sorted list that has a destination as often as a binding leads to it. The order depends on nothing but what is in
/// it, so that a number means the same destination after a restart, too.
#[derive(Clone, Debug, Default)]
pub struct Destinations(Vec<Destination>);

impl Destinations {
    /// Adds a destination, once more if it is there.
    pub fn add(&mut self, destination: &Destination) {
        let place = self.0.partition_point(|present| present < destination);
        self.0.insert(place, destination.clone());
    }

    /// Takes a destination out, once. False where it is not there.
    pub fn remove(&mut self, destination: &Destination) -> bool {
        let found = self.0.binary_search(destination);
        found.map(|place| self.0.remove(place)).is_ok()
    }

    /// All of them, sorted, repetitions included.
    #[must_use]
    pub fn as_slice(&self) -> &[Destination] {
        &self.0
    }

    /// Each of them once, sorted.
    pub fn distinct(&self) -> impl Iterator<Item = &Destination> {
        self.0.chunk_by(PartialEq::eq).filter_map(<[Destination]>::first)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::queue, *};

    #[test]
    fn they_are_sorted_and_counted() {
        let mut destinations = Destinations::default();
        for name in ["b", "c", "a", "b"] {
            destinations.add(&queue(name));
        }
        assert_eq!(destinations.as_slice(), [queue("a"), queue("b"), queue("b"), queue("c")]);
        assert!(destinations.distinct().eq(&[queue("a"), queue("b"), queue("c")]));
        assert!(destinations.remove(&queue("b")));
        assert_eq!(destinations.as_slice(), [queue("a"), queue("b"), queue("c")]);
        assert!(destinations.remove(&queue("b")) && !destinations.remove(&queue("b")));
        assert!(destinations.remove(&queue("a")) && destinations.remove(&queue("c")) && destinations.is_empty());
    }
}
