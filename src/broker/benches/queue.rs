//! The queue's state: a batch comes in, is delivered, is acknowledged.
//!
//! With message groups beside the same without: many groups, many consumers with a window each, a backlog before them.

#![allow(missing_docs)]

use std::{collections::VecDeque, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use leveret_amqp::{FieldTable, OwnedProperties};
use leveret_broker::{
    message::{NewRecord, append_record},
    queue::{
        Action, Admission, Arrivals, Command, DeliveryRun, GroupKey, Nature, NewConsumerState, Outcome, Run, Runs,
        Settings, Sizing, State, Window,
    },
};
use leveret_store::{Records, RecordsBuilder};

const CONSUMER: u64 = 1;

/// Of a queue with groups.
const CONSUMERS: usize = 16;
const GROUPS: u32 = 1000;
const BACKLOG: u32 = 20_000;

fn main() {
    divan::main();
}

fn records(count: u32) -> Records {
    records_of(std::iter::repeat_n(OwnedProperties::default(), count as usize))
}

/// Each of a group, drawn by a fixed rule.
fn grouped_records(count: u32) -> Records {
    let mut state: u32 = 1;
    records_of((0..count).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let group = format!("group-{}", (state >> 8) % GROUPS);
        let headers = FieldTable::new().with("x-group-id", group.as_str());
        OwnedProperties { headers: Some(headers), ..OwnedProperties::default() }
    }))
}

fn records_of(messages: impl Iterator<Item = OwnedProperties>) -> Records {
    let mut builder = RecordsBuilder::new();
    for properties in messages {
        let record = NewRecord {
            persistent: false,
            dead_lettered: false,
            priority: 0,
            timestamp_ms: 1,
            expiration_ms: None,
            exchange_and_key: b"\0\x01q",
            properties_raw: &properties.to_raw(),
            body: &[0; 100],
        };
        append_record(builder.buffer(), &record);
        builder.end_record();
    }
    builder.finish()
}

fn consumer(id: u64, prefetch: u32) -> NewConsumerState {
    NewConsumerState {
        id,
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch,
        windows: Vec::new(),
        outbox: Arc::new(Window::new(0)),
    }
}

#[divan::bench(args = [1, 100])]
fn publish_deliver_acknowledge(bencher: Bencher<'_, '_>, batch: u32) {
    let records = records(batch);
    let mut state = State::new(Nature::default(), Settings::default(), Sizing::default());
    let mut actions = Vec::new();
    state.apply(1, Command::Consume(consumer(CONSUMER, 0)), &mut actions);
    actions.clear();
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        let arrivals =
            Arrivals { records: records.clone(), picks: vec![0..batch], admission: Admission::Judged, awaited_from: 1 };
        state.apply(1, Command::Publish(arrivals), &mut actions);
        for action in std::mem::take(&mut actions) {
            if let Action::Deliver { consumer, runs } = action {
                let runs = runs.iter().map(DeliveryRun::run).collect();
                let settle = Command::Settle { consumer: Some(consumer), runs, outcome: Outcome::Ack };
                state.apply(1, settle, &mut actions);
            }
        }
        actions.clear();
    });
}

#[divan::bench(args = [20, 200], sample_count = 1000)]
fn with_groups(bencher: Bencher<'_, '_>, prefetch: u32) {
    bench_crowd(bencher, prefetch, Some(GroupKey::Header("x-group-id".into())));
}

#[divan::bench(args = [20, 200], sample_count = 1000)]
fn without_groups(bencher: Bencher<'_, '_>, prefetch: u32) {
    bench_crowd(bencher, prefetch, None);
}

/// A queue with a backlog, and consumers who take turns to acknowledge a tenth of what they may have.
fn bench_crowd(bencher: Bencher<'_, '_>, prefetch: u32, key: Option<GroupKey>) {
    let step = prefetch / 10;
    let batch = grouped_records(BACKLOG);
    let mut crowd = Crowd::new(prefetch, key);
    crowd.publish(&batch, 0..BACKLOG);
    let mut from = 0;
    bencher.counter(ItemsCount::new(step as usize * CONSUMERS)).bench_local(|| {
        for consumer in 0..CONSUMERS {
            crowd.publish(&batch, from..from + step);
            crowd.acknowledge(consumer, step);
            from = (from + step) % (BACKLOG - step);
        }
    });
}

struct Crowd {
    state: State,
    unacked: [VecDeque<Run>; CONSUMERS],
    actions: Vec<Action>,
}

impl Crowd {
    fn new(prefetch: u32, key: Option<GroupKey>) -> Self {
        let state = State::new(Nature::default(), Settings::default(), Sizing::default()).with_groups(key);
        let mut crowd = Self { state, unacked: Default::default(), actions: Vec::new() };
        for id in 0..CONSUMERS as u64 {
            crowd.apply(Command::Consume(consumer(id, prefetch)));
        }
        crowd
    }

    fn publish(&mut self, records: &Records, picks: std::ops::Range<u32>) {
        let records = records.clone();
        let arrivals = Arrivals { records, picks: vec![picks], admission: Admission::Judged, awaited_from: 1 };
        self.apply(Command::Publish(arrivals));
    }

    /// The first that a consumer has, up to `count`.
    fn acknowledge(&mut self, consumer: usize, count: u32) {
        let (mut runs, mut left) = (Runs::<Run>::new(), count);
        while left > 0
            && let Some(first) = self.unacked[consumer].front_mut()
        {
            let taken = first.count.min(left);
            runs.push(Run { count: taken, ..*first });
            left -= taken;
            first.position.seq += u64::from(taken);
            first.count -= taken;
            if first.count == 0 {
                self.unacked[consumer].pop_front();
            }
        }
        self.apply(Command::Settle { consumer: Some(consumer as u64), runs, outcome: Outcome::Ack });
    }

    fn apply(&mut self, command: Command) {
        self.state.apply(1, command, &mut self.actions);
        for action in self.actions.drain(..) {
            if let Action::Deliver { consumer, runs } = action {
                self.unacked[consumer as usize].extend(runs.iter().map(DeliveryRun::run));
            }
        }
    }
}
