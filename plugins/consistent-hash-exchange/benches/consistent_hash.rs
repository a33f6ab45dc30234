//! What a route costs by the number of bindings, without the publisher's cache.

#![allow(clippy::unwrap_used, missing_docs)]

use divan::{Bencher, black_box};
use leveret_amqp::FieldTable;
use leveret_broker::exchange::{Binding, Destination, ExchangeType, RouteInput, Router};
use leveret_consistent_hash_exchange::ConsistentHash;

const BINDINGS: [u32; 4] = [2, 10, 100, 1000];

fn main() {
    divan::main();
}

fn router(bindings: u32, weight: impl Fn(u32) -> u32) -> Box<dyn Router> {
    let mut router = ConsistentHash.router(&FieldTable::new()).unwrap();
    for number in 0..bindings {
        router.bind(&Binding {
            source: "x".into(),
            destination: Destination::Queue(format!("q{number}").into()),
            routing_key: weight(number).to_string().as_bytes().into(),
            arguments: FieldTable::new(),
        });
    }
    router
}

fn route(bencher: Bencher<'_, '_>, router: &dyn Router) {
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        router.route(&RouteInput::of_key(black_box(b"customer.4711.created")), &mut out);
        out.len()
    });
}

#[divan::bench(args = BINDINGS)]
fn equal_weights(bencher: Bencher<'_, '_>, bindings: u32) {
    route(bencher, &*router(bindings, |_| 1));
}

#[divan::bench(args = BINDINGS)]
fn four_weights(bencher: Bencher<'_, '_>, bindings: u32) {
    route(bencher, &*router(bindings, |number| 1 + number % 4));
}

/// The worst case.
#[divan::bench(args = BINDINGS)]
fn all_weights_different(bencher: Bencher<'_, '_>, bindings: u32) {
    route(bencher, &*router(bindings, |number| 1 + number));
}
