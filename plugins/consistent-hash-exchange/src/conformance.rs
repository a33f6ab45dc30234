//! The type against the suite that every exchange type runs.

use leveret_amqp::{FieldTable, FieldValue, OwnedProperties};
use leveret_broker::exchange::conformance::{Message, Setup, check};

use crate::ConsistentHash;

fn setup(arguments: FieldTable, messages: Vec<Message>) -> Setup {
    let refused = |key: &str| (key.as_bytes().to_vec(), FieldTable::new());
    Setup {
        arguments,
        refused_arguments: vec![
            FieldTable::new().with("hash-header", "h").with("hash-property", "timestamp"),
            FieldTable::new().with("hash-property", "app_id"),
            FieldTable::new().with("hash-header", 1_i32),
        ],
        refused_bindings: ["", "a", "0", "-1", "4294967296"].map(refused).into(),
        messages,
        ..Setup::of_keys(["1", "2", "100", "4294967295"])
    }
}

#[test]
fn it_conforms_by_routing_key() {
    let messages = (0..20).map(|key| Message::of_key(format!("key.{key}"))).collect();
    check(&ConsistentHash, &setup(FieldTable::new(), messages)).unwrap();
}

#[test]
fn it_conforms_by_header() {
    let values = [FieldValue::from("a"), 1_i32.into(), true.into(), FieldValue::Void, FieldValue::F64(0.5)];
    let message = |value| Message::with_headers("k", FieldTable::new().with("h", value));
    let messages = values.map(message).into_iter().chain([Message::of_key("k")]).collect();
    check(&ConsistentHash, &setup(FieldTable::new().with("hash-header", "h"), messages)).unwrap();
}

#[test]
fn it_conforms_by_property() {
    for property in ["message_id", "correlation_id", "timestamp"] {
        let message = |number: u64| {
            let id = Some(number.to_string().into_bytes());
            let (message_id, correlation_id, timestamp) = (id.clone(), id, Some(number));
            Message::new("k", &OwnedProperties { message_id, correlation_id, timestamp, ..Default::default() })
        };
        let arguments = FieldTable::new().with("hash-property", property);
        check(&ConsistentHash, &setup(arguments, (0..10).map(message).collect())).unwrap();
    }
}
