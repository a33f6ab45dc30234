//! The channel's end of its subscriptions: everything goes by mail to the connection's own task.

use leveret_broker::queue::{CancelReason, ConsumerId, Deliveries, Outlet};

use crate::{
    mail::Mail,
    mailbox::Mailbox,
    session::{ChannelId, Session},
};

/// The outlet of all consumers of one channel.
pub(super) struct ChannelOutlet {
    channel: ChannelId,
    mailbox: Mailbox,
    name: String,
}

impl ChannelOutlet {
    /// The outlet of a channel.
    pub(super) fn new(channel: ChannelId, session: &Session) -> Self {
        Self { channel, mailbox: session.mailbox.clone(), name: format!("{} ({})", session.name, channel.number) }
    }
}

// Where the connection has ended meanwhile, its mailbox is closed and the mail is dropped: the connection's end has
// cancelled its consumers, and what a queue still counts as unacked for them it has back with that.
impl Outlet for ChannelOutlet {
    fn deliver(&self, deliveries: Deliveries) {
        self.mailbox.send(Mail::Deliver { channel: self.channel, deliveries });
    }

    fn cancelled(&self, consumer: ConsumerId, reason: CancelReason) {
        self.mailbox.send(Mail::Cancelled { channel: self.channel, consumer, reason });
    }

    // Which window it was does not matter: the connection's is shared by all its channels.
    fn room_returned(&self, _consumer: ConsumerId) {
        self.mailbox.send(Mail::Resume);
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
