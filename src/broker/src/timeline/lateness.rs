//! How late messages leave.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The upper bounds of the histogram's parts, in milliseconds; what is later than the last is in a part of its own.
pub const LATENESS_BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 60_000, 3_600_000];

/// A histogram of lateness, as Prometheus has them but for the parts not being added up.
#[derive(Debug, Default)]
pub struct Lateness {
    counts: [AtomicU64; LATENESS_BOUNDS_MS.len() + 1],
    sum_ms: AtomicU64,
}

impl Lateness {
    /// Counts messages that were so late.
    pub(super) fn count(&self, late_ms: u64, messages: u64) {
        let part = LATENESS_BOUNDS_MS.partition_point(|bound_ms| *bound_ms < late_ms);
        self.counts[part].fetch_add(messages, Relaxed);
        self.sum_ms.fetch_add(late_ms.saturating_mul(messages), Relaxed);
    }

    /// How many messages were no later than each bound and later than the one before; the last number is those beyond all.
    #[must_use]
    pub fn counts(&self) -> [u64; LATENESS_BOUNDS_MS.len() + 1] {
        std::array::from_fn(|part| self.counts[part].load(Relaxed))
    }

    /// All lateness together, in milliseconds.
    #[must_use]
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lateness_is_in_the_part_that_it_does_not_exceed() {
        let lateness = Lateness::default();
        for (late_ms, messages) in [(0, 1), (1, 2), (2, 4), (3, 8), (3_600_000, 16), (3_600_001, 32)] {
            lateness.count(late_ms, messages);
        }
        let mut expected = [0; 14];
        (expected[0], expected[1], expected[2], expected[12], expected[13]) = (3, 4, 8, 16, 32);
        assert_eq!(lateness.counts(), expected);
        assert_eq!(lateness.sum_ms(), 2 + 8 + 24 + 16 * 3_600_000 + 32 * 3_600_001);
    }
}
