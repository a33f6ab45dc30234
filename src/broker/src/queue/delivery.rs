//! Messages on their way out of a queue.

use bytes::Bytes;
use leveret_store::Records;

use super::{Position, Run};

/// Contiguous messages of one level, handed out together. Runs longer than one have all facts in common.
#[derive(Clone, Debug)]
pub struct DeliveryRun {
    /// The buffer that holds the messages' records (see [`crate::message`]), shared with others.
    pub records: Records,
    /// The index in `records` of the first message.
    pub first: u32,
    /// How many messages.
    pub count: u32,
    /// The place of the first message; the others follow. To be given back in a settle.
    pub position: Position,
    /// Whether the messages were delivered before.
    pub redelivered: bool,
    /// Counted attempts behind the messages (`x-delivery-count`).
    pub delivery_count: u32,
    /// How often the messages were handed out before and came back, where the queue counts it (`x-acquired-count`).
    pub acquired_count: u32,
}

impl DeliveryRun {
    /// The places of the messages, as a settle names them.
    #[must_use]
    pub fn run(&self) -> Run {
        Run { position: self.position, count: self.count }
    }

    /// The record of the message at `index` within the run.
    #[must_use]
    pub fn record(&self, index: u32) -> &[u8] {
        self.records.record((self.first + index) as usize)
    }

    /// As [`Self::record`], without a copy and independent of the run's life.
    #[must_use]
    pub fn slice(&self, index: u32) -> Bytes {
        self.records.slice((self.first + index) as usize)
    }

    /// The length of all records: what the run took from its consumer's outbox window, to be given back there.
    #[must_use]
    pub fn bytes_len(&self) -> u64 {
        (0..self.count).map(|index| self.record(index).len() as u64).sum()
    }
}

/// The answer to basic.get.
#[derive(Clone, Debug)]
pub struct Got {
    /// The one message.
    pub run: DeliveryRun,
    /// Ready messages left behind it.
    pub remaining: u64,
}
