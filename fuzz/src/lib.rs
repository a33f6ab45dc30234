//! What the fuzz targets for exchanges share.

use leveret_amqp::{FieldTable, Properties, RawTable};
use leveret_broker::exchange::{Binding, Destination, RouteInput, Router};

/// A binding of a queue, without arguments.
pub fn binding(routing_key: &str, queue: &str) -> Binding {
    Binding {
        source: "x".into(),
        destination: Destination::Queue(queue.into()),
        routing_key: routing_key.as_bytes().into(),
        arguments: FieldTable::new(),
    }
}

/// The names that a message is routed to, sorted.
///
/// # Panics
/// Where one comes twice.
pub fn routed(router: &dyn Router, routing_key: &[u8], headers: Option<RawTable<'_>>) -> Vec<String> {
    let mut out = Vec::new();
    let properties = Properties { headers, ..Properties::EMPTY };
    router.route(&RouteInput { routing_key, properties: &properties }, &mut out);
    let mut names: Vec<String> = out.iter().map(|destination| destination.name().to_string()).collect();
    names.sort();
    assert!(names.is_sorted_by(|one, next| one < next), "a destination came twice: {names:?}");
    names
}
