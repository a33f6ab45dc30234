//! The bindings of a vhost, found by source and by destination.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
    hash::Hash,
    ops::Deref,
    sync::Arc,
};

use leveret_amqp::FieldTable;

use crate::exchange::{Binding, Destination};

type Index<K> = HashMap<K, BTreeSet<Stored>, ahash::RandomState>;

/// All bindings, twice. Sorted sets, so that listings and removals have an order that can be relied on.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    by_source: Index<Arc<str>>,
    by_destination: Index<Destination>,
}

/// A binding that is compared by its parts, the arguments regardless of their order.
#[derive(Clone, Debug)]
struct Stored {
    binding: Arc<Binding>,
    arguments: Arc<[u8]>,
}

impl Stored {
    fn new(binding: Arc<Binding>) -> Self {
        let arguments = sorted_arguments(&binding.arguments).into();
        Self { binding, arguments }
    }

    fn parts(&self) -> (&str, &Destination, &[u8], &[u8]) {
        let Binding { source, destination, routing_key, .. } = self.binding.deref();
        (source, destination, routing_key, &self.arguments)
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Stored {}

impl PartialOrd for Stored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Bindings {
    /// The present binding that is the same as this one.
    pub(super) fn find(&self, binding: &Binding) -> Option<Arc<Binding>> {
        let wanted = Stored::new(Arc::new(binding.clone()));
        let present = self.by_source.get(&binding.source)?.get(&wanted)?;
        Some(Arc::clone(&present.binding))
    }

    pub(super) fn contains(&self, binding: &Binding) -> bool {
        self.find(binding).is_some()
    }

    /// Adds a binding that is not there.
    pub(super) fn insert(&mut self, binding: Binding) -> Arc<Binding> {
        let binding = Arc::new(binding);
        let stored = Stored::new(Arc::clone(&binding));
        self.by_destination.entry(binding.destination.clone()).or_default().insert(stored.clone());
        self.by_source.entry(Arc::clone(&binding.source)).or_default().insert(stored);
        binding
    }

    /// Removes a binding that is there.
    pub(super) fn remove(&mut self, binding: &Arc<Binding>) {
        let stored = Stored::new(Arc::clone(binding));
        remove_from(&mut self.by_source, &binding.source, &stored);
        remove_from(&mut self.by_destination, &binding.destination, &stored);
    }

    pub(super) fn has_source(&self, source: &str) -> bool {
        self.by_source.contains_key(source)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.by_source.values().flatten().map(|stored| &*stored.binding)
    }

    pub(super) fn from(&self, source: &str) -> impl Iterator<Item = &Binding> {
        self.by_source.get(source).into_iter().flatten().map(|stored| &*stored.binding)
    }

    pub(super) fn to(&self, destination: &Destination) -> impl Iterator<Item = &Binding> {
        self.by_destination.get(destination).into_iter().flatten().map(|stored| &*stored.binding)
    }

    pub(super) fn all_from(&self, source: &str) -> Vec<Arc<Binding>> {
        shared(self.by_source.get(source))
    }

    pub(super) fn all_to(&self, destination: &Destination) -> Vec<Arc<Binding>> {
        shared(self.by_destination.get(destination))
    }
}

fn shared(stored: Option<&BTreeSet<Stored>>) -> Vec<Arc<Binding>> {
    stored.into_iter().flatten().map(|stored| Arc::clone(&stored.binding)).collect()
}

fn remove_from<K, B>(index: &mut Index<K>, key: &B, stored: &Stored)
where
    K: Borrow<B> + Eq + Hash,
    B: Eq + Hash + ?Sized,
{
    let Some(bindings) = index.get_mut(key) else { return };
    bindings.remove(stored);
    if bindings.is_empty() {
        index.remove(key);
    }
}

/// Arguments as bytes, by name. Types are part of it: RabbitMQ, too, holds 1 and 1 of another width for two bindings.
fn sorted_arguments(arguments: &FieldTable) -> Vec<u8> {
    let mut entries: Vec<_> = arguments.iter().collect();
    entries.sort_by_key(|(name, _)| *name);
    let mut bytes = Vec::new();
    for (name, value) in entries {
        bytes.extend_from_slice(&name.len().to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        value.encode(&mut bytes);
    }
    bytes
}
