//! Direct exchange: the routing key equals the binding's.

use std::{collections::HashMap, sync::Arc};

use super::{
    Binding, Destination, RouteInput, Router,
    counted::{CountedSet, Removed},
};

/// Router of a direct exchange.
#[derive(Debug, Default)]
pub struct Direct {
    destinations: HashMap<Arc<[u8]>, CountedSet<Destination>, ahash::RandomState>,
}

impl Router for Direct {
    fn bind(&mut self, binding: &Binding) {
        self.destinations.entry(Arc::clone(&binding.routing_key)).or_default().add(&binding.destination);
    }

    fn unbind(&mut self, binding: &Binding) {
        let Some(destinations) = self.destinations.get_mut(&binding.routing_key) else { return };
        if destinations.remove(&binding.destination) == Removed::Last && destinations.is_empty() {
            self.destinations.remove(&binding.routing_key);
        }
    }

    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        if let Some(destinations) = self.destinations.get(input.routing_key) {
            out.extend(destinations.entries().iter().map(|(destination, _)| destination.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_amqp::FieldTable;

    use super::{super::testing::*, *};

    #[test]
    fn the_key_must_be_equal() {
        let mut direct = Direct::default();
        direct.bind(&binding("k", "q1"));
        direct.bind(&binding("k", "q2"));
        direct.bind(&binding("other", "q3"));
        assert_eq!(routed(&direct, "k"), ["q1", "q2"]);
        assert_eq!(routed(&direct, "K"), [""; 0]);
        assert_eq!(routed(&direct, ""), [""; 0]);
    }

    #[test]
    fn bindings_with_other_arguments_are_counted() {
        let mut direct = Direct::default();
        let plain = binding("k", "q");
        let with_arguments = Binding { arguments: FieldTable::new().with("a", 1_i32), ..plain.clone() };
        direct.bind(&plain);
        direct.bind(&with_arguments);
        assert_eq!(routed(&direct, "k"), ["q"]);
        direct.unbind(&plain);
        assert_eq!(routed(&direct, "k"), ["q"]);
        direct.unbind(&with_arguments);
        assert_eq!(routed(&direct, "k"), [""; 0]);
        assert!(direct.destinations.is_empty());
    }

    #[test]
    fn an_unknown_binding_is_not_unbound() {
        let mut direct = Direct::default();
        direct.bind(&binding("k", "q"));
        direct.unbind(&binding("k", "other"));
        direct.unbind(&binding("other", "q"));
        assert_eq!(routed(&direct, "k"), ["q"]);
    }
}
