//! Who may come in, as the broker's users, permissions and vhosts say.

use std::sync::Arc;

use leveret_amqp::ReplyCode;
use leveret_broker::{Broker, Error, VHost, access::Refusal};

use super::{Shared, events, handshake::Gate, sasl::Credentials};
use crate::{
    registry::{Accepted, Registration, user_deleted, vhost_deleted},
    tally::ConnectionPlace,
};

/// What a client that is let in has.
pub(super) struct Entry {
    /// Where it is.
    pub(super) vhost: Arc<VHost>,
    /// Among those who are there.
    pub(super) place: ConnectionPlace,
}

/// The door of a server for one peer.
pub(super) struct BrokerGate<'a> {
    shared: &'a Shared,
    accepted: &'a Accepted,
    from_loopback: bool,
}

impl<'a> BrokerGate<'a> {
    /// The door for the peer of `registration`. A peer without an address is this process itself.
    pub(super) fn new(shared: &'a Shared, registration: &'a Registration) -> Self {
        let accepted = registration.accepted();
        let peer = accepted.peer;
        Self { shared, accepted, from_loopback: peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback()) }
    }
}

impl Gate for BrokerGate<'_> {
    type Entry = Entry;

    fn authenticate(&self, credentials: &Credentials) -> Result<Arc<str>, Refusal> {
        let access = self.shared.broker.access();
        let user = access.authenticate(&credentials.username, &credentials.password, self.from_loopback)?;
        Ok(Arc::clone(&user.name))
    }

    fn login(&self, mechanism: &str, user: Option<&str>, outcome: Result<(), &str>) {
        events::login(&self.shared.broker, self.accepted, mechanism, user, outcome);
    }

    /// In RabbitMQ's order: the limits of the server, the vhost and the user, then whether there is a way in.
    fn enter(&self, username: &Arc<str>, vhost: &str) -> Result<Entry, Error> {
        let Shared { broker, connections, connection_max, tally, .. } = self.shared;
        // This connection counts as one of them already.
        if *connection_max != 0 && connections.len() > *connection_max {
            let text = format!("connection refused: node connection limit ({connection_max}) is reached");
            return Err(Error::new(ReplyCode::NotAllowed, text));
        }
        let limits = broker.limits();
        let place = tally.connection(&vhost.into(), username, limits.vhost(vhost), limits.user(username))?;
        let found = broker.vhost(vhost);
        let found = found.ok_or_else(|| Error::new(ReplyCode::NotAllowed, format!("vhost {vhost} not found")))?;
        broker.access().check_vhost(username, vhost)?;
        Ok(Entry { vhost: found, place })
    }
}

/// Whoever deletes a vhost or a user has the open connections closed. One that was let in before and is listed only
/// after that looks for itself, once it is listed: so none is missed.
pub(super) fn no_longer_welcome(broker: &Broker, vhost: &VHost, username: &str) -> Option<String> {
    if vhost.is_deleted() {
        return Some(vhost_deleted(&vhost.name));
    }
    broker.access().user(username).is_none().then(|| user_deleted(username))
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
        assert_eq!(no_longer_welcome(&broker, &vhost, "u"), None);
        assert!(broker.remove_vhost(&mut turn, "v"));
        broker.create_vhost(&mut turn, "v", VHostMetadata::default()).unwrap();
        assert_eq!(no_longer_welcome(&broker, &vhost, "u").unwrap(), "vhost 'v' is deleted", "a new one is another");
        let vhost = broker.vhost("v").unwrap();
        assert_eq!(no_longer_welcome(&broker, &vhost, "u"), None);
        broker.delete_user(&mut turn, "u").unwrap();
        assert_eq!(no_longer_welcome(&broker, &vhost, "u").unwrap(), "user 'u' is deleted");
        drop(turn);
        broker.shutdown();
    }
}
