//! Limits that administrators set on vhosts and users: connections, channels, queues.
//!
//! A limit of 0 allows none; a negative one is no limit, as in RabbitMQ. Counting is the caller's: limits are plain values
//! that are looked up before the caller locks what it counts, so that check and count are one step there and no lock is
//! taken under another.

use std::{collections::BTreeMap, sync::Arc};

use leveret_amqp::ReplyCode;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Error,
    error::erlang_binary,
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

/// Why limits are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Of a vhost that is not there.
    #[error("vhost '{0}' does not exist")]
    NoSuchVHost(String),
    /// Of a user who is not there.
    #[error("user '{0}' does not exist")]
    NoSuchUser(String),
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

const VHOST_LIMITS: [&str; 2] = ["max-connections", "max-queues"];
const USER_LIMITS: [&str; 2] = ["max-connections", "max-channels"];

impl VHostLimits {
    /// Reads `{"max-connections": 10, "max-queues": 20}`.
    ///
    /// # Errors
    /// Where a value is no integer, or there are other entries.
    pub fn from_json(definition: &Map<String, Value>) -> Result<Self, LimitError> {
        let [max_connections, max_queues] = read(definition, VHOST_LIMITS, "limits")?;
        Ok(Self { max_connections, max_queues })
    }

    /// These limits with what `newer` sets in their place.
    #[must_use]
    pub fn updated(self, newer: Self) -> Self {
        Self {
            max_connections: newer.max_connections.or(self.max_connections),
            max_queues: newer.max_queues.or(self.max_queues),
        }
    }

    /// These limits but for the one of that name, whether it is set or not.
    ///
    /// # Errors
    /// Where there is no limit of that name.
    pub fn without(self, name: &str) -> Result<Self, LimitError> {
        match name {
            "max-connections" => Ok(Self { max_connections: None, ..self }),
            "max-queues" => Ok(Self { max_queues: None, ..self }),
            _ => Err(unknown(name, "limits")),
        }
    }

    /// Checks that the vhost, which has `open` connections, may have one more, of this user.
    ///
    /// # Errors
    /// 530 at the limit.
    pub fn check_connections(&self, vhost: &str, user: &str, open: u64) -> Result<(), Error> {
        check(self.max_connections, open, |limit| {
            let text =
                format!("access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached");
            Error::new(ReplyCode::NotAllowed, text)
        })
    }

    /// Checks that the vhost, which has `present` queues, may have this one as well.
    ///
    /// # Errors
    /// 406 at the limit.
    pub fn check_queues(&self, vhost: &str, queue: &str, present: u64) -> Result<(), Error> {
        check(self.max_queues, present, |limit| {
            let text = format!("cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({limit}) is reached");
            Error::precondition_failed(text)
        })
    }
}

impl UserLimits {
    /// Reads `{"max-connections": 10, "max-channels": 20}`.
    ///
    /// # Errors
    /// Where a value is no integer, or there are other entries.
    pub fn from_json(definition: &Map<String, Value>) -> Result<Self, LimitError> {
        let [max_connections, max_channels] = read(definition, USER_LIMITS, "user-limits")?;
        Ok(Self { max_connections, max_channels })
    }

    /// These limits with what `newer` sets in their place.
    #[must_use]
    pub fn updated(self, newer: Self) -> Self {
        Self {
            max_connections: newer.max_connections.or(self.max_connections),
            max_channels: newer.max_channels.or(self.max_channels),
        }
    }

    /// These limits but for the one of that name, whether it is set or not.
    ///
    /// # Errors
    /// Where there is no limit of that name.
    pub fn without(self, name: &str) -> Result<Self, LimitError> {
        match name {
            "max-connections" => Ok(Self { max_connections: None, ..self }),
            "max-channels" => Ok(Self { max_channels: None, ..self }),
            _ => Err(unknown(name, "user-limits")),
        }
    }

    /// Checks that the user, who has `open` connections, may have one more.
    ///
    /// # Errors
    /// 530 at the limit.
    pub fn check_connections(&self, user: &str, open: u64) -> Result<(), Error> {
        check(self.max_connections, open, |limit| {
            let text = format!("connection refused for user '{user}': user connection limit ({limit}) is reached");
            Error::new(ReplyCode::NotAllowed, text)
        })
    }

    /// Checks that the user, who has `open` channels, may have one more.
    ///
    /// # Errors
    /// 530 at the limit.
    pub fn check_channels(&self, user: &str, open: u64) -> Result<(), Error> {
        check(self.max_channels, open, |limit| {
            let text = format!(
                "number of channels opened for user '{user}' has reached the maximum allowed user limit of ({limit})"
            );
            Error::new(ReplyCode::NotAllowed, text)
        })
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

fn unknown(name: &str, scope: &'static str) -> LimitError {
    LimitError::Unrecognised { terms: format!("[{}]", erlang_binary(name.as_bytes())), scope }
}

/// The limits of all vhosts and users.
#[derive(Debug, Default)]
pub struct Limits {
    vhosts: Table<VHostLimits>,
    users: Table<UserLimits>,
}

/// Limits by name; those of whom nobody has limited are not in it.
type Table<T> = RwLock<BTreeMap<Arc<str>, T>>;

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
        all(&self.vhosts)
    }

    /// All users with limits, by name.
    #[must_use]
    pub fn users(&self) -> Vec<(Arc<str>, UserLimits)> {
        all(&self.users)
    }

    /// Changes the limits of a vhost. What is over a limit already stays.
    ///
    /// # Errors
    /// What `change` fails with; everything is as it was then.
    pub fn change_vhost<E>(
        &self,
        vhost: &str,
        change: impl FnOnce(VHostLimits) -> Result<VHostLimits, E>,
    ) -> Result<(), E> {
        change_in(&self.vhosts, vhost, change)
    }

    /// Changes the limits of a user. What is over a limit already stays.
    ///
    /// # Errors
    /// What `change` fails with; everything is as it was then.
    pub fn change_user<E>(
        &self,
        user: &str,
        change: impl FnOnce(UserLimits) -> Result<UserLimits, E>,
    ) -> Result<(), E> {
        change_in(&self.users, user, change)
    }

    /// Sets the limits of a vhost, as recovery does.
    pub fn set_vhost(&self, vhost: &str, limits: VHostLimits) {
        set_in(&mut self.vhosts.write(), vhost, limits);
    }

    /// Sets the limits of a user, as recovery does.
    pub fn set_user(&self, user: &str, limits: UserLimits) {
        set_in(&mut self.users.write(), user, limits);
    }
}

fn all<T: Copy>(table: &Table<T>) -> Vec<(Arc<str>, T)> {
    table.read().iter().map(|(name, limits)| (Arc::clone(name), *limits)).collect()
}

/// Under the lock from reading to writing, so that of two changes to one name none is lost.
fn change_in<T: Copy + Default + PartialEq, E>(
    table: &Table<T>,
    name: &str,
    change: impl FnOnce(T) -> Result<T, E>,
) -> Result<(), E> {
    let mut table = table.write();
    let limits = change(table.get(name).copied().unwrap_or_default())?;
    set_in(&mut table, name, limits);
    Ok(())
}

fn set_in<T: Default + PartialEq>(table: &mut BTreeMap<Arc<str>, T>, name: &str, limits: T) {
    if limits == T::default() {
        table.remove(name);
    } else {
        table.insert(name.into(), limits);
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
        assert!(VHostLimits::default().check_connections("/", "u", 1000).is_ok());
        let vhost = VHostLimits { max_connections: Some(2), max_queues: Some(0) };
        assert!(vhost.check_connections("/", "u", 1).is_ok());
        let error = vhost.check_connections("/", "u", 2).unwrap_err();
        assert_eq!(error.code, ReplyCode::NotAllowed);
        assert_eq!(error.text, "access to vhost '/' refused for user 'u': connection limit (2) is reached");
        let error = vhost.check_queues("/", "q", 0).unwrap_err();
        assert_eq!(error.code, ReplyCode::PreconditionFailed);
        assert_eq!(error.text, "cannot declare queue 'q': queue limit in vhost '/' (0) is reached");
        let user = UserLimits { max_connections: Some(3), max_channels: Some(1) };
        let error = user.check_connections("u", 3).unwrap_err();
        assert_eq!(error.text, "connection refused for user 'u': user connection limit (3) is reached");
        let error = user.check_channels("u", 1).unwrap_err();
        assert_eq!(
            error.text,
            "number of channels opened for user 'u' has reached the maximum allowed user limit of (1)"
        );
        let negative = VHostLimits { max_connections: Some(-1), max_queues: None };
        assert!(negative.check_connections("/", "u", 1000).is_ok(), "negative is no limit");
    }

    #[test]
    fn limits_change_one_by_one() {
        let limits = Limits::default();
        let set = |newer: Value| {
            let newer = UserLimits::from_json(newer.as_object().unwrap());
            limits.change_user("u", |user| newer.map(|newer| user.updated(newer)))
        };
        set(json!({"max-connections": 3})).unwrap();
        set(json!({"max-channels": 1})).unwrap();
        let both = UserLimits { max_connections: Some(3), max_channels: Some(1) };
        assert_eq!(limits.users(), [("u".into(), both)]);
        let error = limits.change_user("u", |user| user.without("max-queues")).unwrap_err();
        assert_eq!(error.to_string(), r#"Unrecognised terms [<<"max-queues">>] in user-limits"#);
        assert_eq!(limits.user("u"), both, "a change that fails is none");
        for name in ["max-connections", "max-connections", "max-channels"] {
            limits.change_user("u", |user| user.without(name)).unwrap();
        }
        assert!(limits.users().is_empty(), "who has no limits is not listed");
        limits.change_vhost("/", |vhost| vhost.without("max-queues")).unwrap();
        assert!(limits.vhosts().is_empty());
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
