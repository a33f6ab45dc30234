//! Fanout exchange: every binding matches.

use super::{Binding, Destination, RouteInput, Router, counted::CountedSet};

/// Router of a fanout exchange.
#[derive(Debug, Default)]
pub struct Fanout {
    destinations: CountedSet<Destination>,
}

impl Router for Fanout {
    fn bind(&mut self, binding: &Binding) {
        self.destinations.add(&binding.destination);
    }

    fn unbind(&mut self, binding: &Binding) {
        self.destinations.remove(&binding.destination);
    }

    fn route(&self, _input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        out.extend(self.destinations.entries().iter().map(|(destination, _)| destination.clone()));
    }

    fn uses_routing_key(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn every_destination_gets_it_once() {
        let mut fanout = Fanout::default();
        fanout.bind(&binding("a", "q1"));
        fanout.bind(&binding("b", "q1"));
        fanout.bind(&binding("", "q2"));
        assert_eq!(routed(&fanout, "x"), ["q1", "q2"]);
        fanout.unbind(&binding("a", "q1"));
        assert_eq!(routed(&fanout, "x"), ["q1", "q2"]);
        fanout.unbind(&binding("b", "q1"));
        assert_eq!(routed(&fanout, "x"), ["q2"]);
    }
}
