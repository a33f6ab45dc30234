//! Class 10, connection: handshake, limits, close, and RabbitMQ's blocked, unblocked and update-secret.

use super::macros::{Class, Fields, class, fields};
use crate::{
    FieldTable, WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class connection.
    10 "connection" Connection Method<'a>;

    /// Server: the first method, what the server is and how one can log in.
    10 "start" Start<'a> {
        /// 0
        version_major: u8 as octet,
        /// 9
        version_minor: u8 as octet,
        /// Product, version, `capabilities` and the like.
        server_properties: FieldTable as table,
        /// SASL mechanisms, separated by spaces.
        mechanisms: &'a [u8] as long_bytes,
        /// Locales, separated by spaces.
        locales: &'a [u8] as long_bytes,
    }

    /// Client: mechanism chosen, and its first response.
    11 "start-ok" StartOk<'a> {
        /// Product, version, `capabilities`, `connection_name` and the like.
        client_properties: FieldTable as table,
        /// The chosen SASL mechanism.
        mechanism: &'a str as short_text,
        /// The mechanism's response; for PLAIN, user and password after NUL octets each.
        response: &'a [u8] as long_bytes,
        /// The chosen locale.
        locale: &'a str as short_text,
    }

    /// Server: another round of the mechanism.
    20 "secure" Secure<'a> {
        /// The mechanism's challenge.
        challenge: &'a [u8] as long_bytes,
    }

    /// Client: answer to a challenge.
    21 "secure-ok" SecureOk<'a> {
        /// The mechanism's response.
        response: &'a [u8] as long_bytes,
    }

    /// Server: limits proposed. 0 is no limit.
    30 "tune" Tune {
        /// Highest channel number.
        channel_max: u16 as short,
        /// Largest frame in bytes, overhead included.
        frame_max: u32 as long,
        /// Seconds between signs of life.
        heartbeat: u16 as short,
    }

    /// Client: limits agreed on.
    31 "tune-ok" TuneOk {
        /// Highest channel number.
        channel_max: u16 as short,
        /// Largest frame in bytes, overhead included.
        frame_max: u32 as long,
        /// Seconds between signs of life.
        heartbeat: u16 as short,
    }

    /// Client: choice of virtual host.
    40 "open" Open<'a> {
        /// Name of the virtual host.
        virtual_host: &'a str as short_text,
        [reserved_short_string]
        [reserved_bit]
    }

    /// Server: the connection is open.
    41 "open-ok" OpenOk {
        [reserved_short_string]
    }

    /// Either side: the connection ends.
    50 "close" Close<'a> {
        /// A number of [`crate::ReplyCode`].
        reply_code: u16 as short,
        /// Why, for people.
        reply_text: &'a str as short_text,
        /// Class of the method at fault, or 0.
        class_id: u16 as short,
        /// Id of the method at fault, or 0.
        method_id: u16 as short,
    }

    /// Answer to close; the socket may be closed.
    51 "close-ok" CloseOk {}

    /// Server: publishing is stopped for lack of memory or disk. A RabbitMQ extension.
    60 "blocked" Blocked<'a> {
        /// Such as `low on memory`.
        reason: &'a str as short_text,
    }

    /// Server: publishing goes on. A RabbitMQ extension.
    61 "unblocked" Unblocked {}

    /// Client: new credentials, such as a renewed token. A RabbitMQ extension.
    70 "update-secret" UpdateSecret<'a> {
        /// The new secret.
        new_secret: &'a [u8] as long_bytes,
        /// Why, for the log.
        reason: &'a str as short_text,
    }

    /// Server: the new credentials are in use. A RabbitMQ extension.
    71 "update-secret-ok" UpdateSecretOk {}
}
