//! Exchanges that keep their last messages for those who bind later.

use leveret_amqp::RawTable;

/// How many of an exchange's messages are kept. The broker keeps them, durably for a durable exchange, and sends them to
/// each destination that is bound, oldest first. An exchange that holds messages back keeps none.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// How many messages are kept, at most.
    pub length: u64,
    /// Whether a message with these headers is left out.
    pub leaves_out: fn(Option<RawTable<'_>>) -> bool,
}
