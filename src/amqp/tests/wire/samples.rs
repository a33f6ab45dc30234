//! One of each: values that the other tests share.

use bytes::BytesMut;
use leveret_amqp::{
    FieldTable, FieldValue, Method, OwnedProperties, access, basic, channel, confirm, connection, exchange, queue, tx,
};
use proptest::prelude::*;

/// A table with a value of every type.
pub(crate) fn every_type() -> FieldTable {
    FieldTable::new()
        .with("t", true)
        .with("b", -1_i8)
        .with("B", 200_u8)
        .with("s", -300_i16)
        .with("u", 60_000_u16)
        .with("I", -70_000_i32)
        .with("i", 4_000_000_000_u32)
        .with("l", i64::MIN)
        .with("f", 1.5_f32)
        .with("d", -2.25_f64)
        .with("D", FieldValue::Decimal { scale: 2, value: 314 })
        .with("S", "long string")
        .with("x", FieldValue::ByteArray(vec![0, 255]))
        .with("A", vec![FieldValue::I32(1), FieldValue::from("two"), FieldValue::Array(Vec::new())])
        .with("T", FieldValue::Timestamp(1_700_000_000))
        .with("F", FieldTable::new().with("inner", FieldTable::new().with("innermost", false)))
        .with("V", FieldValue::Void)
}

/// Properties with all fourteen fields.
pub(crate) fn all_properties() -> OwnedProperties {
    OwnedProperties {
        content_type: Some("text/plain".into()),
        content_encoding: Some("gzip".into()),
        headers: Some(every_type()),
        delivery_mode: Some(2),
        priority: Some(9),
        correlation_id: Some("correlation".into()),
        reply_to: Some("replies".into()),
        expiration: Some("60000".into()),
        message_id: Some("message".into()),
        timestamp: Some(1_700_000_000),
        kind: Some("order".into()),
        user_id: Some("guest".into()),
        app_id: Some("tests".into()),
        cluster_id: Some(vec![0xFF, 0xFE]),
    }
}

/// The whole frame of a method, on channel 7.
pub(crate) fn frame_of(method: &Method<'_>) -> BytesMut {
    let mut out = BytesMut::new();
    method.encode(7, &mut out);
    out
}

/// Every method, with its ids and its name from the specification.
pub(crate) fn every_method() -> Vec<(u16, u16, &'static str, Method<'static>)> {
    [connection_and_channel(), topology(), basic_class(), the_rest()].concat()
}

type Sample = (u16, u16, &'static str, Method<'static>);

fn connection_and_channel() -> Vec<Sample> {
    use connection as c;
    vec![
        (
            10,
            10,
            "connection.start",
            c::Start {
                version_major: 0,
                version_minor: 9,
                server_properties: every_type(),
                mechanisms: b"PLAIN AMQPLAIN",
                locales: b"en_US",
            }
            .into(),
        ),
        (
            10,
            11,
            "connection.start-ok",
            c::StartOk {
                client_properties: every_type(),
                mechanism: "PLAIN",
                response: b"\0guest\0guest",
                locale: "en_US",
            }
            .into(),
        ),
        (10, 20, "connection.secure", c::Secure { challenge: b"?" }.into()),
        (10, 21, "connection.secure-ok", c::SecureOk { response: b"!" }.into()),
        (10, 30, "connection.tune", c::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 }.into()),
        (10, 31, "connection.tune-ok", c::TuneOk { channel_max: 1, frame_max: 4096, heartbeat: 0 }.into()),
        (10, 40, "connection.open", c::Open { virtual_host: "/" }.into()),
        (10, 41, "connection.open-ok", c::OpenOk.into()),
        (
            10,
            50,
            "connection.close",
            c::Close { reply_code: 501, reply_text: "FRAME_ERROR - x", class_id: 60, method_id: 40 }.into(),
        ),
        (10, 51, "connection.close-ok", c::CloseOk.into()),
        (10, 60, "connection.blocked", c::Blocked { reason: "low on memory" }.into()),
        (10, 61, "connection.unblocked", c::Unblocked.into()),
        (10, 70, "connection.update-secret", c::UpdateSecret { new_secret: b"token", reason: "renewed" }.into()),
        (10, 71, "connection.update-secret-ok", c::UpdateSecretOk.into()),
        (20, 10, "channel.open", channel::Open.into()),
        (20, 11, "channel.open-ok", channel::OpenOk.into()),
        (20, 20, "channel.flow", channel::Flow { active: true }.into()),
        (20, 21, "channel.flow-ok", channel::FlowOk { active: true }.into()),
        (
            20,
            40,
            "channel.close",
            channel::Close { reply_code: 404, reply_text: "NOT_FOUND - é", class_id: 50, method_id: 10 }.into(),
        ),
        (20, 41, "channel.close-ok", channel::CloseOk.into()),
    ]
}

fn topology() -> Vec<Sample> {
    let arguments = every_type;
    vec![
        (
            40,
            10,
            "exchange.declare",
            exchange::Declare {
                exchange: "x",
                kind: "topic",
                passive: false,
                durable: true,
                auto_delete: false,
                internal: true,
                no_wait: false,
                arguments: arguments(),
            }
            .into(),
        ),
        (40, 11, "exchange.declare-ok", exchange::DeclareOk.into()),
        (40, 20, "exchange.delete", exchange::Delete { exchange: "x", if_unused: false, no_wait: true }.into()),
        (40, 21, "exchange.delete-ok", exchange::DeleteOk.into()),
        (
            40,
            30,
            "exchange.bind",
            exchange::Bind {
                destination: "d",
                source: "s",
                routing_key: b"a.#",
                no_wait: true,
                arguments: arguments(),
            }
            .into(),
        ),
        (40, 31, "exchange.bind-ok", exchange::BindOk.into()),
        (
            40,
            40,
            "exchange.unbind",
            exchange::Unbind {
                destination: "d",
                source: "s",
                routing_key: b"\xFF",
                no_wait: false,
                arguments: FieldTable::new(),
            }
            .into(),
        ),
        (40, 51, "exchange.unbind-ok", exchange::UnbindOk.into()),
        (
            50,
            10,
            "queue.declare",
            queue::Declare {
                queue: "q",
                passive: true,
                durable: false,
                exclusive: true,
                auto_delete: false,
                no_wait: true,
                arguments: arguments(),
            }
            .into(),
        ),
        (
            50,
            11,
            "queue.declare-ok",
            queue::DeclareOk { queue: "q", message_count: u32::MAX, consumer_count: 3 }.into(),
        ),
        (
            50,
            20,
            "queue.bind",
            queue::Bind { queue: "q", exchange: "x", routing_key: b"k", no_wait: false, arguments: arguments() }.into(),
        ),
        (50, 21, "queue.bind-ok", queue::BindOk.into()),
        (50, 30, "queue.purge", queue::Purge { queue: "q", no_wait: true }.into()),
        (50, 31, "queue.purge-ok", queue::PurgeOk { message_count: 5 }.into()),
        (50, 40, "queue.delete", queue::Delete { queue: "q", if_unused: true, if_empty: false, no_wait: true }.into()),
        (50, 41, "queue.delete-ok", queue::DeleteOk { message_count: 6 }.into()),
        (
            50,
            50,
            "queue.unbind",
            queue::Unbind { queue: "q", exchange: "x", routing_key: b"", arguments: arguments() }.into(),
        ),
        (50, 51, "queue.unbind-ok", queue::UnbindOk.into()),
    ]
}

fn basic_class() -> Vec<Sample> {
    use basic as b;
    vec![
        (60, 10, "basic.qos", b::Qos { prefetch_size: 1, prefetch_count: 250, global: true }.into()),
        (60, 11, "basic.qos-ok", b::QosOk.into()),
        (
            60,
            20,
            "basic.consume",
            b::Consume {
                queue: "q",
                consumer_tag: "c",
                no_local: true,
                no_ack: false,
                exclusive: true,
                no_wait: false,
                arguments: every_type(),
            }
            .into(),
        ),
        (60, 21, "basic.consume-ok", b::ConsumeOk { consumer_tag: "c" }.into()),
        (60, 30, "basic.cancel", b::Cancel { consumer_tag: "c", no_wait: true }.into()),
        (60, 31, "basic.cancel-ok", b::CancelOk { consumer_tag: "c" }.into()),
        (
            60,
            40,
            "basic.publish",
            b::Publish {
                exchange: "amq.topic",
                routing_key: b"a.\xFFb",
                mandatory: false,
                immediate: true,
                exchange_and_key: b"\x09amq.topic\x04a.\xFFb",
            }
            .into(),
        ),
        (
            60,
            50,
            "basic.return",
            b::Return { reply_code: 312, reply_text: "NO_ROUTE", exchange: "x", routing_key: b"k" }.into(),
        ),
        (
            60,
            60,
            "basic.deliver",
            b::Deliver {
                consumer_tag: "c",
                delivery_tag: u64::MAX,
                redelivered: true,
                exchange: "",
                routing_key: b"q",
            }
            .into(),
        ),
        (60, 70, "basic.get", b::Get { queue: "q", no_ack: true }.into()),
        (
            60,
            71,
            "basic.get-ok",
            b::GetOk { delivery_tag: 1, redelivered: false, exchange: "x", routing_key: b"k", message_count: 9 }.into(),
        ),
        (60, 72, "basic.get-empty", b::GetEmpty.into()),
        (60, 80, "basic.ack", b::Ack { delivery_tag: 12, multiple: true }.into()),
        (60, 90, "basic.reject", b::Reject { delivery_tag: 13, requeue: true }.into()),
        (60, 100, "basic.recover-async", b::RecoverAsync { requeue: true }.into()),
        (60, 110, "basic.recover", b::Recover { requeue: true }.into()),
        (60, 111, "basic.recover-ok", b::RecoverOk.into()),
        (60, 120, "basic.nack", b::Nack { delivery_tag: 14, multiple: false, requeue: true }.into()),
    ]
}

fn the_rest() -> Vec<Sample> {
    vec![
        (
            30,
            10,
            "access.request",
            access::Request { realm: "/data", exclusive: false, passive: true, active: true, write: true, read: false }
                .into(),
        ),
        (30, 11, "access.request-ok", access::RequestOk { ticket: 1 }.into()),
        (85, 10, "confirm.select", confirm::Select { no_wait: true }.into()),
        (85, 11, "confirm.select-ok", confirm::SelectOk.into()),
        (90, 10, "tx.select", tx::Select.into()),
        (90, 11, "tx.select-ok", tx::SelectOk.into()),
        (90, 20, "tx.commit", tx::Commit.into()),
        (90, 21, "tx.commit-ok", tx::CommitOk.into()),
        (90, 30, "tx.rollback", tx::Rollback.into()),
        (90, 31, "tx.rollback-ok", tx::RollbackOk.into()),
    ]
}

/// Any value, nested up to four levels; floats without NaN, which is not equal to itself.
pub(crate) fn any_value() -> impl Strategy<Value = FieldValue> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        (-1e30_f32..1e30).prop_map(FieldValue::F32),
        (-1e300_f64..1e300).prop_map(FieldValue::F64),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        any::<Vec<u8>>().prop_map(FieldValue::LongString),
        any::<Vec<u8>>().prop_map(FieldValue::ByteArray),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
    ];
    scalar.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(FieldValue::Array),
            prop::collection::vec((short_text(), inner), 0..6)
                .prop_map(|entries| FieldValue::Table(entries.into_iter().collect())),
        ]
    })
}

/// Any table.
pub(crate) fn any_table() -> impl Strategy<Value = FieldTable> {
    prop::collection::vec((short_text(), any_value()), 0..8).prop_map(|entries| entries.into_iter().collect())
}

/// Any text that fits a short string.
pub(crate) fn short_text() -> impl Strategy<Value = String> {
    "\\PC{0,60}"
}
