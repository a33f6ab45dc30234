//! A queue that is bound with an empty key, by lot.

use leveret_amqp::FieldTable;
use leveret_broker::{
    Error,
    exchange::{Binding, Destination, Destinations, ExchangeType, RouteInput, Router},
};

/// Exchange type `x-local-random`.
pub struct LocalRandom;

impl ExchangeType for LocalRandom {
    fn name(&self) -> &str {
        "x-local-random"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(LocalLots::default()))
    }
}

#[derive(Default)]
struct LocalLots {
    queues: Destinations,
}

/// With RabbitMQ's texts.
fn check(binding: &Binding) -> Result<(), Error> {
    if !binding.routing_key.is_empty() {
        let key = String::from_utf8_lossy(&binding.routing_key);
        return Err(Error::precondition_failed(format!("Non empty binding '{key}' key not permitted")));
    }
    match binding.destination {
        Destination::Queue(_) => Ok(()),
        Destination::Exchange(_) => Err(Error::precondition_failed("Destination not found")),
    }
}

impl Router for LocalLots {
    fn validate_binding(&self, binding: &Binding) -> Result<(), Error> {
        check(binding)
    }

    /// What would be refused, and can come from a time when the plugin was switched off, gets no message.
    fn bind(&mut self, binding: &Binding) {
        if check(binding).is_ok() {
            self.queues.add(&binding.destination);
        }
    }

    fn unbind(&mut self, binding: &Binding) {
        if check(binding).is_ok() {
            self.queues.remove(&binding.destination);
        }
    }

    fn route(&self, _input: &RouteInput<'_>, out: &mut Vec<Destination>) {
        out.extend(super::draw(&self.queues));
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
    fn bindings_are_of_queues_and_without_a_key() {
        let router = LocalLots::default();
        assert_eq!(router.validate_binding(&binding("", "q")), Ok(()));
        let refused = |binding: &Binding| router.validate_binding(binding).unwrap_err().to_string();
        assert_eq!(refused(&binding("k", "q")), "PRECONDITION_FAILED - Non empty binding 'k' key not permitted");
        let to_exchange = Binding { destination: Destination::Exchange("e".into()), ..binding("", "") };
        assert_eq!(refused(&to_exchange), "PRECONDITION_FAILED - Destination not found");
    }

    #[test]
    fn every_queue_has_a_lot() {
        let mut router = LocalLots::default();
        for queue in ["one", "two"] {
            router.bind(&binding("", queue));
        }
        let counts = draws(&router, 20_000);
        // Fourteen standard deviations.
        assert!(counts["one"].abs_diff(10_000) < 1000 && counts["two"].abs_diff(10_000) < 1000, "{counts:?}");
        router.unbind(&binding("", "one"));
        assert_eq!(draws(&router, 100), [("two".to_owned(), 100)].into());
    }

    #[test]
    fn a_binding_with_a_key_gets_nothing() {
        let mut router = LocalLots::default();
        router.bind(&binding("k", "q"));
        assert!(draws(&router, 10).is_empty());
        router.bind(&binding("", "q"));
        router.unbind(&binding("k", "q"));
        assert_eq!(draws(&router, 10).len(), 1);
    }
}
