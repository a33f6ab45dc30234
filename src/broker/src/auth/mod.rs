//! Who is let in, and who decides what they may do: the internal backend ([`crate::access`]) and those of plugins.
//!
//! [`Backends`] is the order in which logins are tried. Whoever is let in gets an [`Identity`]: a user with tags, and the
//! backend that decides on permissions. The rules are RabbitMQ's (`rabbit_access_control`): the first backend that lets a
//! user in decides, one that refuses or fails hands on to the next, and a pair of backends authenticates with the one and
//! authorizes with the other. A backend that cannot answer never lets anybody in, nor do anything.
//!
//! Backends of plugins may block. They are called on threads that may, so many at a time and no more, and are waited for
//! within bounds ([`called`]). What they allow is remembered for a while ([`cache`]). The internal backend answers on the
//! spot: as long as it is the only one, nothing here is waited for.
//!
//! Not taken: backends as async functions (the plugin would choose how it is bounded, and a client of LDAP or PAM is a
//! blocking library).

mod backend;
mod cache;
mod called;
mod choice;
mod identity;
mod login;
mod question;

#[cfg(test)]
mod tests;

pub use backend::{Authenticator, Authorizer, BackendError, Login};
pub(crate) use choice::Named;
pub use choice::{BackendChoice, BackendPair, Backends, ChoiceError, Terms};
pub use identity::{Authority, External, Identity};
pub use question::{Answer, OwnedQuestion, Question};

/// The name of the internal backend, which every broker has: users and permissions in its own store.
pub const INTERNAL: &str = "internal";
