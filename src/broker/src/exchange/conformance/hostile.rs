//! What nobody sends who means well.

use leveret_amqp::{FieldTable, FieldValue, OwnedProperties, Properties, RawTable, ReplyCode};

use super::{
    Message, Rule, Setup, Violation,
    subject::{Subject, binding, pool, shown},
    violation::hold,
};
use crate::exchange::{Binding, Destination, ExchangeType};

pub(super) fn check(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    let subject = Subject::with(kind, setup, &pool(setup, 2))?;
    messages().iter().try_for_each(|message| subject.route(message).map(|_| ()))?;
    for wrong in refused_bindings(setup) {
        hold(Rule::BindingsRefused, subject.validate(&wrong)?.is_err(), || format!("{} accepted", shown(&wrong)))?;
    }
    bindings(setup).iter().chain(&refused_bindings(setup)).try_for_each(|hostile| check_binding(kind, setup, hostile))
}

/// Whatever the type thinks of a binding: one that was made while the type was missing comes without being asked for,
/// and must do no harm.
fn check_binding(kind: &dyn ExchangeType, setup: &Setup, hostile: &Binding) -> Result<(), Violation> {
    let usual = pool(setup, 1);
    let mut subject = Subject::with(kind, setup, &usual)?;
    let error = subject.validate(hostile)?.err();
    let precise = error.as_ref().is_none_or(|error| error.code == ReplyCode::PreconditionFailed);
    hold(Rule::BindingsRefused, precise, || format!("{} refused with {error:?}", shown(hostile)))?;
    subject.bind(hostile)?;
    setup.messages.iter().chain(&messages()).try_for_each(|message| subject.route(message).map(|_| ()))?;
    subject.unbind(hostile)?;
    let fresh = Subject::with(kind, setup, &usual)?;
    subject.check_same(&fresh, &setup.messages, Rule::Removal, || format!("{} came and went", shown(hostile)))
}

fn refused_bindings(setup: &Setup) -> Vec<Binding> {
    let queue = || Destination::Queue("hostile".into());
    let wrong = setup.refused_bindings.iter().map(|(key, arguments)| binding(queue(), key, arguments));
    let (key, arguments) = &setup.bindings[0];
    let exchange = (!setup.binds_exchanges).then(|| binding(Destination::Exchange("e".into()), key, arguments));
    wrong.chain(exchange).collect()
}

/// Bindings with every key, and those of the setup with every value in place of each argument.
fn bindings(setup: &Setup) -> Vec<Binding> {
    let queue = || Destination::Queue("hostile".into());
    let by_key = keys().into_iter().map(|key| binding(queue(), &key, &FieldTable::new()));
    let by_argument = setup.bindings.iter().flat_map(|(key, arguments)| {
        let names = arguments.iter().map(|(name, _)| name).chain(["x-match"]);
        names.flat_map(move |name| {
            values().into_iter().map(move |value| {
                let mut arguments = arguments.clone();
                arguments.insert(name, value);
                binding(queue(), key, &arguments)
            })
        })
    });
    by_key.chain(by_argument).collect()
}

/// Keys at their limits, and of what no text has.
pub(super) fn keys() -> Vec<Vec<u8>> {
    let short: [&[u8]; 12] = [
        b"",
        b".",
        b"..",
        b"#",
        b"*",
        b"#.#.#",
        b"\0",
        b"\xff\xfe",
        b"a\xc3",
        b"-1",
        b"99999999999999999999",
        b"%s'\"",
    ];
    let long = [b'a', b'.', b'#', b'9', 0xff].map(|byte| vec![byte; 255]);
    short.into_iter().map(<[u8]>::to_vec).chain(long).collect()
}

/// A value of each type, empty and extreme ones among them.
pub(super) fn values() -> Vec<FieldValue> {
    let nested = FieldTable::new().with("", FieldValue::Void).with("t", FieldTable::new().with("n", 1_i64));
    vec![
        FieldValue::Bool(true),
        FieldValue::I8(i8::MIN),
        FieldValue::U8(u8::MAX),
        FieldValue::I16(i16::MIN),
        FieldValue::U16(u16::MAX),
        FieldValue::I32(-1),
        FieldValue::U32(u32::MAX),
        FieldValue::I64(0),
        FieldValue::I64(i64::MIN),
        FieldValue::I64(i64::MAX),
        FieldValue::F32(f32::NAN),
        FieldValue::F64(f64::NEG_INFINITY),
        FieldValue::Decimal { scale: u8::MAX, value: u32::MAX },
        FieldValue::LongString(Vec::new()),
        FieldValue::LongString(vec![0xff; 300]),
        FieldValue::LongString(b"text".to_vec()),
        FieldValue::ByteArray(vec![0]),
        FieldValue::Array(vec![FieldValue::Array(Vec::new()), FieldValue::Void]),
        FieldValue::Timestamp(u64::MAX),
        FieldValue::Table(FieldTable::new()),
        FieldValue::Table(nested),
        FieldValue::Void,
    ]
}

/// Messages with every key, with headers of every type, and with headers that are none.
pub(super) fn messages() -> Vec<Message> {
    let by_key = keys().into_iter().map(Message::of_key);
    let by_header = values().into_iter().map(|value| {
        let names = ["", "a", "x-match", "x-argument", "CC", "x-delay"];
        Message::with_headers("a", names.into_iter().map(|name| (name, value.clone())).collect())
    });
    let malformed = MALFORMED.iter().map(|contents| {
        let mut raw = Vec::new();
        Properties { headers: Some(RawTable::new(contents)), ..Properties::EMPTY }.encode(&mut raw);
        Message { routing_key: b"a".to_vec(), properties_raw: raw }
    });
    by_key.chain(by_header).chain(malformed).chain([with_everything()]).collect()
}

/// Field tables that are cut short, of unknown types, with lengths that lie, with names that are no text.
const MALFORMED: [&[u8]; 8] = [
    b"\x05ab",
    b"\x01a",
    b"\x01aS\xff\xff\xff\xff",
    b"\x01aS\0\0\0\x09short",
    b"\x01a?1234",
    b"\x02\xff\xfet\x01",
    b"\x01aF\0\0\0\x03\x01bS",
    b"\x01aA\0\0\0\x05F\0\0\0\x09",
];

/// All properties, none of them text.
fn with_everything() -> Message {
    let bytes = || Some(vec![0xff, 0, b'\n']);
    let properties = OwnedProperties {
        content_type: bytes(),
        content_encoding: bytes(),
        headers: Some(FieldTable::new().with("a", 1_i32).with("a", 2_i32)),
        delivery_mode: Some(0),
        priority: Some(u8::MAX),
        correlation_id: bytes(),
        reply_to: bytes(),
        expiration: bytes(),
        message_id: bytes(),
        timestamp: Some(u64::MAX),
        kind: bytes(),
        user_id: bytes(),
        app_id: bytes(),
        cluster_id: bytes(),
    };
    Message::new("a", &properties)
}
