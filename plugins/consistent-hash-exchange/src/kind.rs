//! The exchange type.

use leveret_amqp::FieldTable;
use leveret_broker::{
    Error,
    exchange::{Binding, Destination, ExchangeType, RouteInput, Router},
};

use crate::{
    hash_on::{HASH_HEADER, HASH_PROPERTY, HashOn},
    rendezvous::Rendezvous,
    weight,
};

/// Exchange type `x-consistent-hash`.
pub struct ConsistentHash;

impl ExchangeType for ConsistentHash {
    fn name(&self) -> &str {
        "x-consistent-hash"
    }

    fn validate(&self, arguments: &FieldTable) -> Result<(), Error> {
        HashOn::of(arguments).map(|_| ())
    }

    fn router(&self, arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Hashing { on: HashOn::of(arguments)?, destinations: Rendezvous::default() }))
    }

    fn compared_arguments(&self) -> &[&str] {
        &[HASH_HEADER, HASH_PROPERTY]
    }
}

/// A destination that is bound more than once has the sum of the weights.
struct Hashing {
    on: HashOn,
    destinations: Rendezvous,
}

impl Router for Hashing {
    fn validate_binding(&self, binding: &Binding) -> Result<(), Error> {
        weight::parse(&binding.routing_key).map(|_| ())
    }

    /// One without a weight, which can come from a time when the plugin was switched off, gets no message.
    fn bind(&mut self, binding: &Binding) {
        if let Ok(weight) = weight::parse(&binding.routing_key) {
            self.destinations.add(&binding.destination, weight);
        }
    }

    fn unbind(&mut self, binding: &Binding) {
        if let Ok(weight) = weight::parse(&binding.routing_key) {
            self.destinations.remove(&binding.destination, weight);
        }
    }

    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        out.extend(self.destinations.pick(self.on.hash(input)).cloned());
    }

    fn cacheable(&self) -> bool {
        self.on == HashOn::RoutingKey
    }

    /// A message goes to one destination, also with CC: its own key decides, as in RabbitMQ.
    fn uses_routing_key(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(arguments: &FieldTable) -> Box<dyn Router> {
        ConsistentHash.router(arguments).unwrap()
    }

    fn binding(key: &str, queue: &str) -> Binding {
        Binding {
            source: "x".into(),
            destination: Destination::Queue(queue.into()),
            routing_key: key.as_bytes().into(),
            arguments: FieldTable::new(),
        }
    }

    fn routed(router: &dyn Router, key: &str) -> Vec<Destination> {
        let mut out = Vec::new();
        router.route(&RouteInput::of_key(key.as_bytes()), &mut out);
        out
    }

    #[test]
    fn only_the_routing_key_makes_routes_that_can_be_kept() {
        assert!(router(&FieldTable::new()).cacheable());
        assert!(!router(&FieldTable::new().with("hash-header", "h")).cacheable());
        assert!(!router(&FieldTable::new().with("hash-property", "timestamp")).cacheable());
    }

    #[test]
    fn weights_of_several_bindings_are_added() {
        let (mut one, mut two) = (router(&FieldTable::new()), router(&FieldTable::new()));
        for (key, queue) in [("3", "a"), ("1", "b")] {
            one.bind(&binding(key, queue));
        }
        for (key, queue) in [("1", "a"), ("1", "b"), ("2", "a")] {
            two.bind(&binding(key, queue));
        }
        assert!((0..200).all(|key| routed(&*one, &key.to_string()) == routed(&*two, &key.to_string())));
    }

    #[test]
    fn a_binding_without_a_weight_gets_nothing() {
        let mut router = router(&FieldTable::new());
        assert!(router.validate_binding(&binding("heavy", "q")).is_err());
        router.bind(&binding("heavy", "q"));
        assert!(routed(&*router, "k").is_empty());
        router.bind(&binding("1", "q"));
        router.unbind(&binding("heavy", "q"));
        assert_eq!(routed(&*router, "k").len(), 1);
    }
}
