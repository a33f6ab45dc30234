//! Random sequences of commands, against the model.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{
    model::{Consumer, Kept, Model, due_ms},
    rig::{Id, Message, Output, Rig, durable, id_of},
    strategies::{Op, RETRY_MS_MAX, delayed_retry, nature, op, settings, sizing},
};
use crate::queue::{Command, ConsumerId, Nature, NewConsumerState, Outcome, Settings, Sizing, Window};

/// A message somebody has, and who.
type Held = (Id, Option<ConsumerId>);

struct Duel {
    rig: Rig,
    model: Model,
    window: Arc<Window>,
    outbox: Arc<Window>,
    held: Vec<Held>,
    next_id: Id,
    next_consumer: ConsumerId,
    /// As of the last commit that was completed, and of the one under way.
    durable: Vec<Kept>,
    in_flight: Vec<Kept>,
}

impl Duel {
    fn new(nature: Nature, settings: Settings, sizing: Sizing, window: u64, outbox: u64) -> Self {
        let rig = Rig::new(nature, settings.clone(), sizing);
        Self {
            model: Model::new(nature, settings, window, outbox, rig.now_ms),
            rig,
            window: Arc::new(Window::new(window)),
            outbox: Arc::new(Window::new(outbox)),
            held: Vec::new(),
            next_id: 1,
            next_consumer: 1,
            durable: Vec::new(),
            in_flight: Vec::new(),
        }
    }

    fn run(&mut self, op: &Op) {
        let mut real = Output::default();
        let mut ideal = Output::default();
        self.perform(op, &mut real, &mut ideal);
        self.catch_up(&mut real, &mut ideal);
        // What expires by itself comes as it falls due and is read, and each level by itself.
        let has_levels = self.rig.nature.max_priority.is_some();
        for output in [&mut real, &mut ideal] {
            let unordered = output.dead.iter_mut().filter(|(reason, _)| has_levels || **reason == "expired");
            unordered.for_each(|(_, ids)| ids.sort_unstable());
        }
        assert_eq!(real, ideal, "after {op:?}");
        self.remember(&ideal);
        let counts = self.rig.state.counts();
        assert_eq!((counts.ready, counts.ready_bytes), self.model.ready(), "ready after {op:?}");
        assert_eq!((counts.unacked, counts.unacked_bytes), self.model.unacked(), "unacked after {op:?}");
        assert_eq!((counts.waiting, counts.waiting_bytes), self.model.waiting(), "waiting after {op:?}");
        assert_eq!(self.window.used(), self.model.window.used, "window after {op:?}");
        assert_eq!(self.outbox.used(), self.model.outbox.used, "outbox after {op:?}");
    }

    fn perform(&mut self, op: &Op, real: &mut Output, ideal: &mut Output) {
        match op {
            Op::Publish(messages) => {
                let messages = self.number(messages);
                *real = self.rig.publish(&messages);
                self.model.publish(&messages, ideal);
            }
            Op::Get { no_ack } => {
                *real = self.rig.apply(Command::Get { no_ack: *no_ack });
                self.model.get(*no_ack, ideal);
                if let (false, Some(Some((seen, _)))) = (*no_ack, ideal.got.first()) {
                    self.held.push((seen.id, None));
                }
            }
            Op::Consume { no_ack, priority, prefetch, uses_window } => {
                let consumer = self.consumer(*no_ack, *priority, *prefetch, *uses_window);
                *real = self.rig.apply(Command::Consume(self.in_rig(&consumer)));
                self.model.consume(consumer, ideal);
            }
            Op::Cancel(index) if !self.model.consumers.is_empty() => {
                let id = index.get(&self.model.consumers).id;
                *real = self.rig.apply(Command::Cancel(id));
                self.model.cancel(id, ideal);
            }
            Op::Settle { first, count, reversed, outcome } if !self.held.is_empty() => {
                self.settle(first.index(self.held.len()), *count, *reversed, *outcome, real, ideal);
            }
            Op::GiveOutbox(bytes) => {
                let bytes = (*bytes).min(self.model.outbox.used);
                self.model.outbox.used -= bytes;
                if self.outbox.give(bytes) {
                    self.rig.step(Command::Resume, real);
                    self.model.resume(ideal);
                }
            }
            Op::Purge => {
                *real = self.rig.apply(Command::Purge);
                self.model.purge(ideal);
            }
            Op::Advance(by_ms) => self.advance(*by_ms, real, ideal),
            Op::Configure(settings) => {
                *real = self.rig.apply(Command::Configure(settings.clone()));
                self.model.settings = settings.clone();
                self.model.follow_up(ideal);
            }
            Op::Commit => self.commit(),
            Op::Collect => {
                self.complete();
                self.rig.collect();
                self.in_flight = self.model.snapshot();
            }
            Op::Complete => self.complete(),
            Op::Crash => self.crash(real, ideal),
            Op::Cancel(_) | Op::Settle { .. } => {}
        }
    }

    /// Work that one step leaves for ticks of its own.
    fn catch_up(&mut self, real: &mut Output, ideal: &mut Output) {
        for _ in 0..1000 {
            if self.rig.wake_at_ms <= self.rig.now_ms {
                self.rig.tick(real);
            } else {
                return self.model.follow_up(ideal);
            }
        }
        panic!("the queue is never done");
    }

    fn advance(&mut self, by_ms: u64, real: &mut Output, ideal: &mut Output) {
        let until_ms = self.rig.now_ms + by_ms;
        loop {
            let next_ms = self.rig.wake_at_ms.clamp(self.rig.now_ms, until_ms);
            self.rig.now_ms = next_ms;
            self.model.now_ms = next_ms;
            self.catch_up(real, ideal);
            if next_ms == until_ms {
                return;
            }
        }
    }

    fn settle(
        &mut self,
        first: usize,
        count: usize,
        reversed: bool,
        outcome: Outcome,
        real: &mut Output,
        ideal: &mut Output,
    ) {
        let consumer = self.held[first].1;
        let mut ids = Vec::new();
        let mut at = first;
        while at < self.held.len() && ids.len() < count {
            if self.held[at].1 == consumer {
                ids.push(self.held.remove(at).0);
            } else {
                at += 1;
            }
        }
        if reversed {
            ids.reverse();
        }
        let uses_window = self.model.consumers.iter().any(|other| Some(other.id) == consumer && other.uses_window);
        *real = self.rig.settle(consumer, &ids, outcome);
        while self.rig.wake_at_ms <= self.rig.now_ms {
            self.rig.tick(real);
        }
        self.model.settle(consumer, &ids, outcome, ideal);
        if uses_window {
            let returned = ids.len() as u64;
            self.model.window.used -= returned;
            if self.window.give(returned) {
                self.rig.step(Command::Resume, real);
                self.model.resume(ideal);
            }
        }
    }

    fn commit(&mut self) {
        self.complete();
        self.rig.commit();
        self.durable = self.model.snapshot();
        self.compare_image();
    }

    fn complete(&mut self) {
        if self.rig.in_flight.is_some() {
            self.rig.complete();
            self.durable = std::mem::take(&mut self.in_flight);
        }
    }

    /// The store holds what lives, and nothing else.
    fn compare_image(&self) {
        let mut stored: Vec<Id> = self.rig.store.live_records().iter().map(|(_, _, record)| id_of(record)).collect();
        stored.sort_unstable();
        let expected: Vec<Id> = self.durable.iter().map(|kept| kept.message.id).collect();
        assert_eq!(stored, expected, "on disk");
        let mut by_level: BTreeMap<u8, Vec<&Kept>> = BTreeMap::new();
        for kept in &self.durable {
            by_level.entry(kept.level).or_default().push(kept);
        }
        for (log, state) in &self.rig.store.logs {
            let kept = by_level.remove(&log.level).unwrap_or_default();
            let waiting = kept.iter().filter(|kept| kept.waits_until_ms.is_some()).copied();
            assert_eq!((state.waiting_count, state.waiting_bytes), Model::sum(waiting), "waiting on disk");
            assert_eq!((state.count, state.bytes), Model::sum(kept.into_iter()), "counters on disk");
        }
        assert!(by_level.is_empty(), "levels without counters");
    }

    fn crash(&mut self, real: &mut Output, ideal: &mut Output) {
        self.window.give(self.model.window.used);
        self.outbox.give(self.model.outbox.used);
        self.held.clear();
        self.in_flight = Vec::new();
        self.model.crash(self.durable.clone());
        *real = self.rig.crash();
        self.model.follow_up(ideal);
    }

    fn remember(&mut self, output: &Output) {
        for (consumer, seen) in &output.delivered {
            let acks = self.model.consumers.iter().any(|other| other.id == *consumer && !other.no_ack);
            if acks {
                self.held.extend(seen.iter().map(|seen| (seen.id, Some(*consumer))));
            }
        }
    }

    fn number(&mut self, messages: &[(bool, u8, Option<u64>, usize)]) -> Vec<Message> {
        let number = |(persistent, priority, expiration_ms, body_len): &(bool, u8, Option<u64>, usize)| {
            self.next_id += 1;
            Message {
                id: self.next_id,
                persistent: *persistent,
                priority: *priority,
                expiration_ms: *expiration_ms,
                body_len: *body_len,
                group: None,
            }
        };
        messages.iter().map(number).collect()
    }

    fn consumer(&mut self, no_ack: bool, priority: i32, prefetch: u32, uses_window: bool) -> Consumer {
        self.next_consumer += 1;
        Consumer {
            id: self.next_consumer,
            no_ack,
            priority,
            prefetch: if prefetch == 0 { u64::MAX } else { u64::from(prefetch) },
            unacked: 0,
            uses_window,
        }
    }

    fn in_rig(&self, consumer: &Consumer) -> NewConsumerState {
        NewConsumerState {
            id: consumer.id,
            no_ack: consumer.no_ack,
            exclusive: false,
            priority: consumer.priority,
            prefetch: u32::try_from(consumer.prefetch).unwrap_or(0),
            windows: if consumer.uses_window { vec![Arc::clone(&self.window)] } else { Vec::new() },
            outbox: Arc::clone(&self.outbox),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_does_what_its_model_does(
        nature in nature(),
        settings in settings(),
        sizing in sizing(),
        window in 0u64..10,
        outbox in prop_oneof![Just(0), 1u64..2_000],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut duel = Duel::new(nature, settings, sizing, window, outbox);
        for op in &ops {
            duel.run(op);
        }
        duel.commit();
    }

    #[test]
    fn nothing_is_lost_on_the_way_to_disk_and_back(
        sizing in sizing(),
        delayed_retry in prop::option::of(delayed_retry()),
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let settings = Settings { delayed_retry, ..Settings::default() };
        let mut duel = Duel::new(durable(), settings, sizing, 0, 0);
        for op in ops.iter().filter(|op| !matches!(op, Op::Configure(_) | Op::Purge)) {
            duel.run(op);
        }
        duel.commit();
        duel.run(&Op::Crash);
        duel.run(&Op::Advance(RETRY_MS_MAX));
        let left = duel.rig.drain();
        let mut expected = duel.durable.clone();
        expected.sort_by_key(|kept| kept.message.id);
        let now_ms = duel.rig.now_ms;
        let lives = |kept: &&Kept| due_ms(kept, None) > now_ms;
        prop_assert_eq!(left, expected.iter().filter(lives).map(|kept| kept.message.id).collect::<Vec<_>>());
        duel.rig.commit();
        prop_assert!(duel.rig.store.chunks.is_empty(), "all chunks are deleted");
    }
}
