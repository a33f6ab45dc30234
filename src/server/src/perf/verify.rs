//! The check that every message arrives once and in its producer's order.
//!
//! One bit a message: two million messages cost 250 kB for each queue, so a run of any practical length is checked whole
//! and not by samples.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::Serialize;

/// What the check found. All of it zero is a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Published (and not refused by a nack), and not delivered.
    pub lost: u64,
    /// Deliveries of a message that had been delivered before.
    pub doubled: u64,
    /// Deliveries behind a later message of the same producer and queue, as one consumer saw them.
    pub out_of_order: u64,
    /// Deliveries of messages that this run did not send.
    pub foreign: u64,
}

impl Verdict {
    /// Whether nothing was found.
    pub fn passed(&self) -> bool {
        *self == Self::default()
    }
}

/// A message's stream: its queue and its producer.
pub(super) type Stream = (u32, u16);

/// What arrived so far, over all consumers of all queues.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    queues: Vec<Mutex<HashMap<u16, Bits>>>,
}

impl Ledger {
    pub(super) fn new(queues: u32) -> Self {
        Self { queues: (0..queues).map(|_| Mutex::default()).collect() }
    }

    /// Notes an arrival; false when the message was here before.
    pub(super) fn arrived(&self, (queue, producer): Stream, sequence: u32) -> bool {
        self.queues[queue as usize].lock().entry(producer).or_default().set(sequence)
    }

    /// How many of the messages 0..`published` of a stream never came, `refused` ones aside.
    pub(super) fn missing(&self, (queue, producer): Stream, published: u32, refused: &[u32]) -> u64 {
        let mut bits = self.queues[queue as usize].lock();
        let bits = bits.entry(producer).or_default();
        let arrived = (0..published).filter(|sequence| bits.contains(*sequence)).count() as u64;
        let excused = refused.iter().filter(|sequence| !bits.contains(**sequence)).count() as u64;
        (u64::from(published) - arrived).saturating_sub(excused)
    }
}

/// A consumer's own view: the order in which it saw messages.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: HashMap<Stream, u32>,
}

impl Order {
    /// Notes a delivery; false when a later message of its stream came before.
    pub(super) fn follows(&mut self, stream: Stream, sequence: u32) -> bool {
        let next = self.next.entry(stream).or_default();
        let follows = sequence >= *next;
        if follows {
            *next = sequence + 1;
        }
        follows
    }
}

#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit; false when it was set.
    fn set(&mut self, index: u32) -> bool {
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }

    fn contains(&self, index: u32) -> bool {
        self.0.get(index as usize / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_doubles_are_counted_by_stream() {
        let ledger = Ledger::new(2);
        for sequence in [0, 1, 3, 200] {
            assert!(ledger.arrived((1, 7), sequence));
        }
        assert!(!ledger.arrived((1, 7), 3));
        assert!(ledger.arrived((0, 7), 3));
        assert_eq!(ledger.missing((1, 7), 5, &[]), 2);
        assert_eq!(ledger.missing((1, 7), 5, &[2, 3]), 1);
        assert_eq!(ledger.missing((0, 7), 4, &[]), 3);
    }

    #[test]
    fn order_is_by_stream_and_allows_gaps() {
        let mut order = Order::default();
        assert!(order.follows((0, 0), 0) && order.follows((0, 0), 5) && order.follows((0, 1), 1));
        assert!(!order.follows((0, 0), 3));
        assert!(order.follows((0, 0), 6));
    }
}
