//! The committer, step by step; what was durable when; and who was promised what.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use leveret_broker::Turn;
use leveret_store::simulation::Waits;
use parking_lot::Mutex;

use crate::{
    model::{Model, Queue},
    script::Stop,
    world::{Real, World},
};

/// How far the committer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It looks for work when so many microseconds have passed.
    Resting(u64),
    /// It has found work.
    Due,
    /// It has taken the cut.
    Cut,
    /// It has written.
    Stored,
}

/// See the module.
pub(crate) struct Commits {
    /// How many turns there were.
    pub(crate) turn: u64,
    phase: Phase,
    /// What the disk holds, by the batches on it; the first is synced.
    images: VecDeque<Image>,
    /// The image of the cut that is not written.
    cut: Option<Image>,
    awaited: BTreeMap<u64, Awaited>,
    next_waiter: u64,
    told: Arc<Mutex<Vec<(u64, bool)>>>,
}

/// What a batch makes durable.
struct Image {
    batches: u64,
    /// The last turn before the cut.
    turn: u64,
    model: Model,
}

/// What somebody was promised.
enum Awaited {
    /// These messages are durable, or settled.
    Safe(BTreeSet<u64>),
    /// Everything up to and with this turn is durable.
    Durable(u64),
}

impl Commits {
    pub(crate) fn new(model: &Model) -> Self {
        let image = Image { batches: 0, turn: 0, model: model.durable() };
        Self {
            turn: 0,
            phase: Phase::Resting(0),
            images: VecDeque::from([image]),
            cut: None,
            awaited: BTreeMap::new(),
            next_waiter: 0,
            told: Arc::default(),
        }
    }

    /// Waits until these messages are durable or settled.
    pub(crate) fn when_safe(&mut self, turn: &Turn<'_>, roots: BTreeSet<u64>) {
        let waiter = self.waiter(Awaited::Safe(roots));
        turn.when_safe(waiter);
    }

    /// Waits until everything done so far is durable.
    pub(crate) fn after_commit(&mut self, turn: &Turn<'_>) {
        let waiter = self.waiter(Awaited::Durable(self.turn));
        turn.after_commit(waiter);
    }

    fn waiter(&mut self, awaited: Awaited) -> leveret_store::Waiter {
        self.next_waiter += 1;
        let number = self.next_waiter;
        self.awaited.insert(number, awaited);
        let told = Arc::clone(&self.told);
        Box::new(move |outcome| told.lock().push((number, outcome.is_ok())))
    }

    fn reset(&mut self) {
        self.phase = Phase::Resting(0);
        self.cut = None;
        self.awaited.clear();
        self.told.lock().clear();
    }
}

impl World<'_> {
    /// The committer goes a step further.
    pub(crate) fn commit_step(&mut self) -> Result<(), String> {
        let steps = &mut self.real.steps;
        self.commits.phase = match self.commits.phase {
            Phase::Resting(wait_us) => {
                steps.advance(wait_us);
                match steps.poll() {
                    None => Phase::Due,
                    Some(Waits::ForWork) => Phase::Resting(0),
                    Some(Waits::ForUs(us)) => Phase::Resting(us),
                }
            }
            Phase::Due => {
                if self.real.broker.store().poisoned().is_none() {
                    let model = self.model.durable();
                    self.commits.cut = Some(Image { batches: 0, turn: self.commits.turn, model });
                }
                steps.collect();
                Phase::Cut
            }
            Phase::Cut => {
                steps.store();
                self.keep_cut();
                Phase::Stored
            }
            Phase::Stored => {
                steps.tell();
                Phase::Resting(0)
            }
        };
        self.check_told()
    }

    /// Commits until nothing is left to do.
    pub(crate) fn commit_all(&mut self) -> Result<(), String> {
        for _ in 0..100 {
            self.commit_step()?;
            if self.commits.phase == Phase::Resting(0) && self.real.steps.poll() == Some(Waits::ForWork) {
                self.check_told()?;
                return match self.commits.awaited.len() {
                    0 => Ok(()),
                    count => Err(format!("{count} waiters are never told")),
                };
            }
        }
        Err("the committer does not come to an end".to_owned())
    }

    /// Judges what waiters were told since the last time.
    pub(crate) fn check_told(&mut self) -> Result<(), String> {
        let told = std::mem::take(&mut *self.commits.told.lock());
        let durable = self.durable_image();
        for (number, is_ok) in told {
            let awaited = self.commits.awaited.remove(&number).ok_or("a waiter was told twice")?;
            let is_poisoned = self.real.broker.store().poisoned().is_some();
            match (is_ok, awaited) {
                (true, _) if is_poisoned => return Err("something was confirmed after the store had failed".to_owned()),
                (false, _) if is_poisoned => {}
                (false, _) => return Err("a waiter was told of a failure, and there was none".to_owned()),
                (true, Awaited::Durable(turn)) if turn > self.commits.images[durable].turn => {
                    return Err("a change was said to be durable that is not on the disk".to_owned());
                }
                (true, Awaited::Durable(_)) => {}
                (true, Awaited::Safe(roots)) => {
                    let image = &self.commits.images[durable].model;
                    if let Some(message) = self.model.endangered(&roots, image) {
                        return Err(format!("{message:?} was confirmed and is not on the disk"));
                    }
                }
            }
        }
        Ok(())
    }

    /// The place of the image that a crash would leave, at worst.
    fn durable_image(&self) -> usize {
        let unsynced = match self.plan.sync {
            leveret_store::SyncMode::Commit => self.disk.unsynced(),
            leveret_store::SyncMode::Os => 0,
        };
        self.image_of(self.disk.batches() - unsynced)
    }

    fn image_of(&self, batches: u64) -> usize {
        self.commits.images.iter().rposition(|image| image.batches <= batches).unwrap_or(0)
    }

    /// What was cut is written, if the broker thought that it had to be.
    fn keep_cut(&mut self) {
        let batches = self.disk.batches();
        let Some(cut) = self.commits.cut.take() else { return };
        if self.commits.images.back().is_some_and(|last| last.batches == batches) {
            self.commits.images.pop_back();
        }
        self.commits.images.push_back(Image { batches, ..cut });
        let first = self.image_of(batches - self.disk.unsynced());
        self.commits.images.drain(..first);
    }

    /// The broker ends and starts again after a time.
    pub(crate) fn restart(&mut self, how: Stop, kept: u64, down_ms: u64) -> Result<(), String> {
        let kept = match how {
            Stop::Orderly => {
                self.stop()?;
                u64::MAX
            }
            Stop::Kill => u64::MAX,
            Stop::Power => {
                if self.commits.phase == Phase::Cut && kept > 0 {
                    // It fails between the write and the sync.
                    self.disk.stop_syncing();
                    self.commit_step()?;
                }
                kept
            }
        };
        self.disk.lose_power(kept);
        self.now_ms += down_ms;
        let batches = self.disk.batches();
        let image = self.image_of(batches);
        self.commits.images.truncate(image + 1);
        self.model.now_ms = self.now_ms;
        self.model = self.commits.images[image].model.recovered(&self.model);
        self.commits.images.drain(..image);
        self.commits.reset();
        self.real = Real::start(self.plan, &self.disk, self.now_ms)?;
        self.recover_model();
        Ok(())
    }

    /// What the broker did with its queues as it started.
    fn recover_model(&mut self) {
        self.commits.turn += 1;
        let mut queues: Vec<_> = self.model.queues.iter().map(|(id, queue)| (queue.plan.name.clone(), *id)).collect();
        queues.sort();
        for (_, id) in queues {
            self.model.act(id, Queue::touch);
        }
        self.end_turn();
    }

    /// Ends all connections and commits everything.
    fn stop(&mut self) -> Result<(), String> {
        for connection in 0..self.real.connections.len() {
            self.close_connection(connection);
        }
        while !matches!(self.commits.phase, Phase::Resting(_)) {
            self.commit_step()?;
        }
        self.check_told()?;
        if self.real.broker.store().poisoned().is_none() {
            self.commits.cut = Some(Image { batches: 0, turn: self.commits.turn, model: self.model.durable() });
        }
        self.real.steps.close();
        self.keep_cut();
        self.check_told()?;
        let is_poisoned = self.real.broker.store().poisoned().is_some();
        match self.commits.awaited.len() {
            0 if is_poisoned || self.disk.unsynced() == 0 => Ok(()),
            0 => Err("the store was closed and is not synced".to_owned()),
            count => Err(format!("{count} waiters were not told as the store was closed")),
        }
    }
}
