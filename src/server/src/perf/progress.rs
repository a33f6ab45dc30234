//! The line that shows how a run goes, on standard error and only where that is a terminal.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::shared::Shared;

/// How often the line is drawn anew.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// A progress line.
pub(super) struct Progress {
    bar: ProgressBar,
    measure: Measure,
    start: Instant,
    last: (Instant, [u64; 3]),
}

/// What the bar shows the share of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    /// So long a time.
    Time(Duration),
    /// So many deliveries.
    Deliveries(u64),
    /// So many publishes.
    Publishes(u64),
}

impl Progress {
    pub(super) fn start(measure: Measure) -> Self {
        let bar = ProgressBar::new(match measure {
            Measure::Time(duration) => duration.as_millis() as u64,
            Measure::Deliveries(count) | Measure::Publishes(count) => count,
        });
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} {bar:24} {percent:>3}%  {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { bar, measure, start: now, last: (now, [0; 3]) }
    }

    /// Draws the rates since the last call.
    pub(super) fn tick(&mut self, shared: &Shared) {
        let now = Instant::now();
        let counts = [shared.published.value(), shared.confirmed.value(), shared.delivered.value()];
        let seconds = now.duration_since(self.last.0).as_secs_f64().max(0.001);
        let rate = |index: usize| HumanCount(((counts[index] - self.last.1[index]) as f64 / seconds) as u64);
        self.bar.set_message(format!("{}/s sent  {}/s confirmed  {}/s received", rate(0), rate(1), rate(2)));
        self.bar.set_position(match self.measure {
            Measure::Time(_) => self.start.elapsed().as_millis() as u64,
            Measure::Deliveries(_) => counts[2],
            Measure::Publishes(_) => counts[0],
        });
        self.last = (now, counts);
    }

    /// Takes the line away.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
