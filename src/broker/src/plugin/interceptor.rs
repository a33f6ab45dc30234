//! Who sees messages before they are routed, and may change their properties or refuse them.
//!
//! They see what clients publish, once, when it comes in: also what is for a transaction, or is a direct reply. They do not
//! see what the broker sends on: dead letters, messages that are due, messages of its own.
//!
//! Without interceptors nothing of this is done. Properties are copied for the first one that wants to change them, not for
//! those who look.
//!
//! Not taken: RabbitMQ's stage for what goes out to consumers. A message leaves as it lies in its queue, without a copy for
//! each consumer. And changing where a message goes, or its body: permissions were checked for what the client sent.

use leveret_amqp::{OwnedProperties, Properties};

use crate::Error;

/// Sees messages before they are routed.
pub trait Interceptor: Send + Sync {
    /// Its name, given once; `leveret plugins info` shows it.
    fn name(&self) -> &str;

    /// A message comes in. Called within a turn, on a thread that serves connections: it must neither wait nor begin
    /// another turn.
    ///
    /// # Errors
    /// To refuse the message. The client is told so as of a message that the broker itself refuses: its channel, or its
    /// connection, is closed with that code and text.
    fn intercept(&self, message: &IncomingMessage<'_>, draft: &mut Draft<'_>) -> Result<(), Error>;
}

/// A message as a client has published it. Who published it may do so.
#[derive(Clone, Copy, Debug)]
pub struct IncomingMessage<'a> {
    /// When it came, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Who published it.
    pub user: &'a str,
    /// The vhost's name.
    pub vhost: &'a str,
    /// The exchange's name; empty for the default exchange.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a [u8],
    /// The properties.
    pub properties: &'a Properties<'a>,
    /// The whole body.
    pub body: &'a [u8],
}

/// The properties that a message goes on with.
#[derive(Debug)]
pub struct Draft<'a> {
    came: &'a Properties<'a>,
    changed: Option<OwnedProperties>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(came: &'a Properties<'a>) -> Self {
        Self { came, changed: None }
    }

    /// The properties to change: as they came, or as those before have left them. Who asks has them copied; who only looks
    /// at them as they came finds them in [`IncomingMessage::properties`].
    ///
    /// # Errors
    /// Where the headers are malformed.
    pub fn properties(&mut self) -> Result<&mut OwnedProperties, Error> {
        let changed = match self.changed.take() {
            Some(changed) => changed,
            None => OwnedProperties::try_from(self.came)?,
        };
        Ok(self.changed.insert(changed))
    }

    /// The raw form of what was changed; `None` where nothing was.
    pub(super) fn into_raw(self) -> Option<Vec<u8>> {
        self.changed.map(|properties| properties.to_raw())
    }
}
