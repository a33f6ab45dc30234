//! Class 20, channel: open, pause, close.

use super::macros::{Class, Fields, class, fields};
use crate::{
    WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class channel.
    20 "channel" Channel Method<'a>;

    /// Client: opens the channel whose number is in the frame.
    10 "open" Open {
        [reserved_short_string]
    }

    /// Server: the channel is open.
    11 "open-ok" OpenOk {
        [reserved_long_string]
    }

    /// Either side: stop or go on sending content.
    20 "flow" Flow {
        /// True to go on.
        active: bool as bit,
    }

    /// Answer to flow.
    21 "flow-ok" FlowOk {
        /// What applies now.
        active: bool as bit,
    }

    /// Either side: the channel ends.
    40 "close" Close<'a> {
        /// A number of [`crate::ReplyCode`].
        reply_code: u16 as short,
        /// Why, for people.
        reply_text: &'a str as short_text,
        /// Class of the method at fault, or 0.
        class_id: u16 as short,
        /// Id of the method at fault, or 0.
        method_id: u16 as short,
    }

    /// Answer to close; the number may be used again.
    41 "close-ok" CloseOk {}
}
