//! Exchange type `x-modulus-hash`: each message goes to one destination, by the hash of its routing key modulo the number
//! of bindings.
//!
//! As in RabbitMQ: destinations are sorted, so that a restart changes nothing, and what the binding keys are does not
//! matter. A binding that comes or goes moves nearly all keys; `x-consistent-hash` moves few of them, for more work on
//! each message.

use leveret_amqp::FieldTable;
use leveret_broker::{
    Error,
    exchange::{Binding, Destination, Destinations, ExchangeType, RouteInput, Router},
    plugin::{Plugin, RegisterError, Registry},
};
use twox_hash::XxHash3_64;

/// The plugin.
pub struct ModulusHashExchange;

impl Plugin for ModulusHashExchange {
    fn name(&self) -> &'static str {
        "modulus-hash-exchange"
    }

    fn description(&self) -> &'static str {
        "exchange type x-modulus-hash: equal routing keys to the same queue"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(ModulusHash)
    }
}

/// Exchange type `x-modulus-hash`.
pub struct ModulusHash;

impl ExchangeType for ModulusHash {
    fn name(&self) -> &str {
        "x-modulus-hash"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Modulus::default()))
    }
}

#[derive(Default)]
struct Modulus {
    destinations: Destinations,
}

impl Router for Modulus {
    fn bind(&mut self, binding: &Binding) {
        self.destinations.add(&binding.destination);
    }

    fn unbind(&mut self, binding: &Binding) {
        self.destinations.remove(&binding.destination);
    }

    /// XXH3 is specified to the bit, so that a key stays where it is over restarts and releases.
    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        let destinations = self.destinations.as_slice();
        let place = XxHash3_64::oneshot(input.routing_key).checked_rem(destinations.len() as u64);
        out.extend(place.and_then(|place| destinations.get(place as usize)).cloned());
    }

    /// A message goes to one destination, also with CC.
    fn uses_routing_key(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use leveret_broker::exchange::conformance::{self, Setup};

    use super::*;

    #[test]
    fn it_conforms() {
        conformance::check(&ModulusHash, &Setup::default()).unwrap();
    }

    fn router(queues: &[&str]) -> Modulus {
        let mut router = Modulus::default();
        for queue in queues {
            router.bind(&binding(queue));
        }
        router
    }

    fn binding(queue: &str) -> Binding {
        let destination = Destination::Queue(queue.into());
        Binding { source: "x".into(), destination, routing_key: b"any"[..].into(), arguments: FieldTable::new() }
    }

    fn routed(router: &Modulus, key: &str) -> Option<String> {
        let mut out = Vec::new();
        router.route(&RouteInput::of_key(key.as_bytes()), &mut out);
        assert!(out.len() <= 1);
        out.first().map(|destination| destination.name().to_string())
    }

    #[test]
    fn a_key_stays_where_it_was_in_every_release() {
        let router = router(&["q2", "q0", "q1"]);
        let places: Vec<_> = (0..16).filter_map(|key| routed(&router, &format!("key.{key}"))).collect();
        assert_eq!(places.join(" "), "q2 q1 q0 q1 q1 q2 q1 q0 q2 q1 q2 q2 q2 q0 q1 q2");
    }

    #[test]
    fn keys_are_spread_evenly() {
        let router = router(&["q0", "q1", "q2", "q3"]);
        for queue in ["q0", "q1", "q2", "q3"] {
            let keys = (0..100_000).filter(|key| routed(&router, &key.to_string()).as_deref() == Some(queue)).count();
            assert!((24_000..26_000).contains(&keys), "{queue}: {keys}");
        }
    }

    #[test]
    fn the_order_of_binding_does_not_matter() {
        let (one, other) = (router(&["a", "b", "c"]), router(&["c", "a", "b"]));
        assert!((0..100).map(|key| key.to_string()).all(|key| routed(&one, &key) == routed(&other, &key)));
    }

    #[test]
    fn without_a_binding_it_goes_nowhere() {
        let mut router = router(&["q"]);
        assert_eq!(routed(&router, "k").as_deref(), Some("q"));
        router.unbind(&binding("q"));
        assert_eq!(routed(&router, "k"), None);
    }
}
