//! A message that outlives the frames it came in: held back by a transaction, or on its way to a reply consumer.

use bytes::Bytes;

/// A message in one buffer: address, properties, body, each as on the wire.
#[derive(Clone, Debug)]
pub(super) struct OwnedMessage {
    bytes: Bytes,
    properties_at: usize,
    body_at: usize,
    /// Whether it is to be returned where no queue takes it.
    pub(super) mandatory: bool,
}

impl OwnedMessage {
    /// Copies a message out of its frames.
    pub(super) fn new(exchange_and_key: &[u8], properties_raw: &[u8], body: &[u8], mandatory: bool) -> Self {
        Self {
            bytes: [exchange_and_key, properties_raw, body].concat().into(),
            properties_at: exchange_and_key.len(),
            body_at: exchange_and_key.len() + properties_raw.len(),
            mandatory,
        }
    }

    /// Exchange and routing key as two short strings.
    pub(super) fn exchange_and_key(&self) -> &[u8] {
        &self.bytes[..self.properties_at]
    }

    /// Property flags and list.
    pub(super) fn properties_raw(&self) -> &[u8] {
        &self.bytes[self.properties_at..self.body_at]
    }

    /// The body.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[self.body_at..]
    }

    /// The body, without a copy and independent of the message's life.
    pub(super) fn shared_body(&self) -> Bytes {
        self.bytes.slice(self.body_at..)
    }

    /// What the message takes in memory, in bytes, near enough.
    pub(super) fn bytes_len(&self) -> u64 {
        (self.bytes.len() + size_of::<Self>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_as_they_were() {
        let message = OwnedMessage::new(b"\x02ex\x03key", &[0, 0], b"body", true);
        assert_eq!(message.exchange_and_key(), b"\x02ex\x03key");
        assert_eq!(message.properties_raw(), [0, 0]);
        assert_eq!(message.body(), b"body");
        assert_eq!(message.shared_body(), b"body".as_slice());
    }
}
