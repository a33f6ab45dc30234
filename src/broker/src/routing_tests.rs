use leveret_amqp::{FieldTable, ReplyCode};
use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    exchange::{Binding, ExchangeTypes, testing::with_headers},
    topology::DeclareExchange,
};

static NO_ARGUMENTS: FieldTable = FieldTable::new();

/// Exchanges by name and type, queues `q1` to `q4`.
fn topology(exchanges: &[(&str, &str, &FieldTable)]) -> Topology<String> {
    let mut topology = Topology::new("/", ExchangeTypes::default());
    for (name, kind, arguments) in exchanges {
        let declaration = DeclareExchange { name, kind, durable: true, auto_delete: false, internal: false, arguments };
        topology.declare_exchange(&declaration).unwrap();
    }
    for queue in ["q1", "q2", "q3", "q4"] {
        topology.add_queue(queue.into(), queue.to_owned());
    }
    topology
}

fn alternate(name: &str) -> FieldTable {
    FieldTable::new().with("alternate-exchange", name)
}

fn bind(topology: &mut Topology<String>, source: &str, destination: Destination, key: &str) {
    let binding = Binding {
        source: source.into(),
        destination,
        routing_key: key.as_bytes().into(),
        arguments: FieldTable::new(),
    };
    topology.bind(binding).unwrap();
}

fn queue(name: &str) -> Destination {
    Destination::Queue(name.into())
}

fn exchange(name: &str) -> Destination {
    Destination::Exchange(name.into())
}

fn contents(headers: &FieldTable) -> Vec<u8> {
    let mut contents = Vec::new();
    headers.encode_contents(&mut contents);
    contents
}

/// The queues, sorted; panics where one comes twice. And whether that may be kept.
fn try_route(
    topology: &Topology<String>,
    exchange: &str,
    key: &str,
    headers: &FieldTable,
) -> Result<(Vec<String>, bool), Error> {
    let contents = contents(headers);
    let input = RouteInput { routing_key: key.as_bytes(), properties: &with_headers(&contents) };
    let Routed { queues: mut out, cacheable, .. } = route(topology, Sender::Client, exchange, input, 0)?;
    out.sort();
    let before = out.len();
    out.dedup();
    assert_eq!(before, out.len(), "a queue came twice");
    Ok((out, cacheable))
}

/// Without headers.
fn route_plainly(
    topology: &Topology<String>,
    sender: Sender,
    exchange: &str,
    routing_key: &[u8],
) -> Result<Routed<String>, Error> {
    route(topology, sender, exchange, RouteInput::of_key(routing_key), 0)
}

fn routed(topology: &Topology<String>, exchange: &str, key: &str) -> Vec<String> {
    try_route(topology, exchange, key, &NO_ARGUMENTS).unwrap().0
}

fn copies(name: &str, keys: &[&str]) -> FieldTable {
    FieldTable::new().with(name, keys.iter().map(|key| FieldValue::from(*key)).collect::<Vec<_>>())
}

#[test]
fn the_default_exchange_routes_by_the_name_of_the_queue() {
    let topology = topology(&[]);
    assert_eq!(try_route(&topology, "", "q1", &NO_ARGUMENTS).unwrap(), (vec!["q1".to_owned()], true));
    assert_eq!(routed(&topology, "", "missing"), [""; 0]);
    let nowhere = route_plainly(&topology, Sender::Client, "", b"\xff").unwrap();
    assert!(nowhere.queues.is_empty() && nowhere.cacheable);
}

#[test]
fn an_unknown_exchange_is_refused() {
    let error = route_plainly(&topology(&[]), Sender::Client, "x", b"").unwrap_err();
    assert_eq!((error.code, &*error.text), (ReplyCode::NotFound, "no exchange 'x' in vhost '/'"));
}

#[test]
fn only_the_broker_publishes_to_internal_exchanges() {
    let mut topology = topology(&[]);
    bind(&mut topology, "amq.rabbitmq.trace", queue("q1"), "#");
    let error = route_plainly(&topology, Sender::Client, "amq.rabbitmq.trace", b"k").unwrap_err();
    assert_eq!(error.code, ReplyCode::AccessRefused);
    assert_eq!(error.text, "cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'");
    let routed = route_plainly(&topology, Sender::Broker, "amq.rabbitmq.trace", b"k").unwrap();
    assert_eq!((routed.queues, routed.cacheable), (vec!["q1".to_owned()], true));
}

#[test]
fn exchanges_lead_to_exchanges_and_circles_end() {
    let mut topology =
        topology(&[("a", "fanout", &NO_ARGUMENTS), ("b", "direct", &NO_ARGUMENTS), ("c", "topic", &NO_ARGUMENTS)]);
    bind(&mut topology, "a", exchange("b"), "");
    bind(&mut topology, "a", exchange("c"), "");
    bind(&mut topology, "a", queue("q1"), "");
    bind(&mut topology, "b", exchange("a"), "k");
    bind(&mut topology, "b", exchange("b"), "k");
    bind(&mut topology, "b", queue("q1"), "k");
    bind(&mut topology, "b", queue("q2"), "k");
    bind(&mut topology, "c", queue("q2"), "#");
    bind(&mut topology, "c", queue("q3"), "*");
    assert_eq!(routed(&topology, "a", "k"), ["q1", "q2", "q3"]);
    assert_eq!(routed(&topology, "b", "k"), ["q1", "q2", "q3"]);
    assert_eq!(routed(&topology, "a", "other.key"), ["q1", "q2"]);
    assert_eq!(routed(&topology, "b", "other"), [""; 0]);
}

#[test]
fn the_alternate_exchange_takes_the_rest() {
    let (to_b, to_c, to_a) = (alternate("b"), alternate("c"), alternate("a"));
    let mut topology = topology(&[("a", "direct", &to_b), ("b", "direct", &to_c), ("c", "direct", &to_a)]);
    bind(&mut topology, "a", queue("q1"), "1");
    bind(&mut topology, "b", queue("q2"), "2");
    bind(&mut topology, "c", queue("q3"), "3");
    assert_eq!(routed(&topology, "a", "1"), ["q1"]);
    assert_eq!(routed(&topology, "a", "2"), ["q2"]);
    assert_eq!(routed(&topology, "a", "3"), ["q3"]);
    assert_eq!(routed(&topology, "b", "1"), ["q1"]);
    assert_eq!(routed(&topology, "a", "4"), [""; 0]);
}

#[test]
fn the_alternate_exchange_may_be_missing_or_the_default_one_or_given_by_policy() {
    let (missing, default) = (alternate("missing"), alternate(""));
    let mut topology =
        topology(&[("a", "direct", &missing), ("b", "direct", &default), ("c", "direct", &NO_ARGUMENTS)]);
    assert_eq!(routed(&topology, "a", "q1"), [""; 0]);
    assert_eq!(routed(&topology, "b", "q1"), ["q1"]);
    topology.set_policy_alternate("c", Some("b"));
    assert_eq!(routed(&topology, "c", "q1"), ["q1"]);
}

#[test]
fn an_exchange_that_leads_nowhere_still_matched() {
    let to_c = alternate("c");
    let mut topology =
        topology(&[("a", "direct", &to_c), ("b", "direct", &NO_ARGUMENTS), ("c", "fanout", &NO_ARGUMENTS)]);
    bind(&mut topology, "a", exchange("b"), "k");
    bind(&mut topology, "c", queue("q1"), "");
    assert_eq!(routed(&topology, "a", "k"), [""; 0]);
    assert_eq!(routed(&topology, "a", "other"), ["q1"]);
}

#[test]
fn copies_are_further_keys() {
    let mut topology = topology(&[]);
    bind(&mut topology, "amq.direct", queue("q1"), "1");
    bind(&mut topology, "amq.direct", queue("q2"), "2");
    bind(&mut topology, "amq.direct", queue("q2"), "3");
    bind(&mut topology, "amq.fanout", queue("q4"), "");
    let both = {
        let mut headers = copies("CC", &["2", "3", "1"]);
        headers.insert("BCC", vec![FieldValue::from("missing"), FieldValue::I32(7)]);
        headers
    };
    let routed = |exchange, key, headers: &FieldTable| try_route(&topology, exchange, key, headers).unwrap();
    assert_eq!(routed("amq.direct", "1", &both), (vec!["q1".to_owned(), "q2".to_owned()], false));
    assert_eq!(routed("amq.direct", "none", &copies("BCC", &["1"])), (vec!["q1".to_owned()], false));
    assert_eq!(routed("", "q1", &copies("CC", &["q3", "q1"])), (vec!["q1".to_owned(), "q3".to_owned()], false));
    assert_eq!(routed("amq.fanout", "", &both).0, ["q4"]);
    assert_eq!(routed("amq.direct", "1", &copies("cc", &["2"])), (vec!["q1".to_owned()], true));
}

#[test]
fn copies_follow_to_other_exchanges_and_to_the_alternate() {
    let to_b = alternate("b");
    let mut topology =
        topology(&[("a", "direct", &to_b), ("b", "direct", &NO_ARGUMENTS), ("c", "fanout", &NO_ARGUMENTS)]);
    bind(&mut topology, "b", queue("q2"), "2");
    bind(&mut topology, "c", exchange("b"), "");
    bind(&mut topology, "a", queue("q1"), "1");
    let routed = |exchange, key, headers: &FieldTable| try_route(&topology, exchange, key, headers).unwrap().0;
    assert_eq!(routed("c", "x", &copies("CC", &["2"])), ["q2"]);
    assert_eq!(routed("a", "x", &copies("CC", &["2"])), ["q2"]);
    assert_eq!(routed("a", "1", &copies("CC", &["2"])), ["q1"]);
}

#[test]
fn copies_must_be_an_array() {
    let topology = topology(&[]);
    for (name, value, kind) in [("CC", FieldValue::from("q1"), "longstr"), ("BCC", FieldValue::I32(1), "signedint")] {
        let error = try_route(&topology, "", "q1", &FieldTable::new().with(name, value)).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        assert_eq!(error.text, format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"));
    }
}

#[test]
fn malformed_copies_are_a_syntax_error() {
    let input = RouteInput { routing_key: b"", properties: &with_headers(b"\x02CCS\0\0") };
    let error = route(&topology(&[]), Sender::Client, "", input, 0).unwrap_err();
    assert_eq!(error.code, ReplyCode::SyntaxError);
}

#[test]
fn what_headers_decide_is_not_kept() {
    let mut topology = topology(&[("a", "fanout", &NO_ARGUMENTS)]);
    bind(&mut topology, "a", exchange("amq.headers"), "");
    bind(&mut topology, "amq.headers", queue("q1"), "");
    assert_eq!(try_route(&topology, "a", "", &NO_ARGUMENTS).unwrap(), (vec!["q1".to_owned()], false));
    assert!(try_route(&topology, "amq.topic", "", &NO_ARGUMENTS).unwrap().1);
}

#[test]
fn an_exchange_without_a_type_refuses_to_route() {
    let mut topology = topology(&[]);
    let gone = DeclareExchange {
        name: "x",
        kind: "x-gone",
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: &NO_ARGUMENTS,
    };
    topology.restore_exchange(&gone);
    bind(&mut topology, "amq.fanout", exchange("x"), "");
    for name in ["x", "amq.fanout"] {
        let error = try_route(&topology, name, "", &NO_ARGUMENTS).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        assert_eq!(
            error.text,
            "Cannot route message through exchange 'x' in vhost '/': exchange type x-gone not found"
        );
    }
}

#[test]
fn a_removed_queue_gets_nothing() {
    let mut topology = topology(&[]);
    bind(&mut topology, "amq.fanout", queue("q1"), "");
    bind(&mut topology, "amq.fanout", queue("q2"), "");
    topology.remove_queue("q1");
    assert_eq!(routed(&topology, "amq.fanout", ""), ["q2"]);
    assert_eq!(routed(&topology, "", "q1"), [""; 0]);
}

fn raw_properties(headers: Option<FieldTable>) -> Vec<u8> {
    OwnedProperties { headers, content_type: Some(b"text/plain".to_vec()), ..OwnedProperties::default() }.to_raw()
}

#[test]
fn blind_copies_are_removed_and_nothing_else() {
    let headers = copies("BCC", &["1"]).with("CC", vec![FieldValue::from("2")]).with("k", "v");
    let raw = raw_properties(Some(headers));
    let properties = Properties::parse(&raw).unwrap();
    assert!(has_carbon_copies(&properties));
    let stripped = without_bcc(&properties, &raw).unwrap();
    let expected = raw_properties(Some(copies("CC", &["2"]).with("k", "v")));
    assert_eq!(*stripped, expected);
}

#[test]
fn without_blind_copies_nothing_is_copied() {
    for headers in [None, Some(copies("CC", &["1"])), Some(FieldTable::new().with("ABCC", "\u{3}BCC"))] {
        let raw = raw_properties(headers);
        let properties = Properties::parse(&raw).unwrap();
        assert!(matches!(without_bcc(&properties, &raw).unwrap(), Cow::Borrowed(_)));
    }
    let raw = raw_properties(Some(FieldTable::new().with("ACC", "x").with("C", "C")));
    assert!(!has_carbon_copies(&Properties::parse(&raw).unwrap()));
}

/// Exchanges `e0` to `e4`: fanouts and directs with random bindings and alternates.
#[derive(Clone, Debug)]
struct Plan {
    kinds: Vec<(&'static str, Option<usize>)>,
    bindings: Vec<(usize, Result<usize, usize>, &'static str)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let kinds = proptest::collection::vec((select(&["fanout", "direct"][..]), proptest::option::of(0..5_usize)), 5);
    let destination = prop_oneof![(1..5_usize).prop_map(Ok), (0..5_usize).prop_map(Err)];
    let bindings = proptest::collection::vec((0..5_usize, destination, select(&["a", "b"][..])), 0..14);
    (kinds, bindings).prop_map(|(kinds, bindings)| Plan { kinds, bindings })
}

impl Plan {
    fn build(&self) -> Topology<String> {
        let mut built = topology(&[]);
        for (number, (kind, alternate_number)) in self.kinds.iter().enumerate() {
            let arguments = alternate_number.map_or_else(FieldTable::new, |to| alternate(&format!("e{to}")));
            let name = format!("e{number}");
            let declaration = DeclareExchange {
                name: &name,
                kind,
                durable: true,
                auto_delete: false,
                internal: false,
                arguments: &arguments,
            };
            built.declare_exchange(&declaration).unwrap();
        }
        for (source, destination, key) in &self.bindings {
            let destination = match destination {
                Ok(number) => queue(&format!("q{number}")),
                Err(number) => exchange(&format!("e{number}")),
            };
            bind(&mut built, &format!("e{source}"), destination, key);
        }
        built
    }

    fn expected(&self, start: usize, keys: &[&str]) -> Vec<String> {
        let (mut pending, mut seen) = (vec![start], vec![start]);
        let mut queues = Vec::new();
        while let Some(at) = pending.pop() {
            let matches = |key: &str| self.kinds[at].0 == "fanout" || keys.contains(&key);
            let found: Vec<_> = self.bindings.iter().filter(|(source, _, key)| *source == at && matches(key)).collect();
            let next = found.iter().filter_map(|(_, destination, _)| destination.err());
            let next: Vec<_> = if found.is_empty() { self.kinds[at].1.into_iter().collect() } else { next.collect() };
            for exchange in next {
                if !seen.contains(&exchange) {
                    seen.push(exchange);
                    pending.push(exchange);
                }
            }
            queues.extend(
                found.iter().filter_map(|(_, destination, _)| destination.ok()).map(|number| format!("q{number}")),
            );
        }
        queues.sort();
        queues.dedup();
        queues
    }
}

proptest! {
    #[test]
    fn it_routes_as_described(plan in plan(), start in 0..5_usize, key in select(&["a", "b", "c"][..]), copy in proptest::option::of(select(&["a", "b"][..]))) {
        let topology = plan.build();
        let keys: Vec<_> = std::iter::once(key).chain(copy).collect();
        let headers = copy.map_or_else(FieldTable::new, |copy| copies("CC", &[copy]));
        let (queues, cacheable) = try_route(&topology, &format!("e{start}"), key, &headers).unwrap();
        prop_assert_eq!(queues, plan.expected(start, &keys));
        prop_assert_eq!(cacheable, copy.is_none_or(|copy| copy == key));
    }
}
