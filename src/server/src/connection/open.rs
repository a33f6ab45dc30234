//! An open connection without its socket: its state, and how it ends. What frames do is in [`super::frames`], what mail
//! and the clock do in [`super::post`]; all of it is synchronous. The loop that calls it is in [`super::drive`].

use std::sync::Arc;

use leveret_amqp::ReplyCode;
use leveret_broker::{Error, Turn};

use super::{
    asking::Waiting,
    blocking::Blocking,
    channels::Channels,
    failure::{Ending, Failure},
    flow::Ahead,
    room::{Room, RoomOf, Taken},
};
use crate::{
    mail::Mail,
    outbox::Outbox,
    registry::ConnectionState,
    session::Session,
    step::{HeldReply, Step},
    tally::ConnectionPlace,
};

/// Replies that may wait for a peer that does not read them, in bytes, before its requests are no longer read.
const UNPAID_BYTES_MAX: usize = 1024 * 1024;

/// Where the connection stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Open.
    Running,
    /// connection.close was sent; everything is discarded until the answer.
    Closing(Ending),
    /// connection.close was sent for bytes that are no frames: nothing that comes can be understood any more.
    Lost(Ending),
    /// Nothing more is to be done but to write what is in the outbox.
    Finished(Ending),
}

/// An open connection without its socket.
pub(super) struct Open {
    pub(super) session: Arc<Session>,
    /// Given back when the connection is wound up: before the client learns that it is closed, so that it can open
    /// another one at once.
    place: Option<ConnectionPlace>,
    pub(super) phase: Phase,
    pub(super) channels: Channels,
    pub(super) channel_max: u16,
    pub(super) held: HeldReply,
    /// Notices of cancelled consumers that came while a reply was held: the reply to queue.delete goes before them.
    pub(super) notices_after_held: Vec<Mail>,
    /// A request that waits for an authorizer's answer.
    pub(super) waiting: Option<Waiting>,
    pub(super) ahead: Ahead,
    /// Bytes of content in the present batch.
    pub(super) content_bytes: u64,
    pub(super) blocking: Blocking,
    pub(super) room: RoomOf,
}

impl Open {
    /// A connection whose handshake is done.
    pub(super) fn new(session: Arc<Session>, channel_max: u16, place: ConnectionPlace, room: Room) -> Self {
        Self {
            place: Some(place),
            blocking: Blocking::new(session.registration.alarm()),
            session,
            phase: Phase::Running,
            channels: Channels::default(),
            channel_max,
            held: HeldReply::default(),
            notices_after_held: Vec::new(),
            waiting: None,
            ahead: Ahead::default(),
            content_bytes: 0,
            room: RoomOf::new(room),
        }
    }

    /// Whether another frame may be handled now.
    pub(super) fn may_decode(&self, outbox: &Outbox) -> bool {
        match self.phase {
            Phase::Running => {
                !self.held.is_waiting()
                    && !self.blocking.is_blocked()
                    && !self.ahead.is_too_far()
                    && !self.room.is_waiting()
                    && self.waiting.is_none()
                    && outbox.unpaid() < UNPAID_BYTES_MAX
            }
            Phase::Closing(_) => true,
            Phase::Lost(_) | Phase::Finished(_) => false,
        }
    }

    /// The bytes are no frames.
    pub(super) fn malformed(&mut self, error: &leveret_amqp::WireError, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        if matches!(self.phase, Phase::Running) {
            self.close_connection(Failure::malformed(error), turn, outbox);
        }
        self.phase = match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Closing(ending) => Phase::Lost(ending),
            other => other,
        };
    }

    /// Ends a batch of frames or mail: what the channels have gathered is handed over.
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        let Self { channels, session, held, .. } = self;
        channels.visit_touched(|channel| channel.flush(&mut Step::new(session, turn, outbox, held)));
        let slack = self.session.broker.message_memory_slack();
        if let Some(mark) = self.ahead.read(std::mem::take(&mut self.content_bytes), slack) {
            let mailbox = self.session.mailbox.clone();
            let absorbed = Box::new(move |_| _ = mailbox.send(Mail::Absorbed(mark)));
            // Where memory is short the commit also writes what nobody would lose.
            if slack < 1.0 { turn.after_commit(absorbed) } else { turn.when_safe(absorbed) }
        }
    }

    /// Winds up whatever is left: for a connection that ends without a close. Idempotent.
    pub(super) fn wind_up(&mut self, turn: &mut Turn<'_>) {
        for (number, mut channel) in self.channels.take_all() {
            channel.close(turn);
            self.session.registration.channel_closed(number);
        }
        self.session.vhost.release_connection(turn, self.session.connection_id);
        self.place = None;
    }

    /// A large message has begun on a channel: its body is read once there is room for it. Where another of the
    /// connection's is incomplete it must have room at once, since the other could not go on either.
    pub(super) fn find_room(&mut self, channel: u16, body_bytes: u64) -> Result<(), Error> {
        let has_others = self.channels.all_open().any(|(_, other)| other.has_room());
        if !has_others {
            self.room.ask(channel, body_bytes);
            return Ok(());
        }
        let Some(taken) = self.room.try_take(body_bytes) else {
            let text = "no room for another incomplete message; finish one before the next, or try again later";
            return Err(Error::new(ReplyCode::ContentTooLarge, text));
        };
        self.room_taken(channel, taken);
        Ok(())
    }

    /// There is room for the message that has begun on a channel.
    pub(super) fn room_taken(&mut self, channel: u16, taken: Taken) {
        if let Some(channel) = self.channels.open(channel) {
            channel.take_room(taken);
        }
    }

    /// Closes a connection that keeps room which others may need, and makes no use of it.
    pub(super) fn check_room(&mut self, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        let is_due = self.waiting.is_none() && self.channels.all_open().any(|(_, channel)| channel.has_room());
        if is_due && self.room.is_stuck() {
            let text = "a message stayed incomplete while room for incomplete messages was short";
            self.close_if_running(Failure::general(ReplyCode::ConnectionForced, text), turn, outbox);
        }
    }

    /// Whether there is something to look after by the clock.
    pub(super) fn has_channels(&self) -> bool {
        self.channels.len() > 0
    }

    /// The one place that decides what an error ends.
    pub(super) fn fail(&mut self, channel: u16, failure: Failure, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        if failure.closes_connection() {
            self.close_connection(failure, turn, outbox);
        } else {
            self.close_channel(channel, &failure, turn, outbox);
        }
    }

    /// The one place that sends channel.close.
    fn close_channel(&mut self, number: u16, failure: &Failure, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        let Some(mut channel) = self.channels.begin_close(number) else { return };
        channel.close(turn);
        self.session.registration.channel_closed(number);
        tracing::info!(
            connection = %self.session.name,
            channel = number,
            reason = %failure.error.code.reply_text(&failure.error.text),
            "channel closed by the server"
        );
        failure.channel_close(|close| outbox.method(number, close));
    }

    /// The one place that sends connection.close.
    fn close_connection(&mut self, failure: Failure, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        self.wind_up(turn);
        failure.connection_close(|close| outbox.method(0, close));
        self.phase = Phase::Closing(Ending::ByServer(failure));
        self.session.registration.set_state(ConnectionState::Closing);
    }

    pub(super) fn close_if_running(&mut self, failure: Failure, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        if matches!(self.phase, Phase::Running) {
            self.close_connection(failure, turn, outbox);
        }
    }

    pub(super) fn finish(&mut self, ending: Ending) {
        self.phase = Phase::Finished(ending);
        self.session.registration.set_state(ConnectionState::Closing);
    }

    pub(super) fn finish_closing(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Closing(ending) | Phase::Lost(ending) => Phase::Finished(ending),
            other => other,
        };
    }
}
