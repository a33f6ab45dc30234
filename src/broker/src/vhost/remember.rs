//! What of a vhost goes to the catalogue: durable exchanges, queues that are kept, and bindings between the two.
//!
//! Called under the topology's lock; the store only notes the record for its next cut.

use std::sync::Arc;

use leveret_store::Turn;

use super::Map;
use crate::{
    catalogue::{BindingRecord, CacheRecord, ExchangeRecord, Meta, QueueRecord, Record, TimelineRecord},
    deduplication::Cache,
    exchange::{Binding, Destination},
    queue::Queue,
    timeline::Timeline,
    topology::{Change, Exchange, RESERVED_PREFIX},
};

/// Notes a record, new or changed.
pub(crate) fn remember(turn: &Turn<'_>, record: &Record) {
    turn.catalogue(|writes| writes.put_catalogue(record.key(), record.value()));
}

/// Notes that a record is gone.
fn forget(turn: &Turn<'_>, record: &Record) {
    turn.catalogue(|writes| writes.delete_catalogue(record.key()));
}

pub(super) fn change(turn: &Turn<'_>, topology: &Map, change: &Change) {
    let vhost = topology.vhost();
    // What is gone goes first: a change may put something of the same key in its place.
    for binding in &change.removed_bindings {
        forget(turn, &binding_record(vhost, binding));
    }
    for exchange in change.removed_exchanges.iter().filter(|exchange| is_kept(exchange)) {
        forget(turn, &exchange_record(vhost, exchange));
    }
    for exchange in change.added_exchanges.iter().filter(|exchange| is_kept(exchange)) {
        remember(turn, &exchange_record(vhost, exchange));
    }
    for binding in change.added_bindings.iter().filter(|binding| has_kept_ends(topology, binding)) {
        remember(turn, &binding_record(vhost, binding));
    }
}

/// Notes a new queue together with the next id, so that no id is ever given twice.
pub(super) fn queue(turn: &Turn<'_>, queue: &Queue, next_queue_id: u64) {
    if queue.is_kept() {
        remember(turn, &Record::Meta(Meta { next_queue_id }));
        remember(turn, &queue_record(queue));
    }
}

/// Notes that a queue is gone with all its messages.
pub(super) fn queue_gone(turn: &Turn<'_>, queue: &Queue) {
    if queue.is_kept() {
        forget(turn, &queue_record(queue));
        turn.catalogue(|writes| writes.delete_queue(queue.id));
    }
}

/// Notes what remembers messages together with the next id; as for a timeline.
pub(super) fn cache(turn: &Turn<'_>, vhost: &Arc<str>, owner: Destination, cache: &Cache, next_queue_id: u64) {
    if cache.is_kept {
        remember(turn, &Record::Meta(Meta { next_queue_id }));
        remember(turn, &cache_record(vhost, owner, cache));
    }
}

/// Notes that it is gone with all that it has seen.
pub(super) fn cache_gone(turn: &Turn<'_>, vhost: &Arc<str>, owner: Destination, cache: &Cache) {
    if cache.is_kept {
        forget(turn, &cache_record(vhost, owner, cache));
        turn.catalogue(|writes| writes.delete_queue(cache.id));
    }
}

fn cache_record(vhost: &Arc<str>, owner: Destination, cache: &Cache) -> Record {
    Record::Cache(CacheRecord { id: cache.id, vhost: Arc::clone(vhost), owner })
}

/// Notes the timeline of an exchange together with the next id. That of an exchange which is not durable is not known at
/// the next start, and what was in it is removed then.
pub(super) fn timeline(turn: &Turn<'_>, timeline: &Timeline, next_queue_id: u64) {
    remember(turn, &Record::Meta(Meta { next_queue_id }));
    if timeline.is_kept {
        remember(turn, &timeline_record(timeline));
    }
}

/// Notes that a timeline is gone with all its messages.
pub(super) fn timeline_gone(turn: &Turn<'_>, timeline: &Timeline) {
    if timeline.is_kept {
        forget(turn, &timeline_record(timeline));
    }
    turn.catalogue(|writes| writes.drop_timeline(timeline.id));
}

fn timeline_record(timeline: &Timeline) -> Record {
    Record::Timeline(TimelineRecord {
        id: timeline.id,
        vhost: Arc::clone(&timeline.vhost),
        exchange: Arc::clone(&timeline.exchange),
        is_history: timeline.is_history,
    })
}

fn queue_record(queue: &Queue) -> Record {
    Record::Queue(QueueRecord {
        id: queue.id,
        vhost: Arc::clone(&queue.vhost),
        name: Arc::clone(&queue.name),
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        arguments: queue.arguments.clone(),
    })
}

fn exchange_record(vhost: &Arc<str>, exchange: &Exchange) -> Record {
    Record::Exchange(ExchangeRecord {
        vhost: Arc::clone(vhost),
        name: Arc::clone(&exchange.name),
        kind: Arc::clone(&exchange.kind),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: exchange.arguments.clone(),
    })
}

fn binding_record(vhost: &Arc<str>, binding: &Binding) -> Record {
    Record::Binding(BindingRecord::new(vhost, binding))
}

/// Pre-declared exchanges are made anew with every start.
pub(super) fn is_kept(exchange: &Exchange) -> bool {
    exchange.durable && !exchange.name.starts_with(RESERVED_PREFIX)
}

fn has_kept_ends(topology: &Map, binding: &Binding) -> bool {
    let is_durable = |name: &str| topology.exchange(name).is_ok_and(|exchange| exchange.durable);
    is_durable(&binding.source)
        && match &binding.destination {
            Destination::Exchange(name) => is_durable(name),
            Destination::Queue(name) => topology.queue(name).is_some_and(|queue| queue.is_kept()),
        }
}
