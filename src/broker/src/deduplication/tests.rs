//! Caches, against a model that remembers everything.

use std::collections::VecDeque;

use leveret_amqp::{FieldTable, FieldValue, RawTable, ReplyCode};
use leveret_store::{
    LogId, Source, Store, SyncMode, Writes,
    simulation::{self, Disk, Steps},
};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{CACHE_SIZE_MAX, Rule, Seen, state::State};
use crate::Error;

fn rule(arguments: &FieldTable, is_by_type: bool) -> Result<Option<Rule>, Error> {
    Rule::of(arguments, is_by_type, "exchange", "x", "/")
}

fn with(name: &str, value: impl Into<FieldValue>) -> FieldTable {
    FieldTable::new().with("x-message-deduplication", true).with(name, value)
}

fn digest(rule: &Rule, headers: &FieldTable, now_ms: u64) -> Result<Option<(u128, u64)>, Error> {
    let mut contents = Vec::new();
    headers.encode_contents(&mut contents);
    rule.digest(Some(RawTable::new(&contents)), now_ms)
}

#[test]
fn who_does_not_ask_gets_none() {
    assert_eq!(rule(&FieldTable::new(), false).unwrap(), None);
    assert_eq!(rule(&FieldTable::new().with("x-message-deduplication", false), false).unwrap(), None);
    assert_eq!(rule(&FieldTable::new().with("x-cache-size", "no number"), false).unwrap(), None);
}

#[test]
fn who_asks_gets_what_the_arguments_say() {
    let header = "x-deduplication-header".to_owned();
    let plain = Rule { header, size: 128, ttl_ms: None, is_kept: true };
    assert_eq!(rule(&FieldTable::new().with("x-message-deduplication", true), false).unwrap(), Some(plain.clone()));
    let arguments = with("x-deduplication-header", "id")
        .with("x-cache-size", 5_i8)
        .with("x-cache-ttl", 1000_i64)
        .with("x-cache-persistence", "memory");
    let full = Rule { header: "id".to_owned(), size: 5, ttl_ms: Some(1000), is_kept: false };
    assert_eq!(rule(&arguments, false).unwrap(), Some(full));
    assert_eq!(rule(&FieldTable::new().with("x-cache-size", 5_i8), true).unwrap(), Some(Rule { size: 5, ..plain }));
}

#[test]
fn wrong_arguments_are_refused() {
    let refused = |arguments: FieldTable, is_by_type| {
        let error = rule(&arguments, is_by_type).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        error.text
    };
    assert_eq!(
        refused(FieldTable::new().with("x-message-deduplication", "true"), false),
        "invalid arg 'x-message-deduplication' for exchange 'x' in vhost '/': {unacceptable_type,longstr}"
    );
    assert!(refused(with("x-cache-size", 0_i32), false).ends_with("{value_not_positive,0}"));
    assert!(refused(with("x-cache-size", CACHE_SIZE_MAX as i64 + 1), false).ends_with("{max_value_exceeded,1000001}"));
    assert!(refused(with("x-cache-ttl", "soon"), false).ends_with("{unacceptable_type,longstr}"));
    assert!(refused(with("x-deduplication-header", 5_i32), false).ends_with("{unacceptable_type,signedint}"));
    assert!(refused(with("x-cache-persistence", "tape"), false).ends_with("\"expected memory or disk\""));
    assert!(refused(FieldTable::new(), true).contains("'x-cache-size'"), "the type wants a size");
}

#[test]
fn values_are_told_apart_but_for_the_width_of_integers() {
    let rule = rule(&with("x-cache-ttl", 1000_i32), false).unwrap().unwrap();
    let digest_of = |value: FieldValue| {
        digest(&rule, &FieldTable::new().with("x-deduplication-header", value), 5).unwrap().unwrap().0
    };
    assert_eq!(digest_of(FieldValue::I8(1)), digest_of(FieldValue::U32(1)));
    let values =
        [FieldValue::I8(1), FieldValue::from("1"), FieldValue::Bool(true), FieldValue::Void, FieldValue::I8(2)];
    let mut digests: Vec<_> = values.into_iter().map(digest_of).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 5);
    assert_eq!(digest(&rule, &FieldTable::new().with("other", 1_i32), 5).unwrap(), None);
    assert_eq!(rule.digest(None, 5).unwrap(), None);
}

#[test]
fn a_message_may_say_how_long_it_is_remembered() {
    let rule = rule(&with("x-cache-ttl", 1000_i32), false).unwrap().unwrap();
    let until_ms = |headers: FieldTable| {
        digest(&rule, &headers.with("x-deduplication-header", 1_i32), 5).map(|digest| digest.unwrap().1)
    };
    assert_eq!(until_ms(FieldTable::new()).unwrap(), 1005);
    assert_eq!(until_ms(FieldTable::new().with("x-cache-ttl", 20_i32)).unwrap(), 25);
    assert_eq!(until_ms(FieldTable::new().with("x-cache-ttl", "20")).unwrap(), 25);
    let error = until_ms(FieldTable::new().with("x-cache-ttl", "soon")).unwrap_err();
    assert_eq!(error.text, "invalid header 'x-cache-ttl' of type 'longstr': it must be milliseconds");
    assert!(until_ms(FieldTable::new().with("x-cache-ttl", -1_i32)).is_err());
}

/// What may happen; values are small numbers, so that they come again.
#[derive(Clone, Debug)]
enum Step {
    Look { value: u8, ttl_ms: Option<u64> },
    LookInVain(u8),
    Wait(u64),
    Commit,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..40_u8, proptest::option::weighted(0.5, 1..300_u64))
            .prop_map(|(value, ttl_ms)| Step::Look { value, ttl_ms }),
        4 => (0..40_u8).prop_map(Step::LookInVain),
        2 => (0..200_u64).prop_map(Step::Wait),
        2 => Just(Step::Commit),
        1 => Just(Step::Restart),
    ]
}

const ID: u64 = 3;

struct Rig {
    disk: Disk,
    store: Store,
    steps: Steps,
    state: std::sync::Arc<Locked>,
}

struct Locked(Mutex<State>);

impl Source for Locked {
    fn collect(&self, writes: &mut Writes) {
        self.0.lock().collect(ID, writes);
    }

    fn committed(&self) {}
}

impl Rig {
    fn open(disk: Disk, size: usize) -> Self {
        let (store, steps) = simulation::open(&disk, SyncMode::Commit, usize::MAX).unwrap();
        let mut state = State::new(size, true);
        if let Some((_, stored)) =
            store.logs().unwrap().into_iter().find(|(log, _)| *log == LogId { queue: ID, level: 0 })
        {
            state.recover(ID, &store, stored).unwrap();
        }
        Self { disk, store, steps, state: std::sync::Arc::new(Locked(Mutex::new(state))) }
    }

    fn commit(&mut self) {
        let turn = self.store.turn();
        turn.dirty(std::sync::Arc::clone(&self.state) as std::sync::Arc<dyn Source>);
        turn.after_commit(Box::new(Result::unwrap));
        drop(turn);
        assert_eq!(self.steps.poll(), None);
        self.steps.collect();
        self.steps.store();
        self.steps.tell();
    }

    fn chunks(&self) -> usize {
        self.store.read(LogId { queue: ID, level: 0 }, 0, usize::MAX).unwrap().len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_latest_values_are_known_also_after_a_restart(
        size in 1..20_usize,
        steps in proptest::collection::vec(step(), 1..200),
    ) {
        let mut rig = Rig::open(Disk::new(), size);
        // The latest last; each value once.
        let mut model: VecDeque<(u128, u64)> = VecDeque::new();
        let mut durable = model.clone();
        let mut now_ms = 1000;
        for step in steps {
            match step {
                Step::Look { value, ttl_ms } => {
                    let digest = u128::from(value) + 1;
                    let until_ms = ttl_ms.map_or(u64::MAX, |ttl_ms| now_ms + ttl_ms);
                    let known = model.iter().any(|(other, until_ms)| *other == digest && *until_ms > now_ms);
                    let expected = if known { Seen::Before } else { Seen::New(digest) };
                    prop_assert_eq!(rig.state.0.lock().look(digest, until_ms, now_ms), expected);
                    if !known {
                        model.retain(|(other, _)| *other != digest);
                        model.push_back((digest, until_ms));
                        while model.front().is_some_and(|(_, until_ms)| *until_ms <= now_ms) || model.len() > size {
                            model.pop_front();
                        }
                    }
                }
                Step::LookInVain(value) => {
                    let digest = u128::from(value) + 1;
                    let mut state = rig.state.0.lock();
                    // One that is full would have to forget another for it.
                    if state.len() < size && !state.knows(digest, now_ms) && !model.iter().any(|(known, _)| *known == digest) {
                        prop_assert_eq!(state.look(digest, u64::MAX, now_ms), Seen::New(digest));
                        state.forget(digest);
                        prop_assert!(!state.knows(digest, now_ms));
                        while model.front().is_some_and(|(_, until_ms)| *until_ms <= now_ms) {
                            model.pop_front();
                        }
                    }
                }
                Step::Wait(ms) => now_ms += ms,
                Step::Commit => {
                    rig.commit();
                    durable = model.clone();
                    prop_assert!(rig.chunks() <= 2 * size + 1);
                }
                Step::Restart => {
                    let Rig { disk, store, steps, state } = rig;
                    drop((store, steps, state));
                    disk.lose_power(0);
                    rig = Rig::open(disk, size);
                    model = durable.clone();
                }
            }
            let state = rig.state.0.lock();
            for value in 1..=41_u128 {
                let known = model.iter().any(|(other, until_ms)| *other == value && *until_ms > now_ms);
                prop_assert_eq!(state.knows(value, now_ms), known, "value {}", value);
            }
        }
    }
}

#[test]
fn what_comes_in_vain_takes_no_room() {
    let mut state = State::new(10, true);
    (1..=10).for_each(|digest| assert_eq!(state.look(digest, u64::MAX, 0), Seen::New(digest)));
    for digest in 100..100_000 {
        state.look(digest, u64::MAX, 0);
        state.forget(digest);
    }
    assert!(state.entries_len() <= 20);
}

#[test]
fn counters_of_a_cache_that_is_not_kept_are_not_written() {
    let mut state = State::new(10, false);
    state.look(1, u64::MAX, 0);
    let mut writes = Writes::new();
    state.collect(ID, &mut writes);
    assert!(writes.is_empty() && !state.is_touched());
}
