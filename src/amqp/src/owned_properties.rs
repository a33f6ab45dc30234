//! Properties that own their values: to build a message, or to keep one apart from its frame.

use crate::{FieldTable, Properties, RawTable, error::WireError, wire::Sink};

/// Owned basic properties. Strings are bytes, so that whatever a peer sent survives the way through; `"text".into()`
/// makes one. The fields are those of [`Properties`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnedProperties {
    /// MIME type of the body.
    pub content_type: Option<Vec<u8>>,
    /// MIME encoding of the body.
    pub content_encoding: Option<Vec<u8>>,
    /// Headers of the application.
    pub headers: Option<FieldTable>,
    /// 2 is persistent.
    pub delivery_mode: Option<u8>,
    /// 0 to 255, higher is earlier.
    pub priority: Option<u8>,
    /// What a reply refers to.
    pub correlation_id: Option<Vec<u8>>,
    /// Queue for replies.
    pub reply_to: Option<Vec<u8>>,
    /// Time to live, milliseconds as decimal text.
    pub expiration: Option<Vec<u8>>,
    /// The application's name for the message.
    pub message_id: Option<Vec<u8>>,
    /// Seconds since the Unix epoch, set by the application.
    pub timestamp: Option<u64>,
    /// `type`: the application's kind of message.
    pub kind: Option<Vec<u8>>,
    /// The publishing user.
    pub user_id: Option<Vec<u8>>,
    /// The publishing application.
    pub app_id: Option<Vec<u8>>,
    /// Deprecated; passed on.
    pub cluster_id: Option<Vec<u8>>,
}

impl OwnedProperties {
    /// Reads the raw form, headers included.
    ///
    /// # Errors
    ///
    /// As [`Properties::parse`] and [`RawTable::decode`].
    pub fn decode(raw: &[u8]) -> Result<Self, WireError> {
        Self::try_from(&Properties::parse(raw)?)
    }

    /// Appends the raw form. Strings over 255 bytes are cut.
    pub fn encode<S: Sink>(&self, out: &mut S) {
        let headers = self.headers.as_ref().map(|headers| {
            let mut contents = Vec::new();
            headers.encode_contents(&mut contents);
            contents
        });
        self.view(headers.as_deref().map(RawTable::new)).encode(out);
    }

    /// The raw form on its own.
    #[must_use]
    pub fn to_raw(&self) -> Vec<u8> {
        let mut raw = Vec::new();
        self.encode(&mut raw);
        raw
    }

    fn view<'a>(&'a self, headers: Option<RawTable<'a>>) -> Properties<'a> {
        Properties {
            content_type: self.content_type.as_deref(),
            content_encoding: self.content_encoding.as_deref(),
            headers,
            delivery_mode: self.delivery_mode,
            priority: self.priority,
            correlation_id: self.correlation_id.as_deref(),
            reply_to: self.reply_to.as_deref(),
            expiration: self.expiration.as_deref(),
            message_id: self.message_id.as_deref(),
            timestamp: self.timestamp,
            kind: self.kind.as_deref(),
            user_id: self.user_id.as_deref(),
            app_id: self.app_id.as_deref(),
            cluster_id: self.cluster_id.as_deref(),
        }
    }
}

impl TryFrom<&Properties<'_>> for OwnedProperties {
    type Error = WireError;

    /// Fails only when the headers are malformed.
    fn try_from(view: &Properties<'_>) -> Result<Self, WireError> {
        Ok(Self {
            content_type: view.content_type.map(<[u8]>::to_vec),
            content_encoding: view.content_encoding.map(<[u8]>::to_vec),
            headers: view.headers.map(RawTable::decode).transpose()?,
            delivery_mode: view.delivery_mode,
            priority: view.priority,
            correlation_id: view.correlation_id.map(<[u8]>::to_vec),
            reply_to: view.reply_to.map(<[u8]>::to_vec),
            expiration: view.expiration.map(<[u8]>::to_vec),
            message_id: view.message_id.map(<[u8]>::to_vec),
            timestamp: view.timestamp,
            kind: view.kind.map(<[u8]>::to_vec),
            user_id: view.user_id.map(<[u8]>::to_vec),
            app_id: view.app_id.map(<[u8]>::to_vec),
            cluster_id: view.cluster_id.map(<[u8]>::to_vec),
        })
    }
}
