use std::collections::VecDeque;

use leveret_amqp::{FieldTable, FieldValue, OwnedProperties, Properties, RawTable};
use leveret_store::{
    SyncMode,
    simulation::{self, Disk, Steps},
};
use proptest::prelude::*;

use super::*;
use crate::{
    Broker, BrokerConfig, Error, Publish, Publisher, Routing, VHost,
    exchange::{Binding, Destination, ExchangeType, Fanout, History, Router},
    message::RecordView,
    plugin::Registry,
    queue::Sizing,
    topology::DeclareExchange,
    vhost::DeclareQueue,
};

const LENGTH: u64 = 3;

fn leaves_out(headers: Option<RawTable<'_>>) -> bool {
    headers.is_some_and(|headers| headers.find_raw("out").unwrap().is_some())
}

/// Keeps the last messages, but for those with a header `out`.
struct Last;

impl ExchangeType for Last {
    fn name(&self) -> &str {
        "last"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Fanout::default()))
    }

    fn history(&self, _arguments: &FieldTable) -> Option<History> {
        Some(History { length: LENGTH, leaves_out })
    }
}

/// A broker with exchange `x`, which keeps messages, and queue `q`, which is not bound.
struct Rig {
    disk: Disk,
    broker: Arc<Broker>,
    steps: Steps,
}

impl Rig {
    fn new(durable: bool) -> Self {
        let rig = Self::open(Disk::new(), true);
        rig.declare("x", "last", durable);
        let arguments = &FieldTable::new();
        let declare = DeclareQueue { name: "q", durable: true, auto_delete: false, exclusive_to: None, arguments };
        rig.vhost().declare_queue(&mut rig.broker.turn_at(1), &declare).unwrap();
        rig
    }

    fn open(disk: Disk, has_type: bool) -> Self {
        let (store, steps) = simulation::open(&disk, SyncMode::Commit, usize::MAX).unwrap();
        let config = BrokerConfig {
            default_user: "guest".to_owned(),
            default_password: "guest".to_owned(),
            loopback_users: Vec::new(),
            // So little that next to nothing is kept in memory.
            message_memory_bytes: 1,
        };
        let mut registry = Registry::default();
        if has_type {
            registry.exchange_type(Last).unwrap();
        }
        let broker = Broker::open_by_hand(store, &config, Arc::new(registry), Sizing::default(), 1).unwrap();
        Self { disk, broker, steps }
    }

    fn vhost(&self) -> Arc<VHost> {
        self.broker.vhost("/").unwrap()
    }

    fn declare(&self, name: &str, kind: &str, durable: bool) {
        let arguments = &FieldTable::new();
        let declare = DeclareExchange { name, kind, durable, auto_delete: false, internal: false, arguments };
        self.vhost().declare_exchange(&mut self.broker.turn_at(1), &declare).unwrap();
    }

    fn binding(source: &str, destination: Destination) -> Binding {
        Binding { source: source.into(), destination, routing_key: b""[..].into(), arguments: FieldTable::new() }
    }

    fn bind(&self, source: &str, destination: Destination) {
        let binding = Self::binding(source, destination);
        self.vhost().bind(&mut self.broker.turn_at(1), binding, 0).unwrap();
    }

    fn unbind(&self) {
        self.vhost().unbind(&mut self.broker.turn_at(1), &Self::binding("x", queue()), 0).unwrap();
    }

    fn publish_with(&self, body: &[u8], properties: &OwnedProperties) -> Routing {
        let raw = properties.to_raw();
        let mut turn = self.broker.turn_at(1);
        let mut publisher = Publisher::new(self.vhost());
        let publish = Publish {
            exchange_and_key: b"\x01x\x00",
            exchange: "x",
            routing_key: b"",
            properties: &Properties::parse(&raw).unwrap(),
            properties_raw: &raw,
            body,
            dead_lettered: false,
        };
        let routing = publisher.publish(&mut turn, &publish, 1).unwrap();
        publisher.flush(&mut turn);
        routing
    }

    fn publish(&self, body: &str) -> Routing {
        self.publish_with(body.as_bytes(), &OwnedProperties { delivery_mode: Some(2), ..OwnedProperties::default() })
    }

    fn publish_left_out(&self, body: &str) -> Routing {
        let headers = Some(FieldTable::new().with("out", 1_i32));
        self.publish_with(body.as_bytes(), &OwnedProperties { headers, ..OwnedProperties::default() })
    }

    fn commit(&mut self) {
        self.broker.turn_at(1).after_commit(Box::new(Result::unwrap));
        assert_eq!(self.steps.poll(), None);
        self.steps.collect();
        self.steps.store();
        self.steps.tell();
    }

    /// The power fails and comes back.
    fn restart(self, has_type: bool) -> Self {
        let Self { disk, broker, steps } = self;
        drop((broker, steps));
        disk.lose_power(0);
        Self::open(disk, has_type)
    }

    /// Takes all messages from the queue.
    fn drain(&self) -> Vec<String> {
        let queue = self.vhost().find_queue("q").unwrap();
        let mut turn = self.broker.turn_at(1);
        let mut bodies = Vec::new();
        while let Some(got) = queue.get(&mut turn, true).unwrap() {
            let record = RecordView::parse(got.run.records.record(got.run.first as usize)).unwrap();
            assert_eq!(record.exchange, "x");
            bodies.push(String::from_utf8(record.body[..record.body.len().min(8)].to_vec()).unwrap());
        }
        bodies
    }

    /// What the queue gets that is bound, and unbound after it.
    fn replayed(&self) -> Vec<String> {
        self.bind("x", queue());
        let replayed = self.drain();
        self.unbind();
        replayed
    }
}

fn queue() -> Destination {
    Destination::Queue("q".into())
}

fn nothing() -> [String; 0] {
    []
}

#[test]
fn who_is_bound_gets_the_last_messages_oldest_first() {
    let rig = Rig::new(true);
    assert_eq!(rig.replayed(), nothing());
    for body in ["a", "b", "c", "d"] {
        assert!(!rig.publish(body).routed, "that it is kept is no way to a queue");
    }
    rig.bind("x", queue());
    assert_eq!(rig.drain(), ["b", "c", "d"]);
    assert!(rig.publish("e").routed);
    assert_eq!(rig.drain(), ["e"]);
    rig.bind("x", queue());
    assert_eq!(rig.drain(), nothing(), "it was bound already");
    rig.unbind();
    assert_eq!(rig.replayed(), ["c", "d", "e"]);
}

#[test]
fn what_is_left_out_is_routed_all_the_same() {
    let rig = Rig::new(true);
    rig.bind("x", queue());
    rig.publish("a");
    rig.publish_left_out("b");
    assert_eq!(rig.drain(), ["a", "b"]);
    rig.unbind();
    assert_eq!(rig.replayed(), ["a"]);
}

#[test]
fn an_exchange_that_is_bound_routes_them_on() {
    let rig = Rig::new(true);
    rig.declare("y", "fanout", false);
    rig.bind("y", queue());
    rig.publish("a");
    rig.publish("b");
    rig.bind("x", Destination::Exchange("y".into()));
    assert_eq!(rig.drain(), ["a", "b"]);
    rig.publish("c");
    assert_eq!(rig.drain(), ["c"]);
}

#[test]
fn an_exchange_may_be_bound_to_itself() {
    let rig = Rig::new(true);
    rig.publish("a");
    rig.bind("x", Destination::Exchange("x".into()));
    assert_eq!(rig.replayed(), ["a", "a"]);
}

#[test]
fn carbon_copies_lead_nowhere_else_when_it_is_sent_again() {
    let rig = Rig::new(true);
    let arguments = &FieldTable::new();
    let declare = DeclareQueue { name: "other", durable: true, auto_delete: false, exclusive_to: None, arguments };
    rig.vhost().declare_queue(&mut rig.broker.turn_at(1), &declare).unwrap();
    let copies = FieldValue::Array(vec!["other".into()]);
    let headers = Some(FieldTable::new().with("CC", copies));
    rig.publish_with(b"a", &OwnedProperties { headers, ..OwnedProperties::default() });
    rig.bind("x", queue());
    assert_eq!(rig.vhost().find_queue("other").unwrap().counts().ready, 0);
    assert_eq!(rig.drain(), ["a"]);
}

#[test]
fn a_confirm_waits_for_what_is_kept_durably() {
    let rig = Rig::new(true);
    assert_eq!(rig.publish("a"), Routing { routed: false, durable: true });
    assert_eq!(rig.publish_left_out("b"), Routing { routed: false, durable: false });
    assert_eq!(rig.publish_with(b"c", &OwnedProperties::default()), Routing { routed: false, durable: false });
    let transient = Rig::new(false);
    assert_eq!(transient.publish("a"), Routing { routed: false, durable: false });
}

#[test]
fn they_outlive_a_restart() {
    let mut rig = Rig::new(true);
    for body in ["a", "b", "c", "d"] {
        rig.publish(body);
        rig.commit();
    }
    let mut rig = rig.restart(true);
    assert_eq!(rig.replayed(), ["b", "c", "d"]);
    rig.publish("e");
    assert_eq!(rig.replayed(), ["c", "d", "e"]);
    rig.commit();
    assert_eq!(rig.restart(true).replayed(), ["c", "d", "e"]);
}

#[test]
fn bindings_that_come_back_get_nothing_again() {
    let mut rig = Rig::new(true);
    rig.bind("x", queue());
    rig.publish("a");
    rig.drain();
    rig.commit();
    assert_eq!(rig.restart(true).drain(), nothing());
}

#[test]
fn they_wait_while_the_type_is_missing() {
    let mut rig = Rig::new(true);
    rig.publish("a");
    rig.commit();
    let mut rig = rig.restart(false);
    assert_eq!(rig.replayed(), nothing());
    assert!(rig.vhost().timelines().is_empty(), "nothing is held back");
    rig.commit();
    assert_eq!(rig.restart(true).replayed(), ["a"]);
}

#[test]
fn they_go_with_their_exchange_and_do_not_keep_it() {
    let mut rig = Rig::new(true);
    rig.publish("a");
    rig.commit();
    rig.vhost().delete_exchange(&mut rig.broker.turn_at(1), "x", true).unwrap();
    rig.declare("x", "last", true);
    assert_eq!(rig.replayed(), nothing());
    rig.commit();
    assert_eq!(rig.restart(true).replayed(), nothing());
}

#[test]
fn those_of_a_transient_exchange_end_with_it() {
    let mut rig = Rig::new(false);
    rig.publish("a");
    assert_eq!(rig.replayed(), ["a"]);
    rig.commit();
    let rig = rig.restart(true);
    assert!(rig.vhost().exchange("x").is_err());
    rig.declare("x", "last", false);
    assert_eq!(rig.replayed(), nothing());
}

#[test]
fn they_are_no_delayed_messages() {
    let rig = Rig::new(true);
    rig.publish("a");
    assert!(rig.vhost().timeline("x").is_none() && rig.vhost().timelines().is_empty());
}

#[test]
fn the_oldest_make_room_for_large_ones() {
    let rig = Rig::new(true);
    let large = vec![b'l'; HISTORY_BYTES_MAX as usize * 2 / 5];
    for body in [&b"small"[..], &large, &large] {
        rig.publish_with(body, &OwnedProperties::default());
    }
    assert_eq!(rig.replayed(), ["small", "llllllll", "llllllll"]);
    rig.publish_with(&large, &OwnedProperties::default());
    assert_eq!(rig.replayed(), ["llllllll", "llllllll"]);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Publish,
    PublishLeftOut,
    Commit,
    Restart,
    Bind,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Publish),
        1 => Just(Step::PublishLeftOut),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
        3 => Just(Step::Bind),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_the_last_ones_are_kept(steps in proptest::collection::vec(step(), 1..80)) {
        let mut rig = Rig::new(true);
        let mut model = VecDeque::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Publish => {
                    rig.publish(&number.to_string());
                    model.push_back(number.to_string());
                    if model.len() as u64 > LENGTH {
                        model.pop_front();
                    }
                }
                Step::PublishLeftOut => _ = rig.publish_left_out("left out"),
                Step::Commit => rig.commit(),
                Step::Restart => {
                    rig.commit();
                    rig = rig.restart(true);
                }
                Step::Bind => prop_assert_eq!(&model, &rig.replayed()),
            }
        }
        prop_assert_eq!(&model, &rig.replayed());
    }
}
