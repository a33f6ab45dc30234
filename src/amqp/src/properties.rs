//! Basic properties, read in one pass from where they lie in the header frame.
//!
//! A broker keeps them as they came and looks at three or four of the fourteen. So the raw bytes are the stored form,
//! [`Properties`] is a view of them, and to change one is to copy the view, set a field and [`Properties::encode`] it.

use crate::{
    RawTable,
    error::WireError,
    wire::{Reader, Sink, put_long_bytes, put_short_bytes},
};

/// The raw form of no properties at all: an empty set of flags.
pub const EMPTY_RAW: [u8; 2] = [0, 0];

/// The view of a raw property list. Strings are short strings as they came, by custom UTF-8; see [`crate::OwnedProperties`]
/// for owned ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    /// MIME type of the body.
    pub content_type: Option<&'a [u8]>,
    /// MIME encoding of the body.
    pub content_encoding: Option<&'a [u8]>,
    /// Headers of the application, not looked into yet.
    pub headers: Option<RawTable<'a>>,
    /// 2 is persistent; 1, absent and anything else is transient.
    pub delivery_mode: Option<u8>,
    /// 0 to 255, higher is earlier.
    pub priority: Option<u8>,
    /// What a reply refers to.
    pub correlation_id: Option<&'a [u8]>,
    /// Queue for replies.
    pub reply_to: Option<&'a [u8]>,
    /// Time to live, milliseconds as decimal text.
    pub expiration: Option<&'a [u8]>,
    /// The application's name for the message.
    pub message_id: Option<&'a [u8]>,
    /// Seconds since the Unix epoch, set by the application.
    pub timestamp: Option<u64>,
    /// `type`: the application's kind of message.
    pub kind: Option<&'a [u8]>,
    /// The publishing user; checked against the login.
    pub user_id: Option<&'a [u8]>,
    /// The publishing application.
    pub app_id: Option<&'a [u8]>,
    /// Deprecated; passed on.
    pub cluster_id: Option<&'a [u8]>,
}

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const KIND: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;
const CLUSTER_ID: u16 = 1 << 2;
/// No property, and the mark that more flags follow: without a property to go with them.
const UNDEFINED: u16 = 0b11;

impl<'a> Properties<'a> {
    /// No property at all, as [`EMPTY_RAW`] has it.
    pub const EMPTY: Self = Self {
        content_type: None,
        content_encoding: None,
        headers: None,
        delivery_mode: None,
        priority: None,
        correlation_id: None,
        reply_to: None,
        expiration: None,
        message_id: None,
        timestamp: None,
        kind: None,
        user_id: None,
        app_id: None,
        cluster_id: None,
    };

    /// Reads flags and property list, exactly the bytes after the body size in a header frame. Lengths are checked, the
    /// contents of `headers` are not: see [`RawTable::validate`].
    ///
    /// # Errors
    ///
    /// `SYNTAX_ERROR`: truncated, left-over bytes, or undefined flags.
    pub fn parse(raw: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(raw, "basic properties");
        let flags = reader.short()?;
        if flags & UNDEFINED != 0 {
            return Err(WireError::PropertyFlags(flags));
        }
        let reader = &mut reader;
        // The order of the fields is the order on the wire.
        let properties = Self {
            content_type: field(flags, CONTENT_TYPE, reader, Reader::short_bytes)?,
            content_encoding: field(flags, CONTENT_ENCODING, reader, Reader::short_bytes)?,
            headers: field(flags, HEADERS, reader, Reader::raw_table)?,
            delivery_mode: field(flags, DELIVERY_MODE, reader, Reader::octet)?,
            priority: field(flags, PRIORITY, reader, Reader::octet)?,
            correlation_id: field(flags, CORRELATION_ID, reader, Reader::short_bytes)?,
            reply_to: field(flags, REPLY_TO, reader, Reader::short_bytes)?,
            expiration: field(flags, EXPIRATION, reader, Reader::short_bytes)?,
            message_id: field(flags, MESSAGE_ID, reader, Reader::short_bytes)?,
            timestamp: field(flags, TIMESTAMP, reader, Reader::long_long)?,
            kind: field(flags, KIND, reader, Reader::short_bytes)?,
            user_id: field(flags, USER_ID, reader, Reader::short_bytes)?,
            app_id: field(flags, APP_ID, reader, Reader::short_bytes)?,
            cluster_id: field(flags, CLUSTER_ID, reader, Reader::short_bytes)?,
        };
        reader.finish()?;
        Ok(properties)
    }

    /// Delivery mode 2.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode == Some(2)
    }

    /// Writes the raw form: flags and property list. Strings over 255 bytes are cut.
    pub fn encode<S: Sink>(&self, out: &mut S) {
        out.put(&self.flags().to_be_bytes());
        put_string(out, self.content_type);
        put_string(out, self.content_encoding);
        if let Some(headers) = self.headers {
            put_long_bytes(out, headers.contents());
        }
        if let Some(delivery_mode) = self.delivery_mode {
            out.put(&[delivery_mode]);
        }
        if let Some(priority) = self.priority {
            out.put(&[priority]);
        }
        put_string(out, self.correlation_id);
        put_string(out, self.reply_to);
        put_string(out, self.expiration);
        put_string(out, self.message_id);
        if let Some(timestamp) = self.timestamp {
            out.put(&timestamp.to_be_bytes());
        }
        put_string(out, self.kind);
        put_string(out, self.user_id);
        put_string(out, self.app_id);
        put_string(out, self.cluster_id);
    }

    fn flags(&self) -> u16 {
        [
            (self.content_type.is_some(), CONTENT_TYPE),
            (self.content_encoding.is_some(), CONTENT_ENCODING),
            (self.headers.is_some(), HEADERS),
            (self.delivery_mode.is_some(), DELIVERY_MODE),
            (self.priority.is_some(), PRIORITY),
            (self.correlation_id.is_some(), CORRELATION_ID),
            (self.reply_to.is_some(), REPLY_TO),
            (self.expiration.is_some(), EXPIRATION),
            (self.message_id.is_some(), MESSAGE_ID),
            (self.timestamp.is_some(), TIMESTAMP),
            (self.kind.is_some(), KIND),
            (self.user_id.is_some(), USER_ID),
            (self.app_id.is_some(), APP_ID),
            (self.cluster_id.is_some(), CLUSTER_ID),
        ]
        .into_iter()
        .fold(0, |flags, (present, flag)| if present { flags | flag } else { flags })
    }
}

#[inline]
fn field<'a, T>(
    flags: u16,
    flag: u16,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Option<T>, WireError> {
    if flags & flag == 0 { Ok(None) } else { read(reader).map(Some) }
}

fn put_string<S: Sink>(out: &mut S, value: Option<&[u8]>) {
    if let Some(value) = value {
        put_short_bytes(out, value);
    }
}
