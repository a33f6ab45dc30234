//! The queue's state: a batch comes in, is delivered, is acknowledged.

#![allow(missing_docs)]

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use leveret_broker::{
    message::{NewRecord, append_record},
    queue::{
        Action, Admission, Arrivals, Command, DeliveryRun, Nature, NewConsumerState, Outcome, Settings, Sizing, State,
        Window,
    },
};
use leveret_store::{Records, RecordsBuilder};

const CONSUMER: u64 = 1;

fn main() {
    divan::main();
}

fn records(count: u32) -> Records {
    let mut builder = RecordsBuilder::new();
    for _ in 0..count {
        let record = NewRecord {
            persistent: false,
            dead_lettered: false,
            priority: 0,
            timestamp_ms: 1,
            expiration_ms: None,
            exchange_and_key: b"\0\x01q",
            properties_raw: &[0, 0],
            body: &[0; 100],
        };
        append_record(builder.buffer(), &record);
        builder.end_record();
    }
    builder.finish()
}

fn consumer() -> NewConsumerState {
    NewConsumerState {
        id: CONSUMER,
        no_ack: false,
        exclusive: false,
        priority: 0,
        prefetch: 0,
        windows: Vec::new(),
        outbox: Arc::new(Window::new(0)),
    }
}

#[divan::bench(args = [1, 100])]
fn publish_deliver_acknowledge(bencher: Bencher<'_, '_>, batch: u32) {
    let records = records(batch);
    let mut state = State::new(Nature::default(), Settings::default(), Sizing::default());
    let mut actions = Vec::new();
    state.apply(1, Command::Consume(consumer()), &mut actions);
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
