//! What a message goes by.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The name of a message, unique in a run: no message is published twice. Written `producer-sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId {
    /// The process that published it: a number for each connection.
    pub producer: u32,
    /// The how many-th message of that process it is.
    pub sequence: u32,
}

/// A text is no message's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not the name of a message, such as 7-1200")]
pub struct NotAMessageId(String);

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.producer, self.sequence)
    }
}

impl FromStr for MessageId {
    type Err = NotAMessageId;

    fn from_str(text: &str) -> Result<Self, NotAMessageId> {
        let numbers = text.split_once('-').and_then(|(producer, sequence)| {
            Some(Self { producer: producer.parse().ok()?, sequence: sequence.parse().ok()? })
        });
        numbers.ok_or_else(|| NotAMessageId(text.to_owned()))
    }
}

impl TryFrom<String> for MessageId {
    type Error = NotAMessageId;

    fn try_from(text: String) -> Result<Self, NotAMessageId> {
        text.parse()
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}
