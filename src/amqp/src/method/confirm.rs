//! Class 85, confirm: acknowledgements for publishers. A RabbitMQ extension.

use super::macros::{Class, Fields, class, fields};
use crate::{
    WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class confirm.
    85 "confirm" Confirm Method;

    /// Client: from here on, confirm what is published on this channel.
    10 "select" Select {
        /// No answer wanted.
        no_wait: bool as bit,
    }

    /// Server: it will be.
    11 "select-ok" SelectOk {}
}
