//! Exchange type `x-recent-history`: a fanout exchange that sends its last messages to whoever binds to it.
//!
//! What is kept is the broker's to keep ([`History`](leveret_broker::exchange::History)): of a durable exchange also over
//! restarts, which RabbitMQ's plugin did not. The type says how many, and what is left out.

mod kind;

use leveret_broker::plugin::{Plugin, RegisterError, Registry};

pub use kind::{LENGTH_DEFAULT, LENGTH_MAX, RecentHistory};

/// The plugin.
pub struct RecentHistoryExchange;

impl Plugin for RecentHistoryExchange {
    fn name(&self) -> &'static str {
        "recent-history-exchange"
    }

    fn description(&self) -> &'static str {
        "exchange type x-recent-history: who binds gets the last messages"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(RecentHistory)
    }
}
