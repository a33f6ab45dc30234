//! What a client that has logged in can have done: the broker's part, which knows no lines.

use std::sync::Arc;

use leveret_amqp::{OwnedProperties, Properties, ReplyCode, encode_exchange_and_key};
use leveret_broker::{
    Broker, Error, Publish, Publisher, Turn,
    access::{Permission, Resource},
    message::{PERSISTENT, RecordView},
    plugin::{Entry, IncomingMessage},
    queue::{DeliveryRun, Outcome, Queue},
};
use tokio::sync::oneshot;

pub struct Session {
    broker: Arc<Broker>,
    connection_id: u64,
    entry: Entry,
    publisher: Publisher,
    unacknowledged: Option<Unacknowledged>,
}

/// What became of a message.
#[derive(Debug, PartialEq)]
pub enum Published {
    /// It is as safe as the store is configured to make it.
    Safe,
    /// No queue was there for it.
    Unroutable,
    /// A queue is full (`reject-publish`).
    Refused,
}

/// What was got.
pub enum Got {
    /// A message's body.
    Message(Vec<u8>),
    /// Nothing is there.
    Empty,
}

impl Session {
    pub fn new(broker: Arc<Broker>, connection_id: u64, entry: Entry) -> Self {
        let publisher = Publisher::new(Arc::clone(&entry.vhost));
        Self { broker, connection_id, entry, publisher, unacknowledged: None }
    }

    /// Publishes a persistent message, and waits until it is safe.
    pub async fn publish(&mut self, exchange: &str, key: &str, body: &[u8]) -> Result<Published, Error> {
        if [exchange, key].iter().any(|name| !leveret_amqp::fits_short_string(name.as_bytes())) {
            return Err(Error::precondition_failed("a name or key is longer than 255 bytes"));
        }
        // All that is asked of others comes first, then the turn: nobody may be waited for within it.
        let Entry { identity, vhost } = &self.entry;
        identity.check_publish(self.broker.access(), vhost, exchange, key.as_bytes()).await?;
        let (published, safe) = self.publish_now(exchange, key.as_bytes(), body)?;
        safe.wait().await?;
        Ok(published)
    }

    /// In one turn, and so in one commit.
    fn publish_now(&mut self, exchange: &str, routing_key: &[u8], body: &[u8]) -> Result<(Published, Safe), Error> {
        let Self { broker, entry, publisher, .. } = self;
        let (user, vhost) = (&entry.identity.user().name, &entry.vhost.name);
        let mut turn = broker.turn().by(user);
        let mut raw = OwnedProperties { delivery_mode: Some(PERSISTENT), ..OwnedProperties::default() }.to_raw();
        let properties = &Properties::parse(&raw)?;
        let incoming = IncomingMessage { now_ms: turn.now_ms, user, vhost, exchange, routing_key, properties, body };
        if let Some(intercepted) = broker.intercept(&incoming)? {
            raw = intercepted;
        }
        let mut exchange_and_key = Vec::new();
        encode_exchange_and_key(exchange, routing_key, &mut exchange_and_key);
        let publish = Publish {
            exchange_and_key: &exchange_and_key,
            exchange,
            routing_key,
            properties: &Properties::parse(&raw)?,
            properties_raw: &raw,
            body,
            dead_lettered: false,
        };
        let routing = publisher.publish(&mut turn, &publish, 0)?;
        let refused = publisher.flush(&mut turn);
        let published = match (routing.routed, refused.is_empty()) {
            (false, _) => Published::Unroutable,
            (true, false) => Published::Refused,
            (true, true) => Published::Safe,
        };
        Ok((published, if routing.durable { Safe::after(&turn) } else { Safe::already() }))
    }

    /// Takes a message from a queue.
    pub async fn get(&mut self, queue: &str) -> Result<Got, Error> {
        if self.unacknowledged.is_some() {
            return Err(Error::precondition_failed("the message that was got before is to be acknowledged first"));
        }
        let Entry { identity, vhost } = &self.entry;
        identity.check(self.broker.access(), &vhost.name, Permission::Read, Resource::Queue(queue)).await?;
        let queue = vhost.queue(queue, self.connection_id)?;
        let Some(got) = queue.get(&mut self.broker.turn(), false)? else { return Ok(Got::Empty) };
        let unacknowledged = Unacknowledged { broker: Arc::clone(&self.broker), queue, run: got.run, outcome: BACK };
        let body = unacknowledged.body()?;
        self.unacknowledged = Some(unacknowledged);
        Ok(Got::Message(body))
    }

    /// Acknowledges the message that was got, and waits until that is safe.
    pub async fn acknowledge(&mut self) -> Result<(), Error> {
        let nothing = || Error::precondition_failed("there is nothing to acknowledge");
        let mut unacknowledged = self.unacknowledged.take().ok_or_else(nothing)?;
        unacknowledged.outcome = Outcome::Ack;
        drop(unacknowledged);
        let safe = Safe::after(&self.broker.turn());
        safe.wait().await
    }
}

/// Where a message goes whose client has not acknowledged it.
const BACK: Outcome = Outcome::Requeue { count_attempt: true };

/// A message on its way: it is settled however this goes.
struct Unacknowledged {
    broker: Arc<Broker>,
    queue: Arc<Queue>,
    run: DeliveryRun,
    outcome: Outcome,
}

impl Unacknowledged {
    fn body(&self) -> Result<Vec<u8>, Error> {
        let unreadable = || Error::new(ReplyCode::InternalError, "a message cannot be read");
        let record = RecordView::parse(self.run.record(0)).ok_or_else(unreadable)?;
        Ok(record.body.to_vec())
    }
}

impl Drop for Unacknowledged {
    fn drop(&mut self) {
        let runs = [self.run.run()].into_iter().collect();
        self.queue.settle(&mut self.broker.turn(), None, runs, self.outcome);
    }
}

/// The store's word that what was done is safe.
struct Safe(Option<oneshot::Receiver<Result<(), String>>>);

impl Safe {
    /// Nothing has to reach the disk.
    fn already() -> Self {
        Self(None)
    }

    /// All that was done in the turn so far.
    fn after(turn: &Turn<'_>) -> Self {
        let (sender, receiver) = oneshot::channel();
        turn.after_commit(Box::new(move |result| {
            // The client may have gone.
            let _ = sender.send(result.map_err(|error| error.to_string()));
        }));
        Self(Some(receiver))
    }

    async fn wait(self) -> Result<(), Error> {
        let Some(receiver) = self.0 else { return Ok(()) };
        let result = receiver.await.unwrap_or_else(|_| Err("the store is closed".to_owned()));
        result.map_err(|reason| Error::new(ReplyCode::InternalError, reason))
    }
}
