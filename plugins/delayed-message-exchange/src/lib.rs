//! Delayed messages: the exchange type `x-delayed-message`, as RabbitMQ's community plugin has it, and what that has not:
//! any number of messages, any time, and a view of them in which each can be found, moved and cancelled.
//!
//! The type routes as the one named in `x-delayed-type` does. What it adds is a rule ([`Delay`]): until when a message is
//! held. The holding is the broker's ([`leveret_broker::timeline`]), so that a message is in one commit held, and in one
//! commit moved on.
//!
//! Where it differs from the plugin for RabbitMQ:
//!
//! * a delay may be as long as 63 bits of milliseconds are; beyond 49 days the plugin delivers at once;
//! * `x-delay` from which no time can be told is refused with 406; the plugin delivers at once, or closes the channel with
//!   an internal error;
//! * `x-deliver-at` gives a time instead of a delay;
//! * disabling the plugin loses nothing: the messages wait until it is back.

mod api;
mod delay;
mod kind;

use leveret_broker::plugin::{Plugin, RegisterError, Registry};

pub use delay::Delay;
pub use kind::DelayedMessage;

/// The plugin.
pub struct DelayedMessageExchange;

impl Plugin for DelayedMessageExchange {
    fn name(&self) -> &'static str {
        "delayed-message-exchange"
    }

    fn description(&self) -> &'static str {
        "messages that wait for their time: exchange type x-delayed-message, headers x-delay and x-deliver-at"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.exchange_type(DelayedMessage)?;
        api::routes().into_iter().try_for_each(|route| registry.http_route(route))
    }
}
