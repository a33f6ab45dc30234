//! What a plugin implements to have a say in who comes in and in what they may do.

use std::net::IpAddr;

use crate::access::{Permission, Resource, User};

/// What a backend says to a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Comes in, with these tags.
    Accepted {
        /// Such as `administrator`; see [`crate::access::Role`] for those that mean something.
        tags: Vec<String>,
    },
    /// Does not. Why is for the log.
    Refused(String),
}

/// A backend could not answer. The text is for the log; no password may be in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);

/// Knows who somebody is. Called on a thread that may block, within the server's tokio runtime, by several at a time.
pub trait Authenticator: Send + Sync {
    /// Its name in `auth.backends`.
    fn name(&self) -> &str;

    /// Checks a password.
    ///
    /// # Errors
    /// Where that cannot be found out. The user is not let in by this backend then.
    fn authenticate(&self, username: &str, password: &[u8]) -> Result<Login, BackendError>;
}

/// Knows what somebody may do. Called as an [`Authenticator`] is.
///
/// An error of any of these is a refusal to the client.
pub trait Authorizer: Send + Sync {
    /// Its name in `auth.backends`.
    fn name(&self) -> &str;

    /// Whether it knows a user whom another backend has authenticated, and the tags that it adds.
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn admit(&self, username: &str) -> Result<Login, BackendError>;

    /// Whether the user may enter a vhost. `peer` is where the user comes from, where that is known.
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn vhost(&self, user: &User, vhost: &str, peer: Option<IpAddr>) -> Result<bool, BackendError>;

    /// Whether the user may do something to a queue or exchange.
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn resource(
        &self,
        user: &User,
        vhost: &str,
        permission: Permission,
        resource: Resource<'_>,
    ) -> Result<bool, BackendError>;

    /// Whether the user may publish to a topic exchange with a key (write) or bind to it with one (read). Asked for beside
    /// [`Self::resource`].
    ///
    /// # Errors
    /// Where that cannot be found out.
    fn topic(
        &self,
        user: &User,
        vhost: &str,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<bool, BackendError>;
}
