//! What the suite must be told of a type.

use std::fmt;

use leveret_amqp::{FieldTable, OwnedProperties, Properties};

use crate::exchange::RouteInput;

/// What the bindings and messages of a type look like. The default fits types that look at routing keys only and take
/// any: name what is different, `Setup { bindings: …, ..Setup::default() }`.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Arguments of the exchange.
    pub arguments: FieldTable,
    /// Arguments that the type must refuse.
    pub refused_arguments: Vec<FieldTable>,
    /// Keys and arguments of bindings that the type takes: two or more, no two the same.
    pub bindings: Vec<(Vec<u8>, FieldTable)>,
    /// Keys and arguments of bindings that the type must refuse.
    pub refused_bindings: Vec<(Vec<u8>, FieldTable)>,
    /// Whether exchanges may be destinations. Where not, binding one must be refused.
    pub binds_exchanges: bool,
    /// Messages of which each binding takes at least one.
    pub messages: Vec<Message>,
    /// Whether bindings and message decide the route; false where lots are drawn, or turns taken.
    pub deterministic: bool,
}

impl Setup {
    /// Bindings with these keys, with and without an argument, and messages with the same keys.
    #[must_use]
    pub fn of_keys<const N: usize>(keys: [&str; N]) -> Self {
        let with_arguments = |key: &str| {
            let arguments = [FieldTable::new(), FieldTable::new().with("x-argument", "one of many")];
            arguments.map(|arguments| (key.as_bytes().to_vec(), arguments))
        };
        Self {
            arguments: FieldTable::new(),
            refused_arguments: Vec::new(),
            bindings: keys.iter().flat_map(|key| with_arguments(key)).collect(),
            refused_bindings: Vec::new(),
            binds_exchanges: true,
            messages: keys.iter().map(Message::of_key).collect(),
            deterministic: true,
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::of_keys(["", "a", "b", "a.b"])
    }
}

/// What a message shows to an exchange.
#[derive(Clone)]
pub struct Message {
    /// The routing key.
    pub routing_key: Vec<u8>,
    /// Property flags and list, as on the wire.
    pub properties_raw: Vec<u8>,
}

impl Message {
    /// A message with properties.
    #[must_use]
    pub fn new(routing_key: impl AsRef<[u8]>, properties: &OwnedProperties) -> Self {
        Self { routing_key: routing_key.as_ref().to_vec(), properties_raw: properties.to_raw() }
    }

    /// A message without properties.
    #[must_use]
    pub fn of_key(routing_key: impl AsRef<[u8]>) -> Self {
        Self::new(routing_key, &OwnedProperties::default())
    }

    /// A message with headers.
    #[must_use]
    pub fn with_headers(routing_key: impl AsRef<[u8]>, headers: FieldTable) -> Self {
        Self::new(routing_key, &OwnedProperties { headers: Some(headers), ..OwnedProperties::default() })
    }

    /// Shows it to an exchange.
    pub(super) fn show<T>(&self, look: impl FnOnce(&RouteInput<'_>) -> T) -> T {
        let properties = Properties::parse(&self.properties_raw).unwrap_or_default();
        look(&RouteInput { routing_key: &self.routing_key, properties: &properties })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the message with key '{}'", self.routing_key.escape_ascii())?;
        match Properties::parse(&self.properties_raw) {
            Ok(Properties::EMPTY) => Ok(()),
            Ok(properties) => write!(out, " and {properties:?}"),
            Err(error) => write!(out, " and malformed properties ({error})"),
        }
    }
}
