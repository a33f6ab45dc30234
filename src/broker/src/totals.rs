//! Counts since start over the whole broker, for rates and metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::queue::DeadLetterReason;

/// Counts since start. Relaxed: each is exact by itself, no two are read at one instant.
#[derive(Debug, Default)]
pub struct Totals {
    expired: AtomicU64,
    rejected: AtomicU64,
    max_length: AtomicU64,
    delivery_limit: AtomicU64,
}

impl Totals {
    pub(crate) fn count_dead_letters(&self, reason: DeadLetterReason, count: u64) {
        self.of(reason).fetch_add(count, Ordering::Relaxed);
    }

    /// Messages dead-lettered for `reason`.
    #[must_use]
    pub fn dead_letters(&self, reason: DeadLetterReason) -> u64 {
        self.of(reason).load(Ordering::Relaxed)
    }

    fn of(&self, reason: DeadLetterReason) -> &AtomicU64 {
        match reason {
            DeadLetterReason::DeliveryLimit => &self.delivery_limit,
            DeadLetterReason::Expired => &self.expired,
            DeadLetterReason::MaxLen => &self.max_length,
            DeadLetterReason::Rejected => &self.rejected,
        }
    }
}
