//! What mail and the clock do on an open connection.

use leveret_amqp::{ReplyCode, connection as connection_class};
use leveret_broker::Turn;

use super::{
    blocking::Notice,
    failure::Failure,
    open::{Open, Phase},
};
use crate::{
    channel::{Channel, give_back},
    mail::Mail,
    outbox::Outbox,
    session::ChannelId,
    step::{HeldReply, Step},
};

impl Open {
    /// Handles a piece of mail.
    pub(super) fn mail(&mut self, mail: Mail, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        match mail {
            Mail::Deliver { channel, deliveries } => {
                let step = &mut Step::new(&self.session, turn, outbox, &mut self.held);
                match self.channels.touch_same(channel.number, channel.id) {
                    Some(open) => open.deliver(deliveries, step),
                    None => give_back(deliveries, &self.session, turn),
                }
            }
            Mail::Reply { channel, reply } => {
                let step = &mut Step::new(&self.session, turn, outbox, &mut self.held);
                match self.channels.touch_same(channel.number, channel.id) {
                    Some(open) => open.deliver_reply(reply, step),
                    None => reply.give_back(&self.session),
                }
            }
            notice @ Mail::Cancelled { .. } if self.held.is_waiting() => self.notices_after_held.push(notice),
            Mail::Cancelled { channel, consumer, reason } => {
                self.for_channel(channel, turn, outbox, |open, step| open.cancelled(consumer, reason, step));
            }
            Mail::CancelOk { channel, consumer } => {
                self.for_channel(channel, turn, outbox, |open, step| open.cancel_ok(consumer, step));
            }
            Mail::Confirmed { channel, upto, result } => {
                self.for_channel(channel, turn, outbox, |open, step| open.confirmed(upto, result.is_ok(), step));
            }
            Mail::Absorbed(mark) => self.ahead.committed(mark),
            Mail::ReplyCommitted(Ok(())) => {
                self.send_held(outbox);
                for notice in std::mem::take(&mut self.notices_after_held) {
                    self.mail(notice, turn, outbox);
                }
            }
            Mail::ReplyCommitted(Err(error)) => {
                self.held = HeldReply::default();
                self.close_if_running(Failure::general(ReplyCode::InternalError, error.to_string()), turn, outbox);
            }
            Mail::Answered { question, answer } => self.answered(question, answer, turn, outbox),
            Mail::Resume => self.resume(turn),
            Mail::AlarmChanged => {
                let notice = self.blocking.alarm_changed(self.session.registration.alarm());
                self.tell_blocking(notice, outbox);
            }
            Mail::Close(reason) => {
                self.close_if_running(Failure::general(ReplyCode::ConnectionForced, &*reason), turn, outbox);
            }
            Mail::Shutdown => self.close_if_running(shutdown(), turn, outbox),
        }
    }

    /// Room was given back in the outbox's window: queues that found it full serve on.
    pub(super) fn resume(&mut self, turn: &mut Turn<'_>) {
        for (_, channel) in self.channels.all_open() {
            channel.resume(turn);
        }
    }

    /// Looks for settlements that are overdue.
    pub(super) fn tick(&mut self, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        let now_ms = turn.now_ms;
        let mut failed = Vec::new();
        for (number, channel) in self.channels.all_open() {
            let step = &mut Step::new(&self.session, turn, outbox, &mut self.held);
            if let Err(error) = channel.tick(now_ms, step) {
                failed.push((number, Failure { error, ids: (0, 0) }));
            }
        }
        for (number, failure) in failed {
            self.fail(number, failure, turn, outbox);
        }
    }

    fn send_held(&mut self, outbox: &mut Outbox) {
        let held = self.held.take();
        if let Some(frame) = held.filter(|_| matches!(self.phase, Phase::Running)) {
            outbox.raw(&frame);
        }
    }

    /// Has mail done by the channel it is for, if that is still there.
    fn for_channel(
        &mut self,
        id: ChannelId,
        turn: &mut Turn<'_>,
        outbox: &mut Outbox,
        act: impl FnOnce(&mut Channel, &mut Step<'_, '_>),
    ) {
        let step = &mut Step::new(&self.session, turn, outbox, &mut self.held);
        if let Some(channel) = self.channels.touch_same(id.number, id.id) {
            act(channel, step);
        }
    }

    /// A publish was seen.
    pub(super) fn published(&mut self, outbox: &mut Outbox) {
        let notice = self.blocking.published();
        if notice.is_some() {
            self.tell_blocking(notice, outbox);
        }
    }

    fn tell_blocking(&mut self, notice: Option<Notice>, outbox: &mut Outbox) {
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        self.session.registration.set_state(self.blocking.state());
        match notice.filter(|_| self.session.capabilities.connection_blocked) {
            Some(Notice::Blocked(reason)) => outbox.method(0, &connection_class::Blocked { reason: &reason }.into()),
            Some(Notice::Unblocked) => outbox.method(0, &connection_class::Unblocked.into()),
            None => {}
        }
    }
}

fn shutdown() -> Failure {
    Failure::general(ReplyCode::ConnectionForced, "broker forced connection closure with reason 'shutdown'")
}
