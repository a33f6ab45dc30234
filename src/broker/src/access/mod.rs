//! Who may do what: users, tags, passwords, permissions and topic permissions.
//!
//! [`Access`] holds it all in memory, behind one lock that is written only by administration. Reading takes the lock
//! for a look-up and a match; a channel that does so for each message keeps a [`PermissionCache`] instead.
//!
//! Changes give back the plain records ([`User`], [`Permissions`], [`TopicPermissions`]) that the caller writes to the
//! catalogue; at recovery the same records come back through the `put_` methods. Salts are drawn before that, so that
//! applying a record does the same everywhere.
//!
//! Not taken: checks against the catalogue in the store (RabbitMQ reads its metadata store for each check, hence its
//! caches), and permission patterns without compilation: they are few, and most are `.*`.

mod cache;
mod error;
mod password;
mod permissions;
mod store;
mod user;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

pub use cache::PermissionCache;
pub use error::{AccessError, Refusal};
pub use password::{HashingAlgorithm, PasswordHash, PasswordHashError};
pub use permissions::{Permission, Permissions, Resource, TopicPermissions};
pub(crate) use permissions::{refused, topic_refused, user_id_refused, vhost_refused};
pub use store::Removed;
pub use user::{Role, USER_NAME_BYTES_MAX, USER_TAGS_MAX, User, parse_tags};

use crate::Error;
use permissions::TopicGrants;
use store::State;

/// All users and their permissions.
#[derive(Debug)]
pub struct Access {
    loopback_users: BTreeSet<String>,
    generation: AtomicU64,
    state: RwLock<State>,
}

impl Access {
    /// Nobody yet. `loopback_users` may connect from this machine only.
    #[must_use]
    pub fn new<T: AsRef<str>>(loopback_users: &[T]) -> Self {
        Self {
            loopback_users: loopback_users.iter().map(|name| name.as_ref().to_owned()).collect(),
            generation: AtomicU64::new(1),
            state: RwLock::default(),
        }
    }

    /// Rises with every change: a decision holds as long as this number does.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Lets a user in with a password. `from_loopback`: the peer is on this machine.
    ///
    /// # Errors
    /// Why not, for the log. Takes as long for an unknown user as for a wrong password.
    pub fn authenticate(&self, name: &str, password: &[u8], from_loopback: bool) -> Result<Arc<User>, Refusal> {
        if password.is_empty() {
            return Err(Refusal::BlankPassword(name.into()));
        }
        let user = self.user(name);
        let hash = user.as_ref().and_then(|user| user.password.as_ref());
        let verified = hash.unwrap_or(&NOBODYS_PASSWORD).verify(password);
        match user {
            Some(user) if verified && user.password.is_some() => self.at_home(user, from_loopback),
            _ => Err(Refusal::Credentials(name.into())),
        }
    }

    /// Lets a user in whom somebody else vouches for, such as a client certificate (`EXTERNAL`).
    ///
    /// # Errors
    /// Where there is no such user, or it may connect from this machine only.
    pub fn admit(&self, name: &str, from_loopback: bool) -> Result<Arc<User>, Refusal> {
        let user = self.user(name).ok_or_else(|| Refusal::Credentials(name.into()))?;
        self.at_home(user, from_loopback)
    }

    /// Checks that a user has any permissions in a vhost.
    ///
    /// # Errors
    /// 530 where not.
    pub fn check_vhost(&self, user: &str, vhost: &str) -> Result<(), Error> {
        if self.state.read().grants(user, vhost).is_some() {
            return Ok(());
        }
        Err(vhost_refused(user, vhost))
    }

    /// Checks a permission on a queue or exchange.
    ///
    /// # Errors
    /// 403 where the user lacks it.
    pub fn check(&self, user: &str, vhost: &str, permission: Permission, resource: Resource<'_>) -> Result<(), Error> {
        match self.state.read().grants(user, vhost) {
            Some(grants) if grants.allow(permission, resource) => Ok(()),
            _ => Err(refused(user, vhost, permission, resource)),
        }
    }

    /// Checks a routing key against the topic permissions of an exchange, if there are any. For topic exchanges, beside
    /// [`Self::check`].
    ///
    /// # Errors
    /// 403 where the key is not allowed.
    pub fn check_topic(
        &self,
        user: &str,
        vhost: &str,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), Error> {
        self.topic_grants(user, vhost, exchange).map_or(Ok(()), |grants| grants.check(permission, routing_key))
    }

    /// Checks the `user-id` property of a message against the user who publishes it.
    ///
    /// # Errors
    /// 406 where it names somebody else and the user has no `impersonator` tag.
    pub fn check_user_id(&self, user: &str, claimed: &[u8]) -> Result<(), Error> {
        if claimed == user.as_bytes() || self.user(user).is_some_and(|user| user.has_role(Role::Impersonator)) {
            return Ok(());
        }
        Err(user_id_refused(user, claimed))
    }

    /// Checks that a user, of whatever backend, may connect from where it does.
    ///
    /// # Errors
    /// Where it is bound to this machine and comes from another one.
    pub fn check_loopback(&self, name: &str, from_loopback: bool) -> Result<(), Refusal> {
        if from_loopback || !self.loopback_users.contains(name) {
            return Ok(());
        }
        Err(Refusal::LoopbackOnly(name.into()))
    }

    fn at_home(&self, user: Arc<User>, from_loopback: bool) -> Result<Arc<User>, Refusal> {
        self.check_loopback(&user.name, from_loopback)?;
        Ok(user)
    }

    fn topic_grants(&self, user: &str, vhost: &str, exchange: &str) -> Option<Arc<TopicGrants>> {
        self.state.read().topic_grants(user, vhost, exchange)
    }

    /// Changes the state. The generation rises after, so that whoever sees it sees the change.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.write());
        self.generation.fetch_add(1, Ordering::Release);
        result
    }
}

/// What the password of a user who does not exist is compared with, so that the answer takes as long.
static NOBODYS_PASSWORD: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash::new(b"nobody"));

#[cfg(test)]
mod tests;
