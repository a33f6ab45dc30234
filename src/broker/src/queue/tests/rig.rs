//! A state with a store in memory, and what came out of it in a form that tests can compare.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use leveret_amqp::{FieldTable, OwnedProperties};
use leveret_store::{LogId, RecordsBuilder};

use super::store::{Cut, FakeStore};
use crate::{
    message::{NewRecord, RecordView, append_record},
    queue::{
        Action, Admission, Arrivals, Command, ConsumerId, DeadLetterReason, DeliveryRun, GroupKey, Nature,
        NewConsumerState, Outcome, Position, Refusal, Run, Settings, Sizing, State, Window, level::Level,
    },
};

/// The number by which a test knows a message: the first bytes of its body.
pub(super) type Id = u64;

/// A message to be published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) id: Id,
    pub(super) persistent: bool,
    pub(super) priority: u8,
    pub(super) expiration_ms: Option<u64>,
    pub(super) body_len: usize,
    pub(super) group: Option<u8>,
}

/// A message that does nothing special.
pub(super) fn message(id: Id) -> Message {
    Message { id, persistent: true, priority: 0, expiration_ms: None, body_len: 8, group: None }
}

/// A message as it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: Id,
    pub(super) redelivered: bool,
    pub(super) delivery_count: u32,
    pub(super) acquired_count: u32,
}

/// Everything that came out of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) delivered: BTreeMap<ConsumerId, Vec<Seen>>,
    pub(super) got: Vec<Option<(Seen, u64)>>,
    pub(super) rejected: Vec<u32>,
    /// By reason; sorted, since expiry has no order over levels and pages.
    pub(super) dead: BTreeMap<&'static str, Vec<Id>>,
    pub(super) purged: Option<u64>,
    pub(super) refused: Vec<Refusal>,
    pub(super) active: Vec<Option<ConsumerId>>,
    pub(super) unused: bool,
    pub(super) expired: bool,
    pub(super) missing: u64,
}

/// See the module.
pub(super) struct Rig {
    pub(super) state: State,
    pub(super) store: FakeStore,
    pub(super) now_ms: u64,
    pub(super) wake_at_ms: u64,
    pub(super) dirty: bool,
    pub(super) awaited_from: Option<u64>,
    /// As the store counts waiters; tests raise it.
    pub(super) next_waiter: u64,
    pub(super) loads: usize,
    pub(super) places: BTreeMap<Id, Position>,
    pub(super) in_flight: Option<Cut>,
    pub(super) nature: Nature,
    sizing: Sizing,
    group_key: Option<GroupKey>,
}

/// Sizes so small that paging happens with a handful of messages.
pub(super) const TINY: Sizing = Sizing {
    segment_bytes: 150,
    resident_bytes: 300,
    transient_bytes: 300,
    load_bytes: 200,
    share_bytes: 100,
    set_aside_max: 4,
    loads_per_step: 4,
};

/// The header that names a message's group.
const GROUP: &str = "g";

pub(super) fn durable() -> Nature {
    Nature { queue: 7, durable: true, ..Nature::default() }
}

impl Rig {
    pub(super) fn new(nature: Nature, settings: Settings, sizing: Sizing) -> Self {
        Self {
            state: State::new(nature, settings, sizing),
            store: FakeStore::default(),
            now_ms: 1_000_000,
            wake_at_ms: u64::MAX,
            dirty: false,
            awaited_from: None,
            next_waiter: 1,
            loads: 0,
            places: BTreeMap::new(),
            in_flight: None,
            nature,
            sizing,
            group_key: None,
        }
    }

    /// A queue whose messages belong to groups.
    pub(super) fn grouped(nature: Nature, settings: Settings, sizing: Sizing) -> Self {
        let mut rig = Self::new(nature, settings.clone(), sizing);
        rig.group_key = Some(GroupKey::Header(GROUP.into()));
        rig.state = State::new(nature, settings, sizing).with_groups(rig.group_key.clone());
        rig
    }

    /// A queue with ordinary sizes.
    pub(super) fn plain(settings: Settings) -> Self {
        Self::new(durable(), settings, Sizing::default())
    }

    pub(super) fn apply(&mut self, command: Command) -> Output {
        let mut output = Output::default();
        self.step(command, &mut output);
        output
    }

    /// Publishes as one batch.
    pub(super) fn publish(&mut self, messages: &[Message]) -> Output {
        let (count, records) = (messages.len() as u32, records(messages, self.now_ms));
        self.apply(Command::Publish(Arrivals {
            records,
            picks: vec![0..count],
            admission: Admission::Judged,
            awaited_from: self.next_waiter,
        }))
    }

    pub(super) fn publish_ids(&mut self, ids: Range<Id>) -> Output {
        self.publish(&ids.map(message).collect::<Vec<_>>())
    }

    pub(super) fn get(&mut self) -> Option<Id> {
        self.apply(Command::Get { no_ack: false }).got[0].map(|(seen, _)| seen.id)
    }

    /// The ids of all that a get finds, acknowledged at once.
    pub(super) fn drain(&mut self) -> Vec<Id> {
        let mut get = || self.apply(Command::Get { no_ack: true }).got[0].map(|(seen, _)| seen.id);
        std::iter::from_fn(&mut get).collect()
    }

    pub(super) fn settle(&mut self, consumer: Option<ConsumerId>, ids: &[Id], outcome: Outcome) -> Output {
        let place = |id: &Id| Run { position: self.places[id], count: 1 };
        let runs = ids.iter().map(place).collect();
        self.apply(Command::Settle { consumer, runs, outcome })
    }

    /// Time passes; the queue is woken whenever it asked for it.
    pub(super) fn advance(&mut self, by_ms: u64) -> Output {
        let until_ms = self.now_ms + by_ms;
        let mut output = Output::default();
        while self.wake_at_ms <= until_ms {
            self.now_ms = self.now_ms.max(self.wake_at_ms);
            self.tick(&mut output);
        }
        self.now_ms = until_ms;
        output
    }

    pub(super) fn tick(&mut self, output: &mut Output) {
        self.wake_at_ms = u64::MAX;
        self.step(Command::Tick, output);
    }

    pub(super) fn commit(&mut self) {
        self.collect();
        self.complete();
    }

    pub(super) fn collect(&mut self) {
        self.complete();
        let mut cut = Cut::default();
        self.state.collect(&mut cut);
        self.dirty = false;
        self.awaited_from = None;
        self.in_flight = Some(cut);
    }

    /// What was collected reaches the disk.
    pub(super) fn complete(&mut self) {
        if let Some(cut) = self.in_flight.take() {
            self.store.write(cut);
            self.state.committed();
            self.check();
        }
    }

    /// The server dies and starts again; what was not written is lost.
    pub(super) fn crash(&mut self) -> Output {
        self.in_flight = None;
        self.store.transient.clear();
        let logs = self.store.logs.iter().map(|(log, state)| (*log, *state)).collect();
        let settings = self.state.settings().clone();
        self.state = State::recover(self.nature, settings, self.sizing, logs).with_groups(self.group_key.clone());
        self.wake_at_ms = u64::MAX;
        self.dirty = false;
        self.awaited_from = None;
        self.apply(Command::Touch)
    }

    pub(super) fn check(&self) {
        for level in self.state.levels() {
            level.check();
        }
        self.state.check_groups();
        assert_eq!(self.awaited_from, self.state.levels().iter().filter_map(Level::awaited_from).min());
        assert!(self.dirty || self.awaited_from.is_none(), "what is awaited will be collected");
    }

    pub(super) fn step(&mut self, command: Command, output: &mut Output) {
        let mut actions = Vec::new();
        self.state.apply(self.now_ms, command, &mut actions);
        let mut at = 0;
        while at < actions.len() {
            let action = actions[at].clone();
            self.perform(action, &mut actions, output);
            at += 1;
            assert!(at < 100_000, "no end of actions");
        }
        self.check();
    }

    fn perform(&mut self, action: Action, actions: &mut Vec<Action>, output: &mut Output) {
        match action {
            Action::ActiveConsumer(active) => output.active.push(active),
            Action::DeadLetter { reason, runs } => self.bury(reason, &runs, output),
            Action::Deliver { consumer, runs } => {
                let seen = runs.iter().flat_map(|run| self.see(run)).collect::<Vec<_>>();
                output.delivered.entry(consumer).or_default().extend(seen);
            }
            Action::Dirty => {
                assert!(!self.dirty, "said once");
                self.dirty = true;
            }
            Action::Expired => output.expired = true,
            Action::Got(got) => {
                let got = got.map(|got| (self.see(&got.run)[0], got.remaining));
                output.got.push(got);
            }
            Action::Load { level, from_seq, bytes_max } => {
                self.loads += 1;
                let chunks = self.store.read(self.log(level), from_seq, bytes_max);
                self.state.apply(self.now_ms, Command::Loaded { level, chunks }, actions);
            }
            Action::LoadDue { level, from, until_ms } => {
                let (found, next_due_ms) = self.store.find_due(self.log(level), from, until_ms, 3);
                self.state.apply(self.now_ms, Command::LoadedDue { level, found, next_due_ms }, actions);
            }
            Action::Awaited { was, now } => {
                assert_eq!(was, self.awaited_from);
                self.awaited_from = now;
            }
            Action::Missing(count) => output.missing += count,
            Action::Purged(count) => output.purged = Some(count),
            Action::Refused(refusal) => output.refused.push(refusal),
            Action::Rejected(ranges) => output.rejected.extend(ranges.into_iter().flatten()),
            Action::Resume(_) => {}
            Action::Unused => output.unused = true,
            Action::WakeAt(due_ms) => self.wake_at_ms = self.wake_at_ms.min(due_ms),
        }
    }

    fn see(&mut self, run: &DeliveryRun) -> Vec<Seen> {
        let mut seen = Vec::new();
        for index in 0..run.count {
            let id = id_of(run.record(index));
            let seq = run.position.seq + u64::from(index);
            self.places.insert(id, Position { seq, ..run.position });
            let DeliveryRun { redelivered, delivery_count, acquired_count, .. } = *run;
            seen.push(Seen { id, redelivered, delivery_count, acquired_count });
        }
        seen
    }

    fn bury(&mut self, reason: DeadLetterReason, runs: &[DeliveryRun], output: &mut Output) {
        let ids = runs.iter().flat_map(|run| (0..run.count).map(|index| id_of(run.record(index))));
        output.dead.entry(reason.as_str()).or_default().extend(ids);
    }

    fn log(&self, level: u8) -> LogId {
        LogId { queue: self.nature.queue, level }
    }
}

pub(super) fn id_of(record: &[u8]) -> Id {
    let body = RecordView::parse(record).expect("a record").body;
    Id::from_le_bytes(body[..8].try_into().expect("a body of at least eight bytes"))
}

pub(super) fn records(messages: &[Message], now_ms: u64) -> leveret_store::Records {
    let mut builder = RecordsBuilder::new();
    for message in messages {
        let mut body = message.id.to_le_bytes().to_vec();
        body.resize(message.body_len.max(8), 0);
        let headers = message.group.map(|group| FieldTable::new().with(GROUP, group));
        let properties = OwnedProperties { headers, ..OwnedProperties::default() };
        let record = NewRecord {
            persistent: message.persistent,
            dead_lettered: false,
            priority: message.priority,
            timestamp_ms: now_ms,
            expiration_ms: message.expiration_ms,
            exchange_and_key: b"\0\x01k",
            properties_raw: &properties.to_raw(),
            body: &body,
        };
        append_record(builder.buffer(), &record);
        builder.end_record();
    }
    builder.finish()
}

/// A consumer without any limit.
pub(super) fn consumer(id: ConsumerId) -> NewConsumerState {
    NewConsumerState {
        id,
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch: 0,
        windows: Vec::new(),
        outbox: Arc::new(Window::new(0)),
    }
}

/// Ids of what a consumer got.
pub(super) fn ids(output: &Output, consumer: ConsumerId) -> Vec<Id> {
    output.delivered.get(&consumer).map(|seen| seen.iter().map(|seen| seen.id).collect()).unwrap_or_default()
}

/// Settings with a dead-letter exchange.
pub(super) fn with_dlx() -> Settings {
    Settings { dead_letter_exchange: Some("dlx".into()), ..Settings::default() }
}
