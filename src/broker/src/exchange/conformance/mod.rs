//! What every exchange type must hold to, as a suite that a type runs against itself in a test:
//!
//! ```
//! use leveret_broker::exchange::{ExchangeTypes, conformance};
//!
//! let types = ExchangeTypes::default();
//! conformance::check(&**types.find("direct").unwrap(), &conformance::Setup::default()).unwrap();
//! ```
//!
//! A [`Setup`] says what the type's bindings and messages look like; the suite brings the rest: orders and repetitions of
//! bindings by fixed seeds, thousands of them, and whatever a hostile peer may send. It looks for no right route, which
//! only the type's own tests can know, but for what holds whatever the route: [`Rule`] lists it.
//!
//! Always public, not behind a Cargo feature: a server does not call it and hence does not contain it.

mod binding;
mod declaring;
mod hostile;
mod many;
mod routing;
mod setup;
mod subject;
mod violation;

use super::ExchangeType;

pub use setup::{Message, Setup};
pub use violation::{Rule, Violation};

/// Tries an exchange type against every [`Rule`].
///
/// # Errors
/// The first rule that it breaks, and how.
pub fn check(kind: &dyn ExchangeType, setup: &Setup) -> Result<(), Violation> {
    declaring::check(kind, setup)?;
    routing::check(kind, setup)?;
    binding::check(kind, setup)?;
    hostile::check(kind, setup)?;
    many::check(kind, setup)
}
