use leveret_amqp::{FieldTable, FieldValue, ReplyCode};

use super::*;
use crate::exchange::{ExchangeType, Router};

fn topology() -> Topology<&'static str> {
    Topology::new("/", ExchangeTypes::default())
}

static NO_ARGUMENTS: FieldTable = FieldTable::new();

fn exchange<'a>(name: &'a str, kind: &'a str) -> DeclareExchange<'a> {
    DeclareExchange { name, kind, durable: true, auto_delete: false, internal: false, arguments: &NO_ARGUMENTS }
}

fn auto_delete(name: &str) -> DeclareExchange<'_> {
    DeclareExchange { auto_delete: true, ..exchange(name, "direct") }
}

fn binding(source: &str, destination: Destination, key: &str) -> Binding {
    Binding { source: source.into(), destination, routing_key: key.as_bytes().into(), arguments: FieldTable::new() }
}

fn to_queue(source: &str, queue: &str, key: &str) -> Binding {
    binding(source, Destination::Queue(queue.into()), key)
}

fn to_exchange(source: &str, destination: &str, key: &str) -> Binding {
    binding(source, Destination::Exchange(destination.into()), key)
}

fn text<T>(result: Result<T, Error>) -> (ReplyCode, String) {
    let Err(error) = result else { panic!("expected a refusal") };
    (error.code, error.text)
}

fn refused(text: &str) -> (ReplyCode, String) {
    (ReplyCode::AccessRefused, text.to_owned())
}

fn failed(text: &str) -> (ReplyCode, String) {
    (ReplyCode::PreconditionFailed, text.to_owned())
}

fn names(exchanges: &[Arc<Exchange>]) -> Vec<&str> {
    exchanges.iter().map(|exchange| &*exchange.name).collect()
}

#[test]
fn the_exchanges_of_the_specification_are_declared() {
    let topology = topology();
    let mut found: Vec<_> =
        topology.exchanges().map(|exchange| (&*exchange.name, &*exchange.kind, exchange.internal)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("", "direct", false),
            ("amq.direct", "direct", false),
            ("amq.fanout", "fanout", false),
            ("amq.headers", "headers", false),
            ("amq.match", "headers", false),
            ("amq.rabbitmq.trace", "topic", true),
            ("amq.topic", "topic", false),
        ]
    );
    assert!(topology.exchanges().all(|exchange| exchange.durable && !exchange.auto_delete));
}

#[test]
fn declaring_twice_changes_nothing() {
    let mut topology = topology();
    let change = topology.declare_exchange(&exchange("x", "topic")).unwrap();
    assert_eq!(names(&change.added_exchanges), ["x"]);
    let generation = topology.generation();
    assert!(topology.declare_exchange(&exchange("x", "topic")).unwrap().is_empty());
    assert!(topology.declare_exchange(&exchange("amq.topic", "topic")).unwrap().is_empty());
    assert_eq!(topology.generation(), generation);
}

#[test]
fn what_is_not_alike_is_refused() {
    let mut topology = topology();
    let arguments = FieldTable::new().with("alternate-exchange", "ae").with("other", 1_i32);
    let declared = DeclareExchange { arguments: &arguments, ..exchange("x", "direct") };
    topology.declare_exchange(&declared).unwrap();
    let mut declare = |declaration| text(topology.declare_exchange(&declaration));
    let start = |key| format!("inequivalent arg '{key}' for exchange 'x' in vhost '/': received ");
    assert_eq!(
        declare(DeclareExchange { kind: "fanout", ..declared }),
        failed(&(start("type") + "'fanout' but current is 'direct'"))
    );
    assert_eq!(
        declare(DeclareExchange { durable: false, ..declared }),
        failed(&(start("durable") + "'false' but current is 'true'"))
    );
    assert_eq!(
        declare(DeclareExchange { auto_delete: true, ..declared }),
        failed(&(start("auto_delete") + "'true' but current is 'false'"))
    );
    assert_eq!(
        declare(DeclareExchange { internal: true, ..declared }),
        failed(&(start("internal") + "'true' but current is 'false'"))
    );
    assert_eq!(
        declare(DeclareExchange { arguments: &NO_ARGUMENTS, ..declared }),
        failed(&(start("alternate-exchange") + "none but current is the value 'ae' of type 'longstr'"))
    );
    let other = FieldTable::new().with("alternate-exchange", "else");
    assert_eq!(
        declare(DeclareExchange { arguments: &other, ..declared }),
        failed(&(start("alternate-exchange") + "'else' but current is 'ae'"))
    );
    let without_other = FieldTable::new().with("alternate-exchange", "ae");
    assert!(topology.declare_exchange(&DeclareExchange { arguments: &without_other, ..declared }).unwrap().is_empty());
}

#[test]
fn bad_declarations_are_refused() {
    let mut topology = topology();
    let mut declare = |declaration| text(topology.declare_exchange(&declaration));
    assert_eq!(declare(exchange("x", "foo")), failed("unknown exchange type 'foo'"));
    assert_eq!(declare(exchange("", "direct")), refused("operation not permitted on the default exchange"));
    assert_eq!(
        declare(exchange("amq.mine", "direct")),
        refused("exchange name 'amq.mine' contains reserved prefix 'amq.*'")
    );
    let arguments = FieldTable::new().with("alternate-exchange", 1_i32);
    assert_eq!(
        declare(DeclareExchange { arguments: &arguments, ..exchange("x", "direct") }),
        failed("invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'")
    );
    assert_eq!(text(topology.exchange("x")), (ReplyCode::NotFound, "no exchange 'x' in vhost '/'".to_owned()));
}

#[test]
fn system_exchanges_are_not_deleted() {
    let mut topology = topology();
    assert_eq!(text(topology.delete_exchange("", false)), refused("operation not permitted on the default exchange"));
    assert_eq!(
        text(topology.delete_exchange("amq.topic", false)),
        refused("deletion of system exchange 'amq.topic' in vhost '/' not allowed")
    );
    assert!(topology.delete_exchange("missing", true).unwrap().is_empty());
}

#[test]
fn an_exchange_in_use_is_deleted_only_without_the_condition() {
    let mut topology = topology();
    topology.declare_exchange(&exchange("x", "direct")).unwrap();
    topology.add_queue("q".into(), "q");
    topology.bind(to_queue("x", "q", "k")).unwrap();
    assert_eq!(text(topology.delete_exchange("x", true)), failed("exchange 'x' in vhost '/' in use"));
    let change = topology.delete_exchange("x", false).unwrap();
    assert_eq!(names(&change.removed_exchanges), ["x"]);
    assert_eq!(change.removed_bindings.len(), 1);
    assert_eq!(topology.bindings().count(), 0);
}

#[test]
fn being_a_destination_is_no_use() {
    let mut topology = topology();
    topology.declare_exchange(&exchange("x", "direct")).unwrap();
    topology.bind(to_exchange("amq.topic", "x", "k")).unwrap();
    let change = topology.delete_exchange("x", true).unwrap();
    assert_eq!(change.removed_bindings.len(), 1);
    assert_eq!(topology.bindings().count(), 0);
}

#[test]
fn binding_twice_and_unbinding_twice_change_nothing() {
    let mut topology = topology();
    topology.add_queue("q".into(), "q");
    let binding = to_queue("amq.direct", "q", "k");
    assert_eq!(topology.bind(binding.clone()).unwrap().added_bindings.len(), 1);
    let generation = topology.generation();
    assert!(topology.bind(binding.clone()).unwrap().is_empty());
    assert_eq!(topology.generation(), generation);
    assert_eq!(topology.unbind(&binding).unwrap().removed_bindings.len(), 1);
    assert_ne!(topology.generation(), generation);
    assert!(topology.unbind(&binding).unwrap().is_empty());
    assert!(topology.unbind(&to_queue("missing", "missing", "")).unwrap().is_empty());
}

#[test]
fn arguments_tell_bindings_apart_and_their_order_does_not() {
    let mut topology = topology();
    topology.add_queue("q".into(), "q");
    let plain = to_queue("amq.topic", "q", "a.*");
    let with = |arguments| Binding { arguments, ..plain.clone() };
    let table = FieldTable::new();
    topology.bind(plain.clone()).unwrap();
    topology.bind(with(table.clone().with("a", 1_i32).with("b", 2_i32))).unwrap();
    assert!(topology.bind(with(table.clone().with("b", 2_i32).with("a", 1_i32))).unwrap().is_empty());
    assert!(!topology.bind(with(table.clone().with("a", 1_i64).with("b", 2_i32))).unwrap().is_empty());
    assert_eq!(topology.bindings_from("amq.topic").count(), 3);
    topology.unbind(&plain).unwrap();
    let left: Vec<_> =
        topology.bindings_to(&Destination::Queue("q".into())).map(|binding| binding.arguments.len()).collect();
    assert_eq!(left, [2, 2]);
}

#[test]
fn both_ends_of_a_binding_must_be_there() {
    let mut topology = topology();
    let missing = |text: &str| (ReplyCode::NotFound, text.to_owned());
    assert_eq!(text(topology.bind(to_queue("x", "q", ""))), missing("no exchange 'x' in vhost '/'"));
    assert_eq!(text(topology.bind(to_queue("amq.topic", "q", ""))), missing("no queue 'q' in vhost '/'"));
    assert_eq!(text(topology.bind(to_exchange("amq.topic", "x", ""))), missing("no exchange 'x' in vhost '/'"));
    let default = refused("operation not permitted on the default exchange");
    assert_eq!(text(topology.bind(to_queue("", "q", ""))), default);
    assert_eq!(text(topology.bind(to_exchange("amq.topic", "", ""))), default);
    assert_eq!(text(topology.unbind(&to_queue("", "q", ""))), default);
    let bad =
        Binding { arguments: FieldTable::new().with("x-match", "some"), ..to_exchange("amq.match", "amq.topic", "") };
    assert_eq!(
        text(topology.bind(bad)),
        failed(r#"Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x"#)
    );
    assert_eq!(topology.bindings().count(), 0);
}

#[test]
fn a_queue_takes_its_bindings_and_auto_delete_exchanges_with_it() {
    let mut topology = topology();
    for name in ["a", "b", "c"] {
        topology.declare_exchange(&auto_delete(name)).unwrap();
    }
    topology.add_queue("q".into(), "q");
    topology.add_queue("other".into(), "other");
    topology.bind(to_exchange("a", "b", "")).unwrap();
    topology.bind(to_exchange("b", "c", "")).unwrap();
    topology.bind(to_queue("c", "q", "1")).unwrap();
    topology.bind(to_queue("c", "q", "2")).unwrap();
    topology.bind(to_queue("amq.direct", "q", "1")).unwrap();
    topology.bind(to_queue("amq.direct", "other", "1")).unwrap();
    let change = topology.remove_queue("q");
    assert_eq!(names(&change.removed_exchanges), ["c", "b", "a"]);
    assert_eq!(change.removed_bindings.len(), 5);
    assert_eq!(
        topology.bindings().map(|binding| binding.destination.name()).collect::<Vec<_>>(),
        [&Arc::from("other")]
    );
    assert!(topology.queue("q").is_none());
    assert!(topology.remove_queue("q").is_empty());
}

#[test]
fn an_auto_delete_exchange_stays_until_its_last_binding_goes() {
    let mut topology = topology();
    topology.declare_exchange(&auto_delete("x")).unwrap();
    topology.add_queue("q".into(), "q");
    topology.bind(to_queue("x", "q", "1")).unwrap();
    topology.bind(to_queue("x", "q", "2")).unwrap();
    assert!(topology.unbind(&to_queue("x", "q", "1")).unwrap().removed_exchanges.is_empty());
    assert_eq!(names(&topology.unbind(&to_queue("x", "q", "2")).unwrap().removed_exchanges), ["x"]);
    assert!(topology.exchange("x").is_err());
}

#[test]
fn a_circle_of_auto_delete_exchanges_goes_once() {
    let mut topology = topology();
    for name in ["a", "b"] {
        topology.declare_exchange(&auto_delete(name)).unwrap();
    }
    topology.bind(to_exchange("a", "b", "")).unwrap();
    topology.bind(to_exchange("b", "a", "")).unwrap();
    topology.bind(to_exchange("a", "a", "")).unwrap();
    let change = topology.delete_exchange("a", false).unwrap();
    assert_eq!(names(&change.removed_exchanges), ["a", "b"]);
    assert_eq!(change.removed_bindings.len(), 3);
    assert_eq!(topology.bindings().count(), 0);
}

#[test]
fn a_long_chain_of_auto_delete_exchanges_goes() {
    let mut topology = topology();
    let name = |number: usize| format!("x{number}");
    let count = 100_000;
    for number in 0..count {
        topology.declare_exchange(&auto_delete(&name(number))).unwrap();
    }
    for number in 1..count {
        topology.bind(to_exchange(&name(number - 1), &name(number), "")).unwrap();
    }
    topology.add_queue("q".into(), "q");
    topology.bind(to_queue(&name(count - 1), "q", "")).unwrap();
    let change = topology.remove_queue("q");
    assert_eq!(change.removed_exchanges.len(), count);
    assert_eq!(change.removed_bindings.len(), count);
}

#[test]
fn the_argument_goes_before_the_policy() {
    let mut topology = topology();
    let arguments = FieldTable::new().with("alternate-exchange", "argued");
    topology.declare_exchange(&exchange("x", "direct")).unwrap();
    topology.declare_exchange(&DeclareExchange { arguments: &arguments, ..exchange("y", "direct") }).unwrap();
    for name in ["x", "y"] {
        assert!(!topology.set_policy_alternate(name, Some("by-policy")).is_empty());
        assert!(topology.set_policy_alternate(name, Some("by-policy")).is_empty());
    }
    assert!(topology.set_policy_alternate("", Some("by-policy")).is_empty());
    assert!(topology.set_policy_alternate("missing", Some("by-policy")).is_empty());
    assert_eq!(topology.exchange("x").unwrap().alternate(), Some("by-policy"));
    assert_eq!(topology.exchange("y").unwrap().alternate(), Some("argued"));
    topology.set_policy_alternate("x", None);
    assert_eq!(topology.exchange("x").unwrap().alternate(), None);
}

#[test]
fn an_exchange_outlives_its_type() {
    let mut topology = topology();
    topology.add_queue("q".into(), "q");
    topology.restore_exchange(&exchange("x", "x-gone"));
    assert!(topology.restore_binding(to_queue("x", "q", "k")));
    assert!(!topology.restore_binding(to_queue("x", "missing", "k")));
    assert_eq!(topology.bindings_from("x").count(), 1);
    assert_eq!(
        text(topology.entry("x").unwrap().router.as_ref().map(|_| ()).map_err(Error::clone)),
        failed("Cannot route message through exchange 'x' in vhost '/': exchange type x-gone not found")
    );
    assert_eq!(text(topology.declare_exchange(&exchange("x", "x-gone"))), failed("unknown exchange type 'x-gone'"));
    assert_eq!(
        text(topology.declare_exchange(&exchange("x", "direct"))),
        failed("inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is ''x-gone''")
    );
    assert_eq!(topology.unbind(&to_queue("x", "q", "k")).unwrap().removed_bindings.len(), 1);
}

/// A type that wraps another one and insists on its argument.
struct Wrapping;

impl ExchangeType for Wrapping {
    fn name(&self) -> &str {
        "x-wrapping"
    }

    fn validate(&self, arguments: &FieldTable) -> Result<(), Error> {
        let wrapped = arguments.get("x-wrapped").and_then(FieldValue::as_str);
        wrapped.map(|_| ()).ok_or_else(|| Error::precondition_failed("nothing wrapped"))
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Err(Error::precondition_failed("needs the other types"))
    }

    fn router_among(&self, arguments: &FieldTable, types: &ExchangeTypes) -> Result<Box<dyn Router>, Error> {
        let name = arguments.get("x-wrapped").and_then(FieldValue::as_str).unwrap_or_default();
        types.find(name).ok_or_else(|| Error::unknown_exchange_type(name))?.router(arguments)
    }

    fn compared_arguments(&self) -> &[&str] {
        &["x-wrapped"]
    }
}

#[test]
fn a_type_may_build_on_another() {
    let mut types = ExchangeTypes::default();
    types.register(Arc::new(Wrapping)).unwrap();
    let mut topology = Topology::<()>::new("/", types);
    let wraps = |kind: &str| FieldTable::new().with("x-wrapped", kind);
    let declare = |topology: &mut Topology<()>, arguments: &FieldTable| {
        topology.declare_exchange(&DeclareExchange { arguments, ..exchange("x", "x-wrapping") })
    };
    assert_eq!(text(declare(&mut topology, &NO_ARGUMENTS)), failed("nothing wrapped"));
    assert_eq!(text(declare(&mut topology, &wraps("none"))), failed("unknown exchange type 'none'"));
    assert!(!declare(&mut topology, &wraps("topic")).unwrap().is_empty());
    assert_eq!(
        text(declare(&mut topology, &wraps("direct"))),
        failed("inequivalent arg 'x-wrapped' for exchange 'x' in vhost '/': received 'direct' but current is 'topic'")
    );
}
