//! From events to messages.

use std::sync::Arc;

use leveret_amqp::{OwnedProperties, Properties, encode_exchange_and_key};
use leveret_broker::{Broker, Publish, Publisher, Turn, VHost, message, plugin::Event};

use crate::{
    EXCHANGE,
    headers::headers,
    inbox::{Inbox, Taken},
};

/// Events published in one turn: the store waits for the end of a turn before it commits.
const EVENTS_PER_TURN: usize = 256;

/// Publishes what comes, until the inbox is closed and empty.
pub(crate) fn run(broker: &Broker, vhost: &str, inbox: &Inbox) {
    while let Some(Taken { events, dropped }) = inbox.take() {
        if dropped > 0 {
            tracing::warn!(dropped, "events came faster than they could be published and are lost");
        }
        for some in events.chunks(EVENTS_PER_TURN) {
            // Deleted with its exchange, and those who were bound to that.
            let Some(vhost) = broker.vhost(vhost) else { continue };
            publish(broker, vhost, some);
        }
    }
}

fn publish(broker: &Broker, vhost: Arc<VHost>, events: &[Event]) {
    let mut publisher = Publisher::internal(vhost);
    let turn = &mut broker.turn();
    for event in events {
        publish_one(broker.node(), &mut publisher, turn, event);
    }
    // A queue may refuse what is too much for it; nobody waits to hear of that.
    publisher.flush(turn);
}

fn publish_one(node: &str, publisher: &mut Publisher, turn: &mut Turn<'_>, event: &Event) {
    let properties_raw = properties(event, node).to_raw();
    let name = event.kind.name();
    let mut exchange_and_key = Vec::new();
    encode_exchange_and_key(EXCHANGE, name.as_bytes(), &mut exchange_and_key);
    let published = Properties::parse(&properties_raw).map_err(Into::into).and_then(|properties| {
        let publish = Publish {
            exchange_and_key: &exchange_and_key,
            exchange: EXCHANGE,
            routing_key: name.as_bytes(),
            properties: &properties,
            properties_raw: &properties_raw,
            body: b"",
            dead_lettered: false,
        };
        publisher.publish(turn, &publish, 0)
    });
    if let Err(error) = published {
        tracing::warn!(event = name, %error, "an event could not be published");
    }
}

/// As RabbitMQ has them: persistent, with the time in seconds where that belongs and in milliseconds in a header.
fn properties(event: &Event, node: &str) -> OwnedProperties {
    OwnedProperties {
        delivery_mode: Some(message::PERSISTENT),
        timestamp: Some(event.at_ms / 1000),
        headers: Some(headers(event, node)),
        ..OwnedProperties::default()
    }
}
