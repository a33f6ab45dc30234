//! What happens in the broker, as messages: the topic exchange `amq.rabbitmq.event`, as RabbitMQ's plugin
//! `rabbitmq_event_exchange` has it. The routing key is the event's name, such as `queue.created`; the rest is in headers.
//!
//! Whoever does something is not held up: where the exchange is bound, the [`Watcher`] puts the event into an inbox of
//! limited size, and a thread of the plugin's own publishes from there. Publishing causes no event, so that none leads to
//! another.
//!
//! Where it differs from RabbitMQ:
//!
//! * what Erlang prints in its own notation there — addresses, argument tables, process ids — is text, a table and a number
//!   here; `pid` still tells which channel is of which connection, and which consumer of which channel;
//! * `connection.closed` comes only for connections that were open, so that it always has its `connection.created`;
//! * there is no `parameter.*`, since there are no parameters beside policies and limits, which have events of their own;
//! * nothing but `amqp_0_9_1` can be chosen as the messages' protocol, so it cannot be chosen.

mod headers;
mod inbox;
mod publish;
mod values;
mod watcher;

use std::{
    error::Error,
    sync::Arc,
    thread::{self, JoinHandle},
};

use leveret_amqp::FieldTable;
use leveret_broker::{
    Broker, VHostMetadata,
    plugin::{Observer, Plugin, Predeclared, RegisterError, Registry, Section},
    topology::DeclareExchange,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use watcher::Watcher;

/// The exchange, under RabbitMQ's name.
pub const EXCHANGE: &str = "amq.rabbitmq.event";

const SECTION: &str = "event_exchange";

static NO_ARGUMENTS: FieldTable = FieldTable::new();

/// What can be configured.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The vhost that has the exchange.
    vhost: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { vhost: "/".into() }
    }
}

/// The plugin.
#[derive(Default)]
pub struct EventExchange {
    watcher: Mutex<Option<Arc<Watcher>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Plugin for EventExchange {
    fn name(&self) -> &'static str {
        "event-exchange"
    }

    fn description(&self) -> &'static str {
        "exchange amq.rabbitmq.event: what happens in the broker, as messages"
    }

    fn section(&self) -> Option<Section> {
        Some(Section::of::<Settings>(SECTION))
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        let vhost: Arc<str> = registry.section::<Settings>(SECTION)?.vhost.into();
        let watcher = Arc::new(Watcher::new(Arc::clone(&vhost)));
        *self.watcher.lock() = Some(Arc::clone(&watcher));
        registry.observer(watcher as Arc<dyn Observer>)?;
        let exchange = DeclareExchange {
            name: EXCHANGE,
            kind: "topic",
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: &NO_ARGUMENTS,
        };
        registry.exchange(Predeclared { vhost, exchange })
    }

    /// The vhost is made where there is none of that name.
    fn start(&self, broker: &Arc<Broker>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(watcher) = self.watcher.lock().clone() else { return Ok(()) };
        broker.create_vhost(&mut broker.turn(), &watcher.vhost, VHostMetadata::default())?;
        watcher.watch(broker);
        let broker = Arc::clone(broker);
        let thread = thread::Builder::new()
            .name("leveret-event-exchange".into())
            .spawn(move || publish::run(&broker, &watcher.vhost, &watcher.inbox))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// What has happened until now is published before it ends.
    fn stop(&self) {
        if let Some(watcher) = &*self.watcher.lock() {
            watcher.inbox.close();
        }
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the event exchange had panicked");
        }
    }
}
