//! What producers, consumers and the progress display share.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stamp::Clock;
use super::verify::Ledger;

/// Counters of one run. They are only read for progress and at the end: relaxed order is enough.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// In every stamp of this run.
    pub(super) run: u16,
    pub(super) published: Counter,
    pub(super) confirmed: Counter,
    pub(super) refused: Counter,
    /// Deliveries, doubled ones included.
    pub(super) delivered: Counter,
    /// Deliveries known to be doubled or foreign.
    pub(super) surplus: Counter,
    /// Present when the run is verified.
    pub(super) ledger: Option<Ledger>,
}

/// A count that many tasks add to.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(super) fn new(clock: Clock, run: u16, ledger: Option<Ledger>) -> Self {
        Self {
            clock,
            run,
            published: Counter::default(),
            confirmed: Counter::default(),
            refused: Counter::default(),
            delivered: Counter::default(),
            surplus: Counter::default(),
            ledger,
        }
    }

    /// Deliveries that count: neither doubled nor foreign.
    pub(super) fn arrived(&self) -> u64 {
        self.delivered.value().saturating_sub(self.surplus.value())
    }
}
