//! Who may come in, as the broker's users, permissions and vhosts say.

use std::sync::Arc;

use leveret_amqp::ReplyCode;
use leveret_broker::{Error, VHost, access::Refusal};

use super::{Shared, handshake::Gate, sasl::Credentials};
use crate::registry::Registration;

/// The door of a server for one peer.
pub(super) struct BrokerGate<'a> {
    shared: &'a Shared,
    from_loopback: bool,
}

impl<'a> BrokerGate<'a> {
    /// The door for the peer of `registration`. A peer without an address is this process itself.
    pub(super) fn new(shared: &'a Shared, registration: &Registration) -> Self {
        let peer = registration.accepted().peer;
        Self { shared, from_loopback: peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback()) }
    }
}

impl Gate for BrokerGate<'_> {
    type VHost = Arc<VHost>;

    fn authenticate(&self, credentials: &Credentials) -> Result<Arc<str>, Refusal> {
        let access = self.shared.broker.access();
        let user = access.authenticate(&credentials.username, &credentials.password, self.from_loopback)?;
        Ok(Arc::clone(&user.name))
    }

    fn enter(&self, username: &str, vhost: &str) -> Result<Self::VHost, Error> {
        let Shared { broker, connections, connection_max, .. } = self.shared;
        // This connection counts as one of them already.
        if *connection_max != 0 && connections.len() > *connection_max {
            let text = format!("connection refused: node connection limit ({connection_max}) is reached");
            return Err(Error::new(ReplyCode::NotAllowed, text));
        }
        let found = broker.vhost(vhost);
        let found = found.ok_or_else(|| Error::new(ReplyCode::NotAllowed, format!("vhost {vhost} not found")))?;
        broker.access().check_vhost(username, vhost)?;
        Ok(found)
    }
}
