//! The methods of all classes, each as a struct with the fields of the specification (reserved ones left out).
//!
//! One module and one enum per class, and [`Method`] over them. Every struct converts into [`Method`], and has a
//! default for the fields one does not care about.

pub mod access;
pub mod basic;
pub mod channel;
pub mod confirm;
pub mod connection;
pub mod exchange;
mod macros;
pub mod queue;
pub mod tx;

use bytes::BytesMut;

use crate::{
    FRAME_END, WireError,
    frame::{FrameKind, encode_frame_start},
    wire::{Reader, Sink, Writer},
};
use macros::Class;

/// Any method, borrowed from its frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Method<'a> {
    /// Class 10: handshake, limits, close.
    Connection(connection::Method<'a>),
    /// Class 20: channels.
    Channel(channel::Method<'a>),
    /// Class 30: a relic of AMQP 0-8.
    Access(access::Method<'a>),
    /// Class 40: exchanges.
    Exchange(exchange::Method<'a>),
    /// Class 50: queues and their bindings.
    Queue(queue::Method<'a>),
    /// Class 60: messages.
    Basic(basic::Method<'a>),
    /// Class 85: publisher confirms.
    Confirm(confirm::Method),
    /// Class 90: transactions.
    Tx(tx::Method),
}

impl<'a> Method<'a> {
    /// Reads the payload of a method frame.
    ///
    /// # Errors
    ///
    /// `NOT_IMPLEMENTED` for ids that no method has; `SYNTAX_ERROR` when fields are malformed, a name is not UTF-8, or
    /// bytes are left over.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "method");
        let (class_id, method_id) = (reader.short()?, reader.short()?);
        let reader = &mut reader;
        let method = match class_id {
            basic::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Basic),
            connection::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Connection),
            channel::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Channel),
            access::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Access),
            exchange::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Exchange),
            queue::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Queue),
            confirm::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Confirm),
            tx::Method::CLASS_ID => Class::read(method_id, reader).map(Self::Tx),
            _ => Err(WireError::UnknownMethod { class_id, method_id }),
        }?;
        reader.finish()?;
        Ok(method)
    }

    /// Class and method id at the beginning of a method frame's payload, for the close method that answers a malformed
    /// one. 0, 0 where they are missing.
    #[must_use]
    pub fn peek_ids(payload: &[u8]) -> (u16, u16) {
        match payload {
            [a, b, c, d, ..] => (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
            _ => (0, 0),
        }
    }

    /// Writes one whole method frame. Does not allocate beyond `out`. A method frame cannot be split: who sends large
    /// tables sees to it that they fit the receiver's frame size.
    #[inline]
    pub fn encode(&self, channel: u16, out: &mut BytesMut) {
        let start = out.position();
        encode_frame_start(FrameKind::Method, channel, 0, out);
        let payload_start = out.position();
        let (class_id, method_id) = self.ids();
        let mut writer = Writer::new(out);
        writer.short(&class_id);
        writer.short(&method_id);
        self.write(&mut writer);
        let payload_len = out.position() - payload_start;
        out.patch(start + 3, &u32::try_from(payload_len).unwrap_or(u32::MAX).to_be_bytes());
        out.put(&[FRAME_END]);
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Connection(method) => method.write(writer),
            Self::Channel(method) => method.write(writer),
            Self::Access(method) => method.write(writer),
            Self::Exchange(method) => method.write(writer),
            Self::Queue(method) => method.write(writer),
            Self::Basic(method) => method.write(writer),
            Self::Confirm(method) => method.write(writer),
            Self::Tx(method) => method.write(writer),
        }
    }

    /// Class id and method id.
    #[must_use]
    pub const fn ids(&self) -> (u16, u16) {
        match self {
            Self::Connection(method) => (connection::Method::CLASS_ID, method.id()),
            Self::Channel(method) => (channel::Method::CLASS_ID, method.id()),
            Self::Access(method) => (access::Method::CLASS_ID, method.id()),
            Self::Exchange(method) => (exchange::Method::CLASS_ID, method.id()),
            Self::Queue(method) => (queue::Method::CLASS_ID, method.id()),
            Self::Basic(method) => (basic::Method::CLASS_ID, method.id()),
            Self::Confirm(method) => (confirm::Method::CLASS_ID, method.id()),
            Self::Tx(method) => (tx::Method::CLASS_ID, method.id()),
        }
    }

    /// Class and method, such as `basic.publish`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connection(method) => method.name(),
            Self::Channel(method) => method.name(),
            Self::Access(method) => method.name(),
            Self::Exchange(method) => method.name(),
            Self::Queue(method) => method.name(),
            Self::Basic(method) => method.name(),
            Self::Confirm(method) => method.name(),
            Self::Tx(method) => method.name(),
        }
    }

    /// True when a content header and a body follow: publish, return, deliver, get-ok.
    #[must_use]
    pub const fn carries_content(&self) -> bool {
        use basic::Method as Basic;
        matches!(self, Self::Basic(Basic::Publish(_) | Basic::Return(_) | Basic::Deliver(_) | Basic::GetOk(_)))
    }
}
