//! What happens to connections, as observers are told.

use std::sync::Arc;

use leveret_broker::{
    Broker,
    plugin::{Connection, EventKind, Login, internal_user},
};

use crate::registry::{Accepted, Opened, Registration};

/// The connection is open.
pub(crate) fn created(broker: &Broker, registration: &Registration) {
    tell(broker, registration, EventKind::ConnectionCreated);
}

/// The connection has ended.
pub(crate) fn closed(broker: &Broker, registration: &Registration) {
    tell(broker, registration, EventKind::ConnectionClosed);
}

/// Somebody has logged in, or was refused for a reason.
pub(crate) fn login(
    broker: &Broker,
    accepted: &Accepted,
    mechanism: &str,
    user: Option<&str>,
    outcome: Result<(), &str>,
) {
    broker.tell(internal_user(), || {
        let login = Arc::new(Login {
            user: user.map(Arc::from),
            connection_name: Arc::clone(&accepted.name),
            protocol: accepted.protocol,
            auth_mechanism: mechanism.into(),
            peer: accepted.peer,
            local: accepted.local,
        });
        match outcome {
            Ok(()) => EventKind::LoginSucceeded(login),
            Err(reason) => EventKind::LoginFailed(login, reason.into()),
        }
    });
}

/// A connection that never opened is nothing to tell of.
fn tell(broker: &Broker, registration: &Registration, kind: impl FnOnce(Arc<Connection>) -> EventKind) {
    let Some(opened) = registration.open() else { return };
    broker.tell(&opened.username, || kind(Arc::new(connection(registration.accepted(), opened))));
}

fn connection(accepted: &Accepted, opened: &Opened) -> Connection {
    Connection {
        id: accepted.id,
        name: Arc::clone(&accepted.name),
        user: Arc::clone(&opened.username),
        vhost: Arc::clone(&opened.vhost),
        protocol: accepted.protocol,
        auth_mechanism: Arc::clone(&opened.mechanism),
        peer: accepted.peer,
        local: accepted.local,
        connected_at_ms: accepted.connected_at_ms,
        frame_max: opened.frame_max,
        channel_max: opened.channel_max,
        heartbeat_s: opened.heartbeat_s,
        client_properties: opened.client_properties.clone(),
    }
}
