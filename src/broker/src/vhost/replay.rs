//! What an exchange has kept goes to whoever binds to it.

use std::sync::Arc;

use leveret_amqp::{Properties, WireError};

use super::VHost;
use crate::{
    Error, Publish, Publisher, Turn, exchange::Destination, message::RecordView, queue::Queue, routing::Sender,
    timeline::Waiting,
};

/// Why a message that was kept cannot be sent.
#[derive(Debug, thiserror::Error)]
enum Unsendable {
    #[error("its record cannot be read")]
    Record,
    #[error("its properties cannot be read: {0}")]
    Properties(#[from] WireError),
    #[error("{0}")]
    Routing(#[from] Error),
}

/// Where a destination's messages go.
enum Target<'a> {
    Queue(Arc<Queue>),
    Exchange(&'a str),
}

impl VHost {
    /// Sends what `source` has kept to a destination that was bound just now, oldest first. Who publishes meanwhile comes
    /// before or after it, or both.
    pub(super) fn replay(&self, turn: &mut Turn<'_>, source: &str, destination: &Destination) {
        let Some(history) = self.history(source) else { return };
        let Some(vhost) = turn.broker.vhost(&self.name) else { return };
        let target = match destination {
            Destination::Queue(name) => self.find_queue(name).map(Target::Queue),
            Destination::Exchange(name) => Some(Target::Exchange(name)),
        };
        let Some(target) = target else { return };
        let store = turn.broker.store();
        let kept = match history.kept(store) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::error!(exchange = source, vhost = %self.name, %error, "cannot read what is kept");
                return store.poison(&error);
            }
        };
        let mut publisher = Publisher::from(Sender::Broker, vhost);
        for message in &kept {
            if let Err(reason) = send(turn, &mut publisher, message, &target) {
                tracing::debug!(exchange = source, vhost = %self.name, %reason, "a message that was kept is not sent");
            }
        }
        publisher.flush(turn);
    }
}

fn send(
    turn: &mut Turn<'_>,
    publisher: &mut Publisher,
    message: &Waiting,
    target: &Target<'_>,
) -> Result<(), Unsendable> {
    let record = message.record().ok_or(Unsendable::Record)?;
    let RecordView { exchange_and_key, routing_key, properties_raw, body, dead_lettered, .. } = record;
    let properties = &Properties::parse(properties_raw)?;
    let exchange = match target {
        Target::Queue(_) => "",
        Target::Exchange(name) => name,
    };
    let publish = Publish { exchange_and_key, exchange, routing_key, properties, properties_raw, body, dead_lettered };
    match target {
        Target::Queue(queue) => publisher.publish_to(turn, queue, &publish, 0)?,
        Target::Exchange(_) => _ = publisher.publish(turn, &publish, 0)?,
    }
    Ok(())
}
