//! The management HTTP API, with RabbitMQ's paths and JSON.
//!
//! One router serves two doors: the TCP listener, where every request logs in with HTTP basic authentication, and a
//! unix socket in the data directory, which `leveret ctl` uses and which the file system's permissions guard.
//!
//! What belongs to the server alone — connections and channels — comes through [`Clients`], so that this package knows
//! no socket and no front end.
//!
//! Not taken: rates and their history (`message_stats.*_details`). They need a sampler; Prometheus is the better place
//! for them.

mod access;
mod api;
mod body;
mod error;
mod paging;
mod step;

use std::sync::Arc;

use axum::Router;
use leveret_broker::{
    Broker,
    plugin::{HttpRoute, Plugin, RegisterError, Registry},
};
use serde_json::Value;

pub use access::Door;

/// The RabbitMQ release whose API this is. Tools compare it with the release that introduced what they want to use.
pub const RABBITMQ_VERSION: &str = "4.3.0";

/// The management interface on the list of plugins. It adds nothing to the broker; the server opens its doors.
pub struct Management;

/// Its name.
pub const NAME: &str = "management";

impl Plugin for Management {
    fn name(&self) -> &'static str {
        NAME
    }

    fn description(&self) -> &'static str {
        "the management HTTP API, also behind `leveret ctl`"
    }

    fn register(&self, _registry: &mut Registry) -> Result<(), RegisterError> {
        Ok(())
    }
}

/// The server's connections and channels, as JSON in RabbitMQ's shape.
pub trait Clients: Send + Sync + 'static {
    /// The open connections.
    fn connections(&self) -> Vec<Value>;

    /// The open channels.
    fn channels(&self) -> Vec<Value>;

    /// Closes the connection of that name with 320 and this reason; false where there is none.
    fn close(&self, name: &str, reason: &str) -> bool;

    /// Closes all connections to a vhost, which was deleted.
    fn close_vhost(&self, vhost: &str);

    /// Closes all connections of a user, who was deleted.
    fn close_user(&self, user: &str);

    /// The listeners, as in `overview`: objects with at least `protocol`, `ip_address` and `port`.
    fn listeners(&self) -> Vec<Value>;

    /// The server's name in listings, such as `leveret@host`.
    fn node(&self) -> &str;

    /// The cluster's name, as configured.
    fn cluster_name(&self) -> &str;

    /// The plugins in use.
    fn plugins(&self) -> Vec<&'static str>;

    /// The resource alarm that is on.
    fn alarm(&self) -> Option<String>;
}

/// What every handler works on.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) broker: Arc<Broker>,
    pub(crate) clients: Arc<dyn Clients>,
    pub(crate) door: Door,
}

/// The API for one door, with the routes that plugins have added.
pub fn router(broker: Arc<Broker>, clients: Arc<dyn Clients>, door: Door, plugins: &[HttpRoute]) -> Router {
    api::router(Api { broker, clients, door }, plugins)
}
