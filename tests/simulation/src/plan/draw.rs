//! Queues, exchanges, bindings and sizes, by chance.

use std::sync::Arc;

use leveret_broker::queue::{Backoff, DelayedRetry, DelayedReturns, GroupKey, GroupProperty, Overflow, Sizing};
use rand::{RngExt, rngs::StdRng};

use super::{BindingPlan, ExchangePlan, Features, GROUP_HEADER, Headers, Kind, Name, QueuePlan, USUAL_GROUP_HEADER};

/// Words of routing keys. Few, so that messages meet bindings.
const WORDS: [&str; 3] = ["a", "b", "c"];

/// No retry waits longer.
pub(crate) const RETRY_DELAY_MS_MAX: u64 = 250;

/// No message is held back longer.
pub(crate) const HELD_MS_MAX: u64 = 4000;

pub(super) fn draw_sizing(features: &Features, rng: &mut StdRng) -> Sizing {
    // With a limit of length it would not be certain what is dropped before the queue looks further.
    let few = features.groups && !features.limits && rng.random_bool(0.4);
    let set_aside_max = if few { rng.random_range(0..4) } else { Sizing::default().set_aside_max };
    if !features.paging {
        return Sizing { set_aside_max, ..Sizing::default() };
    }
    Sizing {
        segment_bytes: rng.random_range(60..600),
        resident_bytes: rng.random_range(0..600),
        transient_bytes: if rng.random() { rng.random_range(0..600) } else { usize::MAX },
        load_bytes: rng.random_range(1..600),
        share_bytes: rng.random_range(0..600),
        set_aside_max,
        loads_per_step: 1000,
    }
}

pub(super) fn draw_memory(features: &Features, rng: &mut StdRng) -> usize {
    if features.paging && rng.random() { rng.random_range(0..3000) } else { usize::MAX }
}

pub(super) fn draw_exchanges(features: &Features, rng: &mut StdRng) -> Vec<ExchangePlan> {
    let names: Vec<Name> = ["x0", "x1", "x2"].map(Name::from)[..rng.random_range(1..=3)].to_vec();
    let exchange = |name: &Name| ExchangePlan {
        name: Arc::clone(name),
        kind: [Kind::Direct, Kind::Fanout, Kind::Topic, Kind::Headers]
            [rng.random_range(0..if features.headers { 4 } else { 3 })],
        durable: !features.transient || rng.random_bool(0.8),
        auto_delete: features.fleeting && rng.random_bool(0.2),
        alternate: rng.random_bool(0.2).then(|| Arc::clone(&names[rng.random_range(0..names.len())])),
        holds: features.delays && rng.random_bool(0.6),
    };
    names.iter().map(exchange).collect()
}

pub(super) fn draw_queues(features: &Features, exchanges: &[ExchangePlan], rng: &mut StdRng) -> Vec<QueuePlan> {
    let count = rng.random_range(1..=4);
    (0..count).map(|number| draw_queue(number, count, features, exchanges, rng)).collect()
}

pub(super) fn draw_queue(
    number: usize,
    count: usize,
    features: &Features,
    exchanges: &[ExchangePlan],
    rng: &mut StdRng,
) -> QueuePlan {
    let quorum = features.attempts && rng.random_bool(0.3);
    let fleeting = features.fleeting && !quorum;
    let mut queue = QueuePlan {
        name: format!("q{number}").into(),
        durable: quorum || !features.transient || rng.random_bool(0.7),
        auto_delete: fleeting && rng.random_bool(0.3),
        exclusive: fleeting && rng.random_bool(0.2),
        quorum,
        max_priority: (features.priorities && !quorum && rng.random_bool(0.6)).then(|| rng.random_range(1..=3)),
        single_active: features.consumers && rng.random_bool(0.2),
        // With a TTL of 0, which of the dead letters is delivered depends on their order.
        ttl_ms: (features.ttl && rng.random_bool(0.6))
            .then(|| rng.random_range(0..200).max(u64::from(!features.keeps_order()))),
        expires_ms: (features.fleeting && rng.random_bool(0.2)).then(|| rng.random_range(1..500)),
        delivery_limit: (features.attempts && rng.random_bool(0.6)).then(|| rng.random_range(0..3)),
        delayed_retry: (features.retries && rng.random_bool(0.7)).then(|| draw_delayed_retry(rng)),
        group_key: (features.groups && rng.random_bool(0.7)).then(|| draw_group_key(rng)),
        ..QueuePlan::default()
    };
    if features.limits && rng.random_bool(0.7) {
        queue.max_length = rng.random_bool(0.7).then(|| rng.random_range(0..8));
        queue.max_length_bytes = rng.random_bool(0.3).then(|| rng.random_range(0..200));
        let overflows = [Overflow::DropHead, Overflow::DropHead, Overflow::RejectPublish, Overflow::RejectPublishDlx];
        queue.overflow = overflows[rng.random_range(0..if quorum { 3 } else { 4 })];
    }
    if features.dead_letters && rng.random_bool(0.7) {
        let to_queue = rng.random_bool(0.5);
        let exchange =
            if to_queue { "".into() } else { Arc::clone(&exchanges[rng.random_range(0..exchanges.len())].name) };
        queue.dead_letter_exchange = Some(exchange);
        let key = if to_queue { format!("q{}", rng.random_range(0..count)).into() } else { draw_key(rng) };
        queue.dead_letter_key = (to_queue || rng.random_bool(0.5)).then_some(key);
    }
    queue
}

fn draw_group_key(rng: &mut StdRng) -> GroupKey {
    match rng.random_range(0..5) {
        0 => GroupKey::Header(GROUP_HEADER.into()),
        1 => GroupKey::Header(USUAL_GROUP_HEADER.into()),
        2 => GroupKey::Property(GroupProperty::MessageId),
        3 => GroupKey::Property(GroupProperty::CorrelationId),
        _ => GroupKey::Property(GroupProperty::Timestamp),
    }
}

/// Mostly short; sometimes none, and sometimes so long that nobody has to think of it yet.
pub(crate) fn draw_delay_ms(rng: &mut StdRng) -> u64 {
    match rng.random_range(0..10) {
        0 => 0,
        1 => rng.random_range(1000..=HELD_MS_MAX),
        _ => rng.random_range(1..150),
    }
}

fn draw_delayed_retry(rng: &mut StdRng) -> DelayedRetry {
    let returns = [DelayedReturns::All, DelayedReturns::Failed, DelayedReturns::Returned];
    let (min_ms, longer_ms) = (rng.random_range(1..50), rng.random_range(0..200));
    let max_ms = RETRY_DELAY_MS_MAX.min(min_ms + longer_ms);
    let backoff = match rng.random_range(0..3) {
        0 => Backoff::Linear { min_ms, max_ms },
        1 => Backoff::Exponential { min_ms, max_ms },
        _ => Backoff::Steps((0..rng.random_range(1..4)).map(|_| rng.random_range(1..200)).collect()),
    };
    DelayedRetry { returns: returns[rng.random_range(0..returns.len())], backoff }
}

pub(super) fn draw_bindings(queues: &[QueuePlan], exchanges: &[ExchangePlan], rng: &mut StdRng) -> Vec<BindingPlan> {
    let mut bindings = Vec::new();
    for _ in 0..rng.random_range(2..=8) {
        let source = &exchanges[rng.random_range(0..exchanges.len())];
        let to_queue = rng.random_bool(0.8);
        let destination = match to_queue {
            true => &queues[rng.random_range(0..queues.len())].name,
            false => &exchanges[rng.random_range(0..exchanges.len())].name,
        };
        let key = if source.kind == Kind::Topic { draw_pattern(rng) } else { draw_key(rng) };
        let headers = if source.kind == Kind::Headers { draw_headers(rng) } else { Headers::new() };
        let any = source.kind == Kind::Headers && rng.random();
        let (source, destination) = (Arc::clone(&source.name), Arc::clone(destination));
        let binding = BindingPlan { source, destination, to_queue, key, headers, any };
        if !bindings.contains(&binding) {
            bindings.push(binding);
        }
    }
    bindings
}

/// Some of two headers, with few values, so that messages meet bindings.
pub(crate) fn draw_headers(rng: &mut StdRng) -> Headers {
    let mut headers = Headers::new();
    for name in ["h", "i"] {
        if rng.random_bool(0.6) {
            headers.push((name.into(), rng.random_range(0..2)));
        }
    }
    headers
}

/// One or two words.
pub(crate) fn draw_key(rng: &mut StdRng) -> Name {
    let mut word = || WORDS[rng.random_range(0..WORDS.len())];
    let (first, second) = (word(), word());
    if rng.random_bool(0.7) { first.into() } else { format!("{first}.{second}").into() }
}

fn draw_pattern(rng: &mut StdRng) -> Name {
    let mut word = || ["a", "b", "c", "*", "#"][rng.random_range(0..5)];
    let (first, second) = (word(), word());
    if rng.random_bool(0.6) { first.into() } else { format!("{first}.{second}").into() }
}
