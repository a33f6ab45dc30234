//! The course of a run: declare, subscribe, publish, wait for what is on its way, clean up.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::consumer::{Consumed, Consumer};
use super::error::Error;
use super::options::{Options, Pattern};
use super::producer::{Producer, Published};
use super::progress::{Measure, Progress, TICK};
use super::report::{Outcome, Report};
use super::shared::Shared;
use super::stamp::Clock;
use super::topology::Topology;
use super::verify::Ledger;

/// Runs what the options say.
pub(super) async fn drive(options: &Options) -> Result<Report, Error> {
    let mut topology = Topology::open(&options.uri, options).await?;
    let ready = topology.declare().await?;
    let ledger = options.verify.then(|| Ledger::new(options.queues));
    let shared = Arc::new(Shared::new(Clock::start(), rand::random(), ledger));
    let ended = Run::new(options, Arc::clone(&shared), ready).execute().await;
    // Queues are removed after a failure, too; then the failure is what counts.
    let left = topology.finish().await;
    Ok(Report::new(options, &shared, &ended?, left?))
}

struct Run<'a> {
    options: &'a Options,
    shared: Arc<Shared>,
    /// Messages that were there before.
    ready: u64,
    /// Ends publishing as the end of the time does.
    finish: CancellationToken,
    /// Ends producers at once.
    abort: CancellationToken,
    /// Ends consumers.
    enough: CancellationToken,
    producers: JoinSet<Result<Published, Error>>,
    consumers: JoinSet<Result<Consumed, Error>>,
    outcome: Outcome,
    /// Sum of all counters when it last changed, and when that was.
    moved: (u64, Instant),
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, shared: Arc<Shared>, ready: u64) -> Self {
        Self {
            options,
            shared,
            ready,
            finish: CancellationToken::new(),
            abort: CancellationToken::new(),
            enough: CancellationToken::new(),
            producers: JoinSet::new(),
            consumers: JoinSet::new(),
            outcome: Outcome::default(),
            moved: (0, Instant::now()),
        }
    }

    async fn execute(mut self) -> Result<Outcome, Error> {
        self.start().await?;
        let mut progress = Progress::start(self.measure());
        let watched = self.watch(&mut progress).await;
        progress.finish();
        watched?;
        self.enough.cancel();
        while let Some(ended) = self.producers.join_next().await {
            self.outcome.published.push(joined(ended)?);
        }
        while let Some(ended) = self.consumers.join_next().await {
            self.outcome.consumed.push(joined(ended)?);
        }
        Ok(self.outcome)
    }

    async fn start(&mut self) -> Result<(), Error> {
        self.outcome.start_ns = self.shared.clock.now_ns();
        for index in 0..self.options.consumers {
            let consumer = Consumer::open(self.options, index, Arc::clone(&self.shared)).await?;
            self.consumers.spawn(consumer.run(self.enough.clone()));
        }
        let mut producers = Vec::with_capacity(self.options.producers);
        for index in 0..self.options.producers {
            producers.push(Producer::open(self.options, index, Arc::clone(&self.shared)).await?);
        }
        if !producers.is_empty() {
            self.outcome.start_ns = self.shared.clock.now_ns();
        }
        self.moved.1 = Instant::now();
        let rate = self.options.rate as f64 / self.options.producers.max(1) as f64;
        let end = self.options.duration().map(|time| Instant::now() + time);
        for producer in producers {
            self.producers.spawn(producer.run(rate, end, self.finish.clone(), self.abort.clone()));
        }
        Ok(())
    }

    fn measure(&self) -> Measure {
        match (self.options.producers, self.options.messages, self.options.duration()) {
            (0, _, _) => Measure::Deliveries(self.ready),
            (_, None, Some(duration)) => Measure::Time(duration),
            (_, messages, _) if self.options.consumers == 0 => Measure::Publishes(messages.unwrap_or(0)),
            (_, messages, _) => Measure::Deliveries(messages.unwrap_or(0) * self.copies()),
        }
    }

    /// How many queues a message goes to.
    fn copies(&self) -> u64 {
        if self.options.pattern == Pattern::FanOut { u64::from(self.options.queues) } else { 1 }
    }

    /// Waits until everything has arrived, or nothing arrives any more.
    async fn watch(&mut self, progress: &mut Progress) -> Result<(), Error> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.producers.is_empty() || self.awaited() > 0 {
            tokio::select! {
                Some(ended) = self.producers.join_next() => self.outcome.published.push(joined(ended)?),
                Some(ended) = self.consumers.join_next() => self.outcome.consumed.push(joined(ended)?),
                _ = tick.tick() => {
                    progress.tick(&self.shared);
                    if self.is_stalled() {
                        return Ok(());
                    }
                }
                interrupted = tokio::signal::ctrl_c() => {
                    interrupted?;
                    self.finish.cancel();
                }
            }
        }
        Ok(())
    }

    /// Deliveries that are still to come, once the producers are done.
    fn awaited(&self) -> u64 {
        if self.options.consumers == 0 || (self.options.producers == 0 && self.finish.is_cancelled()) {
            return 0;
        }
        let published = self.shared.published.value() - self.shared.refused.value();
        (published * self.copies() + self.ready).saturating_sub(self.shared.arrived())
    }

    /// Gives up when no counter has moved for as long as patience lasts.
    fn is_stalled(&mut self) -> bool {
        let shared = &self.shared;
        let sum =
            shared.published.value() + shared.confirmed.value() + shared.refused.value() + shared.delivered.value();
        if sum != self.moved.0 {
            self.moved = (sum, Instant::now());
        }
        if self.moved.1.elapsed() < self.options.patience() {
            return false;
        }
        self.abort.cancel();
        self.outcome.stalled = Some(self.awaited());
        true
    }
}

fn joined<T>(ended: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    ended.map_err(|_| Error::Task)?
}
