//! What each frame does on an open connection.

use std::sync::Arc;

use leveret_amqp::{
    ContentHeader, Frame, FrameKind, Method, ReplyCode, basic, channel as channel_class, connection as connection_class,
};
use leveret_broker::{Error, Turn};

use super::{
    channels::Slot,
    failure::{Ending, Failure},
    open::{Open, Phase},
};
use crate::{
    channel::{Channel, Next},
    outbox::Outbox,
    session::Session,
    step::Step,
};

impl Open {
    /// Handles a frame.
    pub(super) fn frame(&mut self, frame: &Frame<'_>, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        let outcome = match (&self.phase, frame.channel) {
            (Phase::Running, 0) => self.connection_frame(frame, turn, outbox),
            (Phase::Running, _) => self.channel_frame(frame, turn, outbox),
            (_, 0) => self.frame_while_closing(frame, outbox),
            _ => Ok(()),
        };
        if let Err(failure) = outcome
            && !self.asks_first(frame)
        {
            self.fail(frame.channel, failure, turn, outbox);
        }
    }

    fn connection_frame(&mut self, frame: &Frame<'_>, turn: &mut Turn<'_>, outbox: &mut Outbox) -> Result<(), Failure> {
        match frame.kind {
            FrameKind::Heartbeat => Ok(()),
            FrameKind::Method => {
                let method = Method::decode(frame.payload).map_err(|error| Failure::malformed(&error))?;
                self.connection_method(&method, turn, outbox)
            }
            FrameKind::Header | FrameKind::Body => Err(Failure::unexpected_frame(frame)),
        }
    }

    fn connection_method(
        &mut self,
        method: &Method<'_>,
        turn: &mut Turn<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), Failure> {
        match method {
            Method::Connection(connection_class::Method::Close(_)) => {
                self.wind_up(turn);
                outbox.method(0, &connection_class::CloseOk.into());
                self.finish(Ending::ByClient);
                Ok(())
            }
            Method::Connection(connection_class::Method::UpdateSecret(update)) => {
                tracing::debug!(connection = %self.session.name, reason = update.reason, "secret to be updated");
                self.update_secret(method.ids(), outbox)
            }
            other => Err(Failure {
                error: Error::new(ReplyCode::ChannelError, "unexpected method in connection state running"),
                ids: other.ids(),
            }),
        }
    }

    /// While the answer to connection.close is awaited only that counts, or the client's own close that crossed ours.
    fn frame_while_closing(&mut self, frame: &Frame<'_>, outbox: &mut Outbox) -> Result<(), Failure> {
        if frame.kind != FrameKind::Method {
            return Ok(());
        }
        match Method::decode(frame.payload) {
            Ok(Method::Connection(connection_class::Method::Close(_))) => {
                outbox.method(0, &connection_class::CloseOk.into());
                self.finish_closing();
            }
            Ok(Method::Connection(connection_class::Method::CloseOk(_))) => self.finish_closing(),
            _ => {}
        }
        Ok(())
    }

    fn channel_frame(&mut self, frame: &Frame<'_>, turn: &mut Turn<'_>, outbox: &mut Outbox) -> Result<(), Failure> {
        match self.channels.slot(frame.channel) {
            Some(Slot::Open(_)) => self.open_channel_frame(frame, turn, outbox),
            Some(Slot::Closing) => self.closing_channel_frame(frame, outbox),
            None => self.unknown_channel_frame(frame, turn, outbox),
        }
    }

    fn open_channel_frame(
        &mut self,
        frame: &Frame<'_>,
        turn: &mut Turn<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), Failure> {
        let Some(channel) = self.channels.touch(frame.channel) else { return Ok(()) };
        let step = &mut Step::new(&self.session, turn, outbox, &mut self.held);
        let outcome = match frame.kind {
            FrameKind::Method => {
                let method = Method::decode(frame.payload).map_err(|error| Failure::malformed(&error))?;
                let is_publish = matches!(method, Method::Basic(basic::Method::Publish(_)));
                match channel.method(&method, step) {
                    Ok(Next::Closed) => {
                        self.forget_channel(frame.channel);
                        return Ok(());
                    }
                    Ok(Next::Continue) if is_publish => {
                        self.published(outbox);
                        return Ok(());
                    }
                    other => other.map(|_| ()),
                }
            }
            FrameKind::Header => {
                self.content_bytes += frame.payload.len() as u64;
                match channel.expect_header() {
                    Ok(()) => {
                        let header =
                            ContentHeader::decode(frame.payload).map_err(|error| Failure::malformed(&error))?;
                        let begun = channel.header(&header, step);
                        let (ids, gathered) = (channel.failing_method(), channel.bytes_to_gather());
                        let found =
                            begun.and_then(|()| gathered.map_or(Ok(()), |bytes| self.find_room(frame.channel, bytes)));
                        return found.map_err(|error| Failure { error, ids });
                    }
                    Err(error) => Err(error),
                }
            }
            FrameKind::Body => {
                self.content_bytes += frame.payload.len() as u64;
                self.room.progress();
                channel.body(frame.payload, step)
            }
            FrameKind::Heartbeat => return Err(Failure::unexpected_frame(frame)),
        };
        outcome.map_err(|error| Failure { error, ids: channel.failing_method() })
    }

    /// A channel that the server has closed: whatever the client had sent before it knew is discarded.
    fn closing_channel_frame(&mut self, frame: &Frame<'_>, outbox: &mut Outbox) -> Result<(), Failure> {
        if frame.kind != FrameKind::Method {
            return Ok(());
        }
        match Method::decode(frame.payload) {
            Ok(Method::Channel(channel_class::Method::CloseOk(_))) => self.channels.remove(frame.channel),
            Ok(Method::Channel(channel_class::Method::Close(_))) => {
                outbox.method(frame.channel, &channel_class::CloseOk.into());
            }
            _ => {}
        }
        Ok(())
    }

    fn unknown_channel_frame(
        &mut self,
        frame: &Frame<'_>,
        turn: &Turn<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), Failure> {
        if frame.kind != FrameKind::Method {
            return Err(Failure::unexpected_frame(frame));
        }
        let method = Method::decode(frame.payload).map_err(|error| Failure::malformed(&error))?;
        let outcome = match method {
            Method::Channel(channel_class::Method::Open(_)) => self.open_channel(frame.channel, turn, outbox),
            _ => Err(Error::new(ReplyCode::ChannelError, "expected 'channel.open'")),
        };
        outcome.map_err(|error| Failure { error, ids: method.ids() })
    }

    fn open_channel(&mut self, number: u16, turn: &Turn<'_>, outbox: &mut Outbox) -> Result<(), Error> {
        let opened = self.channels.len();
        if self.channel_max != 0 && opened >= usize::from(self.channel_max) {
            let max = self.channel_max;
            let text = format!("number of channels opened ({opened}) has reached the negotiated channel_max ({max})");
            return Err(Error::new(ReplyCode::NotAllowed, text));
        }
        let Session { broker, tally, username, .. } = &*self.session;
        let place = tally.channel(username, broker.limits().user(username))?;
        let channel = Channel::new(number, Arc::clone(&self.session), place);
        self.session.registration.channel_opened(number, Arc::clone(channel.stats()));
        channel.tell_created(turn);
        self.channels.insert(number, channel);
        outbox.method(number, &channel_class::OpenOk.into());
        Ok(())
    }

    fn forget_channel(&mut self, number: u16) {
        self.channels.remove(number);
        self.session.registration.channel_closed(number);
    }
}
