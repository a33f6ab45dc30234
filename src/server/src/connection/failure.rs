//! What goes wrong on a connection: an error with the method it came from, and the words for the log.

use std::{fmt, io};

use leveret_amqp::{Frame, Method, ReplyCode, Snippet, WireError, channel, connection};
use leveret_broker::Error;

/// An error on its way to the peer. How far it reaches is its code's ([`ReplyCode::closes_connection`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Class and method id of the method that failed, or 0, 0.
    pub(super) ids: (u16, u16),
}

impl Failure {
    /// Not the doing of one method.
    pub(super) fn general(code: ReplyCode, text: impl Into<String>) -> Self {
        Self { error: Error::new(code, text), ids: (0, 0) }
    }

    /// The doing of a method of class connection.
    pub(super) fn of(error: Error, method: &connection::Method<'_>) -> Self {
        Self { error, ids: (connection::Method::CLASS_ID, method.id()) }
    }

    /// The bytes are no frame, or the frame holds no method.
    pub(super) fn malformed(error: &WireError) -> Self {
        Self::general(error.reply_code(), error.to_string())
    }

    /// A frame where it does not belong.
    pub(super) fn unexpected_frame(frame: &Frame<'_>) -> Self {
        let text = format!("type {}, {}", frame.kind as u8, Snippet::of(frame.payload));
        Self::general(ReplyCode::UnexpectedFrame, text)
    }

    /// Whether the connection has to be closed, not only a channel.
    pub(super) fn closes_connection(&self) -> bool {
        self.error.code.closes_connection()
    }

    /// Calls `send` with the connection.close for this failure.
    pub(super) fn connection_close(&self, send: impl FnOnce(&Method<'_>)) {
        let reply_text = self.error.code.reply_text(&self.error.text);
        let (class_id, method_id) = self.ids;
        let close =
            connection::Close { reply_code: self.error.code.code(), reply_text: &reply_text, class_id, method_id };
        send(&close.into());
    }

    /// Calls `send` with the channel.close for this failure.
    pub(super) fn channel_close(&self, send: impl FnOnce(&Method<'_>)) {
        let reply_text = self.error.code.reply_text(&self.error.text);
        let (class_id, method_id) = self.ids;
        let close = channel::Close { reply_code: self.error.code.code(), reply_text: &reply_text, class_id, method_id };
        send(&close.into());
    }
}

/// How a connection ended, for the log.
#[derive(Debug)]
pub(super) enum Ending {
    /// connection.close from the client.
    ByClient,
    /// connection.close from the server.
    ByServer(Failure),
    /// The handshake was refused.
    Refused(String),
    /// The first bytes were no AMQP 0-9-1; what they look like.
    NotAmqp(&'static str),
    /// The handshake took too long.
    HandshakeTimeout,
    /// The server stopped during the handshake, or an operator closed the connection.
    Dropped,
    /// The client closed the socket without a word.
    Abrupt,
    /// Not one byte came: a health check.
    NoData,
    /// Two heartbeat intervals of silence.
    Silent,
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByClient => out.write_str("closed by the client"),
            Self::ByServer(failure) => out.write_str(&failure.error.code.reply_text(&failure.error.text)),
            Self::Refused(reason) => out.write_str(reason),
            Self::NotAmqp(what) => write!(out, "the client did not start with the AMQP 0-9-1 header: {what}"),
            Self::HandshakeTimeout => out.write_str("handshake timeout"),
            Self::Dropped => out.write_str("dropped during the handshake"),
            Self::Abrupt => out.write_str("client unexpectedly closed TCP connection"),
            Self::NoData => out.write_str("no data received"),
            Self::Silent => out.write_str("missed heartbeats from client"),
            Self::Io(error) => error.fmt(out),
        }
    }
}
