//! Messages that exchanges hold back until their time.

use std::sync::Arc;

use super::{Model, message::Content, topology::Topology};
use crate::plan::Name;

/// A message that an exchange holds back.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// As for messages in queues. Of those due at the same time, the one with the lower number goes first.
    pub(super) copy: u64,
    /// See there.
    pub(super) content: Arc<Content>,
    due_ms: u64,
}

impl Topology {
    /// What an exchange holds back.
    pub(crate) fn held(&self, exchange: &str) -> &[Held] {
        self.held.get(exchange).map_or(&[], Vec::as_slice)
    }

    /// The same in order: when each message is due, and its number.
    pub(crate) fn listing(&self, exchange: &str) -> Vec<(u64, u64)> {
        let mut held: Vec<_> = self.held(exchange).iter().collect();
        held.sort_by_key(|held| (held.due_ms, held.copy));
        held.into_iter().map(|held| (held.due_ms, held.content.root)).collect()
    }

    /// What is held back by exchanges that survive a restart.
    pub(super) fn all_kept(&self) -> impl Iterator<Item = &Held> {
        let is_kept = |exchange: &Name| self.exchanges.get(exchange).is_some_and(|exchange| exchange.durable);
        self.held.iter().filter(move |(exchange, _)| is_kept(exchange)).flat_map(|(_, held)| held)
    }
}

impl Model {
    /// An exchange holds a message back from now on.
    pub(crate) fn hold(&mut self, exchange: &Name, content: &Arc<Content>) {
        let Some(held_ms) = content.held_ms() else { return };
        self.next_copy += 1;
        let is_kept = self.topology.exchanges.get(exchange).is_some_and(|exchange| exchange.durable);
        let content = Content { is_promised: content.is_promised && is_kept, ..Content::clone(content) };
        let held = Held { copy: self.next_copy, content: Arc::new(content), due_ms: self.now_ms + held_ms };
        self.topology.held.entry(Arc::clone(exchange)).or_default().push(held);
    }

    /// An exchange has sent so many messages on: which, in order. They must have been due.
    pub(crate) fn release(&mut self, exchange: &Name, count: u64) -> Vec<Arc<Content>> {
        let held = self.topology.held.entry(Arc::clone(exchange)).or_default();
        held.sort_by_key(|held| (held.due_ms, held.copy));
        let released: Vec<_> = held.drain(..held.len().min(count as usize)).collect();
        if let Some(early) = released.last().filter(|last| last.due_ms > self.now_ms) {
            let text = format!("exchange {exchange} sent {early:?} on at {}", self.now_ms);
            self.fail(text);
        }
        released.iter().map(|held| Arc::new(held.content.released(held.copy, self.now_ms))).collect()
    }

    /// Whether something that is due is still held back.
    pub(crate) fn holds_what_is_due(&self) -> bool {
        self.topology.held.values().flatten().any(|held| held.due_ms <= self.now_ms)
    }
}
