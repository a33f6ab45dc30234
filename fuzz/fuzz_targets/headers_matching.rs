//! Headers exchange: the index finds the same bindings as asking each of them by the documentation's words, also after
//! some were taken away. Tables come as bytes, as they do from peers.

#![no_main]

use arbitrary::Arbitrary;
use leveret_amqp::{FieldTable, FieldValue, RawTable};
use leveret_broker::exchange::{Binding, Headers, Router};
use leveret_fuzz::{binding, routed};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    bindings: Vec<(Mode, Table<'a>, u8, bool)>,
    messages: Vec<Table<'a>>,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Mode {
    Unsaid,
    All,
    Any,
    AllWithX,
    AnyWithX,
}

/// Either entries of few names and values, so that they meet, or whatever a peer may send.
#[derive(Arbitrary, Debug)]
enum Table<'a> {
    Entries(Vec<(u8, Value<'a>)>),
    Bytes(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Byte(i8),
    Unsigned(u8),
    Short(i16),
    Long(i64),
    Double(f64),
    Float(f32),
    Bool(bool),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Time(u64),
    Decimal(u8, u32),
    List(Vec<Value<'a>>),
    Nested(Vec<(u8, Value<'a>)>),
    Void,
}

const NAMES: [&str; 6] = ["a", "b", "c", "x-a", "x-match", ""];

fn value(value: &Value<'_>) -> FieldValue {
    match value {
        Value::Byte(number) => FieldValue::I8(*number),
        Value::Unsigned(number) => FieldValue::U8(*number),
        Value::Short(number) => FieldValue::I16(*number),
        Value::Long(number) => FieldValue::I64(*number),
        Value::Double(number) => FieldValue::F64(*number),
        Value::Float(number) => FieldValue::F32(*number),
        Value::Bool(flag) => FieldValue::Bool(*flag),
        Value::Text(text) => FieldValue::LongString(text.to_vec()),
        Value::Bytes(bytes) => FieldValue::ByteArray(bytes.to_vec()),
        Value::Time(seconds) => FieldValue::Timestamp(*seconds),
        Value::Decimal(scale, number) => FieldValue::Decimal { scale: *scale, value: *number },
        Value::List(values) => FieldValue::Array(values.iter().take(8).map(self::value).collect()),
        Value::Nested(entries) => FieldValue::Table(entries.iter().take(8).map(entry).collect()),
        Value::Void => FieldValue::Void,
    }
}

fn entry((name, of): &(u8, Value<'_>)) -> (&'static str, FieldValue) {
    (NAMES[usize::from(*name) % NAMES.len()], value(of))
}

/// The entries as on the wire, with a name twice where it came twice.
fn contents(table: &Table<'_>) -> Option<Vec<u8>> {
    match table {
        Table::Bytes(bytes) => RawTable::new(bytes).validate().is_ok().then(|| bytes.to_vec()),
        Table::Entries(entries) => {
            let mut contents = Vec::new();
            for (name, value) in entries.iter().take(16).map(entry) {
                FieldTable::new().with(name, value).encode_contents(&mut contents);
            }
            RawTable::new(&contents).validate().is_ok().then_some(contents)
        }
    }
}

fn arguments(mode: Mode, table: &Table<'_>) -> Option<FieldTable> {
    let mut arguments = RawTable::new(&contents(table)?).decode().ok()?;
    arguments.remove("x-match");
    let mode = match mode {
        Mode::Unsaid => return Some(arguments),
        Mode::All => "all",
        Mode::Any => "any",
        Mode::AllWithX => "all-with-x",
        Mode::AnyWithX => "any-with-x",
    };
    arguments.insert("x-match", mode);
    Some(arguments)
}

/// Matching as the documentation of RabbitMQ describes it.
fn matches(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let mode = arguments.get("x-match").and_then(FieldValue::as_str).unwrap_or("all");
    let mut asked =
        arguments.iter().filter(|(name, _)| *name != "x-match" && (mode.ends_with("-x") || !name.starts_with("x-")));
    let agrees = |(name, wanted): (&str, &FieldValue)| match (wanted, headers.get(name)) {
        (_, None) => false,
        (FieldValue::Void, Some(_)) => true,
        (wanted, Some(value)) => leveret_amqp::equivalent(wanted, value),
    };
    if mode.starts_with("any") { asked.any(agrees) } else { asked.all(agrees) }
}

fuzz_target!(|input: Input<'_>| {
    let mut headers = Headers::default();
    let mut bound = Vec::new();
    for (mode, table, queue, keep) in input.bindings.iter().take(16) {
        let Some(arguments) = arguments(*mode, table) else { continue };
        let binding = Binding { arguments, ..binding("", &format!("q{}", queue % 8)) };
        if headers.validate_binding(&binding).is_ok() {
            headers.bind(&binding);
            bound.push((binding, *keep));
        }
    }
    bound.iter().filter(|(_, keep)| !keep).for_each(|(binding, _)| headers.unbind(binding));
    for contents in input.messages.iter().take(8).filter_map(contents) {
        let message = RawTable::new(&contents).decode().expect("a table that was checked");
        let mut expected: Vec<String> = bound
            .iter()
            .filter(|(binding, keep)| *keep && matches(&binding.arguments, &message))
            .map(|(binding, _)| binding.destination.name().to_string())
            .collect();
        expected.sort();
        expected.dedup();
        assert_eq!(routed(&headers, b"", Some(RawTable::new(&contents))), expected, "message {message}");
    }
});
