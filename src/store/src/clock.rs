//! Where the committer's time comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The system's clock, or in the simulation one that stands still until it is set.
pub(crate) enum Clock {
    System,
    ByHand {
        start: Instant,
        /// Since the start.
        elapsed_us: Arc<AtomicU64>,
    },
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::ByHand { start, elapsed_us } => *start + Duration::from_micros(elapsed_us.load(Relaxed)),
        }
    }
}
