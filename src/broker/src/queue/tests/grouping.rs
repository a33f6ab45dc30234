//! Random commands to a queue with groups: a group is with one holder at a time and in order, and nothing that somebody
//! may have waits while he has room.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    rig::{Id, Message, Output, Rig, Seen, consumer, durable},
    strategies::{Op, op, settings, sizing},
};
use crate::queue::{Command, ConsumerId, Nature, NewConsumerState, Outcome, Settings, Sizing};

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Ready,
    /// With a consumer, or `None` with somebody who asked for it.
    Held(Option<ConsumerId>),
    Waiting(u64),
}

#[derive(Clone, Debug)]
struct Known {
    group: Option<u8>,
    level: u8,
    fate: Fate,
    was_delivered: bool,
    failed: u32,
    returned: u32,
}

struct Witness {
    rig: Rig,
    set_aside_max: u64,
    messages: BTreeMap<Id, Known>,
    /// By consumer: how many messages it takes at a time.
    consumers: BTreeMap<ConsumerId, usize>,
    next: u64,
    has_crashed: bool,
}

impl Witness {
    fn new(nature: Nature, settings: Settings, sizing: Sizing) -> Self {
        let set_aside_max = sizing.set_aside_max;
        let rig = Rig::grouped(nature, settings, sizing);
        let (messages, consumers) = (BTreeMap::new(), BTreeMap::new());
        Self { rig, set_aside_max, messages, consumers, next: 0, has_crashed: false }
    }

    fn run(&mut self, op: &Op) {
        let mut output = Output::default();
        match op {
            Op::Publish(messages) => output = self.publish(messages),
            Op::Get { no_ack } => output = self.rig.apply(Command::Get { no_ack: *no_ack }),
            Op::Consume { prefetch, .. } => {
                self.next += 1;
                let id = self.next;
                self.consumers.insert(id, if *prefetch == 0 { usize::MAX } else { *prefetch as usize });
                output = self.rig.apply(Command::Consume(NewConsumerState { prefetch: *prefetch, ..consumer(id) }));
            }
            Op::Cancel(index) if !self.consumers.is_empty() => {
                let id = *index.get(&self.consumers.keys().copied().collect::<Vec<_>>());
                self.consumers.remove(&id);
                output = self.rig.apply(Command::Cancel(id));
            }
            Op::Settle { first, count, outcome, .. } => output = self.settle(first.index(1 << 16), *count, *outcome),
            Op::Purge => {
                output = self.rig.apply(Command::Purge);
                self.messages.retain(|_, known| matches!(known.fate, Fate::Held(_)));
            }
            Op::Advance(by_ms) => output = self.rig.advance(*by_ms),
            Op::Commit => self.rig.commit(),
            Op::Collect => self.rig.collect(),
            Op::Complete => self.rig.complete(),
            Op::Crash => {
                self.rig.commit();
                output = self.rig.crash();
                self.has_crashed = true;
                self.consumers.clear();
                for known in self.messages.values_mut().filter(|known| matches!(known.fate, Fate::Held(_))) {
                    known.fate = Fate::Ready;
                }
            }
            Op::Cancel(_) | Op::GiveOutbox(_) | Op::Configure(_) => {}
        }
        while self.rig.wake_at_ms <= self.rig.now_ms {
            self.rig.tick(&mut output);
        }
        self.see(&output);
        if let (Op::Get { no_ack: true }, Some(Some((seen, _)))) = (op, output.got.first()) {
            self.messages.remove(&seen.id);
        }
        self.check();
    }

    fn publish(&mut self, messages: &[(bool, u8, Option<u64>, usize)]) -> Output {
        let top = self.rig.nature.max_priority.unwrap_or(0);
        let first = self.next + 1;
        let messages: Vec<Message> = messages
            .iter()
            .map(|(_, priority, expiration_ms, body_len)| {
                self.next += 1;
                let group = u8::try_from(body_len % 5).ok().filter(|group| *group < 4);
                Message {
                    id: self.next,
                    persistent: true,
                    priority: *priority,
                    expiration_ms: *expiration_ms,
                    body_len: *body_len,
                    group,
                }
            })
            .collect();
        for message in &messages {
            let known = Known {
                group: message.group,
                level: message.priority.min(top),
                fate: Fate::Ready,
                was_delivered: false,
                failed: 0,
                returned: 0,
            };
            self.messages.insert(message.id, known);
        }
        let output = self.rig.publish(&messages);
        for index in &output.rejected {
            self.messages.remove(&(first + u64::from(*index)));
        }
        output
    }

    fn settle(&mut self, first: usize, count: usize, outcome: Outcome) -> Output {
        let held = |known: &Known| match known.fate {
            Fate::Held(holder) => Some(holder),
            _ => None,
        };
        let all: Vec<_> = self.messages.iter().filter_map(|(id, known)| Some((*id, held(known)?))).collect();
        if all.is_empty() {
            return Output::default();
        }
        let holder = all[first % all.len()].1;
        let of_holder = all.iter().skip(first % all.len()).filter(|(_, other)| *other == holder);
        let ids: Vec<Id> = of_holder.map(|(id, _)| *id).take(count).collect();
        for id in &ids {
            self.settle_one(*id, outcome);
        }
        self.rig.settle(holder, &ids, outcome)
    }

    fn settle_one(&mut self, id: Id, outcome: Outcome) {
        let settings = self.rig.state.settings();
        let Some(known) = self.messages.get_mut(&id) else { return };
        match outcome {
            Outcome::Ack | Outcome::Reject => _ = self.messages.remove(&id),
            Outcome::Undelivered => known.fate = Fate::Ready,
            Outcome::Requeue { count_attempt } => {
                known.failed += u32::from(count_attempt);
                known.returned += u32::from(settings.counts_returns(self.rig.nature.kind));
                let counts = leveret_store::Returned {
                    delivery_count: known.failed,
                    acquired_count: known.returned,
                    waits_until_ms: 0,
                };
                let retry = settings.delayed_retry.as_ref();
                known.fate = match retry.and_then(|retry| retry.delay_ms(count_attempt, counts)) {
                    Some(delay_ms) => Fate::Waiting(self.rig.now_ms + delay_ms),
                    None => Fate::Ready,
                };
            }
        }
    }

    fn see(&mut self, output: &Output) {
        self.settle_due();
        self.bury(output);
        output.got.iter().flatten().for_each(|(seen, _)| self.deliver(None, *seen));
        for (consumer, seen) in &output.delivered {
            seen.iter().for_each(|seen| self.deliver(Some(*consumer), *seen));
        }
    }

    /// What has waited long enough is ready.
    fn settle_due(&mut self) {
        let now_ms = self.rig.now_ms;
        for known in self.messages.values_mut() {
            if matches!(known.fate, Fate::Waiting(until_ms) if until_ms <= now_ms) {
                known.fate = Fate::Ready;
            }
        }
    }

    fn bury(&mut self, output: &Output) {
        for id in output.dead.values().flatten() {
            self.messages.remove(id);
        }
    }

    fn deliver(&mut self, holder: Option<ConsumerId>, seen: Seen) {
        let id = seen.id;
        let known = self.messages.get(&id).unwrap_or_else(|| panic!("{id} is not there")).clone();
        assert_eq!(known.fate, Fate::Ready, "message {id}");
        assert!(self.has_crashed || seen.redelivered == known.was_delivered, "redelivered: {id}");
        let of_group = self.messages.iter().filter(|(_, other)| known.group.is_some() && other.group == known.group);
        for (other_id, other) in of_group.filter(|(other_id, _)| **other_id != id) {
            let comes_before = *other_id < id && other.level == known.level;
            match other.fate {
                Fate::Held(other) => {
                    assert!(holder.is_some() && other == holder, "{id} to {holder:?}: {other:?} has {other_id}");
                }
                Fate::Waiting(_) | Fate::Ready => assert!(!comes_before, "{id} was delivered before {other_id}"),
            }
        }
        let known = self.messages.get_mut(&id).unwrap();
        (known.fate, known.was_delivered) = (Fate::Held(holder), true);
    }

    fn check(&self) {
        let count =
            |fate: &dyn Fn(&Fate) -> bool| self.messages.values().filter(|known| fate(&known.fate)).count() as u64;
        let counts = self.rig.state.counts();
        assert_eq!(counts.ready, count(&|fate| *fate == Fate::Ready), "ready");
        assert_eq!(counts.unacked, count(&|fate| matches!(fate, Fate::Held(_))), "unacked");
        assert_eq!(counts.waiting, count(&|fate| matches!(fate, Fate::Waiting(_))), "waiting");
        if self.rig.state.aside_count() < self.set_aside_max {
            self.check_nothing_starves();
        }
    }

    fn check_nothing_starves(&self) {
        let with_room: BTreeSet<ConsumerId> = self.consumers.keys().copied().filter(|id| self.has_room(*id)).collect();
        for (id, known) in self.messages.iter().filter(|(_, known)| known.fate == Fate::Ready) {
            let of_group = self.messages.values().filter(|other| known.group.is_some() && other.group == known.group);
            let fates: Vec<Fate> = of_group.map(|other| other.fate).collect();
            let waits = self.messages.iter().any(|(other_id, other)| {
                let comes_before = other.level > known.level || other.level == known.level && other_id < id;
                let is_of_group = known.group.is_some() && other.group == known.group;
                is_of_group && comes_before && matches!(other.fate, Fate::Waiting(_))
            });
            let holder = fates.iter().find(|fate| matches!(fate, Fate::Held(_)));
            let takers: Vec<_> = match holder {
                _ if waits => Vec::new(),
                None => with_room.iter().collect(),
                Some(holder) => with_room.iter().filter(|id| Fate::Held(Some(**id)) == *holder).collect(),
            };
            assert!(takers.is_empty(), "message {id} waits, and {takers:?} have room");
        }
    }

    fn has_room(&self, consumer: ConsumerId) -> bool {
        let held = self.messages.values().filter(|known| known.fate == Fate::Held(Some(consumer))).count();
        held < self.consumers[&consumer]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_group_is_in_order_with_one_holder_and_nobody_starves(
        max_priority in prop_oneof![3 => Just(None), 1 => Just(Some(2))],
        settings in settings(),
        sizing in sizing(),
        set_aside_max in prop_oneof![1 => 0u64..4, 2 => Just(1000)],
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let nature = Nature { max_priority, ..durable() };
        let settings = Settings { dead_letter_exchange: Some("dlx".into()), ..settings };
        let mut witness = Witness::new(nature, settings, Sizing { set_aside_max, ..sizing });
        for op in &ops {
            witness.run(op);
        }
    }
}
