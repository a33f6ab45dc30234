//! Who may come in, as the broker's backends, limits and vhosts say.

use std::sync::Arc;

use leveret_amqp::ReplyCode;
use leveret_broker::{Broker, Error, VHost, access::Refusal, auth::Identity};

use super::{Shared, events, handshake::Gate, sasl::Credentials};
use crate::{
    registry::{Accepted, Registration, user_deleted, vhost_deleted},
    tally::ConnectionPlace,
};

/// What a client that is let in has.
pub(crate) struct Entry {
    /// Where it is.
    pub(crate) vhost: Arc<VHost>,
    /// Among those who are there.
    pub(crate) place: ConnectionPlace,
}

/// The door of a server for one peer.
pub(crate) struct BrokerGate<'a> {
    shared: &'a Shared,
    accepted: &'a Accepted,
}

impl<'a> BrokerGate<'a> {
    /// The door for the peer of `registration`. A peer without an address is this process itself.
    pub(crate) fn new(shared: &'a Shared, registration: &'a Registration) -> Self {
        Self { shared, accepted: registration.accepted() }
    }
}

impl Gate for BrokerGate<'_> {
    type Entry = Entry;

    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Refusal> {
        let from_loopback = self.accepted.peer_ip().is_none_or(|peer| peer.is_loopback());
        self.shared.broker.log_in(&credentials.username, &credentials.password, from_loopback).await
    }

    fn login(&self, mechanism: &str, user: Option<&str>, outcome: Result<(), &str>) {
        events::login(&self.shared.broker, self.accepted, mechanism, user, outcome);
    }

    /// In RabbitMQ's order: the limits of the server, the vhost and the user, then whether there is a way in.
    async fn enter(&self, identity: &Identity, vhost: &str) -> Result<Entry, Error> {
        let Shared { broker, connections, connection_max, tally, .. } = self.shared;
        // This connection counts as one of them already.
        if *connection_max != 0 && connections.len() > *connection_max {
            let text = format!("connection refused: node connection limit ({connection_max}) is reached");
            return Err(Error::new(ReplyCode::NotAllowed, text));
        }
        let (limits, username) = (broker.limits(), &identity.user().name);
        let place = tally.connection(&vhost.into(), username, limits.vhost(vhost), limits.user(username))?;
        let found = broker.vhost(vhost);
        let found = found.ok_or_else(|| Error::new(ReplyCode::NotAllowed, format!("vhost {vhost} not found")))?;
        identity.check_vhost(broker.access(), vhost, self.accepted.peer_ip()).await?;
        Ok(Entry { vhost: found, place })
    }
}

/// Whoever deletes a vhost or a user has the open connections closed. One that was let in before and is listed only
/// after that looks for itself, once it is listed: so none is missed.
///
/// A user whom another backend has let in need not be in the internal one.
pub(crate) fn no_longer_welcome(broker: &Broker, vhost: &VHost, identity: &Identity) -> Option<String> {
    if vhost.is_deleted() {
        return Some(vhost_deleted(&vhost.name));
    }
    let username = &identity.user().name;
    let is_deleted = identity.needs_internal_user() && broker.access().user(username).is_none();
    is_deleted.then(|| user_deleted(username))
}

#[cfg(test)]
mod tests {
    use leveret_broker::{BrokerConfig, VHostMetadata};
    use leveret_store::{Options, Store};

    use super::*;

    #[test]
    fn who_came_too_late_learns_why() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap();
        let config = BrokerConfig {
            default_user: "u".into(),
            default_password: "p".into(),
            loopback_users: Vec::new(),
            message_memory_bytes: usize::MAX,
        };
        let broker = Broker::open(store, &config, Arc::default()).unwrap();
        let mut turn = broker.turn();
        broker.create_vhost(&mut turn, "v", VHostMetadata::default()).unwrap();
        let vhost = broker.vhost("v").unwrap();
        let user = Identity::internal(broker.access().user("u").unwrap());
        assert_eq!(no_longer_welcome(&broker, &vhost, &user), None);
        assert!(broker.remove_vhost(&mut turn, "v"));
        broker.create_vhost(&mut turn, "v", VHostMetadata::default()).unwrap();
        assert_eq!(no_longer_welcome(&broker, &vhost, &user).unwrap(), "vhost 'v' is deleted", "a new one is another");
        let vhost = broker.vhost("v").unwrap();
        assert_eq!(no_longer_welcome(&broker, &vhost, &user), None);
        broker.delete_user(&mut turn, "u").unwrap();
        assert_eq!(no_longer_welcome(&broker, &vhost, &user).unwrap(), "user 'u' is deleted");
        drop(turn);
        broker.shutdown();
    }
}
