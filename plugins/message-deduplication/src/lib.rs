//! Exchange type `x-message-deduplication`: a fanout that drops repetitions, as the community plugin for RabbitMQ has it.
//!
//! Dropping is the broker's ([`leveret_broker::deduplication`]), and any exchange or queue can be asked for it by the
//! argument `x-message-deduplication`, as in LavinMQ. This type is for those who declare it by name: it needs no such
//! argument, but wants to be told `x-cache-size`.

use leveret_amqp::FieldTable;
use leveret_broker::{
    Error,
    exchange::{ExchangeType, Fanout, Router},
    plugin::{Plugin, RegisterError, Registry},
};

/// The plugin.
pub struct MessageDeduplication;

impl Plugin for MessageDeduplication {
    fn name(&self) -> &'static str {
        "message-deduplication"
    }

    fn description(&self) -> &'static str {
        "exchange type x-message-deduplication, a fanout that drops repetitions"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(DeduplicatingFanout)
    }
}

/// Exchange type `x-message-deduplication`.
pub struct DeduplicatingFanout;

impl ExchangeType for DeduplicatingFanout {
    fn name(&self) -> &str {
        "x-message-deduplication"
    }

    fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
        Ok(Box::new(Fanout::default()))
    }

    fn drops_repetitions(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use leveret_broker::exchange::conformance::{Setup, check};

    use super::*;

    #[test]
    fn it_conforms() {
        check(&DeduplicatingFanout, &Setup::default()).unwrap();
    }
}
