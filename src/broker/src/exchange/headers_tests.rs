use proptest::{prelude::*, sample::select};

use super::{super::testing::*, *};

fn table() -> impl Strategy<Value = FieldTable> {
    let few_values = prop_oneof![3 => (0..2_i32).prop_map(FieldValue::I32), 2 => (0..2_i64).prop_map(FieldValue::I64), 2 => Just(FieldValue::Void), 1 => value()];
    proptest::collection::vec((select(&["a", "b", "c", "x-a", "x-b"][..]), few_values), 0..5)
        .prop_map(|entries| entries.into_iter().collect())
}

fn arguments() -> impl Strategy<Value = FieldTable> {
    (table(), select(&["", "all", "any", "all-with-x", "any-with-x"][..])).prop_map(|(mut table, mode)| {
        if !mode.is_empty() {
            table.insert("x-match", mode);
        }
        table
    })
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

fn with_arguments(arguments: FieldTable, queue_name: &str) -> Binding {
    Binding { arguments, ..binding("", queue_name) }
}

fn is_empty(headers: &Headers) -> bool {
    headers.destinations.is_empty()
        && headers.identities.is_empty()
        && headers.names.is_empty()
        && headers.unconditional.is_empty()
        && headers.conditions.iter().all(|conditions| conditions.present.is_empty() && conditions.equal.is_empty())
}

proptest! {
    #[test]
    fn it_matches_as_described(
        bindings in proptest::collection::vec((arguments(), 0..8_u8, any::<bool>()), 0..60),
        messages in proptest::collection::vec(table(), 1..20),
    ) {
        let mut headers = Headers::default();
        let bound: Vec<_> = bindings.iter().map(|(arguments, number, keep)| (with_arguments(arguments.clone(), &format!("q{number}")), keep)).collect();
        bound.iter().for_each(|(binding, _)| headers.bind(binding));
        bound.iter().filter(|(_, keep)| !**keep).for_each(|(binding, _)| headers.unbind(binding));
        for message in &messages {
            let mut expected: Vec<_> = bound.iter().filter(|(binding, keep)| **keep && matches(&binding.arguments, message))
                .map(|(binding, _)| binding.destination.name().to_string()).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(routed_by_headers(&headers, message), expected);
        }
        bound.iter().filter(|(_, keep)| **keep).for_each(|(binding, _)| headers.unbind(binding));
        prop_assert!(is_empty(&headers));
    }
}

#[test]
fn no_conditions_match_everything_or_nothing() {
    let mut headers = Headers::default();
    headers.bind(&with_arguments(FieldTable::new(), "all"));
    headers.bind(&with_arguments(FieldTable::new().with("x-match", "any"), "any"));
    assert_eq!(routed(&headers, "no headers"), ["all"]);
    assert_eq!(routed_by_headers(&headers, &FieldTable::new().with("a", 1_i32)), ["all"]);
}

#[test]
fn the_first_entry_of_a_name_counts() {
    let mut headers = Headers::default();
    headers.bind(&with_arguments(FieldTable::new().with("a", 1_i32), "one"));
    headers.bind(&with_arguments(FieldTable::new().with("a", 2_i32), "two"));
    headers.bind(&with_arguments(FieldTable::new().with("a", FieldValue::Void).with("b", 1_i32), "both"));
    let mut contents = Vec::new();
    FieldTable::new().with("a", 1_i32).encode_contents(&mut contents);
    FieldTable::new().with("a", 2_i32).encode_contents(&mut contents);
    let mut out = Vec::new();
    headers.route(&RouteInput { routing_key: b"", properties: &with_headers(&contents) }, &mut out);
    assert_eq!(out, [queue("one")]);
}

#[test]
fn a_bad_mode_is_refused() {
    let headers = Headers::default();
    let validate =
        |value: FieldValue| headers.validate_binding(&with_arguments(FieldTable::new().with("x-match", value), "q"));
    for mode in ["all", "any", "all-with-x", "any-with-x"] {
        assert_eq!(validate(mode.into()), Ok(()));
    }
    assert_eq!(
        validate("foo".into()).unwrap_err().text,
        r#"Invalid x-match field value <<"foo">>; expected all, any, all-with-x, or any-with-x"#
    );
    assert_eq!(
        validate(1_i32.into()).unwrap_err().text,
        "Invalid x-match field type signedint (value 1); expected longstr"
    );
}

#[test]
fn one_among_thousands_of_bindings() {
    let mut headers = Headers::default();
    for number in 0..2_000 {
        let arguments = FieldTable::new().with("format", format!("f{}", number % 400)).with("size", number);
        headers.bind(&with_arguments(arguments, &format!("q{number}")));
    }
    let mut contents = Vec::new();
    FieldTable::new().with("other", "x").with("format", "f7").with("size", 407_i64).encode_contents(&mut contents);
    let mut out = Vec::new();
    headers.route(&RouteInput { routing_key: b"", properties: &with_headers(&contents) }, &mut out);
    assert_eq!(out, [queue("q407")]);
}
