#![allow(clippy::unwrap_used)]

use leveret_amqp::ReplyCode;
use proptest::prelude::*;

use super::*;
use crate::queue::Overflow;

fn validate(arguments: &FieldTable) -> Result<QueueArguments, Error> {
    validate_queue_arguments(arguments, true, false, false, "/", "q")
}

fn refusal(key: &str, value: impl Into<FieldValue>) -> String {
    let error = validate(&FieldTable::new().with(key, value)).unwrap_err();
    assert_eq!(error.code, ReplyCode::PreconditionFailed);
    error.text
}

/// The Erlang term behind the common beginning of the text.
fn term(key: &str, value: impl Into<FieldValue>) -> String {
    let text = refusal(key, value);
    let beginning = format!("invalid arg '{key}' for queue 'q' in vhost '/': ");
    text.strip_prefix(&beginning).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn everything_at_once() {
    let arguments = FieldTable::new()
        .with("x-expires", 1_u8)
        .with("x-message-ttl", 0_i64)
        .with("x-dead-letter-exchange", "")
        .with("x-dead-letter-routing-key", "k")
        .with("x-max-length", 5_u32)
        .with("x-max-length-bytes", i64::MAX)
        .with("x-max-priority", 10_i16)
        .with("x-overflow", "reject-publish-dlx")
        .with("x-queue-mode", "lazy")
        .with("x-queue-version", 2)
        .with("x-queue-type", "classic")
        .with("x-queue-master-locator", "min-masters")
        .with("x-queue-leader-locator", "client-local")
        .with("x-single-active-consumer", true)
        .with("x-delivery-limit", 3)
        .with("x-whatever", FieldValue::Void);
    let found = validate(&arguments).unwrap();
    assert_eq!((found.kind, found.max_priority, found.single_active_consumer), (Kind::Classic, Some(10), true));
    assert_eq!(
        found.settings,
        Settings {
            ttl_ms: Some(0),
            expires_ms: Some(1),
            max_length: Some(5),
            max_length_bytes: Some(i64::MAX as u64),
            overflow: Overflow::RejectPublishDlx,
            dead_letter_exchange: Some("".into()),
            dead_letter_routing_key: Some("k".into()),
            delivery_limit: Some(3),
            delayed_retry: None,
        }
    );
}

#[test]
fn nothing_at_all() {
    let found = validate(&FieldTable::new()).unwrap();
    assert_eq!((found.kind, found.max_priority, found.single_active_consumer), (Kind::Classic, None, false));
    assert_eq!(found.settings, Settings::default());
}

#[test]
fn integers() {
    assert_eq!(term("x-expires", 0), "{value_zero,0}");
    assert_eq!(term("x-expires", -1), "{value_negative,-1}");
    assert_eq!(term("x-expires", "1000"), "\"expected integer, got longstr\"");
    assert_eq!(term("x-expires", 315_360_000_001_i64), "{value_too_large,315360000001}");
    assert_eq!(term("x-message-ttl", -1_i64), "{value_negative,-1}");
    assert_eq!(term("x-message-ttl", FieldValue::Timestamp(5)), "\"expected integer, got timestamp\"");
    assert_eq!(term("x-max-length", -5_i8), "{value_negative,-5}");
    assert_eq!(term("x-max-length-bytes", 1.0_f64), "\"expected integer, got double\"");
    assert_eq!(term("x-max-priority", 256), "{max_value_exceeded,256}");
    assert_eq!(term("x-max-priority", -1), "{value_negative,-1}");
    assert_eq!(term("x-queue-version", 3), "\"unsupported queue version '3'\"");
    assert_eq!(term("x-delivery-limit", true), "\"expected integer, got bool\"");
    assert_eq!(validate(&FieldTable::new().with("x-max-priority", 0)).unwrap().max_priority, None);
    assert_eq!(validate(&FieldTable::new().with("x-max-priority", 255)).unwrap().max_priority, Some(255));
}

#[test]
fn texts_and_flags() {
    assert_eq!(term("x-overflow", "drop-tail"), "invalid_overflow");
    assert_eq!(term("x-overflow", 1), "{unacceptable_type,signedint}");
    assert_eq!(term("x-dead-letter-exchange", 1_i64), "{unacceptable_type,long}");
    assert_eq!(term("x-dead-letter-exchange", "x".repeat(256)), "name_too_long");
    assert_eq!(term("x-dead-letter-exchange", FieldValue::LongString(vec![255])), "invalid_utf8");
    assert_eq!(term("x-dead-letter-routing-key", "k"), "routing_key_but_no_dlx_defined");
    assert_eq!(term("x-dead-letter-routing-key", false), "{unacceptable_type,bool}");
    assert_eq!(term("x-single-active-consumer", "true"), "{unacceptable_type,longstr}");
    assert_eq!(term("x-queue-leader-locator", "here"), "invalid_queue_locator_arg");
}

#[test]
fn queue_types() {
    assert_eq!(term("x-queue-type", "stream"), "\"unsupported queue type 'stream'\"");
    assert_eq!(term("x-queue-type", "fast"), "\"unsupported queue type 'fast'\"");
    assert_eq!(term("x-queue-type", 1), "{unacceptable_type,signedint}");
    assert_eq!(
        refusal("x-max-age", "1D"),
        "invalid arg 'x-max-age' for queue 'q' in vhost '/' of queue type rabbit_classic_queue"
    );
    let quorum = FieldTable::new().with("x-queue-type", "quorum");
    let found = validate(&quorum).unwrap();
    assert_eq!((found.kind, found.settings.delivery_limit), (Kind::Quorum, Some(20)));
    let error = validate(&quorum.clone().with("x-max-priority", 5)).unwrap_err();
    assert_eq!(error.text, "invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue");
    let only_quorum = quorum
        .with("x-delivery-limit", -1)
        .with("x-quorum-initial-group-size", 3)
        .with("x-dead-letter-strategy", "at-least-once")
        .with("x-max-in-memory-length", 0)
        .with("x-delayed-retry-min", 100);
    assert_eq!(validate(&only_quorum).unwrap().settings.delivery_limit, None);
}

#[test]
fn quorum_queues_are_durable_and_shared() {
    let quorum = FieldTable::new().with("x-queue-type", "quorum");
    let refusal = |durable, exclusive, auto_delete| {
        validate_queue_arguments(&quorum, durable, exclusive, auto_delete, "/", "q").unwrap_err().text
    };
    assert_eq!(refusal(false, true, true), "invalid property 'auto-delete' for queue 'q' in vhost '/'");
    assert_eq!(refusal(false, true, false), "invalid property 'exclusive-owner' for queue 'q' in vhost '/'");
    assert_eq!(refusal(false, false, false), "invalid property 'non-durable' for queue 'q' in vhost '/'");
    assert!(validate_queue_arguments(&FieldTable::new(), false, true, true, "/", "q").is_ok());
}

#[test]
fn ages() {
    assert_eq!(max_age_ms("7D"), Some(7 * 24 * 3_600_000));
    assert_eq!(max_age_ms("1Y"), Some(365 * 24 * 3_600_000));
    assert_eq!((max_age_ms("2M"), max_age_ms("2m")), (Some(60 * 24 * 3_600_000), Some(120_000)));
    for bad in ["", "D", "0D", "1", "1d", "-1D", "1 D", "99999999999999999999Y", "18446744073709551615Y"] {
        assert_eq!(max_age_ms(bad), None, "{bad}");
    }
}

fn any_value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<bool>().prop_map(FieldValue::from),
        any::<i8>().prop_map(FieldValue::from),
        any::<i64>().prop_map(FieldValue::from),
        any::<f64>().prop_map(FieldValue::from),
        any::<Vec<u8>>().prop_map(FieldValue::LongString),
        any::<u64>().prop_map(FieldValue::Timestamp),
        Just(FieldValue::Void),
    ]
}

proptest! {
    /// No value of any known argument panics, and what is valid is also equivalent to itself.
    #[test]
    fn any_value_of_any_argument(index in 0..KEYS.len(), value in any_value(), quorum: bool) {
        let mut arguments = FieldTable::new().with("x-queue-type", if quorum { "quorum" } else { "classic" });
        arguments.insert(KEYS[index].name, value);
        if validate(&arguments).is_ok() {
            let queue = QueueDeclaration {
                vhost: "/", name: "q", durable: true, auto_delete: false, exclusive_to: None, arguments: &arguments,
            };
            prop_assert_eq!(check_equivalent(&queue, &queue), Ok(()));
        }
    }
}

#[test]
fn delayed_retries() {
    let steps = |steps: &[i32]| FieldValue::Array(steps.iter().map(|step| FieldValue::I32(*step)).collect());
    assert_eq!(term("x-delayed-retry-type", "sometimes"), "invalid_delayed_retry_type");
    assert_eq!(term("x-delayed-retry-type", 5), "{unacceptable_type,signedint}");
    assert_eq!(term("x-delayed-retry-type", "all"), "delayed_retry_type_but_no_min_or_steps_defined");
    assert_eq!(term("x-delayed-retry-min", 0), "{value_zero,0}");
    assert_eq!(term("x-delayed-retry-min", -5), "{value_negative,-5}");
    assert_eq!(term("x-delayed-retry-max", "5"), "\"expected integer, got longstr\"");
    assert_eq!(term("x-delayed-retry-max", 315_360_000_001_i64), "{value_too_large,315360000001}");
    assert_eq!(term("x-delayed-retry-mode", "random"), "invalid_delayed_retry_mode");
    assert_eq!(term("x-delayed-retry-steps", 5), "{unacceptable_type,signedint}");
    assert_eq!(term("x-delayed-retry-steps", steps(&[])), "no_steps");
    assert_eq!(term("x-delayed-retry-steps", steps(&[5, -1])), "{value_negative,-1}");
    assert_eq!(term("x-delayed-retry-steps", steps(&[1; 101])), "{too_many_steps,101}");
    let together = |arguments: FieldTable| validate(&arguments).unwrap_err().text;
    assert_eq!(
        together(FieldTable::new().with("x-delayed-retry-min", 5).with("x-delayed-retry-max", 4)),
        "invalid arg 'x-delayed-retry-max' for queue 'q' in vhost '/': {less_than_delayed_retry_min,4,5}"
    );
    assert_eq!(
        together(FieldTable::new().with("x-delayed-retry-steps", steps(&[5])).with("x-delayed-retry-mode", "linear")),
        "invalid arg 'x-delayed-retry-steps' for queue 'q' in vhost '/': {not_together_with,\"x-delayed-retry-mode\"}"
    );
    let arguments = FieldTable::new().with("x-delayed-retry-type", "all").with("x-delayed-retry-steps", steps(&[5, 5]));
    assert!(validate(&arguments).is_ok());
    assert!(validate(&arguments.with("x-queue-type", "quorum")).is_ok());
    assert!(validate(&FieldTable::new().with("x-delayed-retry-type", "disabled")).is_ok());
}

#[test]
fn message_groups() {
    assert_eq!(term("x-message-group-header", 5), "{unacceptable_type,signedint}");
    assert_eq!(term("x-message-group-header", ""), "no_header_name");
    assert_eq!(term("x-message-group-property", "user_id"), "invalid_message_group_property");
    let usual = FieldTable::new().with("x-message-group-header", true);
    assert_eq!(validate(&usual).unwrap().group_key, Some(GroupKey::Header("x-group-id".into())));
    assert_eq!(term("x-message-group-header", false), "{unacceptable_type,bool}");
    let header = FieldTable::new().with("x-message-group-header", "x-group-id");
    assert_eq!(validate(&header).unwrap().group_key, Some(GroupKey::Header("x-group-id".into())));
    let property = FieldTable::new().with("x-message-group-property", "correlation_id");
    let key = GroupKey::Property(GroupProperty::CorrelationId);
    assert_eq!(validate(&property.with("x-queue-type", "quorum")).unwrap().group_key, Some(key));
    assert_eq!(
        validate(&header.with("x-message-group-property", "message_id")).unwrap_err().text,
        "invalid arg 'x-message-group-property' for queue 'q' in vhost '/': \
         {not_together_with,\"x-message-group-header\"}"
    );
}
