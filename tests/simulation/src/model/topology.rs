//! Exchanges and bindings, and where they lead: lists, looked through from the front.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{held::Held, message::Content};
use crate::plan::{BindingPlan, ExchangePlan, Headers, Kind, Name};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// By name.
    pub(crate) exchanges: BTreeMap<Name, ExchangePlan>,
    /// Each once.
    pub(crate) bindings: Vec<BindingPlan>,
    /// What exchanges hold back, by their names.
    pub(super) held: BTreeMap<Name, Vec<Held>>,
}

/// Where a message goes: to queues, and to exchanges that hold it back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Way<Q> {
    pub(crate) queues: Q,
    pub(crate) held: BTreeSet<Name>,
}

impl Topology {
    /// Declares an exchange.
    pub(crate) fn declare(&mut self, exchange: &ExchangePlan) {
        self.exchanges.entry(Arc::clone(&exchange.name)).or_insert_with(|| exchange.clone());
    }

    /// Deletes an exchange with its bindings and what it holds back.
    pub(crate) fn delete(&mut self, name: &str) {
        self.exchanges.remove(name);
        self.held.remove(name);
        self.unbind(|binding| *binding.source == *name || !binding.to_queue && *binding.destination == *name);
    }

    /// Whether something is bound to an exchange.
    pub(crate) fn is_used(&self, exchange: &str) -> bool {
        self.bindings.iter().any(|binding| *binding.source == *exchange)
    }

    /// Adds a binding.
    pub(crate) fn bind(&mut self, binding: &BindingPlan) {
        if !self.bindings.contains(binding) {
            self.bindings.push(binding.clone());
        }
    }

    /// Removes bindings, and the auto-delete exchanges that lose their last one.
    pub(crate) fn unbind(&mut self, which: impl Fn(&BindingPlan) -> bool) {
        let gone: Vec<_> = self.bindings.extract_if(.., |binding| which(binding)).collect();
        for BindingPlan { source, .. } in gone {
            let deletes_itself = self.exchanges.get(&source).is_some_and(|exchange| exchange.auto_delete);
            if deletes_itself && !self.is_used(&source) {
                self.delete(&source);
            }
        }
    }

    /// What survives a restart, where `is_kept` says which queues do.
    pub(crate) fn durable(&self, is_kept: impl Fn(&str) -> bool) -> Self {
        let mut durable = self.clone();
        durable.exchanges.retain(|_, exchange| exchange.durable);
        let exchanges = &durable.exchanges;
        durable.held.retain(|exchange, _| exchanges.contains_key(exchange));
        durable.bindings.retain(|binding| {
            let to = &*binding.destination;
            exchanges.contains_key(&binding.source)
                && if binding.to_queue { is_kept(to) } else { exchanges.contains_key(to) }
        });
        durable
    }

    /// Where a message goes, by the names of queues whether or not they exist; `None` without the exchange. One that was
    /// held back goes on from that exchange.
    pub(crate) fn route(&self, content: &Content, released_by: Option<&str>) -> Option<Way<BTreeSet<Name>>> {
        let Content { exchange, headers, .. } = content;
        let keys = content.keys();
        let Way { mut queues, mut held } = Way::<BTreeSet<Name>>::default();
        let start = released_by.unwrap_or(exchange);
        if start.is_empty() {
            queues.extend(keys.into_iter().map(Name::from));
            return Some(Way { queues, held });
        }
        let start = self.exchanges.get(start)?;
        let mut visited = BTreeSet::from([&start.name]);
        let mut pending = vec![start];
        while let Some(exchange) = pending.pop() {
            let is_released = released_by == Some(&*exchange.name);
            if exchange.holds && content.held_ms().is_some() && !is_released {
                held.insert(Arc::clone(&exchange.name));
                continue;
            }
            let matching = || self.bindings.iter().filter(|binding| matches(exchange, binding, &keys, headers));
            queues
                .extend(matching().filter(|binding| binding.to_queue).map(|binding| Arc::clone(&binding.destination)));
            let exchanges = matching().filter(|binding| !binding.to_queue).map(|binding| &binding.destination);
            let alternate = exchange.alternate.as_ref().filter(|_| matching().next().is_none());
            let next = exchanges.chain(alternate).filter_map(|name| self.exchanges.get(name));
            pending.extend(next.filter(|next| visited.insert(&next.name)));
        }
        Some(Way { queues, held })
    }
}

fn matches(exchange: &ExchangePlan, binding: &BindingPlan, keys: &[&str], headers: &Headers) -> bool {
    binding.source == exchange.name
        && match exchange.kind {
            Kind::Fanout => true,
            Kind::Direct => keys.contains(&&*binding.key),
            Kind::Headers if binding.any => binding.headers.iter().any(|pair| headers.contains(pair)),
            Kind::Headers => binding.headers.iter().all(|pair| headers.contains(pair)),
            Kind::Topic => keys.iter().any(|key| {
                let pattern: Vec<_> = binding.key.split('.').collect();
                matches_pattern(&pattern, &key.split('.').collect::<Vec<_>>())
            }),
        }
}

fn matches_pattern(pattern: &[&str], words: &[&str]) -> bool {
    match (pattern.split_first(), words.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), _) => {
            matches_pattern(rest, words) || !words.is_empty() && matches_pattern(pattern, &words[1..])
        }
        (Some((&"*", rest)), Some((_, behind))) => matches_pattern(rest, behind),
        (Some((wanted, rest)), Some((word, behind))) => wanted == word && matches_pattern(rest, behind),
        _ => false,
    }
}
