//! What can be wrong with bytes from a peer.

use std::fmt;

use crate::ReplyCode;

/// A peer broke the protocol. The display text is the explanation part of the reply text (without `NAME - `), in
/// RabbitMQ's words where RabbitMQ has words for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The frame type octet is none of method, header, body, heartbeat; or a heartbeat has a payload.
    #[error("type {kind}, {snippet}: unknown_frame")]
    UnknownFrame {
        /// The type octet as it came.
        kind: u8,
        /// The beginning of the payload as far as it has arrived.
        snippet: Snippet,
    },
    /// The frame is larger than what was negotiated.
    #[error("type {kind}, {snippet}: {{frame_too_large,{size},{size_max}}}")]
    FrameTooLarge {
        /// The type octet.
        kind: u8,
        /// The beginning of the payload as far as it has arrived.
        snippet: Snippet,
        /// Announced payload size in bytes.
        size: u32,
        /// Largest payload size allowed, in bytes.
        size_max: u32,
    },
    /// The octet after the payload is not 0xCE.
    #[error("type {kind}, {snippet}: {{invalid_frame_end_marker,{found}}}")]
    FrameEnd {
        /// The type octet.
        kind: u8,
        /// The beginning of the payload.
        snippet: Snippet,
        /// What stood in the place of the end marker.
        found: u8,
    },
    /// A value ends before its length says.
    #[error("truncated {0}")]
    Truncated(&'static str),
    /// Bytes are left over after the last field.
    #[error("{count} unexpected octets after the last field of {what}")]
    Trailing {
        /// What was decoded.
        what: &'static str,
        /// Number of bytes left over.
        count: usize,
    },
    /// A name is not UTF-8.
    #[error("malformed_utf8 in {0}")]
    InvalidUtf8(&'static str),
    /// No method with these ids exists.
    #[error("unknown method, class {class_id}, method {method_id}")]
    UnknownMethod {
        /// Class id as it came.
        class_id: u16,
        /// Method id as it came.
        method_id: u16,
    },
    /// No field value type has this octet.
    #[error("unknown field value type {0}")]
    UnknownFieldType(u8),
    /// Tables or arrays are nested deeper than [`crate::TABLE_DEPTH_MAX`].
    #[error("field table nested deeper than {0} levels")]
    TableTooDeep(u32),
    /// A table holds more than [`crate::TABLE_VALUES_MAX`] values, those of nested tables included.
    #[error("field table has more than {0} values")]
    TableTooLarge(u32),
    /// A content header sets property flags that the basic class does not define.
    #[error("undefined property flags in {0:#06x}")]
    PropertyFlags(u16),
    /// The weight of a content header is not zero.
    #[error("content header weight {0}, expected 0")]
    Weight(u16),
}

impl WireError {
    /// The code to close the connection with: every error of this kind is one of the connection.
    #[must_use]
    pub const fn reply_code(&self) -> ReplyCode {
        match self {
            Self::UnknownFrame { .. } | Self::FrameTooLarge { .. } | Self::FrameEnd { .. } => ReplyCode::FrameError,
            Self::UnknownMethod { .. } => ReplyCode::NotImplemented,
            _ => ReplyCode::SyntaxError,
        }
    }
}

/// The first bytes of a payload, kept for an error text: `all octets = <<1,2>>` or `first 16 octets = <<"text">>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Snippet {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
    whole: bool,
}

impl Snippet {
    const LEN_MAX: usize = 16;

    /// Keeps the beginning of `payload`.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN_MAX];
        let mut len = 0;
        for (kept, byte) in bytes.iter_mut().zip(payload) {
            *kept = *byte;
            len += 1;
        }
        Self { bytes, len, whole: payload.len() <= Self::LEN_MAX }
    }

    fn kept(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for Snippet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} octets = <<", if self.whole { "all" } else { "first 16" })?;
        let kept = self.kept();
        let printable = !kept.is_empty() && kept.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if printable {
            write!(out, "\"{}\"", kept.escape_ascii())?;
        } else {
            for (index, byte) in kept.iter().enumerate() {
                write!(out, "{}{byte}", if index == 0 { "" } else { "," })?;
            }
        }
        out.write_str(">>")
    }
}

impl fmt::Debug for Snippet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
