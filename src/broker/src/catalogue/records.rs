//! The records that have no type of their own elsewhere in the domain.

use std::sync::Arc;

use leveret_amqp::FieldTable;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::field_json;
use crate::{
    VHostMetadata,
    exchange::{Binding, Destination},
    limits::{UserLimits, VHostLimits},
};

/// What there is one of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// No queue has had this id or a higher one. Ids are not used again: the logs of a deleted queue go by its id.
    pub next_queue_id: u64,
}

/// A parameter of the whole broker, such as `cluster_name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalParameter {
    /// Unique.
    pub name: Arc<str>,
    /// Whatever JSON it is.
    pub value: Value,
}

/// A parameter of a plugin in a vhost, such as a shovel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Where.
    pub vhost: Arc<str>,
    /// Whose, such as `shovel`.
    pub component: Arc<str>,
    /// Unique in vhost and component.
    pub name: Arc<str>,
    /// Whatever JSON it is.
    pub value: Value,
}

/// A vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VHostRecord {
    /// Unique.
    pub name: Arc<str>,
    /// Beside the name in the same object.
    #[serde(flatten)]
    pub metadata: VHostMetadata,
}

/// The limits of a vhost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VHostLimitsRecord {
    /// Whose.
    pub vhost: Arc<str>,
    /// What they are.
    pub limits: VHostLimits,
}

/// The limits of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLimitsRecord {
    /// Whose.
    pub user: Arc<str>,
    /// What they are.
    pub limits: UserLimits,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExchangeRecord {
    /// Where.
    pub vhost: Arc<str>,
    /// Unique in the vhost.
    pub name: Arc<str>,
    /// Its type, such as `topic`.
    pub kind: Arc<str>,
    /// As declared.
    pub durable: bool,
    /// As declared.
    pub auto_delete: bool,
    /// As declared.
    pub internal: bool,
    /// As declared.
    #[serde(with = "field_json::table")]
    pub arguments: FieldTable,
}

/// A queue. Exclusive queues end with their connection and are not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRecord {
    /// What its logs go by in the store.
    pub id: u64,
    /// Where.
    pub vhost: Arc<str>,
    /// Unique in the vhost.
    pub name: Arc<str>,
    /// As declared.
    pub durable: bool,
    /// As declared.
    pub auto_delete: bool,
    /// As declared.
    #[serde(with = "field_json::table")]
    pub arguments: FieldTable,
}

/// The messages that a durable exchange holds back, or keeps for those who bind later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineRecord {
    /// What they go by in the store; numbered with the queues.
    pub id: u64,
    /// Where.
    pub vhost: Arc<str>,
    /// Whose.
    pub exchange: Arc<str>,
    /// Whether they are kept, and not held back.
    #[serde(default)]
    pub is_history: bool,
}

/// What a durable exchange or queue has seen, to drop repetitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// What it goes by in the store; numbered with the queues.
    pub id: u64,
    /// Where.
    pub vhost: Arc<str>,
    /// Whose.
    #[serde(with = "DestinationForm")]
    pub owner: Destination,
}

/// A binding. All of it is its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BindingRecord {
    /// Where.
    pub vhost: Arc<str>,
    /// The exchange that routes by it.
    pub source: Arc<str>,
    /// Where it leads.
    #[serde(with = "DestinationForm")]
    pub destination: Destination,
    /// As bound.
    #[serde(with = "field_json::bytes")]
    pub routing_key: Arc<[u8]>,
    /// As bound.
    #[serde(with = "field_json::table")]
    pub arguments: FieldTable,
}

impl BindingRecord {
    /// The record of a binding.
    #[must_use]
    pub fn new(vhost: &Arc<str>, binding: &Binding) -> Self {
        Self {
            vhost: Arc::clone(vhost),
            source: Arc::clone(&binding.source),
            destination: binding.destination.clone(),
            routing_key: Arc::clone(&binding.routing_key),
            arguments: binding.arguments.clone(),
        }
    }

    /// The binding, without its vhost.
    #[must_use]
    pub fn into_binding(self) -> Binding {
        let Self { vhost: _, source, destination, routing_key, arguments } = self;
        Binding { source, destination, routing_key, arguments }
    }
}

/// `{"queue": "name"}` or `{"exchange": "name"}`.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Destination", rename_all = "lowercase")]
enum DestinationForm {
    Queue(Arc<str>),
    Exchange(Arc<str>),
}
