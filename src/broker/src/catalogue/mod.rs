//! The catalogue: everything that is declared or configured, as records in the store.
//!
//! A [`Record`] is one object. Its key says what it is and which one; its value is a version byte and JSON, so that the
//! catalogue of a broken server can be read with any tool. Both are the same bytes for the same record everywhere: what
//! is written here is also what a replicated log will carry. At opening, the records come back in the order of their
//! keys, which is the order in which they can be applied: vhosts before users, exchanges and queues before bindings.
//!
//! Not taken: a binary encoding (the catalogue is small and changes rarely; bindings are the most of it), and
//! serde on the wire's own types (`leveret-amqp` knows no storage; see [`field_json`] for their form).
//!
//! # Versions
//!
//! A field that is added gets `#[serde(default)]` and no new version. Anything else gets the next version and a decoder
//! from the old form into today's records, which stays for good.

mod error;
mod field_json;
mod key;
mod records;

pub use error::CatalogueError;
pub use records::{
    BindingRecord, CacheRecord, ExchangeRecord, GlobalParameter, Meta, Parameter, QueueRecord, TimelineRecord,
    UserLimitsRecord, VHostLimitsRecord, VHostRecord,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::{Permissions, TopicPermissions, User},
    policy::Policy,
};
use key::Kind;

/// The version of values that are written now.
const VERSION: u8 = 1;

/// One object of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What there is one of.
    Meta(Meta),
    /// A global parameter.
    GlobalParameter(GlobalParameter),
    /// A vhost.
    VHost(VHostRecord),
    /// The limits of a vhost.
    VHostLimits(VHostLimitsRecord),
    /// A user.
    User(User),
    /// The limits of a user.
    UserLimits(UserLimitsRecord),
    /// A user's permissions in a vhost.
    Permission(Permissions),
    /// A user's permissions on a topic exchange.
    TopicPermission(TopicPermissions),
    /// A parameter of a plugin in a vhost.
    Parameter(Parameter),
    /// A policy.
    Policy(Policy),
    /// An operator policy.
    OperatorPolicy(Policy),
    /// An exchange.
    Exchange(ExchangeRecord),
    /// A queue.
    Queue(QueueRecord),
    /// A binding.
    Binding(BindingRecord),
    /// The messages that an exchange holds back, or keeps.
    Timeline(TimelineRecord),
    /// What an exchange or a queue has seen.
    Cache(CacheRecord),
}

impl Record {
    /// The key under which the record is kept: another record of the same key replaces it.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        key::of(self)
    }

    /// The value: a version byte and JSON.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        match self {
            Self::Meta(record) => encode(record),
            Self::GlobalParameter(record) => encode(record),
            Self::VHost(record) => encode(record),
            Self::VHostLimits(record) => encode(record),
            Self::User(record) => encode(record),
            Self::UserLimits(record) => encode(record),
            Self::Permission(record) => encode(record),
            Self::TopicPermission(record) => encode(record),
            Self::Parameter(record) => encode(record),
            Self::Policy(record) | Self::OperatorPolicy(record) => encode(record),
            Self::Exchange(record) => encode(record),
            Self::Queue(record) => encode(record),
            Self::Binding(record) => encode(record),
            Self::Timeline(record) => encode(record),
            Self::Cache(record) => encode(record),
        }
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// Where the kind or version is not known, the value is malformed, or it belongs under another key.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, CatalogueError> {
        let kind = key::kind(key)?;
        let (version, json) = value.split_first().ok_or(CatalogueError::Empty)?;
        let record = match *version {
            1 => Self::decode_version_1(kind, json),
            version => return Err(CatalogueError::Version { kind: kind.name(), version }),
        };
        let record = record.map_err(|source| CatalogueError::Malformed { kind: kind.name(), source })?;
        if record.key() == key { Ok(record) } else { Err(CatalogueError::Misplaced(kind.name())) }
    }

    fn decode_version_1(kind: Kind, json: &[u8]) -> Result<Self, serde_json::Error> {
        fn read<T: DeserializeOwned>(json: &[u8], record: fn(T) -> Record) -> Result<Record, serde_json::Error> {
            serde_json::from_slice(json).map(record)
        }
        match kind {
            Kind::Meta => read(json, Self::Meta),
            Kind::GlobalParameter => read(json, Self::GlobalParameter),
            Kind::VHost => read(json, Self::VHost),
            Kind::VHostLimits => read(json, Self::VHostLimits),
            Kind::User => read(json, Self::User),
            Kind::UserLimits => read(json, Self::UserLimits),
            Kind::Permission => read(json, Self::Permission),
            Kind::TopicPermission => read(json, Self::TopicPermission),
            Kind::Parameter => read(json, Self::Parameter),
            Kind::Policy => read(json, Self::Policy),
            Kind::OperatorPolicy => read(json, Self::OperatorPolicy),
            Kind::Exchange => read(json, Self::Exchange),
            Kind::Queue => read(json, Self::Queue),
            Kind::Binding => read(json, Self::Binding),
            Kind::Timeline => read(json, Self::Timeline),
            Kind::Cache => read(json, Self::Cache),
        }
    }
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut value = vec![VERSION];
    serde_json::to_writer(&mut value, record).expect("records have text keys only, and memory takes any bytes");
    value
}

#[cfg(test)]
mod tests;
