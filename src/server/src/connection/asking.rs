//! Requests that wait for an authorizer which cannot answer on the spot.
//!
//! A channel that needs a permission it has no answer for refuses, and has a question ([`Channel::take_question`]). The
//! connection puts it before it believes the refusal, reads nothing more meanwhile, and does the same request again with
//! the answer. That is sound because a channel asks for all its permissions before it changes anything. Whoever forgets to
//! look for the question refuses too much, never too little.
//!
//! The internal backend never leaves a question, and what is done here is done for refusals only.
//!
//! Not taken: asking within the request (it holds a turn of the broker, which the committer waits for), and working out
//! beforehand what a request will need (the same rules in two places).
//!
//! [`Channel::take_question`]: crate::channel::Channel::take_question

use std::sync::Arc;

use leveret_amqp::{Frame, FrameKind, connection as connection_class};
use leveret_broker::{
    Error, Turn,
    auth::{Answer, Authority, OwnedQuestion, Question},
};

use super::{
    failure::Failure,
    open::{Open, Phase},
};
use crate::{
    mail::Mail,
    outbox::Outbox,
    session::{ChannelId, Session},
    step::Step,
};

/// A request that is done again when the answer is there.
pub(super) enum Waiting {
    /// One of a channel.
    Channel(ChannelId, Request),
    /// connection.update-secret, by its class and method id.
    UpdateSecret((u16, u16)),
}

/// What a channel is to do again.
pub(super) enum Request {
    /// A method, by its frame's payload.
    Method(Box<[u8]>),
    /// A publish whose message is complete; the channel keeps it.
    Publish,
}

impl Open {
    /// Whether a request has failed only because an authorizer must be asked first. It is asked, and the request waits.
    pub(super) fn asks_first(&mut self, frame: &Frame<'_>) -> bool {
        let Some(channel) = self.channels.open(frame.channel) else { return false };
        let Some(question) = channel.take_question() else { return false };
        let id = ChannelId { number: frame.channel, id: channel.id() };
        let request = match frame.kind {
            FrameKind::Method => Request::Method(frame.payload.into()),
            FrameKind::Header | FrameKind::Body | FrameKind::Heartbeat => Request::Publish,
        };
        self.waiting = Some(Waiting::Channel(id, request));
        self.ask(question);
        true
    }

    /// The authorizer has answered: what waited for it is done again.
    pub(super) fn answered(
        &mut self,
        question: OwnedQuestion,
        answer: Answer,
        turn: &mut Turn<'_>,
        outbox: &mut Outbox,
    ) {
        match self.waiting.take() {
            Some(Waiting::Channel(id, request)) => {
                // It may have been closed meanwhile, and the connection with it.
                let Some(channel) = self.channels.touch_same(id.number, id.id) else { return };
                channel.answered(question, answer);
                self.do_again(id, request, turn, outbox);
            }
            Some(Waiting::UpdateSecret(ids)) if matches!(self.phase, Phase::Running) => {
                let Session { username, vhost, .. } = &*self.session;
                let admitted = answer.to_result(question.question(), username, &vhost.name);
                if let Err(failure) = secret_updated(admitted, ids, outbox) {
                    self.fail(0, failure, turn, outbox);
                }
            }
            Some(Waiting::UpdateSecret(_)) | None => {}
        }
    }

    /// What connection.update-secret comes to. The secret itself is not looked at: RabbitMQ hands it to those of its
    /// backends whose credentials expire (OAuth 2 tokens), which its internal one's never do, and clients that rotate
    /// passwords rely on any being taken. As there, access to the vhost is looked at anew.
    pub(super) fn update_secret(&mut self, ids: (u16, u16), outbox: &mut Outbox) -> Result<(), Failure> {
        let Session { broker, identity, vhost, registration, .. } = &*self.session;
        match identity.authority() {
            Authority::Internal => {
                let admitted = broker.access().check_vhost(&identity.user().name, &vhost.name);
                secret_updated(admitted, ids, outbox)
            }
            Authority::External(_) => {
                let question = Question::VHost { peer: registration.accepted().peer_ip() };
                self.ask(question.to_owned_question());
                self.waiting = Some(Waiting::UpdateSecret(ids));
                Ok(())
            }
        }
    }

    fn do_again(&mut self, id: ChannelId, request: Request, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        match request {
            Request::Method(payload) => {
                let frame = Frame { kind: FrameKind::Method, channel: id.number, payload: &payload };
                self.frame(&frame, turn, outbox);
            }
            Request::Publish => self.publish_again(id, turn, outbox),
        }
        if self.waiting.is_none()
            && let Some(channel) = self.channels.open(id.number)
        {
            channel.have_done();
        }
    }

    fn publish_again(&mut self, id: ChannelId, turn: &mut Turn<'_>, outbox: &mut Outbox) {
        let step = &mut Step::new(&self.session, turn, outbox, &mut self.held);
        let Some(channel) = self.channels.touch_same(id.number, id.id) else { return };
        let Err(error) = channel.publish_kept(step) else { return };
        let failure = Failure { error, ids: channel.failing_method() };
        let last = Frame { kind: FrameKind::Body, channel: id.number, payload: &[] };
        if !self.asks_first(&last) {
            self.fail(id.number, failure, turn, outbox);
        }
    }

    /// Puts a question; the answer comes by mail.
    fn ask(&self, question: OwnedQuestion) {
        let Session { identity, vhost, mailbox, .. } = &*self.session;
        let Authority::External(external) = identity.authority() else { return };
        let (external, mailbox) = (Arc::clone(external), mailbox.clone());
        let (user, vhost) = (Arc::clone(identity.user()), Arc::clone(&vhost.name));
        tokio::spawn(async move {
            let answer = external.ask(user, vhost, question.clone()).await;
            mailbox.send(Mail::Answered { question, answer });
        });
    }
}

fn secret_updated(admitted: Result<(), Error>, ids: (u16, u16), outbox: &mut Outbox) -> Result<(), Failure> {
    admitted.map_err(|error| Failure { error, ids })?;
    outbox.method(0, &connection_class::UpdateSecretOk.into());
    Ok(())
}
