//! Timelines in a broker over a simulated store, which is committed and restarted by hand.

use std::{collections::BTreeMap, sync::Arc};

use leveret_amqp::{FieldTable, OwnedProperties, Properties, RawTable, ReplyCode};
use leveret_store::{
    Slot, SyncMode,
    simulation::{self, Disk, Steps},
};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::{
    Broker, BrokerConfig, Error, Publish, Publisher, VHost,
    exchange::{Binding, Destination, ExchangeType, Fanout, Hold, Router},
    message::RecordView,
    plugin::Registry,
    queue::Sizing,
    timeline::{Timeline, Waiting},
    topology::DeclareExchange,
    vhost::DeclareQueue,
};

/// Holds messages until the time in their header `until`, and takes that away then.
struct Until;

impl Hold for Until {
    fn until(&self, headers: Option<RawTable<'_>>, _now_ms: u64) -> Result<Option<u64>, Error> {
        let Some(until) = headers.map(|headers| headers.find("until")).transpose()?.flatten() else { return Ok(None) };
        let until_ms = until.as_i64().and_then(|until_ms| u64::try_from(until_ms).ok());
        until_ms.map(Some).ok_or_else(|| Error::precondition_failed("no time"))
    }

    fn released(&self, headers: &mut FieldTable) {
        headers.remove("until");
    }
}

impl ExchangeType for Until {
    fn name(&self) -> &str {
        "until"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Fanout::default()))
    }

    fn hold(&self, _arguments: &FieldTable) -> Option<Arc<dyn Hold>> {
        Some(Arc::new(Until))
    }
}

/// A broker with exchange `x`, which holds messages back and leads to queue `q`.
struct Rig {
    disk: Disk,
    broker: Arc<Broker>,
    steps: Steps,
    now_ms: u64,
}

impl Rig {
    fn new(durable: bool) -> Self {
        let rig = Self::open(Disk::new(), 1000, true);
        let mut turn = rig.broker.turn_at(rig.now_ms);
        let arguments = &FieldTable::new();
        let declare =
            DeclareExchange { name: "x", kind: "until", durable, auto_delete: false, internal: false, arguments };
        let vhost = rig.vhost();
        vhost.declare_exchange(&mut turn, &declare).unwrap();
        let declare = DeclareQueue { name: "q", durable: true, auto_delete: false, exclusive_to: None, arguments };
        vhost.declare_queue(&mut turn, &declare).unwrap();
        let binding = Binding {
            source: "x".into(),
            destination: Destination::Queue("q".into()),
            routing_key: b"".as_slice().into(),
            arguments: FieldTable::new(),
        };
        vhost.bind(&mut turn, binding, 0).unwrap();
        drop(turn);
        rig
    }

    fn open(disk: Disk, now_ms: u64, has_type: bool) -> Self {
        let (store, steps) = simulation::open(&disk, SyncMode::Commit, usize::MAX).unwrap();
        let config = BrokerConfig {
            default_user: "guest".to_owned(),
            default_password: "guest".to_owned(),
            loopback_users: Vec::new(),
            // So little that windows are as small as they may be.
            message_memory_bytes: 1,
        };
        let mut registry = Registry::default();
        if has_type {
            registry.exchange_type(Until).unwrap();
        }
        let broker = Broker::open_by_hand(store, &config, Arc::new(registry), Sizing::default(), now_ms).unwrap();
        Self { disk, broker, steps, now_ms }
    }

    fn vhost(&self) -> Arc<VHost> {
        self.broker.vhost("/").unwrap()
    }

    fn timeline(&self) -> Arc<Timeline> {
        self.vhost().timeline("x").unwrap()
    }

    /// Publishes a message that is due at a time; its body is its name, and its message id.
    fn publish(&self, until_ms: u64, name: &str, padding: usize) {
        self.publish_together(&[("x", "", until_ms, name)], padding);
    }

    /// Publishes messages as one batch: exchange, routing key, due time and name of each.
    fn publish_together(&self, messages: &[(&str, &str, u64, &str)], padding: usize) {
        let mut turn = self.broker.turn_at(self.now_ms);
        let mut publisher = Publisher::new(self.vhost());
        for (exchange, key, until_ms, name) in messages {
            let headers = Some(FieldTable::new().with("until", *until_ms as i64));
            let message_id = Some(name.as_bytes().to_vec());
            let raw = OwnedProperties { headers, message_id, ..OwnedProperties::default() }.to_raw();
            let mut body = name.as_bytes().to_vec();
            body.resize(body.len() + padding, b' ');
            let length = |text: &str| char::from(text.len() as u8);
            let exchange_and_key = format!("{}{exchange}{}{key}", length(exchange), length(key));
            let publish = Publish {
                exchange_and_key: exchange_and_key.as_bytes(),
                exchange,
                routing_key: key.as_bytes(),
                properties: &Properties::parse(&raw).unwrap(),
                properties_raw: &raw,
                body: &body,
                dead_lettered: false,
            };
            assert!(publisher.publish(&mut turn, &publish, 1).unwrap().routed);
        }
        publisher.flush(&mut turn);
    }

    fn commit(&mut self) {
        self.broker.turn_at(self.now_ms).after_commit(Box::new(Result::unwrap));
        assert_eq!(self.steps.poll(), None);
        self.steps.collect();
        self.steps.store();
        self.steps.tell();
    }

    /// Lets time pass, and whoever is due be woken; some more time where it takes several turns to send on what is due.
    fn wait_until(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        loop {
            while self.broker.tick_next(self.now_ms).is_some() {}
            let next_tick_ms = self.broker.next_tick_ms().filter(|next_ms| *next_ms <= self.now_ms + 10);
            let timeline = self.vhost().timeline("x");
            let next_due_ms = timeline.and_then(|timeline| timeline.next_due_ms(self.broker.store()).unwrap());
            match next_tick_ms {
                Some(next_ms) if next_due_ms.is_some_and(|due_ms| due_ms <= self.now_ms) => self.now_ms = next_ms,
                _ => return,
            }
        }
    }

    /// The power fails and comes back.
    fn restart(self, has_type: bool) -> Self {
        let Self { disk, broker, steps, now_ms } = self;
        drop((broker, steps));
        disk.lose_power(0);
        Self::open(disk, now_ms, has_type)
    }

    /// Takes all messages from the queue: their names.
    fn drain(&self) -> Vec<String> {
        let queue = self.vhost().find_queue("q").unwrap();
        let mut turn = self.broker.turn_at(self.now_ms);
        let mut names = Vec::new();
        while let Some(got) = queue.get(&mut turn, true).unwrap() {
            let record = RecordView::parse(got.run.records.record(got.run.first as usize)).unwrap();
            let properties = OwnedProperties::decode(record.properties_raw).unwrap();
            let name = name(&record);
            let was_held = !["past", "direct"].contains(&&*name);
            assert_eq!(properties.headers.unwrap().contains("until"), !was_held, "the rule changes what it held");
            names.push(name);
        }
        names
    }

    fn held(&self) -> Vec<(u64, String)> {
        let listing = self.timeline().list(self.broker.store(), Slot::default(), Slot::MAX, usize::MAX).unwrap();
        assert_eq!(listing.next, None);
        listing.messages.iter().map(|waiting| (waiting.slot.due_ms, name(&waiting.record().unwrap()))).collect()
    }

    /// What the store has.
    fn stored(&self) -> Vec<Slot> {
        let read =
            self.broker.store().read_timeline(self.timeline().id, Slot::default(), Slot::MAX, usize::MAX, usize::MAX);
        read.unwrap().slots
    }

    fn find(&self, name: &str) -> Vec<Waiting> {
        let listing =
            self.timeline().find(self.broker.store(), name.as_bytes(), Slot::default(), Slot::MAX, usize::MAX);
        listing.unwrap().messages
    }

    fn slot(&self, name: &str) -> Slot {
        self.find(name).first().unwrap().slot
    }
}

fn name(record: &RecordView<'_>) -> String {
    String::from_utf8(record.body.to_vec()).unwrap().trim_end().to_owned()
}

#[test]
fn messages_go_on_when_they_are_due_in_that_order() {
    let mut rig = Rig::new(true);
    for (until_ms, name) in [(1300, "c"), (1100, "a"), (1300, "d"), (1200, "b"), (999, "past")] {
        rig.publish(until_ms, name, 0);
    }
    assert_eq!(rig.drain(), ["past"], "a time that has passed holds nothing back");
    rig.wait_until(1099);
    assert_eq!(rig.drain(), [""; 0]);
    rig.wait_until(1200);
    assert_eq!(rig.drain(), ["a", "b"]);
    rig.commit();
    assert_eq!(rig.timeline().counts().messages, 2);
    rig.wait_until(5000);
    assert_eq!(rig.drain(), ["c", "d"]);
    assert_eq!(rig.timeline().counts(), super::Counts::default());
    assert_eq!(rig.timeline().totals.lateness.sum_ms(), 100 + 3700 + 3700);
}

#[test]
fn a_message_between_two_that_go_on_at_once_is_held() {
    let mut rig = Rig::new(true);
    let direct = ("", "q", 0, "direct");
    rig.publish_together(&[direct, direct, ("x", "", 2000, "held"), direct], 0);
    assert_eq!(rig.drain(), ["direct"; 3]);
    rig.wait_until(2000);
    assert_eq!(rig.drain(), ["held"]);
}

#[test]
fn a_message_is_confirmed_when_it_is_on_disk() {
    let mut rig = Rig::new(true);
    rig.commit();
    rig.publish(2000, "a", 0);
    let confirmed = Arc::new(Mutex::new(false));
    let told = Arc::clone(&confirmed);
    rig.broker.turn_at(rig.now_ms).when_safe(Box::new(move |outcome| *told.lock() = outcome.is_ok()));
    while rig.steps.poll().is_some() {
        assert!(!*confirmed.lock(), "it would be lost now");
        rig.steps.advance(1000);
    }
    rig.steps.collect();
    rig.steps.store();
    rig.steps.tell();
    assert!(*confirmed.lock());
    assert_eq!(rig.restart(true).held(), [(2000, "a".to_owned())]);
}

#[test]
fn what_fell_due_while_the_broker_was_down_goes_on_in_order() {
    let mut rig = Rig::new(true);
    for (until_ms, name) in [(3000, "c"), (1500, "a"), (2000, "b"), (9000, "d")] {
        rig.publish(until_ms, name, 0);
    }
    rig.commit();
    rig.now_ms = 5000;
    let mut rig = rig.restart(true);
    assert_eq!(rig.timeline().counts().messages, 4);
    rig.wait_until(5000);
    assert_eq!(rig.drain(), ["a", "b", "c"]);
    assert_eq!(rig.held(), [(9000, "d".to_owned())]);
}

#[test]
fn a_message_that_goes_on_is_in_its_queue_or_still_held() {
    for is_committed in [false, true] {
        let mut rig = Rig::new(true);
        rig.publish(2000, "a", 0);
        rig.commit();
        rig.wait_until(2000);
        if is_committed {
            rig.commit();
        }
        let mut rig = rig.restart(true);
        rig.wait_until(2000);
        // Transient, but held: where its move was written, a transient message in a queue ends with the power.
        assert_eq!(rig.drain(), if is_committed { vec![] } else { vec!["a"] });
        assert_eq!(rig.timeline().counts().messages, 0);
    }
}

#[test]
fn one_can_be_found_and_cancelled_wherever_it_is() {
    let mut rig = Rig::new(true);
    (0..300).for_each(|number| rig.publish(10_000 + number, &format!("m{number}"), 1000));
    rig.publish(10_005, "m3", 0);
    assert_eq!(rig.find("m3").len(), 2, "an id may come twice");
    for stage in ["unwritten", "written", "restarted"] {
        let before = rig.timeline().counts().messages;
        for number in [0, 150, 299] {
            let slot = rig.slot(&format!("m{number}"));
            assert_eq!(slot.due_ms, 10_000 + number);
            let cancel = || rig.timeline().cancel(&rig.broker.turn_at(rig.now_ms), slot).unwrap();
            assert!(cancel(), "{stage}");
            assert!(!cancel(), "{stage}: it is gone");
            assert_eq!(rig.find(&format!("m{number}")).len(), 0, "{stage}");
            rig.publish(10_000 + number, &format!("m{number}"), 1000);
        }
        assert_eq!(rig.timeline().counts().messages, before);
        rig.commit();
        if stage == "written" {
            rig = rig.restart(true);
        }
    }
    assert_eq!(rig.held().len(), 301);
}

#[test]
fn one_can_get_another_time() {
    let mut rig = Rig::new(true);
    rig.publish(2000, "a", 0);
    rig.publish(3000, "b", 0);
    let reschedule = |rig: &Rig, name, due_ms| {
        rig.timeline().reschedule(&rig.broker.turn_at(rig.now_ms), rig.slot(name), due_ms).unwrap().unwrap()
    };
    assert_eq!(reschedule(&rig, "a", 4000).due_ms, 4000);
    rig.commit();
    reschedule(&rig, "b", 1500);
    assert_eq!(rig.held(), [(1500, "b".to_owned()), (4000, "a".to_owned())]);
    rig.commit();
    let mut rig = rig.restart(true);
    rig.wait_until(1500);
    assert_eq!(rig.drain(), ["b"]);
    let gone = Slot { due_ms: 1, seq: 1 };
    assert_eq!(rig.timeline().reschedule(&rig.broker.turn_at(1500), gone, 9).unwrap(), None);
    assert_eq!(rig.held(), [(4000, "a".to_owned())]);
}

#[test]
fn one_can_be_sent_on_before_its_time() {
    let mut rig = Rig::new(true);
    rig.publish(2000, "a", 0);
    rig.publish(3000, "b", 0);
    rig.commit();
    let slot = rig.slot("b");
    assert!(rig.timeline().deliver_now(&mut rig.broker.turn_at(rig.now_ms), slot).unwrap());
    assert!(!rig.timeline().deliver_now(&mut rig.broker.turn_at(rig.now_ms), slot).unwrap());
    assert_eq!(rig.drain(), ["b"]);
    assert_eq!(rig.held(), [(2000, "a".to_owned())]);
}

#[test]
fn all_can_be_removed_at_once() {
    let mut rig = Rig::new(true);
    (0..300).for_each(|number| rig.publish(2000 + number, &format!("m{number}"), 1000));
    rig.commit();
    rig.publish(2000, "unwritten", 0);
    assert_eq!(rig.timeline().clear(&rig.broker.turn_at(rig.now_ms)), 301);
    assert_eq!((rig.held(), rig.find("m5").len()), (vec![], 0));
    rig.publish(3000, "later", 0);
    rig.commit();
    let rig = rig.restart(true);
    assert_eq!(rig.held(), [(3000, "later".to_owned())]);
    assert_eq!(rig.timeline().counts().messages, 1);
}

#[test]
fn listing_goes_page_by_page() {
    let mut rig = Rig::new(true);
    (0..10).for_each(|number| rig.publish(2000 + number, &format!("m{number}"), 0));
    rig.commit();
    (10..20).for_each(|number| rig.publish(2000 + number % 10, &format!("m{number}"), 0));
    let mut from = Slot { due_ms: 2002, seq: 0 };
    let until = Slot { due_ms: 2009, seq: 0 };
    let mut found = Vec::new();
    loop {
        let page = rig.timeline().list(rig.broker.store(), from, until, 3).unwrap();
        assert!(page.messages.len() <= 3);
        found.extend(page.messages.iter().map(|waiting| waiting.slot.due_ms));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(found, [2002, 2002, 2003, 2003, 2004, 2004, 2005, 2005, 2006, 2006, 2007, 2007, 2008, 2008]);
}

#[test]
fn looking_for_an_id_goes_page_by_page() {
    let mut rig = Rig::new(true);
    (0..5).for_each(|number| rig.publish(2000 + number, "same", 0));
    rig.publish(2002, "other", 0);
    rig.commit();
    (5..10).for_each(|number| rig.publish(2000 + number, "same", 0));
    let (mut from, until) = (Slot { due_ms: 2001, seq: 0 }, Slot { due_ms: 2009, seq: 0 });
    let mut found = Vec::new();
    loop {
        let page = rig.timeline().find(rig.broker.store(), b"same", from, until, 2).unwrap();
        assert!(page.messages.len() <= 2);
        found.extend(page.messages.iter().map(|waiting| waiting.slot.due_ms));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(found, (2001..2009).collect::<Vec<_>>());
}

#[test]
fn what_is_due_goes_on_slowly_while_memory_is_short() {
    let mut rig = Rig::new(true);
    (0..100).for_each(|_| rig.publish(2000, "m", 0));
    rig.now_ms = 2000;
    assert!(rig.broker.tick_next(2000).is_some());
    let first = rig.drain().len();
    assert!((1..100).contains(&first), "{first}");
    assert!(rig.broker.tick_next(2000).is_none(), "others are in between");
    rig.wait_until(2000);
    assert_eq!(first + rig.drain().len(), 100);
}

#[test]
fn what_an_exchange_holds_goes_with_it() {
    let mut rig = Rig::new(true);
    rig.publish(2000, "a", 0);
    rig.publish(2000, "b", 0);
    rig.commit();
    let error = rig.vhost().delete_exchange(&mut rig.broker.turn_at(rig.now_ms), "x", true).unwrap_err();
    assert_eq!(error.code, ReplyCode::PreconditionFailed);
    assert!(error.text.contains("in use"), "{}", error.text);
    let vhost = rig.vhost();
    let mut turn = rig.broker.turn_at(rig.now_ms);
    vhost.remove_queue(&mut turn, &vhost.find_queue("q").unwrap());
    let error = vhost.delete_exchange(&mut turn, "x", true).unwrap_err();
    assert_eq!(error.text, "exchange 'x' in vhost '/' in use: 2 delayed messages wait in it");
    vhost.delete_exchange(&mut turn, "x", false).unwrap();
    drop(turn);
    rig.commit();
    let rig = rig.restart(true);
    assert_eq!(rig.broker.store().logs().unwrap(), []);
    assert!(rig.vhost().timeline("x").is_none());
}

#[test]
fn what_a_transient_exchange_holds_ends_with_the_process() {
    let mut rig = Rig::new(false);
    rig.publish(2000, "a", 0);
    rig.commit();
    let mut rig = rig.restart(true);
    assert!(rig.vhost().timeline("x").is_none());
    rig.commit();
    assert_eq!(rig.broker.store().logs().unwrap(), []);
}

#[test]
fn messages_of_a_type_that_is_missing_wait_until_it_is_back() {
    let mut rig = Rig::new(true);
    rig.publish(2000, "a", 0);
    rig.commit();
    let mut rig = rig.restart(false);
    rig.wait_until(3000);
    assert_eq!(rig.drain(), [""; 0]);
    assert_eq!(rig.held(), [(2000, "a".to_owned())]);
    rig.commit();
    let mut rig = rig.restart(true);
    rig.wait_until(3000);
    assert_eq!(rig.drain(), ["a"]);
}

#[test]
fn memory_is_taken_by_what_is_due_next_only() {
    let mut rig = Rig::new(true);
    for batch in 0..20_u64 {
        (0..100).for_each(|number| rig.publish(2000 + number * 20 + batch, &format!("m{batch}-{number}"), 1000));
        rig.commit();
    }
    let memory_bytes = || rig.timeline().core.lock().state.memory_bytes();
    assert!(memory_bytes() < 100_000, "{}", memory_bytes());
    let mut rig = rig.restart(true);
    let mut drained = Vec::new();
    for now_ms in 2000..4000 {
        rig.wait_until(now_ms);
        drained.extend(rig.drain());
        rig.broker.relieve_memory();
        let memory_bytes = rig.timeline().core.lock().state.memory_bytes();
        assert!(memory_bytes < 100_000, "{memory_bytes}");
    }
    let expected = (0..2000).map(|due| format!("m{}-{}", due % 20, due / 20)).collect::<Vec<_>>();
    assert_eq!(drained, expected);
}

/// What may happen, by the number of the message that it happens to.
#[derive(Clone, Debug)]
enum Step {
    Publish { due_in_ms: u64, padding: usize },
    Wait { ms: u64 },
    SetBack { ms: u64 },
    Cancel(usize),
    Reschedule(usize, u64),
    DeliverNow(usize),
    Commit,
    BeginCommit,
    EndCommit,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..5000_u64, 0..3000_usize).prop_map(|(due_in_ms, padding)| Step::Publish { due_in_ms, padding }),
        3 => (0..1500_u64).prop_map(|ms| Step::Wait { ms }),
        1 => (0..1500_u64).prop_map(|ms| Step::SetBack { ms }),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => (any::<usize>(), 1..5000_u64).prop_map(|(message, due_in_ms)| Step::Reschedule(message, due_in_ms)),
        1 => any::<usize>().prop_map(Step::DeliverNow),
        2 => Just(Step::Commit),
        1 => Just(Step::BeginCommit),
        1 => Just(Step::EndCommit),
        1 => Just(Step::Restart),
    ]
}

/// What is held, and what has gone on, as it should be. What is due at the same time goes on in the order in which it got
/// that time.
#[derive(Clone, Default)]
struct Model {
    held: BTreeMap<(u64, u64), String>,
    gone_on: Vec<String>,
    numbered: u64,
}

impl Model {
    fn hold(&mut self, due_ms: u64, name: String) {
        self.held.insert((due_ms, self.numbered), name);
        self.numbered += 1;
    }

    fn any(&self, pick: usize) -> Option<(u64, u64)> {
        self.held.keys().nth(pick % self.held.len().max(1)).copied()
    }

    fn pass(&mut self, now_ms: u64) {
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= now_ms) {
            self.gone_on.push(entry.remove());
        }
    }
}

fn is_as_modelled(steps: Vec<Step>) {
    let mut rig = Rig::new(true);
    rig.commit();
    let mut model = Model::default();
    // As of the last commit.
    let mut durable = model.clone();
    let mut under_way: Option<Model> = None;
    let slot = |(due_ms, seq)| Slot { due_ms, seq };
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Publish { due_in_ms, padding } => {
                let name = format!("m{number}");
                rig.publish(rig.now_ms + due_in_ms, &name, padding);
                model.hold(rig.now_ms + due_in_ms, name);
            }
            Step::Wait { ms } => {
                rig.wait_until(rig.now_ms + ms);
                model.pass(rig.now_ms);
            }
            Step::SetBack { ms } => rig.now_ms = rig.now_ms.saturating_sub(ms),
            Step::Cancel(pick) => {
                if let Some(key) = model.any(pick) {
                    assert!(rig.timeline().cancel(&rig.broker.turn_at(rig.now_ms), slot(key)).unwrap());
                    model.held.remove(&key);
                }
            }
            Step::Reschedule(pick, due_in_ms) => {
                if let Some(key) = model.any(pick) {
                    let due_ms = rig.now_ms + due_in_ms;
                    let turn = rig.broker.turn_at(rig.now_ms);
                    let moved = rig.timeline().reschedule(&turn, slot(key), due_ms).unwrap();
                    assert_eq!(moved, Some(slot((due_ms, model.numbered))));
                    let name = model.held.remove(&key).unwrap();
                    model.hold(due_ms, name);
                }
            }
            Step::DeliverNow(pick) => {
                if let Some(key) = model.any(pick) {
                    let mut turn = rig.broker.turn_at(rig.now_ms);
                    assert!(rig.timeline().deliver_now(&mut turn, slot(key)).unwrap());
                    model.gone_on.extend(model.held.remove(&key));
                }
            }
            Step::Commit if under_way.is_none() => {
                rig.commit();
                let held: Vec<_> = model.held.keys().copied().map(slot).collect();
                assert_eq!(rig.stored(), held, "nothing is left of what has gone, after step {number}");
                durable = model.clone();
            }
            Step::BeginCommit if under_way.is_none() => {
                rig.broker.turn_at(rig.now_ms).after_commit(Box::new(Result::unwrap));
                assert_eq!(rig.steps.poll(), None);
                rig.steps.collect();
                under_way = Some(model.clone());
            }
            Step::Commit | Step::BeginCommit | Step::EndCommit => {
                if let Some(committed) = under_way.take() {
                    rig.steps.store();
                    rig.steps.tell();
                    durable = committed;
                }
            }
            Step::Restart => {
                under_way = None;
                rig = rig.restart(true);
                // The queue's messages are transient, and gone.
                model = Model { gone_on: Vec::new(), ..durable.clone() };
                durable = model.clone();
                rig.wait_until(rig.now_ms);
                model.pass(rig.now_ms);
            }
        }
        let gone_on = rig.drain();
        assert_eq!(gone_on, model.gone_on, "after step {number}");
        model.gone_on.clear();
        assert_eq!(rig.timeline().counts().messages, model.held.len() as u64, "after step {number}");
        let held: Vec<_> = model.held.iter().map(|((due_ms, _), name)| (*due_ms, name.clone())).collect();
        assert_eq!(rig.held(), held, "after step {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_message_goes_on_once_and_in_time(steps in proptest::collection::vec(step(), 1..250)) {
        is_as_modelled(steps);
    }
}
