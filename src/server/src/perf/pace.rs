//! When a producer may send its next message.
//!
//! A message that is late because the broker held the producer up counts as sent when it was due, so that a stall of the
//! broker shows in the latencies. A message that is late by no more than a timer's coarseness counts as sent when it
//! really was: that lateness is this client's own.

/// Lateness that is the timer's and not the broker's: tokio rounds to milliseconds, the scheduler adds its own.
const TIMER_SLACK_NS: u64 = 3_000_000;

/// A fixed rate from a beginning on, or no limit.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    start_ns: u64,
    /// Nanoseconds between two messages; `None` sends as fast as it goes.
    interval_ns: Option<f64>,
    sent: u64,
}

impl Pace {
    /// `rate` messages a second, 0 for no limit.
    pub(super) fn new(rate: f64, start_ns: u64) -> Self {
        Self { start_ns, interval_ns: (rate > 0.0).then(|| 1e9 / rate), sent: 0 }
    }

    /// When the next message is due; 0 without a limit.
    pub(super) fn due_ns(&self) -> u64 {
        self.interval_ns.map_or(0, |interval| self.start_ns + (self.sent as f64 * interval) as u64)
    }

    /// Takes the next message's turn and gives the time it counts as sent; `None` before it is due.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.due_ns();
        if now_ns < due_ns {
            return None;
        }
        self.sent += 1;
        let late = self.interval_ns.is_some() && now_ns - due_ns > TIMER_SLACK_NS;
        Some(if late { due_ns } else { now_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spaces_messages() {
        let mut pace = Pace::new(1000.0, 5_000_000);
        assert_eq!(pace.take(4_999_999), None);
        assert_eq!(pace.take(5_000_000), Some(5_000_000));
        assert_eq!(pace.take(5_500_000), None);
        assert_eq!(pace.due_ns(), 6_000_000);
        assert_eq!(pace.take(6_500_000), Some(6_500_000));
    }

    #[test]
    fn a_stall_counts_from_when_the_message_was_due() {
        let mut pace = Pace::new(1000.0, 0);
        assert_eq!(pace.take(900_000_000), Some(0));
        assert_eq!(pace.take(900_000_000), Some(1_000_000));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let mut pace = Pace::new(0.0, 7);
        assert_eq!((pace.take(1), pace.take(1)), (Some(1), Some(1)));
    }
}
