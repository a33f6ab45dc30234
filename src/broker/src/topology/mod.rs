//! The topology of one vhost: exchanges, bindings, and the queues that they may lead to.
//!
//! Plain data: no lock, no clock, no store. The vhost keeps it behind a lock and writes what a [`Change`] lists to the
//! catalogue. The queue handle is whatever the vhost wants to get out of routing; nothing is asked of it here.
//!
//! Each change gives [`Topology::generation`] a new value, which is what route caches are checked against.

mod bindings;
mod declare;
mod exchange;

#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use crate::{
    Error,
    deduplication::Cache,
    exchange::{Binding, Destination, ExchangeTypes, History, Hold},
};

use bindings::Bindings;

pub(crate) use exchange::Entry;
pub use exchange::{DeclareExchange, Exchange};

/// The name of the default exchange.
pub const DEFAULT_EXCHANGE: &str = "";
/// Names with this prefix are the broker's.
pub const RESERVED_PREFIX: &str = "amq.";
/// The exchange that gets a copy of what is published and delivered, while tracing is on.
pub const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";

/// What an operation changed, for the catalogue. Bindings that went with an exchange or a queue are listed too.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Exchanges that are new.
    pub added_exchanges: Vec<Arc<Exchange>>,
    /// Exchanges that are gone.
    pub removed_exchanges: Vec<Arc<Exchange>>,
    /// Bindings that are new.
    pub added_bindings: Vec<Arc<Binding>>,
    /// Bindings that are gone.
    pub removed_bindings: Vec<Arc<Binding>>,
    /// A queue came or went, or an exchange has another alternate exchange.
    pub routes: bool,
}

impl Change {
    const ROUTES: Self = Self {
        added_exchanges: Vec::new(),
        removed_exchanges: Vec::new(),
        added_bindings: Vec::new(),
        removed_bindings: Vec::new(),
        routes: true,
    };

    /// True where everything was as asked for already, so that routes kept elsewhere still hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.routes
            && self.added_exchanges.is_empty()
            && self.removed_exchanges.is_empty()
            && self.added_bindings.is_empty()
            && self.removed_bindings.is_empty()
    }
}

/// Exchanges, bindings and queues of a vhost. `Q` is a handle of a queue, `T` of a timeline: where an exchange has messages
/// that it holds back, or keeps.
pub struct Topology<Q, T = ()> {
    vhost: Arc<str>,
    types: ExchangeTypes,
    exchanges: HashMap<Arc<str>, Entry<T>, ahash::RandomState>,
    bindings: Bindings,
    queues: HashMap<Arc<str>, Q, ahash::RandomState>,
    /// Timelines of exchanges that are gone, until somebody takes them.
    left_timelines: Vec<T>,
    /// The same of what they had seen.
    left_caches: Vec<(Arc<str>, Arc<Cache>)>,
    generation: u64,
}

impl<Q, T> Topology<Q, T> {
    /// A topology with the pre-declared exchanges. `vhost` is for error texts.
    #[must_use]
    pub fn new(vhost: &str, types: ExchangeTypes) -> Self {
        let mut topology = Self {
            vhost: vhost.into(),
            types,
            exchanges: HashMap::default(),
            bindings: Bindings::default(),
            queues: HashMap::default(),
            left_timelines: Vec::new(),
            left_caches: Vec::new(),
            generation: 0,
        };
        for declaration in declare::PREDECLARED {
            topology.restore_exchange(&declaration.declaration());
        }
        topology
    }

    /// The name of the vhost.
    #[must_use]
    pub fn vhost(&self) -> &Arc<str> {
        &self.vhost
    }

    /// A number that changes with every change.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The exchange of that name.
    ///
    /// # Errors
    /// 404.
    pub fn exchange(&self, name: &str) -> Result<&Arc<Exchange>, Error> {
        self.entry(name).map(|entry| &entry.exchange)
    }

    /// All exchanges, in no order.
    pub fn exchanges(&self) -> impl Iterator<Item = &Arc<Exchange>> {
        self.exchanges.values().map(|entry| &entry.exchange)
    }

    /// The rule by which an exchange holds messages back, where it does.
    #[must_use]
    pub fn hold(&self, exchange: &str) -> Option<&Arc<dyn Hold>> {
        self.find_entry(exchange)?.hold.as_ref()
    }

    /// What an exchange keeps for those who bind later, if anything.
    #[must_use]
    pub fn history(&self, exchange: &str) -> Option<History> {
        self.find_entry(exchange)?.history
    }

    /// Where an exchange has what it holds back, or keeps.
    #[must_use]
    pub fn timeline(&self, exchange: &str) -> Option<&T> {
        self.find_entry(exchange)?.timeline.as_ref()
    }

    /// All timelines, in no order.
    pub fn timelines(&self) -> impl Iterator<Item = &T> {
        self.exchanges.values().filter_map(|entry| entry.timeline.as_ref())
    }

    /// Gives an exchange that holds or keeps messages a place for them; false where there is no such exchange.
    pub fn attach_timeline(&mut self, exchange: &str, timeline: T) -> bool {
        let Some(entry) = self.exchanges.get_mut(exchange) else { return false };
        entry.timeline = Some(timeline);
        self.generation += 1;
        true
    }

    /// What an exchange has seen, where it drops repetitions.
    pub(crate) fn cache(&self, exchange: &str) -> Option<&Arc<Cache>> {
        self.find_entry(exchange)?.cache.as_ref()
    }

    /// Has an exchange drop repetitions of what `cache` has seen; false where there is no such exchange.
    pub(crate) fn attach_cache(&mut self, exchange: &str, cache: Arc<Cache>) -> bool {
        let Some(entry) = self.exchanges.get_mut(exchange) else { return false };
        entry.cache = Some(cache);
        self.generation += 1;
        true
    }

    /// What exchanges had seen that are gone since the last call, by their names.
    pub(crate) fn take_left_caches(&mut self) -> Vec<(Arc<str>, Arc<Cache>)> {
        std::mem::take(&mut self.left_caches)
    }

    /// The timelines of exchanges that are gone since the last call.
    pub fn take_left_timelines(&mut self) -> Vec<T> {
        std::mem::take(&mut self.left_timelines)
    }

    /// Deletes an exchange with all its bindings, and the auto-delete exchanges that have no binding left then. Deleting
    /// what is not there is a success, as in RabbitMQ.
    ///
    /// # Errors
    /// 403 for the default and the pre-declared exchanges, 406 where `if_unused` and it has bindings.
    pub fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<Change, Error> {
        check_not_default(name)?;
        if name.starts_with(RESERVED_PREFIX) {
            return Err(Error::system_exchange(name, &self.vhost));
        }
        if if_unused && self.bindings.has_source(name) {
            return Err(Error::in_use("exchange", name, &self.vhost));
        }
        let mut change = Change::default();
        self.remove_exchanges(vec![name.into()], &mut change);
        self.note(&change);
        Ok(change)
    }

    /// Sets or clears the alternate exchange that a policy gives an exchange; its own argument goes before it.
    /// The default exchange takes none.
    pub fn set_policy_alternate(&mut self, exchange: &str, alternate: Option<&str>) -> Change {
        let Some(entry) = self.exchanges.get_mut(exchange) else { return Change::default() };
        if exchange == DEFAULT_EXCHANGE || entry.exchange.policy_alternate.as_deref() == alternate {
            return Change::default();
        }
        let changed = Exchange { policy_alternate: alternate.map(Arc::from), ..(*entry.exchange).clone() };
        entry.exchange = Arc::new(changed);
        self.generation += 1;
        Change::ROUTES
    }

    /// Adds a binding. One that is there already is a success without a change.
    ///
    /// # Errors
    /// 403 for the default exchange, 404 where source or destination is missing, 406 where the exchange's type refuses
    /// the binding.
    pub fn bind(&mut self, binding: Binding) -> Result<Change, Error> {
        check_not_default(&binding.source)?;
        check_not_default_destination(&binding.destination)?;
        let entry = self.entry(&binding.source)?;
        self.check_destination(&binding.destination)?;
        let mut change = Change::default();
        if self.bindings.contains(&binding) {
            return Ok(change);
        }
        if let Ok(router) = &entry.router {
            router.validate_binding(&binding)?;
        }
        change.added_bindings.push(self.add_binding(binding));
        self.note(&change);
        Ok(change)
    }

    /// Adds a binding that was there before a restart, whatever its exchange's type thinks of it today. False where
    /// source or destination is missing.
    pub fn restore_binding(&mut self, binding: Binding) -> bool {
        let has_ends =
            self.exchanges.contains_key(&binding.source) && self.check_destination(&binding.destination).is_ok();
        if has_ends && !self.bindings.contains(&binding) {
            self.add_binding(binding);
            self.generation += 1;
        }
        has_ends
    }

    /// Removes a binding, and its exchange where that is auto-delete and this was the last. Removing what is not there
    /// is a success, as in RabbitMQ.
    ///
    /// # Errors
    /// 403 for the default exchange.
    pub fn unbind(&mut self, binding: &Binding) -> Result<Change, Error> {
        check_not_default(&binding.source)?;
        check_not_default_destination(&binding.destination)?;
        let mut change = Change::default();
        if let Some(present) = self.bindings.find(binding) {
            self.remove_bindings(vec![present], &mut change);
        }
        self.note(&change);
        Ok(change)
    }

    /// All bindings, by source. Those of the default exchange, one to each queue, are not among them.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter()
    }

    /// The bindings of an exchange, sorted by destination, key and arguments.
    pub fn bindings_from(&self, source: &str) -> impl Iterator<Item = &Binding> {
        self.bindings.from(source)
    }

    /// The bindings that lead to a destination, sorted by source, key and arguments.
    pub fn bindings_to(&self, destination: &Destination) -> impl Iterator<Item = &Binding> {
        self.bindings.to(destination)
    }

    /// Makes a queue known, in place of one of the same name.
    pub fn add_queue(&mut self, name: Arc<str>, queue: Q) -> Change {
        self.queues.insert(name, queue);
        self.generation += 1;
        Change::ROUTES
    }

    /// Forgets a queue with its bindings, and the auto-delete exchanges that have no binding left then.
    pub fn remove_queue(&mut self, name: &str) -> Change {
        let Some((name, _)) = self.queues.remove_entry(name) else { return Change::default() };
        let mut change = Change::ROUTES;
        self.remove_bindings(self.bindings.all_to(&Destination::Queue(name)), &mut change);
        self.generation += 1;
        change
    }

    /// The queue of that name.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<&Q> {
        self.queues.get(name)
    }

    /// The queue of that name, with the name itself.
    pub(crate) fn queue_entry(&self, name: &str) -> Option<(&Arc<str>, &Q)> {
        self.queues.get_key_value(name)
    }

    /// All queues, in no order.
    pub fn queues(&self) -> impl ExactSizeIterator<Item = &Q> {
        self.queues.values()
    }

    pub(crate) fn entry(&self, name: &str) -> Result<&Entry<T>, Error> {
        self.find_entry(name).ok_or_else(|| Error::no_exchange(name, &self.vhost))
    }

    pub(crate) fn find_entry(&self, name: &str) -> Option<&Entry<T>> {
        self.exchanges.get(name)
    }

    fn check_destination(&self, destination: &Destination) -> Result<(), Error> {
        match destination {
            Destination::Queue(name) if self.queues.contains_key(name) => Ok(()),
            Destination::Queue(name) => Err(Error::no_queue(name, &self.vhost)),
            Destination::Exchange(name) => self.entry(name).map(|_| ()),
        }
    }

    fn add_binding(&mut self, binding: Binding) -> Arc<Binding> {
        if let Some(Ok(router)) = self.exchanges.get_mut(&binding.source).map(|entry| &mut entry.router) {
            router.bind(&binding);
        }
        self.bindings.insert(binding)
    }

    /// Removes bindings, then the auto-delete exchanges that have none left.
    fn remove_bindings(&mut self, bindings: Vec<Arc<Binding>>, change: &mut Change) {
        let orphans = self.take_bindings(bindings, change);
        self.remove_exchanges(orphans, change);
    }

    /// Removes exchanges and those that go with them. A loop, since a chain of auto-delete exchanges may be longer than
    /// any stack is deep.
    fn remove_exchanges(&mut self, mut names: Vec<Arc<str>>, change: &mut Change) {
        while let Some(name) = names.pop() {
            names.extend(self.take_exchange(&name, change));
        }
    }

    /// Takes out an exchange and its bindings; the auto-delete exchanges that have none left.
    fn take_exchange(&mut self, name: &str, change: &mut Change) -> Vec<Arc<str>> {
        let Some((name, entry)) = self.exchanges.remove_entry(name) else { return Vec::new() };
        change.removed_exchanges.push(entry.exchange);
        self.left_timelines.extend(entry.timeline);
        self.left_caches.extend(entry.cache.map(|cache| (Arc::clone(&name), cache)));
        let mut bindings = self.bindings.all_from(&name);
        // One from the exchange to itself is in both.
        let to_it = self.bindings.all_to(&Destination::Exchange(Arc::clone(&name)));
        bindings.extend(to_it.into_iter().filter(|binding| binding.source != name));
        self.take_bindings(bindings, change)
    }

    /// Takes out bindings, sorted by source; the auto-delete exchanges that have none left.
    fn take_bindings(&mut self, bindings: Vec<Arc<Binding>>, change: &mut Change) -> Vec<Arc<str>> {
        for binding in &bindings {
            self.bindings.remove(binding);
            if let Some(Ok(router)) = self.exchanges.get_mut(&binding.source).map(|entry| &mut entry.router) {
                router.unbind(binding);
            }
        }
        let mut sources: Vec<_> = bindings.iter().map(|binding| Arc::clone(&binding.source)).collect();
        sources.dedup();
        sources.retain(|source| self.is_left_over(source));
        change.removed_bindings.extend(bindings);
        sources
    }

    fn is_left_over(&self, exchange: &str) -> bool {
        self.find_entry(exchange).is_some_and(|entry| entry.exchange.auto_delete) && !self.bindings.has_source(exchange)
    }

    fn note(&mut self, change: &Change) {
        if !change.is_empty() {
            self.generation += 1;
        }
    }
}

/// Refuses the default exchange, which cannot be declared, deleted or bound.
///
/// # Errors
/// 403.
pub fn check_not_default(exchange: &str) -> Result<(), Error> {
    if exchange == DEFAULT_EXCHANGE { Err(Error::default_exchange()) } else { Ok(()) }
}

fn check_not_default_destination(destination: &Destination) -> Result<(), Error> {
    match destination {
        Destination::Exchange(name) => check_not_default(name),
        Destination::Queue(_) => Ok(()),
    }
}
