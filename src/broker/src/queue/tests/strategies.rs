//! Random commands and queues.

use proptest::{prelude::*, sample::Index};

use super::rig::{durable, with_dlx};
use crate::queue::{Backoff, DelayedRetry, DelayedReturns, Kind, Nature, Outcome, Overflow, Settings, Sizing};

/// What may happen to a queue.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Publish(Vec<(bool, u8, Option<u64>, usize)>),
    Get { no_ack: bool },
    Consume { no_ack: bool, priority: i32, prefetch: u32, uses_window: bool },
    Cancel(Index),
    Settle { first: Index, count: usize, reversed: bool, outcome: Outcome },
    GiveOutbox(u64),
    Purge,
    Advance(u64),
    Configure(Settings),
    Commit,
    Collect,
    Complete,
    Crash,
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let message =
        (prop::bool::weighted(0.8), 0u8..4, prop_oneof![6 => Just(None), 1 => (0u64..300).prop_map(Some)], 8usize..60);
    let outcome = prop_oneof![
        4 => Just(Outcome::Ack),
        1 => Just(Outcome::Undelivered),
        3 => any::<bool>().prop_map(|count_attempt| Outcome::Requeue { count_attempt }),
        1 => Just(Outcome::Reject),
    ];
    prop_oneof![
        8 => prop::collection::vec(message, 1..12).prop_map(Op::Publish),
        4 => any::<bool>().prop_map(|no_ack| Op::Get { no_ack }),
        2 => (prop::bool::weighted(0.2), -1i32..2, 0u32..6, any::<bool>())
            .prop_map(|(no_ack, priority, prefetch, uses_window)| Op::Consume { no_ack, priority, prefetch, uses_window }),
        1 => any::<Index>().prop_map(Op::Cancel),
        8 => (any::<Index>(), 1usize..8, any::<bool>(), outcome)
            .prop_map(|(first, count, reversed, outcome)| Op::Settle { first, count, reversed, outcome }),
        3 => (1u64..2_000).prop_map(Op::GiveOutbox),
        1 => Just(Op::Purge),
        4 => (0u64..150).prop_map(Op::Advance),
        1 => settings().prop_map(Op::Configure),
        5 => Just(Op::Commit),
        2 => Just(Op::Collect),
        2 => Just(Op::Complete),
        1 => Just(Op::Crash),
    ]
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let overflow =
        prop_oneof![Just(Overflow::DropHead), Just(Overflow::RejectPublish), Just(Overflow::RejectPublishDlx)];
    (
        prop::option::weighted(0.3, 0u64..400),
        prop::option::weighted(0.3, 0u64..30),
        prop::option::weighted(0.2, 0u64..800),
        overflow,
        prop::option::weighted(0.5, 0u32..3),
        any::<bool>(),
        prop::option::weighted(0.4, delayed_retry()),
    )
        .prop_map(
            |(ttl_ms, max_length, max_length_bytes, overflow, delivery_limit, dead_letters, delayed_retry)| Settings {
                ttl_ms,
                max_length,
                max_length_bytes,
                overflow,
                delivery_limit,
                delayed_retry,
                ..if dead_letters { with_dlx() } else { Settings::default() }
            },
        )
}

/// No retry is delayed longer.
pub(super) const RETRY_MS_MAX: u64 = 200;

pub(super) fn delayed_retry() -> impl Strategy<Value = DelayedRetry> {
    let returns = prop_oneof![Just(DelayedReturns::All), Just(DelayedReturns::Failed), Just(DelayedReturns::Returned)];
    let backoff = prop_oneof![
        (1u64..80, 1..RETRY_MS_MAX).prop_map(|(min_ms, max_ms)| Backoff::Linear { min_ms, max_ms }),
        (1u64..80, 1..RETRY_MS_MAX).prop_map(|(min_ms, max_ms)| Backoff::Exponential { min_ms, max_ms }),
        prop::collection::vec(1..RETRY_MS_MAX, 1..4).prop_map(|steps| Backoff::Steps(steps.into())),
    ];
    (returns, backoff).prop_map(|(returns, backoff)| DelayedRetry { returns, backoff })
}

pub(super) fn nature() -> impl Strategy<Value = Nature> {
    let max_priority = prop_oneof![2 => Just(None), 1 => Just(Some(2))];
    let kind = prop_oneof![3 => Just(Kind::Classic), 1 => Just(Kind::Quorum)];
    (prop::bool::weighted(0.9), max_priority, prop::bool::weighted(0.2), kind).prop_map(
        |(is_durable, max_priority, single_active_consumer, kind)| Nature {
            durable: is_durable,
            max_priority,
            single_active_consumer,
            // A quorum queue with a single active consumer refuses basic.get: another test.
            kind: if single_active_consumer { Kind::Classic } else { kind },
            ..durable()
        },
    )
}

pub(super) fn sizing() -> impl Strategy<Value = Sizing> {
    let transient_bytes = prop_oneof![Just(usize::MAX), 0usize..600];
    (60usize..400, 1usize..800, transient_bytes, 1usize..400, 0usize..300, 1u32..5).prop_map(
        |(segment_bytes, resident_bytes, transient_bytes, load_bytes, share_bytes, loads_per_step)| Sizing {
            segment_bytes,
            resident_bytes,
            transient_bytes,
            load_bytes,
            share_bytes,
            set_aside_max: 1 << 16,
            loads_per_step,
        },
    )
}
