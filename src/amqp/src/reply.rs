//! Reply codes: why a channel or connection is closed, or a message returned.

use crate::wire::{SHORT_STRING_MAX, cut_text};

macro_rules! reply_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal,)*) => {
        /// The reply codes of AMQP 0-9-1, in the order of their numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ReplyCode {
            $($(#[$doc])* $variant,)*
        }

        impl ReplyCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The name as RabbitMQ writes it, such as `NOT_FOUND`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The code with this number, if there is one.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

reply_codes! {
    /// 200: a normal close.
    Success = 200 "REPLY_SUCCESS",
    /// 311: a message is larger than the other side can take at present.
    ContentTooLarge = 311 "CONTENT_TOO_LARGE",
    /// 312: a mandatory message reached no queue. In `basic.return` only.
    NoRoute = 312 "NO_ROUTE",
    /// 313: an immediate message reached no consumer. Leveret, like RabbitMQ, does not offer `immediate`.
    NoConsumers = 313 "NO_CONSUMERS",
    /// 320: an operator closed the connection.
    ConnectionForced = 320 "CONNECTION_FORCED",
    /// 402: a path to a virtual host that cannot be.
    InvalidPath = 402 "INVALID_PATH",
    /// 403: a missing permission.
    AccessRefused = 403 "ACCESS_REFUSED",
    /// 404: no such exchange, queue or binding.
    NotFound = 404 "NOT_FOUND",
    /// 405: an exclusive queue of another connection.
    ResourceLocked = 405 "RESOURCE_LOCKED",
    /// 406: an argument that does not fit the present state.
    PreconditionFailed = 406 "PRECONDITION_FAILED",
    /// 501: bytes that are no frame.
    FrameError = 501 "FRAME_ERROR",
    /// 502: a frame with malformed fields.
    SyntaxError = 502 "SYNTAX_ERROR",
    /// 503: a method out of sequence.
    CommandInvalid = 503 "COMMAND_INVALID",
    /// 504: a channel that is not open, or open already.
    ChannelError = 504 "CHANNEL_ERROR",
    /// 505: a frame that does not belong here, such as a body without a header.
    UnexpectedFrame = 505 "UNEXPECTED_FRAME",
    /// 506: the server lacks memory, disk or handles.
    ResourceError = 506 "RESOURCE_ERROR",
    /// 530: what this peer may not do.
    NotAllowed = 530 "NOT_ALLOWED",
    /// 540: what this server does not offer.
    NotImplemented = 540 "NOT_IMPLEMENTED",
    /// 541: a fault of the server.
    InternalError = 541 "INTERNAL_ERROR",
}

impl ReplyCode {
    /// True for codes that end the connection, false for those that end the channel only (and for the two of
    /// `basic.return` and success, which end nothing).
    #[must_use]
    pub const fn closes_connection(self) -> bool {
        matches!(self.code(), 320 | 402 | 501..)
    }

    /// `"NAME - explanation"`, cut to the 255 bytes that a reply text may have, at a character boundary.
    #[must_use]
    pub fn reply_text(self, explanation: &str) -> String {
        let mut text = format!("{} - {explanation}", self.name());
        text.truncate(cut_text(&text, SHORT_STRING_MAX).len());
        text
    }
}
