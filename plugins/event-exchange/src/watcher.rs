//! Who is told what happens in the broker, and lets those events pass that somebody has asked for.

use std::sync::{Arc, OnceLock, Weak};

use leveret_broker::{
    Broker,
    plugin::{Event, Observer},
};

use crate::{EXCHANGE, inbox::Inbox};

/// The plugin's observer.
pub(crate) struct Watcher {
    /// The vhost that has the exchange.
    pub(crate) vhost: Arc<str>,
    /// What passed.
    pub(crate) inbox: Inbox,
    // Weak, since the broker has the watcher.
    broker: OnceLock<Weak<Broker>>,
}

impl Watcher {
    /// Lets nothing pass until it watches a broker.
    pub(crate) fn new(vhost: Arc<str>) -> Self {
        Self { vhost, inbox: Inbox::default(), broker: OnceLock::new() }
    }

    /// Watches a broker from now on; the first one stays.
    pub(crate) fn watch(&self, broker: &Arc<Broker>) {
        self.broker.get_or_init(|| Arc::downgrade(broker));
    }

    /// Whether the exchange leads anywhere. Looked up each time: it may be deleted with its vhost, and come again.
    fn is_bound(&self) -> bool {
        let broker = self.broker.get().and_then(Weak::upgrade);
        let vhost = broker.and_then(|broker| broker.vhost(&self.vhost));
        vhost.is_some_and(|vhost| vhost.is_bound(EXCHANGE))
    }
}

impl Observer for Watcher {
    fn name(&self) -> &str {
        EXCHANGE
    }

    fn observe(&self, event: &Event) {
        if self.is_bound() {
            self.inbox.put(event);
        }
    }
}
