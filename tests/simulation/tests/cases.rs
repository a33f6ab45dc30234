//! Cases that seeds have found, made short, for the time when the same seeds make other runs.

use leveret_broker::queue::Sizing;
use leveret_simulation::{
    plan::{BindingPlan, ExchangePlan, Features, Kind, Mode, Plan, QueuePlan},
    run::run,
    script::{How, Publication, Step},
};
use leveret_store::SyncMode;

fn topic(name: &str) -> ExchangePlan {
    ExchangePlan {
        name: name.into(),
        kind: Kind::Topic,
        durable: true,
        auto_delete: false,
        alternate: None,
        holds: false,
    }
}

fn binding(source: &str, queue: &str, key: &str) -> BindingPlan {
    BindingPlan {
        source: source.into(),
        destination: queue.into(),
        to_queue: true,
        key: key.into(),
        headers: Vec::new(),
        any: false,
    }
}

fn queue(name: &str, ttl_ms: Option<u64>, dead_letter_exchange: Option<&str>) -> QueuePlan {
    let dead_letter_exchange = dead_letter_exchange.map(Into::into);
    QueuePlan { name: name.into(), durable: true, ttl_ms, dead_letter_exchange, ..QueuePlan::default() }
}

/// To an exchange, or with none of that number to a queue.
fn publish(exchange: usize, queue: usize, count: usize) -> Step {
    let message = Publication {
        exchange,
        queue,
        key: "first".into(),
        copies: Vec::new(),
        blind_copies: Vec::new(),
        headers: Vec::new(),
        group: None,
        delay_ms: None,
        persistent: true,
        priority: None,
        expiration_ms: None,
        padding: 0,
    };
    Step::Publish { channel: 0, messages: vec![message; count] }
}

fn consume(queue: usize) -> Step {
    Step::Consume { channel: 0, queue, no_ack: false, exclusive: false, priority: 0, prefetch: 5 }
}

/// A rejected message and such as lay there before it fall due in one millisecond. Their dead letters go to a queue with
/// a TTL of 0, which delivers each as it comes, in the order of the queue where they died; two of them to another queue
/// as well.
#[test]
fn what_falls_due_together_comes_in_order_to_each_queue() {
    let plan = Plan {
        seed: 39693,
        queues: vec![
            queue("rejects", None, Some("x-rejected")),
            queue("waits", Some(84), Some("x-expired")),
            queue("now", Some(0), None),
        ],
        exchanges: vec![topic("x-rejected"), topic("x-expired")],
        bindings: vec![
            binding("x-rejected", "waits", "#"),
            binding("x-expired", "rejects", "first"),
            binding("x-expired", "rejects", "rejects"),
            binding("x-expired", "now", "#"),
        ],
        policies: Vec::new(),
        channels: vec![Mode::Confirm],
        features: Features { ttl: true, dead_letters: true, restarts: true, ..Features::default() },
        sizing: Sizing::default(),
        message_memory_bytes: usize::MAX,
        batch_bytes: usize::MAX,
        sync: SyncMode::Commit,
        outbox_bytes: 1 << 20,
    };
    let script = [
        Step::DeclareExchange { exchange: 0 },
        Step::DeclareExchange { exchange: 1 },
        Step::DeclareQueue { channel: 0, queue: 0 },
        Step::DeclareQueue { channel: 0, queue: 1 },
        Step::DeclareQueue { channel: 0, queue: 2 },
        Step::Bind { channel: 0, binding: 0 },
        Step::Bind { channel: 0, binding: 1 },
        Step::Bind { channel: 0, binding: 2 },
        Step::Bind { channel: 0, binding: 3 },
        consume(0),
        publish(usize::MAX, 0, 2),
        publish(0, 0, 1),
        publish(usize::MAX, 1, 2),
        Step::Mail { connection: 0, count: usize::MAX },
        Step::Settle { channel: 0, delivery: 1, multiple: false, how: How::Reject },
        consume(2),
        Step::Wait { ms: 84 },
        Step::Tick,
    ];
    let failure = run(&plan, &script).err().map(|failure| (failure.steps, failure.violation));
    assert_eq!(failure, None);
}
