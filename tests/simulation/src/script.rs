//! The steps of a run. Each carries all its numbers in itself and is taken by what is there when its time comes (a
//! channel's third unacked message, the next due queue), so that a script stays one when steps are left out of it.

use rand::{RngExt, rngs::StdRng};

use crate::plan::{Headers, Name, Plan, draw_delay_ms, draw_headers, draw_key};

/// One thing that happens.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "what is meant stands at the variants; numbers choose modulo what there is")]
pub enum Step {
    /// queue.declare by a channel's connection.
    DeclareQueue { channel: usize, queue: usize },
    /// queue.delete
    DeleteQueue { channel: usize, queue: usize, if_unused: bool, if_empty: bool },
    /// queue.purge
    Purge { channel: usize, queue: usize },
    /// exchange.declare
    DeclareExchange { exchange: usize },
    /// exchange.delete
    DeleteExchange { exchange: usize, if_unused: bool },
    /// queue.bind or exchange.bind
    Bind { channel: usize, binding: usize },
    /// The opposite.
    Unbind { channel: usize, binding: usize },
    /// A policy is set.
    SetPolicy { policy: usize },
    /// A policy is removed.
    ClearPolicy { policy: usize },
    /// Messages that one read brings in, published and handed over together.
    Publish { channel: usize, messages: Vec<Publication> },
    /// basic.consume
    Consume { channel: usize, queue: usize, no_ack: bool, exclusive: bool, priority: i32, prefetch: u32 },
    /// basic.cancel of one of the channel's consumers.
    Cancel { channel: usize, consumer: usize },
    /// basic.get
    Get { channel: usize, queue: usize, no_ack: bool },
    /// basic.ack, nack or reject of one of the channel's unacked deliveries, or of all up to it.
    Settle { channel: usize, delivery: usize, multiple: bool, how: How },
    /// basic.recover
    Recover { channel: usize },
    /// basic.qos for the whole channel.
    Window { channel: usize, limit: u32 },
    /// tx.commit
    Commit { channel: usize },
    /// tx.rollback
    Rollback { channel: usize },
    /// The channel closes and opens again.
    CloseChannel { channel: usize },
    /// The connection ends and comes again.
    CloseConnection { connection: usize },
    /// A connection handles this much of its mail: deliveries and notices of queues.
    Mail { connection: usize, count: usize },
    /// Time passes.
    Wait { ms: u64 },
    /// The timers' thread wakes one queue, if one is due.
    Tick,
    /// The committer goes on: looks for work, cuts, writes, tells.
    Committer { steps: usize },
    /// The next write fails.
    FailWrite,
    /// The broker ends and starts again.
    Restart { how: Stop, kept: u64, down_ms: u64 },
}

/// A message to be.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are those of basic.publish and the message's properties")]
pub struct Publication {
    /// An exchange of the plan; beyond them, the default exchange.
    pub exchange: usize,
    /// For the default exchange.
    pub queue: usize,
    pub key: Name,
    pub copies: Vec<Name>,
    pub blind_copies: Vec<Name>,
    pub headers: Headers,
    /// Its group, in each header and property that may name it.
    pub group: Option<u8>,
    /// `x-delay`
    pub delay_ms: Option<u64>,
    pub persistent: bool,
    pub priority: Option<u8>,
    pub expiration_ms: Option<u64>,
    pub padding: usize,
}

/// How deliveries are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// basic.ack
    Ack,
    /// basic.nack with requeue.
    Requeue,
    /// basic.reject with requeue, which counts as an attempt.
    RequeueCounted,
    /// basic.nack without requeue.
    Reject,
}

/// How the broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Connections are closed and everything is committed.
    Orderly,
    /// The process is killed: what was written is found again.
    Kill,
    /// The power fails: of what was not synced, some is found again.
    Power,
}

/// The steps of a plan.
#[must_use]
pub fn script(plan: &Plan, rng: &mut StdRng, length: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..plan.exchanges.len()).map(|exchange| Step::DeclareExchange { exchange }).collect();
    steps.extend((0..plan.queues.len()).map(|queue| Step::DeclareQueue { channel: 0, queue }));
    steps.extend((0..plan.bindings.len()).map(|binding| Step::Bind { channel: 0, binding }));
    let weights = weights(plan, rng);
    let sum: u32 = weights.iter().map(|(weight, _)| weight).sum();
    steps.extend((0..length).map(|_| {
        let mut at = rng.random_range(0..sum);
        let drawn = weights.iter().find(|(weight, _)| {
            let is_here = at < *weight;
            at = at.saturating_sub(*weight);
            is_here
        });
        drawn.map_or(Step::Tick, |(_, draw)| draw(plan, rng))
    }));
    steps
}

type Draw = fn(&Plan, &mut StdRng) -> Step;

/// How often what happens, by chance too: some runs never acknowledge, others hardly ever commit.
fn weights(plan: &Plan, rng: &mut StdRng) -> Vec<(u32, Draw)> {
    let features = &plan.features;
    let mut much = |weight: u32| weight * [1, 4, 10][rng.random_range(0..3)];
    let mut weights: Vec<(u32, Draw)> = vec![
        (much(20), publish),
        (much(16), settle),
        (much(14), mail),
        (much(14), |_, rng| Step::Committer { steps: rng.random_range(1..=4) }),
        (much(6), consume),
        (much(3), |plan, rng| Step::Get { channel: channel(rng), queue: queue(plan, rng), no_ack: rng.random() }),
        (much(2), |_, rng| Step::Cancel { channel: channel(rng), consumer: rng.random_range(0..8) }),
        (much(4), |_, rng| Step::Wait { ms: rng.random_range(0..60) }),
        (much(4), |_, _| Step::Tick),
        (4, |_, rng| Step::Recover { channel: channel(rng) }),
        (3, |plan, rng| Step::Purge { channel: channel(rng), queue: queue(plan, rng) }),
        (4, |plan, rng| Step::DeclareQueue { channel: channel(rng), queue: queue(plan, rng) }),
        (much(3), |_, rng| Step::Commit { channel: channel(rng) }),
        (2, |_, rng| Step::Rollback { channel: channel(rng) }),
        (4, |_, rng| Step::CloseChannel { channel: channel(rng) }),
        (1, |_, rng| Step::CloseConnection { connection: channel(rng) }),
    ];
    if features.topology {
        weights.extend::<[(u32, Draw); 5]>([
            (much(2), |plan, rng| Step::Bind { channel: channel(rng), binding: binding(plan, rng) }),
            (much(2), |plan, rng| Step::Unbind { channel: channel(rng), binding: binding(plan, rng) }),
            (3, |plan, rng| Step::DeclareExchange { exchange: rng.random_range(0..plan.exchanges.len()) }),
            (2, delete_exchange),
            (4, delete_queue),
        ]);
    }
    if features.policies {
        weights.push((much(2), |plan, rng| Step::SetPolicy { policy: rng.random_range(0..plan.policies.len()) }));
        weights.push((2, |plan, rng| Step::ClearPolicy { policy: rng.random_range(0..plan.policies.len()) }));
    }
    if features.delays {
        weights.push((2, |_, rng| Step::Wait { ms: rng.random_range(500..3000) }));
    }
    if features.windows {
        weights.push((6, |_, rng| Step::Window { channel: channel(rng), limit: rng.random_range(0..5) }));
    }
    if features.restarts {
        weights.push((much(2), restart));
        if features.faults {
            weights.push((2, |_, _| Step::FailWrite));
        }
    }
    weights
}

fn channel(rng: &mut StdRng) -> usize {
    rng.random_range(0..4)
}

fn queue(plan: &Plan, rng: &mut StdRng) -> usize {
    rng.random_range(0..plan.queues.len())
}

fn binding(plan: &Plan, rng: &mut StdRng) -> usize {
    rng.random_range(0..plan.bindings.len())
}

fn publish(plan: &Plan, rng: &mut StdRng) -> Step {
    let count = if rng.random_bool(0.5) { 1 } else { rng.random_range(1..8) };
    let mut message = || Publication {
        exchange: rng.random_range(0..=plan.exchanges.len()),
        queue: queue(plan, rng),
        key: draw_key(rng),
        copies: copies(plan, rng),
        blind_copies: copies(plan, rng),
        headers: if plan.features.headers { draw_headers(rng) } else { Headers::new() },
        group: (plan.features.groups && rng.random_bool(0.8)).then(|| rng.random_range(0..3)),
        delay_ms: (plan.features.delays && rng.random_bool(0.7)).then(|| draw_delay_ms(rng)),
        persistent: !plan.features.transient || rng.random_bool(0.7),
        priority: (plan.features.priorities && rng.random_bool(0.7)).then(|| rng.random_range(0..5)),
        expiration_ms: (plan.features.expiration && rng.random_bool(0.4)).then(|| rng.random_range(0..200)),
        padding: rng.random_range(0..40),
    };
    let first = message();
    let same_key = |next: Publication| Publication {
        exchange: first.exchange,
        key: first.key.clone(),
        queue: first.queue,
        copies: first.copies.clone(),
        blind_copies: first.blind_copies.clone(),
        headers: first.headers.clone(),
        ..next
    };
    let mut messages: Vec<_> = (1..count).map(|_| message()).collect();
    if rng.random_bool(0.5) {
        messages = messages.into_iter().map(same_key).collect();
    }
    messages.insert(0, first);
    Step::Publish { channel: channel(rng), messages }
}

fn copies(plan: &Plan, rng: &mut StdRng) -> Vec<Name> {
    match plan.features.copies && rng.random_bool(0.2) {
        true => (0..rng.random_range(1..3)).map(|_| draw_key(rng)).collect(),
        false => Vec::new(),
    }
}

fn consume(plan: &Plan, rng: &mut StdRng) -> Step {
    Step::Consume {
        channel: channel(rng),
        queue: queue(plan, rng),
        no_ack: rng.random_bool(0.2),
        exclusive: plan.features.consumers && rng.random_bool(0.05),
        priority: if plan.features.consumers { rng.random_range(0..3) } else { 0 },
        prefetch: if rng.random_bool(0.3) { 0 } else { rng.random_range(1..6) },
    }
}

fn settle(_: &Plan, rng: &mut StdRng) -> Step {
    let how = match rng.random_range(0..10) {
        0..6 => How::Ack,
        6 => How::Requeue,
        7 => How::RequeueCounted,
        _ => How::Reject,
    };
    Step::Settle { channel: channel(rng), delivery: rng.random_range(0..64), multiple: rng.random_bool(0.2), how }
}

fn mail(_: &Plan, rng: &mut StdRng) -> Step {
    let count = if rng.random_bool(0.7) { usize::MAX } else { rng.random_range(1..4) };
    Step::Mail { connection: rng.random_range(0..2), count }
}

fn delete_exchange(plan: &Plan, rng: &mut StdRng) -> Step {
    Step::DeleteExchange { exchange: rng.random_range(0..plan.exchanges.len()), if_unused: rng.random_bool(0.3) }
}

fn delete_queue(plan: &Plan, rng: &mut StdRng) -> Step {
    Step::DeleteQueue {
        channel: channel(rng),
        queue: queue(plan, rng),
        if_unused: rng.random_bool(0.3),
        if_empty: rng.random_bool(0.3),
    }
}

fn restart(_: &Plan, rng: &mut StdRng) -> Step {
    let how = [Stop::Orderly, Stop::Kill, Stop::Power, Stop::Power][rng.random_range(0..4)];
    let kept = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..4) };
    Step::Restart { how, kept, down_ms: if rng.random_bool(0.7) { 0 } else { rng.random_range(0..300) } }
}
