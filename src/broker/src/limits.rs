//! Limits that administrators set on vhosts and users: connections, channels, queues.
//!
//! A limit of 0 allows none; a negative one is no limit, as in RabbitMQ. Counting is the caller's.

use std::{collections::BTreeMap, sync::Arc};

use leveret_amqp::ReplyCode;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Error,
    term::{Pairs, Term},
};

/// Limits of a vhost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct VHostLimits {
    /// Connections open at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<i64>,
    /// Queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queues: Option<i64>,
}

/// Limits of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct UserLimits {
    /// Connections open at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<i64>,
    /// Channels open at a time, over all connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<i64>,
}

/// Why limits are refused. The HTTP interface puts `Validation failed` before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not an integer.
    #[error("{name} should be a number, actually was {value}")]
    Value {
        /// Of the limit.
        name: &'static str,
        /// As an Erlang term.
        value: String,
    },
    /// Limits that do not exist.
    #[error("Unrecognised terms {terms} in {scope}")]
    Unrecognised {
        /// As an Erlang list.
        terms: String,
        /// `limits` of a vhost or `user-limits`.
        scope: &'static str,
    },
}

impl VHostLimits {
    /// Reads `{"max-connections": 10, "max-queues": 20}`.
    ///
    /// # Errors
    /// Where a value is no integer, or there are other entries.
    pub fn from_json(definition: &Map<String, Value>) -> Result<Self, LimitError> {
        let [max_connections, max_queues] = read(definition, ["max-connections", "max-queues"], "limits")?;
        Ok(Self { max_connections, max_queues })
    }
}

impl UserLimits {
    /// Reads `{"max-connections": 10, "max-channels": 20}`.
    ///
    /// # Errors
    /// Where a value is no integer, or there are other entries.
    pub fn from_json(definition: &Map<String, Value>) -> Result<Self, LimitError> {
        let [max_connections, max_channels] = read(definition, ["max-connections", "max-channels"], "user-limits")?;
        Ok(Self { max_connections, max_channels })
    }
}

fn read<const N: usize>(
    definition: &Map<String, Value>,
    names: [&'static str; N],
    scope: &'static str,
) -> Result<[Option<i64>; N], LimitError> {
    let unknown = definition.iter().filter(|(name, _)| !names.contains(&name.as_str()));
    let unknown: Vec<_> = unknown.map(|(name, value)| (name.as_str(), value)).collect();
    if !unknown.is_empty() {
        return Err(LimitError::Unrecognised { terms: Pairs(&unknown).to_string(), scope });
    }
    let mut limits = [None; N];
    for (limit, name) in limits.iter_mut().zip(names) {
        let Some(value) = definition.get(name) else { continue };
        let number = value.as_i64();
        *limit = Some(number.ok_or_else(|| LimitError::Value { name, value: Term(value).to_string() })?);
    }
    Ok(limits)
}

/// The limits of all vhosts and users.
#[derive(Debug, Default)]
pub struct Limits {
    vhosts: RwLock<BTreeMap<Arc<str>, VHostLimits>>,
    users: RwLock<BTreeMap<Arc<str>, UserLimits>>,
}

impl Limits {
    /// The limits of a vhost; none where none were set.
    #[must_use]
    pub fn vhost(&self, vhost: &str) -> VHostLimits {
        self.vhosts.read().get(vhost).copied().unwrap_or_default()
    }

    /// The limits of a user; none where none were set.
    #[must_use]
    pub fn user(&self, user: &str) -> UserLimits {
        self.users.read().get(user).copied().unwrap_or_default()
    }

    /// All vhosts with limits, by name.
    #[must_use]
    pub fn vhosts(&self) -> Vec<(Arc<str>, VHostLimits)> {
        self.vhosts.read().iter().map(|(name, limits)| (Arc::clone(name), *limits)).collect()
    }

    /// All users with limits, by name.
    #[must_use]
    pub fn users(&self) -> Vec<(Arc<str>, UserLimits)> {
        self.users.read().iter().map(|(name, limits)| (Arc::clone(name), *limits)).collect()
    }

    /// Sets the limits of a vhost. What is over the limit already stays.
    pub fn set_vhost(&self, vhost: &str, limits: VHostLimits) {
        self.vhosts.write().insert(vhost.into(), limits);
    }

    /// Sets the limits of a user. What is over the limit already stays.
    pub fn set_user(&self, user: &str, limits: UserLimits) {
        self.users.write().insert(user.into(), limits);
    }

    /// Removes the limits of a vhost; false where there were none.
    pub fn clear_vhost(&self, vhost: &str) -> bool {
        self.vhosts.write().remove(vhost).is_some()
    }

    /// Removes the limits of a user; false where there were none.
    pub fn clear_user(&self, user: &str) -> bool {
        self.users.write().remove(user).is_some()
    }

    /// Checks that a vhost that has `open` connections may have one more.
    ///
    /// # Errors
    /// 530 at the limit.
    pub fn check_vhost_connections(&self, vhost: &str, user: &str, open: u64) -> Result<(), Error> {
        check(self.vhost(vhost).max_connections, open, |limit| {
            let text =
                format!("access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached");
            Error::new(ReplyCode::NotAllowed, text)
        })
    }

    /// Checks that a vhost that has `present` queues may have one more.
    ///
    /// # Errors
    /// 406 at the limit.
    pub fn check_queues(&self, vhost: &str, queue: &str, present: u64) -> Result<(), Error> {
        check(self.vhost(vhost).max_queues, present, |limit| {
            let text = format!("cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({limit}) is reached");
            Error::precondition_failed(text)
        })
    }

    /// Checks that a user who has `open` connections may have one more.
    ///
    /// # Errors
    /// 530 at the limit.
    pub fn check_user_connections(&self, user: &str, open: u64) -> Result<(), Error> {
        check(self.user(user).max_connections, open, |limit| {
            let text = format!("connection refused for user '{user}': user connection limit ({limit}) is reached");
            Error::new(ReplyCode::NotAllowed, text)
        })
    }

    /// Checks that a user who has `open` channels may have one more.
    ///
    /// # Errors
    /// 530 at the limit.
    pub fn check_user_channels(&self, user: &str, open: u64) -> Result<(), Error> {
        check(self.user(user).max_channels, open, |limit| {
            let text = format!(
                "number of channels opened for user '{user}' has reached the maximum allowed user limit of ({limit})"
            );
            Error::new(ReplyCode::NotAllowed, text)
        })
    }
}

fn check(limit: Option<i64>, present: u64, refuse: impl FnOnce(u64) -> Error) -> Result<(), Error> {
    match limit.and_then(|limit| u64::try_from(limit).ok()) {
        Some(limit) if present >= limit => Err(refuse(limit)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_hold() {
        let limits = Limits::default();
        assert!(limits.check_vhost_connections("/", "u", 1000).is_ok());
        limits.set_vhost("/", VHostLimits { max_connections: Some(2), max_queues: Some(0) });
        limits.set_user("u", UserLimits { max_connections: Some(3), max_channels: Some(1) });
        assert!(limits.check_vhost_connections("/", "u", 1).is_ok());
        let error = limits.check_vhost_connections("/", "u", 2).unwrap_err();
        assert_eq!(error.code, ReplyCode::NotAllowed);
        assert_eq!(error.text, "access to vhost '/' refused for user 'u': connection limit (2) is reached");
        let error = limits.check_queues("/", "q", 0).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        assert_eq!(error.text, "cannot declare queue 'q': queue limit in vhost '/' (0) is reached");
        let error = limits.check_user_connections("u", 3).unwrap_err();
        assert_eq!(error.text, "connection refused for user 'u': user connection limit (3) is reached");
        let error = limits.check_user_channels("u", 1).unwrap_err();
        assert_eq!(
            error.text,
            "number of channels opened for user 'u' has reached the maximum allowed user limit of (1)"
        );
        limits.set_vhost("/", VHostLimits { max_connections: Some(-1), max_queues: None });
        assert!(limits.check_vhost_connections("/", "u", 1000).is_ok(), "negative is no limit");
        assert!(limits.clear_user("u") && !limits.clear_user("u"));
        assert!(limits.clear_vhost("/") && limits.vhosts().is_empty() && limits.users().is_empty());
    }

    #[test]
    fn reads_definitions() {
        let read = |value: Value| VHostLimits::from_json(value.as_object().unwrap());
        let limits = VHostLimits { max_connections: Some(5), max_queues: None };
        assert_eq!(read(json!({"max-connections": 5})), Ok(limits));
        assert_eq!(serde_json::to_value(limits).unwrap(), json!({"max-connections": 5}));
        assert_eq!(
            read(json!({"max-queues": "5"})).unwrap_err().to_string(),
            r#"max-queues should be a number, actually was <<"5">>"#
        );
        assert_eq!(
            read(json!({"max-channels": 5})).unwrap_err().to_string(),
            r#"Unrecognised terms [{<<"max-channels">>,5}] in limits"#
        );
        let user = json!({"max-channels": 5, "max-connections": -1});
        let limits = UserLimits { max_connections: Some(-1), max_channels: Some(5) };
        assert_eq!(UserLimits::from_json(user.as_object().unwrap()), Ok(limits));
    }
}
