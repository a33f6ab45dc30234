//! AMQP 0-9-1 on the wire: frames, methods, content headers, properties, field tables and reply codes.
//!
//! Pure: bytes in, values out, and back. No I/O, no async, no knowledge of a broker. Server and clients use the same
//! code, so every method can be both decoded and encoded.
//!
//! # Rules
//!
//! * **No input panics.** Whatever a peer sends gives a value, "not yet complete", or a [`WireError`].
//! * **Decoding borrows.** Names, keys and long strings point into the frame. Only field tables that are part of a
//!   method are copied out ([`FieldTable`]); message headers stay raw ([`RawTable`]) until somebody asks.
//! * **Encoding cannot fail and never makes a corrupt frame.** What does not fit its length octet is cut: a short string
//!   (name, key, tag, reply text, field name) to [`SHORT_STRING_MAX`] bytes, at a character boundary where it is text.
//!   What came from the wire always fits; who makes up names asks [`fits_short_string`] first. Long strings and tables
//!   have a 32-bit length, which no message that passes the size limit reaches.
//!
//! # Roads not taken
//!
//! A code generator over the specification's XML: the eight classes fit on a few pages, and the macro in `method` that
//! declares them gives documented structs one can read and search for. `nom` and friends: every format here is a
//! fixed sequence of lengths and bytes, for which [`slice::split_at_checked`] is enough.

mod content;
mod error;
mod frame;
pub mod method;
mod owned_properties;
mod properties;
mod raw_table;
mod reply;
mod table;
mod value;
mod wire;

pub use content::{
    ContentHeader, body_chunk_len, encode_body, encode_deliver, encode_exchange_and_key, encode_header,
    split_exchange_and_key,
};
pub use error::{Snippet, WireError};
pub use frame::{
    FRAME_END, FRAME_MIN_SIZE, FRAME_OVERHEAD, Frame, FrameKind, PROTOCOL_HEADER, ProtocolHeader,
    check_protocol_header, decode, encode_frame_start, encode_heartbeat,
};
pub use method::{Method, access, basic, channel, confirm, connection, exchange, queue, tx};
pub use owned_properties::OwnedProperties;
pub use properties::{EMPTY_RAW, Properties};
pub use raw_table::{RawEntries, RawTable, RawValue, TABLE_DEPTH_MAX, TABLE_VALUES_MAX};
pub use reply::ReplyCode;
pub use table::FieldTable;
pub use value::{FieldValue, equivalent};
pub use wire::{SHORT_STRING_MAX, Sink, fits_short_string};
