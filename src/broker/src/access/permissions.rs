//! Permissions: three patterns for a user in a vhost, two more for a topic exchange.

use std::{fmt, sync::Arc};

use leveret_amqp::ReplyCode;
use serde::{Deserialize, Serialize};

use super::AccessError;
use crate::{Error, pattern::Pattern};

/// The name that the default exchange has in permissions.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// What is to be done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Declare or delete.
    Configure,
    /// Publish to an exchange; bind a queue.
    Write,
    /// Consume from a queue; bind to an exchange.
    Read,
}

impl Permission {
    /// `configure`, `write` or `read`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// What a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource<'a> {
    /// A queue.
    Queue(&'a str),
    /// An exchange. The default exchange goes by the name `amq.default`.
    Exchange(&'a str),
}

impl<'a> Resource<'a> {
    /// The name that patterns are held against.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Exchange("") => DEFAULT_EXCHANGE,
            Self::Queue(name) | Self::Exchange(name) => name,
        }
    }
}

/// `queue 'name'` or `exchange 'name'`.
impl fmt::Display for Resource<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Queue(_) => "queue",
            Self::Exchange(_) => "exchange",
        };
        write!(out, "{kind} '{}'", self.name())
    }
}

/// A user's permissions in a vhost, as patterns of resource names. `""` and `^$` allow server-made names only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Whose.
    pub user: Arc<str>,
    /// Where.
    pub vhost: Arc<str>,
    /// What it may declare and delete.
    pub configure: String,
    /// What it may publish to and bind as a destination.
    pub write: String,
    /// What it may consume from and bind as a source.
    pub read: String,
}

/// A user's permissions on the routing keys of one topic exchange. Where there are none, every key is allowed.
/// `{username}` and `{vhost}` in the patterns stand for the user's and the vhost's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPermissions {
    /// Whose.
    pub user: Arc<str>,
    /// Where.
    pub vhost: Arc<str>,
    /// Of which exchange.
    pub exchange: Arc<str>,
    /// The keys it may publish with.
    pub write: String,
    /// The keys it may bind with.
    pub read: String,
}

/// Compiled [`Permissions`].
#[derive(Debug)]
pub(super) struct Grants {
    pub(super) permissions: Arc<Permissions>,
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

impl Grants {
    pub(super) fn new(permissions: Permissions) -> Result<Self, AccessError> {
        Ok(Self {
            configure: compile(Permission::Configure, &permissions.configure)?,
            write: compile(Permission::Write, &permissions.write)?,
            read: compile(Permission::Read, &permissions.read)?,
            permissions: Arc::new(permissions),
        })
    }

    pub(super) fn allow(&self, permission: Permission, resource: Resource<'_>) -> bool {
        let pattern = match permission {
            Permission::Configure => &self.configure,
            Permission::Write => &self.write,
            Permission::Read => &self.read,
        };
        pattern.matches(resource.name().as_bytes())
    }
}

/// Compiled [`TopicPermissions`].
#[derive(Debug)]
pub(super) struct TopicGrants {
    pub(super) permissions: Arc<TopicPermissions>,
    write: Pattern,
    read: Pattern,
}

impl TopicGrants {
    /// User and vhost are known, so their names are put in once, here.
    pub(super) fn new(permissions: TopicPermissions) -> Result<Self, AccessError> {
        let expanded = |pattern: &str| expand(pattern, &permissions.user, &permissions.vhost);
        Ok(Self {
            write: compile(Permission::Write, &expanded(&permissions.write))?,
            read: compile(Permission::Read, &expanded(&permissions.read))?,
            permissions: Arc::new(permissions),
        })
    }

    /// # Errors
    /// 403 where the routing key does not match.
    pub(super) fn check(&self, permission: Permission, routing_key: &[u8]) -> Result<(), Error> {
        let allowed = match permission {
            // Topic permissions know no configure: there is nothing to declare about a routing key.
            Permission::Configure => true,
            Permission::Write => self.write.matches(routing_key),
            Permission::Read => self.read.matches(routing_key),
        };
        if allowed {
            return Ok(());
        }
        let TopicPermissions { user, vhost, exchange, .. } = &*self.permissions;
        Err(topic_refused(user, vhost, permission, exchange, routing_key))
    }
}

/// 530 for a vhost, as RabbitMQ words it.
pub(crate) fn vhost_refused(user: &str, vhost: &str) -> Error {
    Error::new(ReplyCode::NotAllowed, format!("access to vhost '{vhost}' refused for user '{user}'"))
}

/// 403 for a routing key, as RabbitMQ words it.
pub(crate) fn topic_refused(
    user: &str,
    vhost: &str,
    permission: Permission,
    exchange: &str,
    routing_key: &[u8],
) -> Error {
    Error::access_refused(format!(
        "{} access to topic '{}' in exchange '{exchange}' in vhost '{vhost}' refused for user '{user}'",
        permission.name(),
        String::from_utf8_lossy(routing_key)
    ))
}

/// 406 for a `user-id` that is another's, as RabbitMQ words it.
pub(crate) fn user_id_refused(user: &str, claimed: &[u8]) -> Error {
    let claimed = String::from_utf8_lossy(claimed);
    Error::precondition_failed(format!("user_id property set to '{claimed}' but authenticated user was '{user}'"))
}

/// 403 for a queue or exchange, as RabbitMQ words it.
pub(crate) fn refused(user: &str, vhost: &str, permission: Permission, resource: Resource<'_>) -> Error {
    let permission = permission.name();
    Error::access_refused(format!("{permission} access to {resource} in vhost '{vhost}' refused for user '{user}'"))
}

/// An empty permission allows nothing, although an empty pattern is found in every name.
fn compile(permission: Permission, pattern: &str) -> Result<Pattern, AccessError> {
    let pattern = if pattern.is_empty() { "^$" } else { pattern };
    Pattern::new(pattern).map_err(|reason| AccessError::Pattern { permission: permission.name(), reason })
}

/// `{client_id}` exists for MQTT only; over AMQP it stays as it is, and is no repetition.
fn expand(pattern: &str, user: &str, vhost: &str) -> String {
    let mut expanded = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        expanded.push_str(before);
        let (variable, value) = if from.starts_with("{username}") {
            ("{username}", user)
        } else if from.starts_with("{vhost}") {
            ("{vhost}", vhost)
        } else if from.starts_with("{client_id}") {
            ("{client_id}", "{client_id}")
        } else {
            expanded.push('{');
            rest = &from[1..];
            continue;
        };
        expanded.push_str(&regex::escape(value));
        rest = &from[variable.len()..];
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(write: &str) -> TopicGrants {
        TopicGrants::new(TopicPermissions {
            user: "a.b".into(),
            vhost: "/".into(),
            exchange: "x".into(),
            write: write.into(),
            read: String::new(),
        })
        .unwrap()
    }

    #[test]
    fn variables_are_expanded_literally() {
        let grants = topic(r"^{username}\.{vhost}\.[a-z]{2}\.");
        assert!(grants.check(Permission::Write, b"a.b./.xy.z").is_ok());
        assert!(grants.check(Permission::Write, b"aXb./.xy.z").is_err(), "the dot of the name is a dot");
        assert!(grants.check(Permission::Read, b"a.b./.xy.z").is_err());
        assert!(topic("^{client_id}$").check(Permission::Write, b"{client_id}").is_ok());
    }

    #[test]
    fn a_name_with_braces_is_not_expanded_again() {
        assert_eq!(expand("{username}", "{vhost}", "v"), r"\{vhost\}");
    }

    #[test]
    fn topic_text() {
        let error = topic("^a").check(Permission::Write, b"rk").unwrap_err();
        assert_eq!(error.code, ReplyCode::AccessRefused);
        assert_eq!(error.text, "write access to topic 'rk' in exchange 'x' in vhost '/' refused for user 'a.b'");
    }
}
