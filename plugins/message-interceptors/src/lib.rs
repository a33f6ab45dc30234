//! RabbitMQ's built-in message interceptors: what comes in gets a time and the name of the server that took it.
//!
//! Each is switched on by its key `overwrite`, as in RabbitMQ: whether what the publisher has said there is replaced.
//!
//! Not taken: RabbitMQ's interceptors for other protocols and for what goes out, see [`leveret_broker::plugin::Interceptor`].

mod stamps;

use std::sync::Arc;

use leveret_broker::plugin::{Interceptor, Plugin, RegisterError, Registry, Section};
use serde::{Deserialize, Serialize};

use stamps::{RoutingNode, Timestamp};

const SECTION: &str = "message_interceptors";

/// What can be configured.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Those who see what comes in.
    incoming: Incoming,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Incoming {
    set_header_timestamp: Switch,
    set_header_routing_node: Switch,
}

/// An interceptor that is there where it is said whether it overwrites.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Switch {
    overwrite: Option<bool>,
}

/// The plugin.
pub struct MessageInterceptors;

impl Plugin for MessageInterceptors {
    fn name(&self) -> &'static str {
        "message-interceptors"
    }

    fn description(&self) -> &'static str {
        "stamps messages with their time and node when they come in"
    }

    fn section(&self) -> Option<Section> {
        Some(Section::of::<Settings>(SECTION))
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        let Incoming { set_header_timestamp, set_header_routing_node } =
            registry.section::<Settings>(SECTION)?.incoming;
        let node = registry.node().to_owned();
        let timestamp = set_header_timestamp.interceptor(|overwrite| Timestamp { overwrite });
        let routing_node = set_header_routing_node.interceptor(|overwrite| RoutingNode { node, overwrite });
        timestamp.into_iter().chain(routing_node).try_for_each(|interceptor| registry.interceptor(interceptor))
    }
}

impl Switch {
    fn interceptor<T: Interceptor + 'static>(&self, make: impl FnOnce(bool) -> T) -> Option<Arc<dyn Interceptor>> {
        self.overwrite.map(|overwrite| Arc::new(make(overwrite)) as Arc<dyn Interceptor>)
    }
}
