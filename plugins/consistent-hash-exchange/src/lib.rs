//! Exchange type `x-consistent-hash`: each message goes to one destination, equal messages to the same one.
//!
//! What is hashed is the routing key, a header (`hash-header`) or a property (`hash-property`). A binding's key is its
//! weight: a destination gets that share of all keys. When a destination comes or goes, only its own share moves.
//!
//! As RabbitMQ's plugin, with one difference: there a binding that goes renumbers those that were made after it, and
//! their keys move, too.

#[cfg(test)]
mod conformance;
mod hash_on;
mod kind;
mod rendezvous;
mod weight;

use leveret_broker::plugin::{Plugin, RegisterError, Registry};

pub use kind::ConsistentHash;
pub use weight::WEIGHT_MAX;

/// The plugin.
pub struct ConsistentHashExchange;

impl Plugin for ConsistentHashExchange {
    fn name(&self) -> &'static str {
        "consistent-hash-exchange"
    }

    fn description(&self) -> &'static str {
        "exchange type x-consistent-hash: equal keys to the same queue, by weight"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(ConsistentHash)
    }
}
