//! basic.publish with its content: checks, routing, returns, confirms.

use leveret_amqp::{Properties, ReplyCode, basic, split_exchange_and_key};
use leveret_broker::{Error, Publish, Turn, message, plugin::IncomingMessage};

use super::{
    Channel,
    assembly::Head,
    confirms::{Confirm, Confirms},
    message::OwnedMessage,
    reply_to, stats,
};
use crate::{outbox::Outbox, session::Session, step::Step};

/// A message with all its parts in hand.
pub(super) struct Incoming<'a> {
    pub(super) exchange_and_key: &'a [u8],
    pub(super) exchange: &'a str,
    pub(super) routing_key: &'a [u8],
    pub(super) properties: Properties<'a>,
    pub(super) properties_raw: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) mandatory: bool,
}

/// What became of a message.
#[derive(Clone, Copy)]
struct Routed {
    anywhere: bool,
    durable: bool,
}

impl Channel {
    pub(super) fn begin_publish(&mut self, publish: &basic::Publish<'_>) -> Result<(), Error> {
        if publish.immediate {
            return Err(Error::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        self.assembly.begin(publish);
        Ok(())
    }

    /// Publishes the message whose last frame has come.
    pub(super) fn publish(&mut self, body: &[u8], step: &mut Step<'_, '_>) -> Result<(), Error> {
        let head = self.assembly.take_head();
        let result = self.publish_from(&head, body, step);
        self.assembly.reuse(head);
        result
    }

    /// As [`Self::publish`], with the body that was gathered.
    pub(super) fn publish_gathered(&mut self, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let body = self.assembly.take_body();
        let result = self.publish(&body, step);
        self.assembly.reuse_body(body);
        result
    }

    pub(super) fn publish_from(&mut self, head: &Head, body: &[u8], step: &mut Step<'_, '_>) -> Result<(), Error> {
        let mut message = Incoming::parse(&head.exchange_and_key, &head.properties_raw, body, head.mandatory)?;
        if let Err(error) = self.check(&message, step.session) {
            self.keep_if_asked(&message);
            return Err(error);
        }
        let intercepted = intercept(&message, step)?;
        if let Some(intercepted) = &intercepted {
            message.set_properties(intercepted)?;
        }
        stats::count(&self.stats.published, 1);
        let rewritten = self.rewrite_reply_to(&message.properties)?;
        if let Some(rewritten) = &rewritten {
            message.set_properties(rewritten)?;
        }
        match &mut self.transaction {
            Some(transaction) => transaction.publish(message.to_owned_message(), step.session, &self.stats),
            None => self.publish_now(&message, step),
        }
    }

    fn publish_now(&mut self, message: &Incoming<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let tag = self.confirms.as_mut().map_or(0, Confirms::next);
        let routed = self.route(message, tag, step)?;
        if routed.durable
            && let Some(confirms) = &mut self.confirms
        {
            confirms.wait_for_disk();
        }
        Ok(())
    }

    /// Sends a message on its way, or back to the client where it is mandatory and has none. True where something must
    /// reach the disk.
    pub(super) fn route_or_return(
        &mut self,
        message: &Incoming<'_>,
        tag: u64,
        step: &mut Step<'_, '_>,
    ) -> Result<bool, Error> {
        self.route(message, tag, step).map(|routed| routed.durable)
    }

    /// Has the confirms of a read batch sent: those that need no disk now, the others by mail.
    pub(super) fn confirm_batch(&mut self, step: &mut Step<'_, '_>) {
        let refused = std::mem::take(&mut self.refused);
        let Some(confirms) = &mut self.confirms else { return };
        let (awaited, ready) = confirms.close_batch(refused);
        if let Some(upto) = awaited {
            step.notify_committed(self.id, upto);
        }
        self.send_confirms(&ready, step.outbox);
    }

    pub(super) fn send_confirms(&self, confirms: &[Confirm], outbox: &mut Outbox) {
        for confirm in confirms {
            let method = match *confirm {
                Confirm::Ack { tag: delivery_tag, multiple } => basic::Ack { delivery_tag, multiple }.into(),
                Confirm::Nack { tag: delivery_tag, multiple } => {
                    basic::Nack { delivery_tag, multiple, requeue: false }.into()
                }
            };
            outbox.method(self.id.number, &method);
        }
        if let Some(confirms) = &self.confirms {
            stats::set(&self.stats.confirmed, confirms.confirmed());
            stats::set(&self.stats.unconfirmed, confirms.unconfirmed());
        }
    }

    fn check(&mut self, message: &Incoming<'_>, session: &Session) -> Result<(), Error> {
        self.permissions.check_publish(session, message.exchange, message.routing_key)?;
        if let Some(claimed) = message.properties.user_id {
            session.identity.check_user_id(session.broker.access(), claimed)?;
        }
        message::expiration_ms(&message.properties)?;
        // Headers go out to consumers as they came in; a malformed table would be their connection's end.
        if let Some(headers) = message.properties.headers {
            headers.validate()?;
        }
        Ok(())
    }

    fn route(&mut self, message: &Incoming<'_>, tag: u64, step: &mut Step<'_, '_>) -> Result<Routed, Error> {
        let routed = if reply_to::is_reply(message) {
            Routed { anywhere: step.session.reply_consumers.deliver(message), durable: false }
        } else {
            self.route_to_queues(message, tag, step.turn)?
        };
        if message.mandatory && !routed.anywhere {
            self.return_unroutable(message, step.outbox);
        }
        Ok(routed)
    }

    fn route_to_queues(&mut self, message: &Incoming<'_>, tag: u64, turn: &mut Turn<'_>) -> Result<Routed, Error> {
        let publish = Publish {
            exchange_and_key: message.exchange_and_key,
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: &message.properties,
            properties_raw: message.properties_raw,
            body: message.body,
            dead_lettered: false,
        };
        let routing = self.publisher.publish(turn, &publish, tag)?;
        Ok(Routed { anywhere: routing.routed, durable: routing.durable })
    }

    /// basic.return, which goes out before the confirm, as clients rely on.
    fn return_unroutable(&self, message: &Incoming<'_>, outbox: &mut Outbox) {
        let method = basic::Return {
            reply_code: ReplyCode::NoRoute.code(),
            reply_text: ReplyCode::NoRoute.name(),
            exchange: message.exchange,
            routing_key: message.routing_key,
        };
        outbox.method(self.id.number, &method.into());
        outbox.content(self.id.number, message.properties_raw, message.body, || message.body.to_vec().into());
        stats::count(&self.stats.returned_unroutable, 1);
    }
}

/// The raw properties that interceptors have given a message, where they have changed them.
fn intercept(message: &Incoming<'_>, step: &Step<'_, '_>) -> Result<Option<Vec<u8>>, Error> {
    let session = step.session;
    session.broker.intercept(&IncomingMessage {
        now_ms: step.turn.now_ms,
        user: &session.username,
        vhost: &session.vhost.name,
        exchange: message.exchange,
        routing_key: message.routing_key,
        properties: &message.properties,
        body: message.body,
    })
}

impl<'a> Incoming<'a> {
    /// Reads the parts of a message as they came.
    ///
    /// # Errors
    /// 502 where its properties are malformed.
    pub(super) fn parse(
        exchange_and_key: &'a [u8],
        properties_raw: &'a [u8],
        body: &'a [u8],
        mandatory: bool,
    ) -> Result<Self, Error> {
        let (exchange, routing_key) = split_exchange_and_key(exchange_and_key)?;
        Ok(Self {
            exchange_and_key,
            exchange,
            routing_key,
            properties: Properties::parse(properties_raw)?,
            properties_raw,
            body,
            mandatory,
        })
    }

    /// Goes on with other properties.
    fn set_properties(&mut self, raw: &'a [u8]) -> Result<(), Error> {
        self.properties = Properties::parse(raw)?;
        self.properties_raw = raw;
        Ok(())
    }

    /// A message that was kept.
    ///
    /// # Errors
    /// Never for what came from a publish.
    pub(super) fn of(message: &'a OwnedMessage) -> Result<Self, Error> {
        Self::parse(message.exchange_and_key(), message.properties_raw(), message.body(), message.mandatory)
    }

    /// A copy that outlives the frames.
    pub(super) fn to_owned_message(&self) -> OwnedMessage {
        OwnedMessage::new(self.exchange_and_key, self.properties_raw, self.body, self.mandatory)
    }
}
