//! Which messages that come back wait before they are tried again, and how long (`x-delayed-retry-*`).
//!
//! The n-th wait is for the n-th return of the kind that waits: of returns that count as a failed attempt, of those that
//! do not, or of both. So a queue that delays plain returns, which RabbitMQ multiplies by a count that they leave as it
//! is, backs off all the same; where failed attempts are delayed it is RabbitMQ's `min(min * delivery-count, max)`.

use std::sync::Arc;

use leveret_store::Returned;

/// The delays of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayedRetry {
    /// `x-delayed-retry-type`
    pub returns: DelayedReturns,
    /// How the delays grow.
    pub backoff: Backoff,
}

/// Which returns are delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DelayedReturns {
    /// All.
    All,
    /// Those that count as a failed attempt: basic.reject, and messages of a channel that is gone.
    Failed,
    /// The others: basic.nack, basic.recover, a consumer's timeout.
    Returned,
}

/// How delays grow, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// The n-th is n times `min_ms`.
    Linear {
        /// The first delay.
        min_ms: u64,
        /// No delay is longer.
        max_ms: u64,
    },
    /// Each is twice the one before.
    Exponential {
        /// The first delay.
        min_ms: u64,
        /// No delay is longer.
        max_ms: u64,
    },
    /// The n-th is the n-th of these; the last one is repeated.
    Steps(Arc<[u64]>),
}

impl DelayedRetry {
    /// How long a message waits that has just come back, as the counts are now; `None` where it does not.
    pub(crate) fn delay_ms(&self, has_failed: bool, returned: Returned) -> Option<u64> {
        let Returned { delivery_count, acquired_count, .. } = returned;
        let nth = match self.returns {
            DelayedReturns::All => acquired_count,
            DelayedReturns::Failed => delivery_count,
            DelayedReturns::Returned => acquired_count.saturating_sub(delivery_count),
        };
        let is_delayed = match self.returns {
            DelayedReturns::All => true,
            DelayedReturns::Failed => has_failed,
            DelayedReturns::Returned => !has_failed,
        };
        is_delayed.then(|| self.backoff.delay_ms(nth.max(1)))
    }
}

impl Backoff {
    /// The n-th delay, counted from 1.
    fn delay_ms(&self, nth: u32) -> u64 {
        match self {
            Self::Linear { min_ms, max_ms } => min_ms.saturating_mul(u64::from(nth)).min(*max_ms),
            Self::Exponential { min_ms, max_ms } => {
                let factor = 1u64.checked_shl(nth - 1).unwrap_or(u64::MAX);
                min_ms.saturating_mul(factor).min(*max_ms)
            }
            Self::Steps(steps) => {
                let index = (nth as usize).min(steps.len());
                index.checked_sub(1).map_or(0, |index| steps[index])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(backoff: &Backoff) -> Vec<u64> {
        [1, 2, 3, 4, 5, u32::MAX].iter().map(|nth| backoff.delay_ms(*nth)).collect()
    }

    #[test]
    fn delays_grow_up_to_the_greatest() {
        assert_eq!(delays(&Backoff::Linear { min_ms: 100, max_ms: 450 }), [100, 200, 300, 400, 450, 450]);
        assert_eq!(delays(&Backoff::Exponential { min_ms: 100, max_ms: 900 }), [100, 200, 400, 800, 900, 900]);
        assert_eq!(delays(&Backoff::Steps(Arc::from([5, 500, 50]))), [5, 500, 50, 50, 50, 50]);
        assert_eq!(delays(&Backoff::Linear { min_ms: 100, max_ms: 50 })[0], 50, "the greatest delay wins");
    }

    #[test]
    fn the_kind_of_return_that_waits_is_the_kind_that_counts() {
        let backoff = Backoff::Linear { min_ms: 10, max_ms: 1000 };
        // Failed twice and returned three times.
        let returned = Returned { delivery_count: 2, acquired_count: 5, ..Returned::default() };
        let delay =
            |returns, has_failed| DelayedRetry { returns, backoff: backoff.clone() }.delay_ms(has_failed, returned);
        assert_eq!((delay(DelayedReturns::All, true), delay(DelayedReturns::All, false)), (Some(50), Some(50)));
        assert_eq!((delay(DelayedReturns::Failed, true), delay(DelayedReturns::Failed, false)), (Some(20), None));
        assert_eq!((delay(DelayedReturns::Returned, true), delay(DelayedReturns::Returned, false)), (None, Some(30)));
    }
}
