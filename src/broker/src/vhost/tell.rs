//! What changes in a vhost, as observers are told.

use std::sync::Arc;

use super::VHost;
use crate::{
    Turn,
    plugin::{EventKind, InVHost},
    topology::Change,
};

impl VHost {
    /// Tells of exchanges and bindings that came or went. What is gone goes first, bindings before their ends.
    pub(super) fn tell(&self, turn: &Turn<'_>, change: &Change) {
        for binding in &change.removed_bindings {
            turn.tell(|| EventKind::BindingDeleted(self.its(binding)));
        }
        for exchange in &change.removed_exchanges {
            turn.tell(|| EventKind::ExchangeDeleted(self.its(exchange)));
        }
        for exchange in &change.added_exchanges {
            turn.tell(|| EventKind::ExchangeCreated(self.its(exchange)));
        }
        for binding in &change.added_bindings {
            turn.tell(|| EventKind::BindingCreated(self.its(binding)));
        }
    }

    fn its<T>(&self, it: &Arc<T>) -> InVHost<T> {
        InVHost { vhost: Arc::clone(&self.name), it: Arc::clone(it) }
    }
}
