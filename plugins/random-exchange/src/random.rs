//! Any binding, by lot.

use leveret_amqp::FieldTable;
use leveret_broker::{
    Error,
    exchange::{Binding, Destination, Destinations, ExchangeType, RouteInput, Router},
};

/// Exchange type `x-random`.
pub struct Random;

impl ExchangeType for Random {
    fn name(&self) -> &str {
        "x-random"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Lots::default()))
    }
}

#[derive(Default)]
struct Lots {
    destinations: Destinations,
}

impl Router for Lots {
    fn bind(&mut self, binding: &Binding) {
        self.destinations.add(&binding.destination);
    }

    fn unbind(&mut self, binding: &Binding) {
        self.destinations.remove(&binding.destination);
    }

    fn route(&self, _input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        out.extend(super::draw(&self.destinations));
    }

    fn cacheable(&self) -> bool {
        false
    }

    fn uses_routing_key(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn every_binding_has_a_lot() {
        let mut router = Lots::default();
        for (key, queue) in [("a", "one"), ("", "one"), ("a", "two"), ("b", "three")] {
            router.bind(&binding(key, queue));
        }
        let counts = draws(&router, 40_000);
        for (queue, expected) in [("one", 20_000), ("two", 10_000), ("three", 10_000)] {
            // Ten standard deviations.
            assert!(counts[queue].abs_diff(expected) < 1000, "{queue}: {}", counts[queue]);
        }
        router.unbind(&binding("a", "one"));
        router.unbind(&binding("a", "two"));
        assert_eq!(draws(&router, 1000).into_keys().collect::<Vec<_>>(), ["one", "three"]);
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_bound() {
        assert!(draws(&Lots::default(), 10).is_empty());
        assert!(!Lots::default().cacheable());
    }
}
