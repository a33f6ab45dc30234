//! Class 30, access: tickets of AMQP 0-8. Some clients still ask for one; the answer is always ticket 1.

use super::macros::{Class, Fields, class, fields};
use crate::{
    WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class access.
    30 "access" Access Method<'a>;

    /// Client: asks for a ticket.
    10 "request" Request<'a> {
        /// Name of the realm.
        realm: &'a str as short_text,
        /// Alone in the realm.
        exclusive: bool as bit,
        /// To look only.
        passive: bool as bit,
        /// To create and delete.
        active: bool as bit,
        /// To publish.
        write: bool as bit,
        /// To consume.
        read: bool as bit,
    }

    /// Server: the ticket.
    11 "request-ok" RequestOk {
        /// Without meaning since 0-9-1.
        ticket: u16 as short,
    }
}
