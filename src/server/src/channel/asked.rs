//! What a channel has asked an authorizer that cannot answer on the spot. The connection puts the question and has the
//! channel do the same request again with the answer: see `connection::asking`.

use std::{sync::Arc, time::Instant};

use leveret_broker::{
    Error,
    auth::{Answer, External, OwnedQuestion, Question},
};

use super::{Channel, assembly::Head, message::OwnedMessage, names, publish::Incoming};
use crate::{session::Session, step::Step};

/// The authorizer, and the request that waits for it.
pub(super) struct Asked {
    external: Arc<External>,
    /// To be put before the last refusal is believed.
    question: Option<OwnedQuestion>,
    /// What was answered to this request. It holds until the request is done, however slow the backend and however short
    /// the time for which others remember it: each question of a request is put once.
    answers: Vec<(OwnedQuestion, Answer)>,
    /// The message whose publish waits.
    message: Option<OwnedMessage>,
    /// Drawn for the queue whose declaration waits.
    queue_name: Option<String>,
}

impl Asked {
    /// Nothing asked yet.
    pub(super) fn new(external: Arc<External>) -> Self {
        Self { external, question: None, answers: Vec::new(), message: None, queue_name: None }
    }

    /// Whether the user may. Where that is not known it is refused, and there is a question.
    ///
    /// # Errors
    /// 403 where not.
    pub(super) fn check(&mut self, session: &Session, question: Question<'_>) -> Result<(), Error> {
        let (user, vhost) = (session.identity.user(), &session.vhost.name);
        if let Some((_, answer)) = self.answers.iter().find(|(asked, _)| asked.is(question)) {
            return answer.to_result(question, &user.name, vhost);
        }
        if self.external.remembers(user, vhost, question, Instant::now()) {
            return Ok(());
        }
        self.question = Some(question.to_owned_question());
        Err(question.refused(&user.name, vhost))
    }

    fn have_done(&mut self) {
        self.answers.clear();
        self.message = None;
        self.queue_name = None;
    }
}

impl Channel {
    /// What an authorizer must be asked before the refusal that the last request has come to is to be believed.
    pub(crate) fn take_question(&mut self) -> Option<OwnedQuestion> {
        self.permissions.asked.as_mut()?.question.take()
    }

    /// An authorizer has answered; the request that it is for is done again next.
    pub(crate) fn answered(&mut self, question: OwnedQuestion, answer: Answer) {
        if let Some(asked) = &mut self.permissions.asked {
            asked.answers.push((question, answer));
        }
    }

    /// Publishes the message that was kept until an authorizer has answered.
    ///
    /// # Errors
    /// What the publish may fail with.
    pub(crate) fn publish_kept(&mut self, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let kept = self.permissions.asked.as_mut().and_then(|asked| asked.message.take());
        let Some(kept) = kept else { return Ok(()) };
        let head = Head {
            exchange_and_key: kept.exchange_and_key().to_vec(),
            properties_raw: kept.properties_raw().to_vec(),
            mandatory: kept.mandatory,
        };
        self.publish_from(&head, kept.body(), step)
    }

    /// The request that answers were for is done.
    pub(crate) fn have_done(&mut self) {
        if let Some(asked) = &mut self.permissions.asked {
            asked.have_done();
        }
        self.room = None;
    }

    /// Whether the refusal just given was one for want of an answer.
    pub(super) fn has_question(&self) -> bool {
        self.permissions.asked.as_ref().is_some_and(|asked| asked.question.is_some())
    }

    /// Keeps a message where its publish will be done again. The room taken for a large one stays taken.
    pub(super) fn keep_if_asked(&mut self, message: &Incoming<'_>) {
        if let Some(asked) = &mut self.permissions.asked
            && asked.question.is_some()
        {
            asked.message = Some(message.to_owned_message());
        }
    }

    /// A name for a queue that the client does not name: the same one each time that the request is done again.
    pub(super) fn drawn_queue_name(&mut self) -> String {
        let draw = || names::unique("amq.gen-");
        match &mut self.permissions.asked {
            None => draw(),
            Some(asked) => asked.queue_name.get_or_insert_with(draw).clone(),
        }
    }
}
