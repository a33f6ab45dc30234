//! What exchanges and queues have seen, where they drop repetitions.

use std::sync::Arc;

use leveret_store::{LogState, StoreError};

use super::{Map, VHost, remember};
use crate::{
    Error, Turn,
    catalogue::CacheRecord,
    deduplication::{Cache, Rule},
    exchange::Destination,
    queue::Queue,
    topology::DeclareExchange,
};

impl VHost {
    /// The rule that the declaration of an exchange asks for.
    pub(super) fn exchange_rule(&self, turn: &Turn<'_>, declare: &DeclareExchange<'_>) -> Result<Option<Rule>, Error> {
        let kind = turn.broker.exchange_types().find(declare.kind);
        let is_by_type = kind.is_some_and(|kind| kind.drops_repetitions());
        Rule::of(declare.arguments, is_by_type, "exchange", declare.name, &self.name)
    }

    /// The rule that the declaration of a queue asks for.
    pub(super) fn queue_rule(&self, name: &str, arguments: &leveret_amqp::FieldTable) -> Result<Option<Rule>, Error> {
        Rule::of(arguments, false, "queue", name, &self.name)
    }

    /// Has an exchange drop repetitions from now on, where it does not yet.
    pub(super) fn add_exchange_cache(&self, turn: &Turn<'_>, topology: &mut Map, exchange: &str, rule: Option<Rule>) {
        let (Some(rule), None, Ok(declared)) = (rule, topology.cache(exchange), topology.exchange(exchange)) else {
            return;
        };
        let owner = Destination::Exchange(Arc::clone(&declared.name));
        let cache = self.new_cache(turn, owner, remember::is_kept(declared), rule);
        topology.attach_cache(exchange, cache);
    }

    /// Has a queue drop repetitions from now on, where it does not yet.
    pub(super) fn add_queue_cache(&self, turn: &Turn<'_>, queue: &Queue, rule: Option<Rule>) {
        if let (Some(rule), None) = (rule, queue.cache()) {
            let owner = Destination::Queue(Arc::clone(&queue.name));
            queue.attach_cache(self.new_cache(turn, owner, queue.is_kept(), rule));
        }
    }

    fn new_cache(&self, turn: &Turn<'_>, owner: Destination, is_kept: bool, rule: Rule) -> Arc<Cache> {
        let cache = Arc::new(Cache::new(turn.broker.next_queue_id(), is_kept, rule));
        remember::cache(&turn.store, &self.name, owner, &cache, turn.broker.queue_id_next());
        cache
    }

    /// Brings back what the catalogue says was seen; false where whoever has seen it is missing, or does not drop
    /// repetitions any more.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(crate) fn restore_cache(
        &self,
        turn: &Turn<'_>,
        record: &CacheRecord,
        state: Option<LogState>,
    ) -> Result<bool, StoreError> {
        let cache = |rule: Result<Option<Rule>, Error>| {
            let rule = rule.ok().flatten();
            let stored = state.unwrap_or_default();
            rule.map(|rule| Cache::recover(record.id, rule, turn.broker.store(), stored).map(Arc::new)).transpose()
        };
        match &record.owner {
            Destination::Exchange(name) => {
                let Ok(exchange) = self.exchange(name) else { return Ok(false) };
                let Some(cache) = cache(self.exchange_rule(turn, &exchange.declaration()))? else { return Ok(false) };
                Ok(self.topology.write().attach_cache(name, cache))
            }
            Destination::Queue(name) => {
                let Some(queue) = self.find_queue(name) else { return Ok(false) };
                let Some(cache) = cache(self.queue_rule(name, &queue.arguments))? else { return Ok(false) };
                queue.attach_cache(cache);
                Ok(true)
            }
        }
    }

    /// Has exchanges and queues drop repetitions that were stored before they could.
    pub(crate) fn add_missing_caches(&self, turn: &Turn<'_>) {
        for queue in self.queues() {
            let rule = self.queue_rule(&queue.name, &queue.arguments);
            self.add_queue_cache(turn, &queue, rule.ok().flatten());
        }
        for exchange in self.exchanges() {
            let rule = self.exchange_rule(turn, &exchange.declaration());
            self.add_exchange_cache(turn, &mut self.topology.write(), &exchange.name, rule.ok().flatten());
        }
    }
}
