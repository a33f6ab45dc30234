//! Exchange type `x-longest-prefix`: the longest binding key that a routing key begins with takes the message. With the
//! keys `orders.` and `orders.eu.`, the second takes its part from the first; an empty key takes what is left.

use std::{collections::HashMap, sync::Arc};

use leveret_amqp::FieldTable;
use leveret_broker::{
    Error,
    exchange::{Binding, Destination, Destinations, ExchangeType, RouteInput, Router},
    plugin::{Plugin, RegisterError, Registry},
};

pub struct LongestPrefix;

impl Plugin for LongestPrefix {
    fn name(&self) -> &'static str {
        "longest-prefix"
    }

    fn description(&self) -> &'static str {
        "exchange type x-longest-prefix"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(LongestPrefix)
    }
}

impl ExchangeType for LongestPrefix {
    fn name(&self) -> &str {
        "x-longest-prefix"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Prefixes::default()))
    }
}

#[derive(Default)]
struct Prefixes(HashMap<Arc<[u8]>, Destinations>);

impl Router for Prefixes {
    fn bind(&mut self, binding: &Binding) {
        self.0.entry(Arc::clone(&binding.routing_key)).or_default().add(&binding.destination);
    }

    fn unbind(&mut self, binding: &Binding) {
        let Some(destinations) = self.0.get_mut(&binding.routing_key) else { return };
        destinations.remove(&binding.destination);
        if destinations.is_empty() {
            self.0.remove(&binding.routing_key);
        }
    }

    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        let mut prefixes = (0..=input.routing_key.len()).rev().map(|len| &input.routing_key[..len]);
        let longest = prefixes.find_map(|prefix| self.0.get(prefix));
        out.extend(longest.into_iter().flat_map(Destinations::distinct).cloned());
    }
}

#[cfg(test)]
mod tests {
    use leveret_broker::exchange::conformance::{Setup, check};

    use super::*;

    #[test]
    fn it_conforms() {
        check(&LongestPrefix, &Setup::of_keys(["", "orders.", "orders.eu.", "invoices."])).unwrap();
    }

    #[test]
    fn the_longest_prefix_takes_it() {
        let mut router = Prefixes::default();
        for (key, queue) in [("", "rest"), ("orders.", "orders"), ("orders.eu.", "europe")] {
            let (source, destination) = ("x".into(), Destination::Queue(queue.into()));
            router.bind(&Binding {
                source,
                destination,
                routing_key: key.as_bytes().into(),
                arguments: FieldTable::new(),
            });
        }
        for (key, queue) in [("orders.eu.17", "europe"), ("orders.us.4", "orders"), ("orders", "rest")] {
            let mut out = Vec::new();
            router.route(&RouteInput::of_key(key.as_bytes()), &mut out);
            assert_eq!(out, [Destination::Queue(queue.into())], "routing key {key}");
        }
    }
}
