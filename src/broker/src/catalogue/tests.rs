#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use leveret_amqp::{FieldTable, FieldValue, TABLE_DEPTH_MAX};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;
use crate::{
    VHostMetadata,
    exchange::Destination,
    limits::{UserLimits, VHostLimits},
    policy::ApplyTo,
    queue::Kind,
};

fn exchange(arguments: FieldTable) -> Record {
    Record::Exchange(ExchangeRecord {
        vhost: "/".into(),
        name: "x".into(),
        kind: "topic".into(),
        durable: true,
        auto_delete: false,
        internal: true,
        arguments,
    })
}

fn binding(destination: Destination, routing_key: &[u8], arguments: FieldTable) -> Record {
    Record::Binding(BindingRecord {
        vhost: "/".into(),
        source: "x".into(),
        destination,
        routing_key: routing_key.into(),
        arguments,
    })
}

fn permission() -> Permissions {
    Permissions {
        user: "u".into(), vhost: "/".into(), configure: ".*".into(), write: String::new(), read: "^é".into()
    }
}

fn topic_permission() -> TopicPermissions {
    TopicPermissions {
        user: "u".into(),
        vhost: "/".into(),
        exchange: "x".into(),
        write: "{username}".into(),
        read: ".*".into(),
    }
}

fn policy() -> Policy {
    Policy {
        name: "p".into(),
        vhost: "/".into(),
        pattern: "^a".into(),
        apply_to: ApplyTo::ClassicQueues,
        priority: -5,
        definition: json!({"max-length": 5, "overflow": "drop-head"}).as_object().unwrap().clone(),
    }
}

/// One of each kind, in the order in which they come back.
fn one_of_each() -> Vec<Record> {
    let metadata =
        VHostMetadata { description: "all".into(), tags: vec!["t".into()], default_queue_type: Some(Kind::Quorum) };
    let vhost = VHostRecord { name: "/".into(), metadata };
    let vhost_limits = VHostLimits { max_connections: Some(5), max_queues: None };
    let user_limits = UserLimits { max_connections: None, max_channels: Some(-1) };
    let parameter = Parameter { vhost: "/".into(), component: "shovel".into(), name: "s".into(), value: json!([1]) };
    let queue = QueueRecord {
        id: u64::MAX,
        vhost: "/".into(),
        name: "q".into(),
        durable: true,
        auto_delete: true,
        arguments: FieldTable::new().with("x-max-length", 5_u8),
    };
    vec![
        Record::Meta(Meta { next_queue_id: u64::MAX }),
        Record::GlobalParameter(GlobalParameter { name: "cluster_name".into(), value: json!({"a": null}) }),
        Record::VHost(vhost),
        Record::VHostLimits(VHostLimitsRecord { vhost: "/".into(), limits: vhost_limits }),
        Record::User(User::new("u", Some(b"secret"), &["administrator"]).unwrap()),
        Record::UserLimits(UserLimitsRecord { user: "u".into(), limits: user_limits }),
        Record::Permission(permission()),
        Record::TopicPermission(topic_permission()),
        Record::Parameter(parameter),
        Record::Policy(policy()),
        Record::OperatorPolicy(policy()),
        exchange(FieldTable::new().with("alternate-exchange", "ae")),
        Record::Queue(queue),
        binding(Destination::Queue("q".into()), b"k\xff", FieldTable::new().with("x-match", "any")),
        Record::Timeline(TimelineRecord { id: 8, vhost: "/".into(), exchange: "x".into(), is_history: true }),
        Record::Cache(CacheRecord { id: 9, vhost: "/".into(), owner: Destination::Queue("q".into()) }),
    ]
}

#[track_caller]
fn round_trip(record: &Record) {
    let (key, value) = (record.key(), record.value());
    let read = Record::decode(&key, &value).unwrap();
    assert_eq!(&read, record);
    assert_eq!((read.key(), read.value()), (key, value), "the same bytes each time");
}

#[test]
fn every_kind_comes_back() {
    let records = one_of_each();
    records.iter().for_each(round_trip);
    let keys: Vec<_> = records.iter().map(Record::key).collect();
    assert!(keys.is_sorted(), "in the order in which they can be applied");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), records.len());
    round_trip(&Record::User(User::new("without", None, &[] as &[&str]).unwrap()));
}

/// The bytes are a format: a change of them needs a new version.
#[test]
fn the_form_of_version_1() {
    let record = binding(Destination::Exchange("y".into()), b"k", FieldTable::new().with("n", 5_i8));
    let json = r#"{"vhost":"/","source":"x","destination":{"exchange":"y"},"routing_key":"k","arguments":["n","b",5]}"#;
    assert_eq!(record.value(), [b"\x01", json.as_bytes()].concat());
    let key = record.key();
    assert_eq!(key[..key.len() - 16], *b"\x42/\x00\x01x\x00\x01e\x00\x01y\x00\x01k\x00\x01");
    let user = Record::decode(
        b"\x20u\x00\x01",
        concat!(
            "\x01",
            r#"{"name":"u","password":{"password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","#,
            r#""hashing_algorithm":"rabbit_password_hashing_sha256"},"tags":["administrator"]}"#
        )
        .as_bytes(),
    );
    let Ok(Record::User(user)) = user else { panic!("{user:?}") };
    assert!(user.password.unwrap().verify(b"test12"));
    let vhost = Record::VHost(VHostRecord { name: "v".into(), metadata: VHostMetadata::default() });
    for json in
        [r#"{"name":"v"}"#, r#"{"name":"v","description":"","tags":[],"default_queue_type":null,"tracing":false}"#]
    {
        let read = Record::decode(b"\x10v\x00\x01", [b"\x01", json.as_bytes()].concat().as_slice()).unwrap();
        assert_eq!(read, vhost);
    }
}

/// Found by fuzzing: this number became another one each time it was read.
#[test]
fn numbers_come_back_to_the_last_digit() {
    let definition = json!({"n": 2.2222222020017227e+30}).as_object().unwrap().clone();
    round_trip(&Record::Policy(Policy { definition, ..policy() }));
}

#[test]
fn what_cannot_be_read() {
    let record = exchange(FieldTable::new());
    let (key, mut value) = (record.key(), record.value());
    value[0] = 2;
    let error = Record::decode(&key, &value).unwrap_err();
    assert_eq!(
        error.to_string(),
        "catalogue: exchange record of version 2, which this version cannot read; was it written by a newer one?"
    );
    assert!(matches!(Record::decode(&key, b""), Err(CatalogueError::Empty)));
    assert!(matches!(Record::decode(b"", b"\x01{}"), Err(CatalogueError::Empty)));
    assert!(matches!(Record::decode(b"\xfe", b"\x01{}"), Err(CatalogueError::Kind(0xfe))));
    assert!(matches!(Record::decode(&key, b"\x01{"), Err(CatalogueError::Malformed { kind: "exchange", .. })));
    let other = Record::decode(b"\x40/\x00\x01y\x00\x01", &record.value());
    assert!(matches!(other, Err(CatalogueError::Misplaced("exchange"))));
}

#[test]
fn malformed_arguments() {
    let key = exchange(FieldTable::new()).key();
    for arguments in [
        "{}",
        "[1]",
        r#"["n","b"]"#,
        r#"["n","b",300]"#,
        r#"["n","?",1]"#,
        r#"["n","A",["b"]]"#,
        r#"["n","D",[1]]"#,
        r#"["n","x",{"base64":"?"}]"#,
        r#"["n","t",1]"#,
        r#"["n","u",-1]"#,
    ] {
        let value = format!(
            "\x01{{\"vhost\":\"/\",\"name\":\"x\",\"kind\":\"topic\",\"durable\":true,\"auto_delete\":false,\
             \"internal\":true,\"arguments\":{arguments}}}"
        );
        let read = Record::decode(&key, value.as_bytes());
        assert!(matches!(read, Err(CatalogueError::Malformed { .. })), "{arguments}: {read:?}");
    }
}

#[test]
fn a_binding_is_its_arguments_in_any_order() {
    let key = |arguments: FieldTable| binding(Destination::Queue("q".into()), b"k", arguments).key();
    let (one, other) = (FieldTable::new().with("a", 1).with("b", 2), FieldTable::new().with("b", 2).with("a", 1));
    assert_eq!(key(one.clone()), key(other));
    assert_ne!(key(one), key(FieldTable::new().with("a", 1)));
    assert_ne!(key(FieldTable::new()), binding(Destination::Exchange("q".into()), b"k", FieldTable::new()).key());
}

/// As deep as the wire lets a table be, it must come back, or a client could make a broker that does not start.
#[test]
fn tables_as_deep_as_the_wire_allows() {
    let mut deep = FieldTable::new().with("n", FieldValue::Void);
    for level in 1..TABLE_DEPTH_MAX {
        let inner = if level % 2 == 0 { FieldValue::Table(deep) } else { FieldValue::Array(vec![deep.into()]) };
        deep = FieldTable::new().with("n", inner);
    }
    round_trip(&exchange(deep));
}

#[test]
fn a_name_twice_stays_twice() {
    let contents = b"\x01nb\x01\x01nb\x02";
    let table = FieldTable::decode_contents(contents).unwrap();
    assert_eq!(table.len(), 2);
    round_trip(&exchange(table));
}

fn any_field_value() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<f32>().prop_map(FieldValue::F32),
        any::<f64>().prop_map(FieldValue::F64),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        any::<String>().prop_map(FieldValue::from),
        any::<Vec<u8>>().prop_map(FieldValue::LongString),
        any::<Vec<u8>>().prop_map(FieldValue::ByteArray),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(FieldValue::Array),
            vec((any::<String>(), inner), 0..6).prop_map(|entries| entries.into_iter().collect::<FieldTable>().into()),
        ]
    })
}

proptest! {
    /// Compared as wire bytes, in which also floats that are not numbers are equal to themselves.
    #[test]
    fn tables_lose_nothing(entries in vec((any::<String>(), any_field_value()), 0..8)) {
        let table: FieldTable = entries.into_iter().collect();
        let record = exchange(table.clone());
        let Record::Exchange(read) = Record::decode(&record.key(), &record.value()).unwrap() else { panic!() };
        let bytes = |table: &FieldTable| {
            let mut bytes = Vec::new();
            table.encode(&mut bytes);
            bytes
        };
        prop_assert_eq!(bytes(&read.arguments), bytes(&table));
    }

    #[test]
    fn names_of_any_kind(vhost: String, name: String, key: Vec<u8>) {
        let record = Record::Binding(BindingRecord {
            vhost: vhost.into(),
            source: name.as_str().into(),
            destination: Destination::Queue(name.into()),
            routing_key: key.into(),
            arguments: FieldTable::new(),
        });
        round_trip(&record);
    }

    #[test]
    fn no_bytes_panic(key: Vec<u8>, value: Vec<u8>) {
        let _ = Record::decode(&key, &value);
    }
}
