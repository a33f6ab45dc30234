//! Keys of records: a byte for the kind, then the parts of the object's name.
//!
//! A part ends with `00 01`; a zero byte within is written `00 FF`. So keys sort like tuples of their parts, no name
//! runs into the next, and all objects of a vhost and kind lie together.

use sha2::{Digest, Sha256};

use super::{BindingRecord, CatalogueError, Record, field_json};
use crate::exchange::Destination;

/// Bytes of the digest that stands for a binding's arguments, which may be longer than a key should be.
const DIGEST_BYTES: usize = 16;

macro_rules! kinds {
    ($($variant:ident = $byte:literal $name:literal,)*) => {
        /// Kinds of records. The byte orders them as they are applied at opening.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $($variant = $byte,)*
        }

        impl Kind {
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Meta = 0x01 "meta",
    GlobalParameter = 0x02 "global parameter",
    VHost = 0x10 "vhost",
    VHostLimits = 0x11 "vhost limits",
    User = 0x20 "user",
    UserLimits = 0x21 "user limits",
    Permission = 0x22 "permission",
    TopicPermission = 0x23 "topic permission",
    Parameter = 0x30 "parameter",
    Policy = 0x31 "policy",
    OperatorPolicy = 0x32 "operator policy",
    Exchange = 0x40 "exchange",
    Queue = 0x41 "queue",
    Binding = 0x42 "binding",
    Timeline = 0x43 "timeline",
    Cache = 0x44 "cache",
}

/// The kind of record that a key is for.
pub(super) fn kind(key: &[u8]) -> Result<Kind, CatalogueError> {
    let byte = *key.first().ok_or(CatalogueError::Empty)?;
    Kind::from_byte(byte).ok_or(CatalogueError::Kind(byte))
}

pub(super) fn of(record: &Record) -> Vec<u8> {
    match record {
        Record::Meta(_) => key(Kind::Meta, &[]),
        Record::GlobalParameter(record) => key(Kind::GlobalParameter, &[&record.name]),
        Record::VHost(record) => key(Kind::VHost, &[&record.name]),
        Record::VHostLimits(record) => key(Kind::VHostLimits, &[&record.vhost]),
        Record::User(record) => key(Kind::User, &[&record.name]),
        Record::UserLimits(record) => key(Kind::UserLimits, &[&record.user]),
        Record::Permission(record) => key(Kind::Permission, &[&record.vhost, &record.user]),
        Record::TopicPermission(record) => key(Kind::TopicPermission, &[&record.vhost, &record.user, &record.exchange]),
        Record::Parameter(record) => key(Kind::Parameter, &[&record.vhost, &record.component, &record.name]),
        Record::Policy(record) => key(Kind::Policy, &[&record.vhost, &record.name]),
        Record::OperatorPolicy(record) => key(Kind::OperatorPolicy, &[&record.vhost, &record.name]),
        Record::Exchange(record) => key(Kind::Exchange, &[&record.vhost, &record.name]),
        Record::Queue(record) => key(Kind::Queue, &[&record.vhost, &record.name]),
        Record::Binding(record) => binding(record),
        Record::Cache(record) => {
            key(Kind::Cache, &[&record.vhost, destination_kind(&record.owner), record.owner.name()])
        }
        Record::Timeline(record) => key(Kind::Timeline, &[&record.vhost, &record.exchange]),
    }
}

fn key(kind: Kind, parts: &[&str]) -> Vec<u8> {
    let mut key = vec![kind as u8];
    for part in parts {
        push_part(&mut key, part.as_bytes());
    }
    key
}

/// Two bindings are the same when source, destination, routing key and arguments are; the order of arguments is nothing.
fn binding(record: &BindingRecord) -> Vec<u8> {
    let (kind, name) = (destination_kind(&record.destination), record.destination.name());
    let mut key = key(Kind::Binding, &[&record.vhost, &record.source, kind, name]);
    push_part(&mut key, &record.routing_key);
    if !record.arguments.is_empty() {
        let digest = Sha256::digest(field_json::table_value(&field_json::sorted(&record.arguments)).to_string());
        key.extend_from_slice(&digest[..DIGEST_BYTES]);
    }
    key
}

const fn destination_kind(destination: &Destination) -> &'static str {
    match destination {
        Destination::Exchange(_) => "e",
        Destination::Queue(_) => "q",
    }
}

fn push_part(key: &mut Vec<u8>, part: &[u8]) {
    for byte in part {
        key.push(*byte);
        if *byte == 0 {
            key.push(0xff);
        }
    }
    key.extend_from_slice(&[0x00, 0x01]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_their_parts() {
        let mut names = ["", "a", "a\0", "a\0b", "a\u{1}", "ab", "b"].map(|name| key(Kind::Queue, &[name, "q"]));
        let sorted = names.clone();
        names.sort();
        assert_eq!(names, sorted);
        assert_ne!(key(Kind::Queue, &["a", "b"]), key(Kind::Queue, &["a\0\u{1}b", ""]));
    }

    #[test]
    fn unknown_kinds() {
        assert!(matches!(kind(&[]), Err(CatalogueError::Empty)));
        assert!(matches!(kind(&[0xee, 0]), Err(CatalogueError::Kind(0xee))));
        assert_eq!(kind(&[0x41]).unwrap(), Kind::Queue);
    }
}
