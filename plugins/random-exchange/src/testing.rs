//! What the tests of both types use.

use std::collections::BTreeMap;

use leveret_amqp::FieldTable;
use leveret_broker::exchange::{Binding, Destination, RouteInput, Router};

pub(crate) fn binding(routing_key: &str, queue: &str) -> Binding {
    Binding {
        source: "x".into(),
        destination: Destination::Queue(queue.into()),
        routing_key: routing_key.as_bytes().into(),
        arguments: FieldTable::new(),
    }
}

/// How often each queue gets one of so many messages.
pub(crate) fn draws(router: &dyn Router, messages: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut out = Vec::new();
    for _ in 0..messages {
        router.route(&RouteInput::of_key(b"k"), &mut out);
        assert!(out.len() <= 1);
        for destination in out.drain(..) {
            *counts.entry(destination.name().to_string()).or_default() += 1;
        }
    }
    counts
}
