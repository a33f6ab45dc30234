//! Routing a message through topic and headers exchanges, without the publisher's cache.

#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use divan::{Bencher, black_box};
use leveret_amqp::{FieldTable, Properties, RawTable};
use leveret_broker::{
    exchange::{Binding, Destination, ExchangeTypes, RouteInput},
    routing::{Sender, route},
    topology::{DeclareExchange, Topology},
};

fn main() {
    divan::main();
}

/// A vhost with one exchange `x` and ten queues that `bindings` lead to.
fn topology(kind: &str, bindings: impl Iterator<Item = (String, FieldTable)>) -> Topology<u32> {
    let mut topology = Topology::new("/", ExchangeTypes::default());
    let declare = DeclareExchange {
        name: "x",
        kind,
        durable: false,
        auto_delete: false,
        internal: false,
        arguments: &FieldTable::new(),
    };
    topology.declare_exchange(&declare).unwrap();
    let names: Vec<Arc<str>> = (0..10).map(|number| format!("q{number}").into()).collect();
    for (number, name) in (0..).zip(&names) {
        topology.add_queue(Arc::clone(name), number);
    }
    for ((key, arguments), name) in bindings.zip(names.iter().cycle()) {
        let destination = Destination::Queue(Arc::clone(name));
        let routing_key = key.as_bytes().into();
        topology.bind(Binding { source: "x".into(), destination, routing_key, arguments }).unwrap();
    }
    topology
}

#[divan::bench(args = [10, 1000, 10_000])]
fn topic(bencher: Bencher<'_, '_>, bindings: u32) {
    let pattern = |number: u32| match number % 4 {
        0 => format!("eu.{number}.created"),
        1 => format!("*.{number}.created"),
        2 => format!("eu.{number}.#"),
        _ => format!("#.{number}"),
    };
    let topology = topology("topic", (0..bindings).map(|number| (pattern(number), FieldTable::new())));
    bencher.bench_local(|| {
        let input = RouteInput::of_key(black_box(b"eu.6.created"));
        route(&topology, Sender::Client, "x", input, 0).unwrap().queues.len()
    });
}

#[divan::bench(args = [10, 100])]
fn headers(bencher: Bencher<'_, '_>, bindings: u32) {
    let rule = |number: u32| FieldTable::new().with("x-match", "all").with("kind", "pdf").with("size", number);
    let topology = topology("headers", (0..bindings).map(|number| (String::new(), rule(number))));
    let mut encoded = Vec::new();
    FieldTable::new().with("kind", "pdf").with("size", 5_u32).encode_contents(&mut encoded);
    let message = Properties { headers: Some(RawTable::new(&encoded)), ..Properties::EMPTY };
    bencher.bench_local(|| {
        let input = RouteInput { routing_key: b"", properties: black_box(&message) };
        route(&topology, Sender::Client, "x", input, 0).unwrap().queues.len()
    });
}
