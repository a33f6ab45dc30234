//! One synchronous step of a channel: what it may touch, and what it tells the connection.

use bytes::BytesMut;
use leveret_amqp::Method;
use leveret_broker::Turn;

use crate::{
    mail::Mail,
    outbox::Outbox,
    session::{ChannelId, Session},
};

/// A reply that is written once its commit is durable. There is at most one, since decoding stops while it waits.
#[derive(Debug, Default)]
pub(crate) struct HeldReply {
    frame: Option<BytesMut>,
}

impl HeldReply {
    /// Whether a reply waits.
    #[must_use]
    pub(crate) fn is_waiting(&self) -> bool {
        self.frame.is_some()
    }

    /// Takes the encoded reply out.
    pub(crate) fn take(&mut self) -> Option<BytesMut> {
        self.frame.take()
    }
}

/// What one step of a channel may touch. Built for the time of one read batch, never kept over an await.
pub(crate) struct Step<'a, 't> {
    /// The connection's session.
    pub(crate) session: &'a Session,
    /// The broker's turn; its `now_ms` is the time.
    pub(crate) turn: &'a mut Turn<'t>,
    /// What goes to the peer.
    pub(crate) outbox: &'a mut Outbox,
    held: &'a mut HeldReply,
}

impl<'a, 't> Step<'a, 't> {
    /// A step; `held` must not hold a reply.
    pub(crate) fn new(
        session: &'a Session,
        turn: &'a mut Turn<'t>,
        outbox: &'a mut Outbox,
        held: &'a mut HeldReply,
    ) -> Self {
        Self { session, turn, outbox, held }
    }

    /// Sends a reply once everything done in this turn so far is durable; until then the connection decodes nothing
    /// more. A failed commit closes the connection with 541 instead.
    pub(crate) fn reply_after_commit(&mut self, channel: u16, reply: &Method<'_>) {
        let mut frame = BytesMut::new();
        reply.encode(channel, &mut frame);
        self.held.frame = Some(frame);
        let mailbox = self.session.mailbox.clone();
        self.turn.after_commit(Box::new(move |result| {
            mailbox.send(Mail::ReplyCommitted(result));
        }));
    }

    /// Has [`Mail::Confirmed`] with `upto` sent to `channel` once everything done in this turn so far is durable.
    pub(crate) fn notify_committed(&mut self, channel: ChannelId, upto: u64) {
        let mailbox = self.session.mailbox.clone();
        self.turn.when_safe(Box::new(move |result| {
            mailbox.send(Mail::Confirmed { channel, upto, result });
        }));
    }
}
