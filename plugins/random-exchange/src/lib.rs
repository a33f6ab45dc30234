//! Exchange types `x-random` and `x-local-random`: each message goes to one destination, drawn by lot.
//!
//! RabbitMQ has the second in its core, for consumers that want to be served by their own node. It is the same draw with
//! stricter bindings, so both are here. All queues are local to the one node there is, quorum queues included: these may
//! be bound as well, which RabbitMQ refuses because theirs may be led elsewhere.

mod local_random;
mod random;

use leveret_broker::{
    exchange::{Destination, Destinations},
    plugin::{Plugin, RegisterError, Registry},
};
use rand::seq::IndexedRandom;

pub use local_random::LocalRandom;
pub use random::Random;

/// The plugin.
pub struct RandomExchange;

impl Plugin for RandomExchange {
    fn name(&self) -> &'static str {
        "random-exchange"
    }

    fn description(&self) -> &'static str {
        "exchange types x-random and x-local-random: each message to one queue by lot"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(Random)?;
        registry.exchange_type(LocalRandom)
    }
}

/// One of them by lot; one that is bound several times has several lots.
fn draw(destinations: &Destinations) -> Option<Destination> {
    destinations.as_slice().choose(&mut rand::rng()).cloned()
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod testing;
