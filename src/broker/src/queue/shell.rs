//! The thin shell around a queue's state: a short mutex, the consumers' outlets, and the hands that carry out actions.
//!
//! The order of actions is the order of commands because both happen under the queue's lock. What an action would do
//! to another queue goes to the turn's work-list instead. Not taken: a task per queue, which costs a hand-over and a
//! wake-up for each batch and memory for each idle queue.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use leveret_amqp::{FieldTable, ReplyCode};
use leveret_store::{Source, Writes};
use parking_lot::Mutex;

use super::{
    Action, Admission, Arrivals, CancelReason, Command, ConsumerId, Counts, Deliveries, DeliveryRun, Got, Kind, Nature,
    Outcome, Refusal, Run, Runs, Settings, State, repetitions, subscriber::Attached,
};
use crate::{
    Error, Turn,
    arguments::QueueDeclaration,
    dead_letter::DeadLetters,
    deduplication::Cache,
    memory::MessageMemory,
    turn::Work,
    vhost::{DeclareQueue, is_kept},
};

/// A queue keeps room for so many actions between its steps.
const KEPT_ACTIONS_MAX: usize = 4;

/// A queue: its fixed properties, and behind a lock its state.
pub struct Queue {
    /// Unique in the store, never reused.
    pub id: u64,
    /// The name within its vhost.
    pub name: Arc<str>,
    /// The vhost's name.
    pub vhost: Arc<str>,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted when its last consumer is gone.
    pub auto_delete: bool,
    /// The connection that alone may use it and whose end deletes it.
    pub exclusive_to: Option<u64>,
    /// As declared.
    pub arguments: FieldTable,
    /// Classic or quorum, as declared.
    pub kind: Kind,
    /// Levels, where it has priorities.
    pub max_priority: Option<u8>,
    /// Only one consumer at a time is served.
    pub single_active_consumer: bool,
    /// What has passed through since start.
    pub totals: Totals,
    /// What it has seen, where it drops repetitions.
    pub(super) cache: OnceLock<Arc<Cache>>,
    pub(super) core: Mutex<Core>,
    /// Held while dead letters are moved; never taken with a queue's own lock held.
    moving: Mutex<()>,
    memory: Arc<MessageMemory>,
}

/// Message counts since start, for rates and metrics.
#[derive(Debug, Default)]
pub struct Totals {
    /// Messages that came in.
    pub published: AtomicU64,
    /// Messages handed to consumers and to basic.get.
    pub delivered: AtomicU64,
    /// Of those, messages handed out again.
    pub redelivered: AtomicU64,
    /// Messages acknowledged.
    pub acknowledged: AtomicU64,
}

pub(super) struct Core {
    pub(super) state: State,
    pub(super) consumers: BTreeMap<ConsumerId, Attached>,
    pub(super) active: Option<ConsumerId>,
    pub(super) actions: Vec<Action>,
    /// What has died and was not moved yet.
    dead: VecDeque<DeadLetters>,
    pub(super) wake_at_ms: u64,
    /// What the queue has in memory, as last said.
    memory_bytes: usize,
}

/// What a command gave back to its caller.
#[derive(Default)]
pub(super) struct Effects {
    got: Option<Got>,
    rejected: Vec<Range<u32>>,
    purged: u64,
    pub(super) refusal: Option<Refusal>,
}

/// The fixed properties of a queue to be.
pub(crate) struct Blueprint {
    name: Arc<str>,
    vhost: Arc<str>,
    auto_delete: bool,
    durable: bool,
    exclusive_to: Option<u64>,
    arguments: FieldTable,
    nature: Nature,
}

impl Blueprint {
    pub(crate) fn of(vhost: &Arc<str>, declare: &DeclareQueue<'_>, nature: Nature) -> Self {
        Self {
            name: declare.name.into(),
            vhost: Arc::clone(vhost),
            auto_delete: declare.auto_delete,
            durable: declare.durable,
            exclusive_to: declare.exclusive_to,
            arguments: declare.arguments.clone(),
            nature,
        }
    }
}

impl Queue {
    pub(crate) fn new(blueprint: Blueprint, state: State, memory: Arc<MessageMemory>) -> Self {
        Self {
            id: blueprint.nature.queue,
            name: blueprint.name,
            vhost: blueprint.vhost,
            durable: blueprint.durable,
            auto_delete: blueprint.auto_delete,
            exclusive_to: blueprint.exclusive_to,
            arguments: blueprint.arguments,
            kind: blueprint.nature.kind,
            max_priority: blueprint.nature.max_priority,
            single_active_consumer: blueprint.nature.single_active_consumer,
            totals: Totals::default(),
            cache: OnceLock::new(),
            core: Mutex::new(Core {
                state,
                consumers: BTreeMap::new(),
                active: None,
                actions: Vec::new(),
                dead: VecDeque::new(),
                wake_at_ms: u64::MAX,
                memory_bytes: 0,
            }),
            moving: Mutex::new(()),
            memory,
        }
    }

    /// Whether persistent messages in it, and the queue itself, survive a restart.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        is_kept(self.durable, self.exclusive_to)
    }

    /// Whether a message in it survives a restart.
    #[must_use]
    pub fn keeps(&self, persistent: bool) -> bool {
        self.is_kept() && self.kind.keeps(persistent)
    }

    /// The queue as it was declared.
    #[must_use]
    pub fn declaration(&self) -> QueueDeclaration<'_> {
        QueueDeclaration {
            vhost: &self.vhost,
            name: &self.name,
            durable: self.durable,
            auto_delete: self.auto_delete,
            exclusive_to: self.exclusive_to,
            arguments: &self.arguments,
        }
    }

    /// Ready, unacked and consumer counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.core.lock().state.counts()
    }

    /// Takes the records picked from a batch, for which the store's waiters from `awaited_from` on wait; the indexes of those it refuses (`reject-publish`).
    pub(crate) fn publish(
        self: &Arc<Self>,
        turn: &mut Turn<'_>,
        records: leveret_store::Records,
        picks: Vec<Range<u32>>,
        admission: Admission,
        awaited_from: u64,
    ) -> Vec<Range<u32>> {
        let Some(cache) = self.cache() else { return self.take(turn, records, picks, admission, awaited_from) };
        let mut fresh = repetitions::leave_out(cache, turn, &records, picks, awaited_from);
        let picks = std::mem::take(&mut fresh.picks);
        let refused = self.take(turn, records, picks, admission, awaited_from);
        fresh.forget(cache, &refused);
        refused
    }

    fn take(
        self: &Arc<Self>,
        turn: &mut Turn<'_>,
        records: leveret_store::Records,
        picks: Vec<Range<u32>>,
        admission: Admission,
        awaited_from: u64,
    ) -> Vec<Range<u32>> {
        let count: u64 = picks.iter().map(|pick| u64::from(pick.end - pick.start)).sum();
        if count == 0 {
            return Vec::new();
        }
        self.totals.published.fetch_add(count, Ordering::Relaxed);
        self.apply(turn, Command::Publish(Arrivals { records, picks, admission, awaited_from })).rejected
    }

    /// Whether the queue would take so many messages more, all together (`reject-publish`).
    #[must_use]
    pub(crate) fn has_room(&self, count: u64, body_bytes: u64) -> bool {
        self.core.lock().state.has_room(count, body_bytes)
    }

    /// Takes one message from the front.
    ///
    /// # Errors
    /// 405 for a quorum queue with single active consumer, as RabbitMQ has it.
    pub fn get(self: &Arc<Self>, turn: &mut Turn<'_>, no_ack: bool) -> Result<Option<Got>, Error> {
        let effects = self.apply(turn, Command::Get { no_ack });
        if let Some(refusal) = effects.refusal {
            return Err(self.refused(refusal));
        }
        if let Some(got) = &effects.got {
            self.count_delivered(std::slice::from_ref(&got.run));
        }
        Ok(effects.got)
    }

    /// Settles messages that were delivered, in the order given.
    pub fn settle(
        self: &Arc<Self>,
        turn: &mut Turn<'_>,
        consumer: Option<ConsumerId>,
        runs: Runs<Run>,
        outcome: Outcome,
    ) {
        if matches!(outcome, Outcome::Ack) {
            let count = runs.iter().map(|run| u64::from(run.count)).sum();
            self.totals.acknowledged.fetch_add(count, Ordering::Relaxed);
        }
        self.apply(turn, Command::Settle { consumer, runs, outcome });
    }

    /// Serves consumers whose room outside the queue may have come back.
    pub fn resume(self: &Arc<Self>, turn: &mut Turn<'_>) {
        self.apply(turn, Command::Resume);
    }

    /// Removes all ready messages; how many there were.
    pub fn purge(self: &Arc<Self>, turn: &mut Turn<'_>) -> u64 {
        self.apply(turn, Command::Purge).purged
    }

    /// Counts as use for `x-expires`: a passive or repeated declare.
    pub fn touch(self: &Arc<Self>, turn: &mut Turn<'_>) {
        self.apply(turn, Command::Touch);
    }

    /// Applies a change of policy.
    pub(crate) fn configure(self: &Arc<Self>, turn: &mut Turn<'_>, settings: Settings) {
        self.apply(turn, Command::Configure(settings));
    }

    /// The settings in force: arguments and policies merged.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.core.lock().state.settings().clone()
    }

    /// Does what has fallen due.
    pub(crate) fn tick(self: &Arc<Self>, turn: &mut Turn<'_>) {
        self.core.lock().wake_at_ms = u64::MAX;
        self.apply(turn, Command::Tick);
    }

    /// Bytes of messages that it has in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.core.lock().memory_bytes
    }

    /// Lets go of what it has in memory beyond its share.
    pub(crate) fn relieve(self: &Arc<Self>, turn: &mut Turn<'_>) {
        self.apply(turn, Command::Relieve);
    }

    /// Gives what died first to `deliver`. It may be what another turn, which is still open, let die; that turn then gets
    /// what died in this one. Both are in one commit, so that it does not matter which of them moves what.
    pub(crate) fn move_dead_letters(&self, deliver: impl FnOnce(DeadLetters)) {
        let _one_after_the_other = self.moving.lock();
        let first = self.core.lock().dead.pop_front();
        if let Some(first) = first {
            deliver(first);
        }
    }

    /// Ends the queue: its consumers are told, and nothing more is written for it.
    pub(crate) fn close(self: &Arc<Self>, turn: &mut Turn<'_>) {
        let has_spilled = self.core.lock().state.has_spilled();
        self.apply(turn, Command::Close);
        if has_spilled {
            turn.store.catalogue(|writes| writes.delete_transient_queue(self.id));
        }
        let consumers = std::mem::take(&mut self.core.lock().consumers);
        for (id, attached) in consumers {
            attached.outlet.cancelled(id, CancelReason::QueueDeleted);
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        let place = format!("queue '{}' in vhost '{}'", self.name, self.vhost);
        match refusal {
            Refusal::ExclusiveUse => Error::new(ReplyCode::AccessRefused, format!("{place} in exclusive use")),
            Refusal::SingleActiveConsumer => Error::new(
                ReplyCode::ResourceLocked,
                format!(
                    "cannot obtain access to locked {place}. basic.get operations are not supported by quorum queues \
                     with single active consumer"
                ),
            ),
        }
    }

    pub(super) fn apply(self: &Arc<Self>, turn: &mut Turn<'_>, command: Command) -> Effects {
        let mut core = self.core.lock();
        let core = &mut *core;
        let mut effects = Effects::default();
        core.state.share_memory(self.memory.share());
        if matches!(command, Command::Publish(_) | Command::Get { .. }) && core.state.is_due(turn.now_ms) {
            // What is over, and may have to be read first, takes no room from what comes and is not among what remains.
            self.step(core, turn, Command::Expire, &mut effects);
        }
        self.step(core, turn, command, &mut effects);
        self.count_memory(core);
        effects
    }

    fn step(self: &Arc<Self>, core: &mut Core, turn: &mut Turn<'_>, command: Command, effects: &mut Effects) {
        core.state.apply(turn.now_ms, command, &mut core.actions);
        // Carrying out an action may bring further ones (a page that was loaded brings deliveries): until none is left.
        while !core.actions.is_empty() {
            let mut actions = std::mem::take(&mut core.actions);
            for action in actions.drain(..) {
                self.perform(core, turn, action, effects);
            }
            if core.actions.is_empty() && actions.capacity() <= KEPT_ACTIONS_MAX {
                core.actions = actions;
            }
        }
    }

    fn count_memory(&self, core: &mut Core) {
        let was = std::mem::replace(&mut core.memory_bytes, core.state.memory_bytes());
        if was != core.memory_bytes {
            self.memory.changed(was, core.memory_bytes);
        }
    }

    fn perform(self: &Arc<Self>, core: &mut Core, turn: &mut Turn<'_>, action: Action, effects: &mut Effects) {
        match action {
            Action::ActiveConsumer(active) => core.active = active,
            Action::Awaited { was, now } => turn.store.awaited(was, now),
            Action::DeadLetter { reason, runs } => {
                core.dead.push_back(DeadLetters { reason, runs });
                turn.push(Work::DeadLetter(Arc::clone(self)));
            }
            Action::Deliver { consumer, runs } => self.deliver(core, consumer, runs),
            Action::Dirty => turn.store.dirty(Arc::clone(self) as Arc<dyn Source>),
            Action::Expired => turn.push(Work::DeleteQueue(Arc::clone(self))),
            Action::Got(got) => effects.got = got,
            Action::Load { level, from_seq, bytes_max } => self.load(core, turn, level, from_seq, bytes_max),
            Action::LoadDue { level, from, until_ms } => self.load_due(core, turn, level, from, until_ms),
            Action::Missing(count) => self.report_missing(count),
            Action::Purged(count) => effects.purged = count,
            Action::Resume(consumer) => {
                if let Some(attached) = core.consumers.get(&consumer) {
                    attached.outlet.room_returned(consumer);
                }
            }
            Action::Refused(refusal) => effects.refusal = Some(refusal),
            Action::Rejected(ranges) => effects.rejected = ranges,
            Action::Unused if self.auto_delete => turn.push(Work::DeleteQueue(Arc::clone(self))),
            Action::Unused => {}
            Action::WakeAt(due_ms) => self.wake_at(core, turn, due_ms),
        }
    }

    fn deliver(self: &Arc<Self>, core: &Core, consumer: ConsumerId, runs: Runs<DeliveryRun>) {
        self.count_delivered(&runs);
        if let Some(attached) = core.consumers.get(&consumer) {
            attached.outlet.deliver(Deliveries { queue: Arc::clone(self), consumer, runs });
        }
    }

    fn count_delivered(&self, runs: &[DeliveryRun]) {
        let sum = |runs: &mut dyn Iterator<Item = &DeliveryRun>| runs.map(|run| u64::from(run.count)).sum::<u64>();
        self.totals.delivered.fetch_add(sum(&mut runs.iter()), Ordering::Relaxed);
        let again = sum(&mut runs.iter().filter(|run| run.redelivered));
        if again > 0 {
            self.totals.redelivered.fetch_add(again, Ordering::Relaxed);
        }
    }
}

impl Source for Queue {
    fn collect(&self, writes: &mut Writes) {
        let mut core = self.core.lock();
        core.state.share_memory(self.memory.share());
        core.state.collect(writes);
    }

    fn committed(&self) {
        let mut core = self.core.lock();
        core.state.share_memory(self.memory.share());
        core.state.committed();
        self.count_memory(&mut core);
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Queue({} in {})", self.name, self.vhost)
    }
}

impl PartialEq for Queue {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
