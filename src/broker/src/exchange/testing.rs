//! What the tests of several routers use.

use leveret_amqp::{FieldTable, FieldValue, Properties, RawTable};
use proptest::{prelude::*, sample::select};

use super::{Binding, Destination, RouteInput, Router};

pub(crate) fn queue(name: &str) -> Destination {
    Destination::Queue(name.into())
}

pub(crate) fn binding(routing_key: &str, queue_name: &str) -> Binding {
    Binding {
        source: "x".into(),
        destination: queue(queue_name),
        routing_key: routing_key.as_bytes().into(),
        arguments: FieldTable::new(),
    }
}

/// The names routed to, sorted. Panics where one comes twice.
pub(crate) fn routed(router: &dyn Router, routing_key: &str) -> Vec<String> {
    sorted_names(router, &RouteInput::of_key(routing_key.as_bytes()))
}

/// Likewise, by headers.
pub(crate) fn routed_by_headers(router: &dyn Router, headers: &FieldTable) -> Vec<String> {
    let mut contents = Vec::new();
    headers.encode_contents(&mut contents);
    sorted_names(router, &RouteInput { routing_key: b"", properties: &with_headers(&contents) })
}

/// Properties that are headers only, of these entries on the wire.
pub(crate) fn with_headers(contents: &[u8]) -> Properties<'_> {
    Properties { headers: Some(RawTable::new(contents)), ..Properties::EMPTY }
}

fn sorted_names(router: &dyn Router, input: &RouteInput<'_>) -> Vec<String> {
    let mut out = Vec::new();
    router.route(input, &mut out);
    let mut names: Vec<_> = out.iter().map(|destination| destination.name().to_string()).collect();
    names.sort();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before, "a destination came twice");
    names
}

/// A value of few distinct ones, so that values meet.
pub(crate) fn value() -> impl Strategy<Value = FieldValue> {
    let scalar = prop_oneof![
        (0..3_i8).prop_map(FieldValue::I8),
        (0..3_u16).prop_map(FieldValue::U16),
        (0..3_i64).prop_map(FieldValue::I64),
        (0..2_u64).prop_map(FieldValue::Timestamp),
        select(&[0.0_f32, -0.0, 1.0][..]).prop_map(FieldValue::F32),
        select(&[0.0_f64, -0.0, 1.0][..]).prop_map(FieldValue::F64),
        any::<bool>().prop_map(FieldValue::Bool),
        select(&["", "a", "b"][..]).prop_map(FieldValue::from),
        select(&["", "a"][..]).prop_map(|text| FieldValue::ByteArray(text.into())),
        (0..2_u8, 0..2_u32).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        Just(FieldValue::Void),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(FieldValue::Array),
            proptest::collection::vec((select(&["k", "l"][..]), inner), 0..3)
                .prop_map(|entries| FieldValue::Table(entries.into_iter().collect())),
        ]
    })
}
