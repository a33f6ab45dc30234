//! Exchange types: what maps a message's routing key and headers to destinations.
//!
//! An [`ExchangeType`] makes one [`Router`] for each exchange of its type. A router knows its bindings in whatever form
//! routes fastest, and nothing else: no queue, no other exchange, no alternate exchange. Those are the same for every
//! type and live once in [`crate::routing`].
//!
//! Not taken: routers that read the topology's list of bindings (a walk over all bindings for each message, which is
//! what makes RabbitMQ's headers exchange slow), and routers that call back per destination (a virtual call each).

mod canonical;
pub mod conformance;
mod counted;
mod destinations;
mod direct;
mod fanout;
mod headers;
mod history;
mod hold;
mod interner;
mod kinds;
mod scratch;
mod topic;

use std::sync::Arc;

use leveret_amqp::{FieldTable, Properties};

use crate::Error;

pub use canonical::put_canonical;
pub use destinations::Destinations;
pub use direct::Direct;
pub use fanout::Fanout;
pub use headers::Headers;
pub use history::History;
pub use hold::Hold;
pub use kinds::{DuplicateExchangeType, ExchangeTypes};
pub use topic::Topic;

/// A kind of exchange, known by the name that `exchange.declare` gives as type.
pub trait ExchangeType: Send + Sync {
    /// The type's name, such as `direct`.
    fn name(&self) -> &str;

    /// Checks the arguments of a declaration. `alternate-exchange` is checked for every type elsewhere.
    ///
    /// # Errors
    /// 406 with a text for the client.
    fn validate(&self, _arguments: &FieldTable) -> Result<(), Error> {
        Ok(())
    }

    /// Makes the router of one new exchange, without bindings.
    ///
    /// # Errors
    /// 406 where the arguments, though valid when declared, cannot be served.
    fn router(&self, arguments: &FieldTable) -> Result<Box<dyn Router>, Error>;

    /// As [`Self::router`], for types that build on other types (`x-delayed-type`). This is the one that is called.
    ///
    /// # Errors
    /// As [`Self::router`].
    fn router_among(&self, arguments: &FieldTable, _types: &ExchangeTypes) -> Result<Box<dyn Router>, Error> {
        self.router(arguments)
    }

    /// The rule by which an exchange with these arguments holds messages back, where it does.
    fn hold(&self, _arguments: &FieldTable) -> Option<Arc<dyn Hold>> {
        None
    }

    /// What an exchange with these arguments keeps for those who bind later, if anything.
    fn history(&self, _arguments: &FieldTable) -> Option<History> {
        None
    }

    /// Whether dropping repetitions is what the type is for: an exchange of it does so without being asked to by
    /// `x-message-deduplication`, which any exchange may be.
    fn drops_repetitions(&self) -> bool {
        false
    }

    /// The arguments, beyond `alternate-exchange`, in which a second declaration must agree with the first.
    fn compared_arguments(&self) -> &[&str] {
        &[]
    }
}

/// The bindings of one exchange, arranged for routing.
pub trait Router: Send + Sync {
    /// Checks a binding before it is added.
    ///
    /// # Errors
    /// 406 with a text for the client.
    fn validate_binding(&self, _binding: &Binding) -> Result<(), Error> {
        Ok(())
    }

    /// Adds a binding that is not there yet.
    fn bind(&mut self, binding: &Binding);

    /// Removes a binding that was added. It has the same parts, which `==` denies where an argument is not a number.
    fn unbind(&mut self, binding: &Binding);

    /// Appends each destination that the message goes to, once, in no particular order.
    fn route(&self, input: &RouteInput<'_>, out: &mut Vec<Destination>);

    /// True where the result depends on the routing key and the bindings alone, so that it may be kept until the
    /// topology changes.
    fn cacheable(&self) -> bool {
        true
    }

    /// False where further routing keys (CC, BCC) are not tried: every key gives the same result, or only the message's
    /// own counts.
    fn uses_routing_key(&self) -> bool {
        true
    }
}

/// What an exchange may look at.
#[derive(Clone, Copy, Debug)]
pub struct RouteInput<'a> {
    /// The routing key.
    pub routing_key: &'a [u8],
    /// The message's properties; its headers, which are one of them, are not looked into yet.
    pub properties: &'a Properties<'a>,
}

impl<'a> RouteInput<'a> {
    /// A message without properties.
    #[must_use]
    pub const fn of_key(routing_key: &'a [u8]) -> Self {
        Self { routing_key, properties: &Properties::EMPTY }
    }
}

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A queue, by name.
    Queue(Arc<str>),
    /// Another exchange of the same vhost, by name.
    Exchange(Arc<str>),
}

impl Destination {
    /// The name of the queue or exchange.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }

    /// `queue` or `exchange`, as in error texts and the management API.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        }
    }
}

/// A rule that takes messages from an exchange to a destination. All four parts make its identity: two bindings may
/// differ in their arguments alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The exchange that routes by it.
    pub source: Arc<str>,
    /// Where it leads.
    pub destination: Destination,
    /// What it means is up to the exchange type.
    pub routing_key: Arc<[u8]>,
    /// Likewise.
    pub arguments: FieldTable,
}

#[cfg(test)]
pub(crate) mod testing;
