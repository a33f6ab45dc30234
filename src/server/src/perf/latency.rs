//! Latencies: recorded in nanoseconds by each task, merged and reported in microseconds.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency told apart; longer ones count as this.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// A histogram with three significant digits.
#[derive(Clone, Debug)]
pub(super) struct Latency(Option<Histogram<u64>>);

/// Percentiles of a latency.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Number of messages measured.
    pub count: u64,
    /// Shortest, in microseconds.
    pub min_us: f64,
    /// Arithmetic mean, in microseconds.
    pub mean_us: f64,
    /// Half of the messages were no slower, in microseconds.
    pub p50_us: f64,
    /// 95 in 100 were no slower, in microseconds.
    pub p95_us: f64,
    /// 99 in 100 were no slower, in microseconds.
    pub p99_us: f64,
    /// 999 in 1000 were no slower, in microseconds.
    pub p999_us: f64,
    /// Longest, in microseconds.
    pub max_us: f64,
}

impl Latency {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, 3).ok())
    }

    pub(super) fn record(&mut self, latency_ns: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(latency_ns.max(1));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if let (Some(histogram), Some(other)) = (&mut self.0, &other.0) {
            // Both have the same bounds, which is all that adding can fail for.
            let _ = histogram.add(other);
        }
    }

    /// The percentiles; `None` when nothing was measured.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Some(Percentiles {
            count: histogram.len(),
            min_us: histogram.min() as f64 / 1000.0,
            mean_us: histogram.mean() / 1000.0,
            p50_us: at(0.5),
            p95_us: at(0.95),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_histograms_report_microseconds() {
        let (mut first, mut second) = (Latency::new(), Latency::new());
        assert!(first.percentiles().is_none());
        first.record(1_000_000);
        second.record(3_000_000);
        first.merge(&second);
        let percentiles = first.percentiles().unwrap();
        assert_eq!(percentiles.count, 2);
        assert!((percentiles.p50_us - 1000.0).abs() < 2.0);
        assert!((percentiles.max_us - 3000.0).abs() < 4.0);
    }
}
