//! The queue as a pure state machine: a command in, actions out.
//!
//! No clock, lock, channel, file or order of a hash map is in it, so that it can be tested by model and by seed, and
//! later be driven by a replicated log. `now_ms` comes in with every command.
//!
//! A command does its own work, and then everything is done that may follow from it: what is over expires, consumers
//! are served, and only then the queue's length is judged, as in RabbitMQ. What needs messages that are on disk
//! asks for them with [`Action::Load`] and goes on when [`Command::Loaded`] brings them.
//!
//! Not taken: actions as callbacks (the order of effects would hide in the call stack), and asking for everything a
//! command might need beforehand (a publish would have to say whether a dead letter might be on disk).

mod command;
mod due;
mod groups;
mod publish;
mod serve;
mod settle;

use std::ops::Range;

pub use command::{
    Action, Admission, Arrivals, Command, ConsumerId, DeadLetterReason, DueChunk, NewConsumerState, Outcome, Refusal,
};
use leveret_store::{LogId, LogState};

use super::{
    Kind, Settings, Sizing,
    consumers::{Consumers, Share},
    groups::Groups,
    level::{Level, LogWriter},
    totals::Totals,
};

/// Counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that wait to be delivered.
    pub ready: u64,
    /// Their body bytes.
    pub ready_bytes: u64,
    /// Messages delivered and not settled.
    pub unacked: u64,
    /// Their body bytes.
    pub unacked_bytes: u64,
    /// Messages that came back and wait until they may be tried again.
    pub waiting: u64,
    /// Their body bytes.
    pub waiting_bytes: u64,
    /// Consumers.
    pub consumers: usize,
}

/// The fixed properties of a queue that its behaviour depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// The queue's number in the store.
    pub queue: u64,
    /// Persistent messages go to disk.
    pub durable: bool,
    /// `x-queue-type`.
    pub kind: Kind,
    /// `x-max-priority`; without it there is one level.
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`.
    pub single_active_consumer: bool,
}

/// See the module.
#[derive(Debug)]
pub struct State {
    nature: Nature,
    settings: Settings,
    /// As it was made.
    sizing_wanted: Sizing,
    /// The same within the queue's share of memory, for each level.
    sizing: Sizing,
    /// What the queue may keep in memory.
    memory_share: usize,
    /// By priority; made when first needed.
    levels: Vec<Level>,
    consumers: Consumers,
    /// Where messages belong to groups.
    groups: Option<Box<Groups>>,
    /// A get that waits for its message to be read; whether it counts as acknowledged.
    waiting_get: Option<bool>,
    /// What the last [`Action::Load`] asked for.
    loading: Option<(u8, u64)>,
    loads_left: u32,
    /// Where something is overdue that has to be read first.
    overdue: Option<(u8, u64)>,
    /// Since when nobody has used the queue, as far as `x-expires` is concerned.
    unused_since_ms: Option<u64>,
    /// The wake-up that was asked for.
    wake_at_ms: u64,
    dirty: bool,
    /// What was last said with [`Action::Awaited`].
    awaited_from: Option<u64>,
    closed: bool,
    /// Scratch space, kept for its capacity.
    parts: Vec<Range<u64>>,
    shares: Vec<Share>,
}

impl State {
    /// An empty queue.
    #[must_use]
    pub fn new(nature: Nature, settings: Settings, sizing: Sizing) -> Self {
        Self {
            nature,
            settings,
            sizing_wanted: sizing,
            sizing,
            memory_share: usize::MAX,
            levels: Vec::new(),
            consumers: Consumers::new(nature.single_active_consumer),
            groups: None,
            waiting_get: None,
            loading: None,
            loads_left: 0,
            overdue: None,
            unused_since_ms: None,
            wake_at_ms: u64::MAX,
            dirty: false,
            awaited_from: None,
            closed: false,
            parts: Vec::new(),
            shares: Vec::new(),
        }
    }

    /// A queue as the store remembers it. All messages are ready, or wait as they did; those that may have
    /// been delivered before say so.
    #[must_use]
    pub fn recover(nature: Nature, settings: Settings, sizing: Sizing, mut logs: Vec<(LogId, LogState)>) -> Self {
        let mut state = Self::new(nature, settings, sizing);
        logs.sort_by_key(|(log, _)| log.level);
        for (log, log_state) in logs {
            *state.level_mut(log.level) = Level::recover(log.level, log_state);
        }
        state
    }

    /// From now on the queue is to keep no more than so many bytes of messages in memory; `usize::MAX` is as it likes.
    pub(crate) fn share_memory(&mut self, bytes: usize) {
        if bytes != self.memory_share {
            self.memory_share = bytes;
            self.size();
        }
    }

    /// Bytes of messages in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.levels.iter().map(|level| level.memory_bytes).sum()
    }

    /// Whether transient messages were ever written to the store.
    pub(crate) fn has_spilled(&self) -> bool {
        self.levels.iter().any(|level| level.has_spilled)
    }

    fn size(&mut self) {
        let wanted = self.sizing_wanted;
        // For each level, and in it for what is stored and for what is transient.
        let share = self.memory_share / self.levels.len().max(1) / 2;
        self.sizing = Sizing {
            resident_bytes: wanted.resident_bytes.min(share),
            transient_bytes: wanted.transient_bytes.min(share),
            load_bytes: wanted.load_bytes.min(share.max(wanted.segment_bytes)),
            ..wanted
        };
    }

    /// One step. What follows from it is added to `actions`, in order.
    pub fn apply(&mut self, now_ms: u64, command: Command, actions: &mut Vec<Action>) {
        if self.closed {
            return Self::answer_when_closed(&command, actions);
        }
        self.unused_since_ms.get_or_insert(now_ms);
        if !matches!(command, Command::Loaded { .. } | Command::LoadedDue { .. }) {
            self.loads_left = self.sizing.loads_per_step;
            self.loading = None;
            self.groups.iter_mut().for_each(|groups| groups.look_again());
        }
        self.perform(now_ms, command, actions);
        if !self.closed {
            self.follow_up(now_ms, actions);
        }
    }

    /// Ready, unacked, waiting and consumer counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (mut unacked, mut waiting) = (Totals::default(), Totals::default());
        for level in &self.levels {
            unacked += level.unacked;
            waiting += level.waiting.totals;
        }
        let ready = self.ready();
        Counts {
            ready: ready.count,
            ready_bytes: ready.bytes,
            unacked: unacked.count,
            unacked_bytes: unacked.bytes,
            waiting: waiting.count,
            waiting_bytes: waiting.bytes,
            consumers: self.consumers.len(),
        }
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Hands everything to be written to `writer` ([`leveret_store::Writes`]). Called between steps.
    pub(crate) fn collect(&mut self, writer: &mut impl LogWriter) {
        self.dirty = false;
        self.awaited_from = None;
        if self.closed {
            return;
        }
        let transient_bytes_max = self.sizing.transient_bytes;
        for level in self.levels.iter_mut().filter(|level| level.is_touched()) {
            level.collect(self.nature.queue, transient_bytes_max, writer);
        }
    }

    /// What was last collected is on disk. To be called before the next [`Self::collect`].
    pub fn committed(&mut self) {
        for level in &mut self.levels {
            level.committed(self.sizing.resident_bytes);
        }
    }

    fn answer_when_closed(command: &Command, actions: &mut Vec<Action>) {
        match command {
            Command::Get { .. } => actions.push(Action::Got(None)),
            Command::Purge => actions.push(Action::Purged(0)),
            _ => {}
        }
    }

    fn perform(&mut self, now_ms: u64, command: Command, actions: &mut Vec<Action>) {
        match command {
            Command::Cancel(id) => self.cancel(now_ms, id, actions),
            Command::Close => self.close(actions),
            Command::Configure(settings) => self.configure(now_ms, settings),
            Command::Consume(consumer) => self.consume(consumer, actions),
            Command::Expire => {}
            Command::Get { no_ack } => self.get(now_ms, no_ack, actions),
            Command::Loaded { level, chunks } => self.loaded(level, &chunks, actions),
            Command::LoadedDue { level, found, next_due_ms } => self.loaded_due(level, &found, next_due_ms),
            Command::Publish(arrivals) => self.publish(now_ms, &arrivals, actions),
            Command::Purge => self.purge(actions),
            Command::Relieve => self.relieve(),
            Command::Resume => self.resume(),
            Command::Settle { consumer, runs, outcome } => self.settle(now_ms, consumer, &runs, outcome, actions),
            Command::Tick => self.tick(now_ms, actions),
            Command::Touch => self.unused_since_ms = Some(now_ms),
        }
    }

    fn follow_up(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        self.expire(now_ms, true, actions);
        self.end_waits(now_ms);
        self.answer_get(now_ms, actions);
        self.serve(now_ms, actions);
        if self.shorten(now_ms, actions) && self.groups.is_some() {
            // There is room to look further ahead.
            self.serve(now_ms, actions);
        }
        self.load_next(now_ms, actions);
        self.announce(now_ms, actions);
        let missing = self.levels.iter_mut().map(Level::take_missing).sum();
        if missing > 0 {
            actions.push(Action::Missing(missing));
        }
    }

    fn resume(&mut self) {
        self.consumers.resume();
        if let Some(groups) = &mut self.groups {
            groups.open_lines();
        }
    }

    fn consume(&mut self, consumer: NewConsumerState, actions: &mut Vec<Action>) {
        if let Err(refusal) = self.consumers.add(consumer, actions) {
            actions.push(Action::Refused(refusal));
        }
    }

    fn cancel(&mut self, now_ms: u64, id: ConsumerId, actions: &mut Vec<Action>) {
        if self.consumers.remove(id, actions) && self.consumers.is_empty() {
            self.unused_since_ms = Some(now_ms);
            actions.push(Action::Unused);
        }
    }

    fn purge(&mut self, actions: &mut Vec<Action>) {
        let purged = self.levels.iter_mut().map(Level::purge).sum();
        self.note_groups();
        actions.push(Action::Purged(purged));
    }

    fn configure(&mut self, now_ms: u64, settings: Settings) {
        self.settings = settings;
        self.unused_since_ms = Some(now_ms);
    }

    fn relieve(&mut self) {
        for level in &mut self.levels {
            level.page_out(self.sizing.resident_bytes);
            level.ask_to_spill(self.sizing.transient_bytes);
        }
    }

    fn close(&mut self, actions: &mut Vec<Action>) {
        self.announce_awaited(None, actions);
        self.closed = true;
        self.levels.clear();
        self.consumers.clear();
    }

    fn ready(&self) -> Totals {
        let mut ready = Totals::default();
        for level in &self.levels {
            ready += level.ready;
        }
        ready
    }

    /// The highest level with ready messages.
    fn top_level(&self) -> Option<usize> {
        self.levels.iter().rposition(|level| level.ready.count > 0)
    }

    fn level_mut(&mut self, number: u8) -> &mut Level {
        while self.levels.len() <= usize::from(number) {
            let next = u8::try_from(self.levels.len()).unwrap_or(u8::MAX);
            // Nearly always there is one, and room for four would be most of what an idle queue takes.
            self.levels.reserve_exact(1);
            self.levels.push(Level::new(next));
            if self.groups.is_some() {
                self.levels.last_mut().into_iter().for_each(Level::take_notes);
            }
            self.size();
        }
        &mut self.levels[usize::from(number)]
    }
}

/// For tests.
#[cfg(test)]
impl State {
    pub(super) fn levels(&self) -> &[Level] {
        &self.levels
    }
}
