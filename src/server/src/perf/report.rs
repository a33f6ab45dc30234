//! The result of a run.

use std::fmt::Write;

use indicatif::HumanCount;
use serde::Serialize;

use super::consumer::Consumed;
use super::error::Error;
use super::latency::{Latency, Percentiles};
use super::options::{Format, Options, Pattern};
use super::producer::Published;
use super::shared::Shared;
use super::verify::{Ledger, Verdict};

/// What a run's tasks came back with.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) start_ns: u64,
    pub(super) published: Vec<Published>,
    pub(super) consumed: Vec<Consumed>,
    /// Deliveries that were still awaited when patience ended.
    pub(super) stalled: Option<u64>,
}

/// The result of a run. Rates are messages a second over the whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Messages written.
    pub published: u64,
    /// Messages confirmed (basic.ack).
    pub confirmed: u64,
    /// Messages refused (basic.nack).
    pub refused: u64,
    /// Messages delivered; under fan-out each copy counts.
    pub delivered: u64,
    /// Messages left in the queues at the end.
    pub left: u64,
    /// From the first publish until the broker had handled (with confirms: confirmed) the last one.
    pub publish_seconds: f64,
    /// From the first publish (without producers: the first subscription) to the last delivery.
    pub delivery_seconds: f64,
    /// Messages published a second.
    pub publish_rate: f64,
    /// Messages confirmed a second.
    pub confirm_rate: f64,
    /// Messages delivered a second.
    pub delivery_rate: f64,
    /// From publish to delivery.
    pub end_to_end: Option<Percentiles>,
    /// From publish to confirm.
    pub confirm: Option<Percentiles>,
    /// What `--verify` found.
    pub verification: Option<Verdict>,
    /// Set when the run was given up: deliveries that were still awaited.
    pub stalled: Option<u64>,
    #[serde(skip)]
    patience_seconds: u64,
}

impl Report {
    pub(super) fn new(options: &Options, shared: &Shared, outcome: &Outcome, left: u64) -> Self {
        let (mut confirm, mut end_to_end) = (Latency::new(), Latency::new());
        outcome.published.iter().for_each(|published| confirm.merge(&published.confirm_latency));
        outcome.consumed.iter().for_each(|consumed| end_to_end.merge(&consumed.latency));
        let publish_end = outcome.published.iter().map(|published| published.end_ns).max();
        let delivery_end = outcome.consumed.iter().map(|consumed| consumed.end_ns).max();
        let seconds = |end: Option<u64>| end.unwrap_or(0).saturating_sub(outcome.start_ns) as f64 / 1e9;
        let (publish_seconds, delivery_seconds) = (seconds(publish_end), seconds(delivery_end));
        let (published, confirmed, delivered) =
            (shared.published.value(), shared.confirmed.value(), shared.delivered.value());
        Self {
            published,
            confirmed,
            refused: shared.refused.value(),
            delivered,
            left,
            publish_seconds,
            delivery_seconds,
            publish_rate: rate(published, publish_seconds),
            confirm_rate: rate(confirmed, publish_seconds),
            delivery_rate: rate(delivered, delivery_seconds),
            end_to_end: end_to_end.percentiles(),
            confirm: confirm.percentiles(),
            verification: shared.ledger.as_ref().map(|ledger| verify(options, ledger, outcome)),
            stalled: outcome.stalled,
            patience_seconds: options.patience().as_secs(),
        }
    }

    /// Whether the run ended as it should.
    pub(super) fn verdict(&self) -> Result<(), Error> {
        if self.verification.is_some_and(|verdict| !verdict.passed()) {
            return Err(Error::Verification);
        }
        match self.stalled {
            Some(waiting) => Err(Error::Stalled { seconds: self.patience_seconds, waiting }),
            None => Ok(()),
        }
    }

    /// Prints the result on standard output.
    pub(super) fn print(&self, format: Format) -> Result<(), Error> {
        match format {
            Format::Json => println!("{}", serde_json::to_string(self)?),
            Format::Text => print!("{}", self.text()),
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut out = String::new();
        line(&mut out, "published", self.published, self.publish_rate, self.publish_seconds);
        if self.confirmed + self.refused > 0 {
            line(&mut out, "confirmed", self.confirmed, self.confirm_rate, self.publish_seconds);
        }
        if self.refused > 0 {
            let _ = writeln!(out, "refused     {:>12}", HumanCount(self.refused).to_string());
        }
        line(&mut out, "delivered", self.delivered, self.delivery_rate, self.delivery_seconds);
        if self.left > 0 {
            let _ = writeln!(out, "left        {:>12}", HumanCount(self.left).to_string());
        }
        latency(&mut out, "confirm latency", self.confirm.as_ref());
        latency(&mut out, "end-to-end latency", self.end_to_end.as_ref());
        if let Some(verdict) = &self.verification {
            let word = if verdict.passed() { "passed" } else { "FAILED" };
            let Verdict { lost, doubled, out_of_order, foreign } = verdict;
            let _ = writeln!(
                out,
                "verification {word}: {lost} lost, {doubled} doubled, {out_of_order} out of order, {foreign} foreign"
            );
        }
        out
    }
}

fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds).round() } else { 0.0 }
}

// Writing to a String cannot fail.
fn line(out: &mut String, what: &str, count: u64, rate: f64, seconds: f64) {
    let (count, rate) = (HumanCount(count).to_string(), HumanCount(rate as u64).to_string());
    let _ = writeln!(out, "{what:<11} {count:>12}  in {seconds:>7.2} s  {rate:>10}/s");
}

fn latency(out: &mut String, what: &str, percentiles: Option<&Percentiles>) {
    let Some(of) = percentiles else { return };
    let _ = write!(out, "{what:<19} ms:");
    let parts = [("p50", of.p50_us), ("p95", of.p95_us), ("p99", of.p99_us), ("p99.9", of.p999_us), ("max", of.max_us)];
    for (name, micros) in parts {
        let _ = write!(out, "  {name} {:.2}", micros / 1000.0);
    }
    out.push('\n');
}

fn verify(options: &Options, ledger: &Ledger, outcome: &Outcome) -> Verdict {
    let mut verdict = Verdict::default();
    for consumed in &outcome.consumed {
        verdict.doubled += consumed.verdict.doubled;
        verdict.out_of_order += consumed.verdict.out_of_order;
        verdict.foreign += consumed.verdict.foreign;
    }
    for published in &outcome.published {
        for stream in &published.streams {
            let queues =
                if options.pattern == Pattern::FanOut { 0..options.queues } else { stream.queue..stream.queue + 1 };
            for queue in queues {
                verdict.lost += ledger.missing((queue, published.producer), stream.count, &stream.refused);
            }
        }
    }
    verdict
}
