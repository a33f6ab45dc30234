//! The front ends of plugins: where they are listened on, and what the server does for their connections.
//!
//! Such a connection is one of the server's like any other: it counts against `amqp.connection_max` and the limits of its
//! vhost and user, is listed, can be closed by name, hears of alarms, and is waited for when the server stops.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use leveret_amqp::{FieldTable, ReplyCode};
use leveret_broker::{
    Error,
    auth::Identity,
    plugin::{Client, Entrance, Entry, PasswordLogin, Protocol},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_util::{
    io::{InspectReader, InspectWriter},
    sync::CancellationToken,
};

use crate::{
    connection::{self, BrokerGate, Credentials, Gate, Shared, events, no_longer_welcome},
    listener::{self, Ends},
    mail::Mail,
    mailbox::{Mailbox, Mails},
    registry::{Accepted, Opened, Registration},
    server::ServerError,
};

/// A front end and a listener for it.
pub(crate) struct Bound {
    protocol: Arc<dyn Protocol>,
    listener: TcpListener,
    /// With the port that the system chose where 0 was configured.
    address: SocketAddr,
}

/// Listens wherever front ends want to be listened on.
///
/// # Errors
/// At the first address that cannot be listened on.
pub(crate) async fn bind(protocols: &[Arc<dyn Protocol>]) -> Result<Vec<Bound>, ServerError> {
    let mut bound = Vec::new();
    for protocol in protocols {
        for wanted in protocol.addresses().iter().filter(|wanted| !wanted.address.is_empty()) {
            let (listener, address) = listener::listen(&wanted.address, wanted.key).await?;
            bound.push(Bound { protocol: Arc::clone(protocol), listener, address });
        }
    }
    Ok(bound)
}

impl Bound {
    /// The protocol's name, and where it is listened on.
    pub(crate) fn place(&self) -> (&'static str, SocketAddr) {
        (self.protocol.name(), self.address)
    }

    /// Accepts connections and has them served, as [`listener::accept`] does.
    pub(crate) async fn accept(self, shared: Arc<Shared>, ends: Ends) {
        let Self { protocol, listener, .. } = self;
        let name = protocol.name();
        let serve = |socket, accepted| serve(socket, accepted, Arc::clone(&protocol), Arc::clone(&shared));
        listener::accept(listener, name, &shared, ends, serve).await;
    }
}

/// Serves a connection to its end, and logs how that was.
async fn serve(socket: TcpStream, accepted: Accepted, protocol: Arc<dyn Protocol>, shared: Arc<Shared>) {
    let name = Arc::clone(&accepted.name);
    let (mailbox, mail) = Mailbox::new();
    let registration = shared.connections.register(accepted, mailbox.clone());
    let connection = Arc::new(Connection {
        shared,
        registration,
        mailbox,
        inside: OnceLock::new(),
        alarm_changed: Notify::new(),
        told: OnceLock::new(),
    });
    let stop = CancellationToken::new();
    let served = protocol.serve(client(socket, &connection, stop.clone()));
    let outcome = tokio::select! {
        outcome = served => outcome.map_err(|reason| reason.to_string()),
        () = connection.out_of_patience(mail, stop) => Err("connection did not end in time".to_owned()),
    };
    match (connection.told.get(), outcome) {
        (Some(reason), Ok(())) => tracing::warn!(connection = %name, %reason, "connection closed"),
        (Some(told), Err(reason)) => tracing::warn!(connection = %name, %told, %reason, "connection closed"),
        (None, _) if !connection.registration.has_received() => {
            tracing::debug!(connection = %name, reason = "no data received", "connection closed");
        }
        (None, Ok(())) => tracing::info!(connection = %name, "connection closed by the client"),
        (None, Err(reason)) => tracing::warn!(connection = %name, %reason, "connection closed"),
    }
}

fn client(socket: TcpStream, connection: &Arc<Connection>, stop: CancellationToken) -> Client {
    let accepted = connection.registration.accepted();
    let (reads, writes) = (Arc::clone(connection), Arc::clone(connection));
    let socket = InspectReader::new(socket, move |bytes| reads.registration.count_received(bytes.len()));
    let socket = InspectWriter::new(socket, move |bytes| writes.registration.count_sent(bytes.len()));
    Client {
        broker: Arc::clone(&connection.shared.broker),
        stream: Box::new(socket),
        connection_id: accepted.id,
        name: Arc::clone(&accepted.name),
        peer: accepted.peer,
        local: accepted.local,
        entrance: Arc::clone(connection) as Arc<dyn Entrance>,
        stop,
    }
}

/// The server's side of a connection.
struct Connection {
    shared: Arc<Shared>,
    registration: Registration,
    mailbox: Mailbox,
    /// Since the login.
    inside: OnceLock<connection::Entry>,
    alarm_changed: Notify,
    /// Why the connection was told to end.
    told: OnceLock<Arc<str>>,
}

impl Connection {
    /// Reads the connection's mail. Completes once it was told to end and has had its time.
    async fn out_of_patience(&self, mut mail: Mails, stop: CancellationToken) {
        let reason = loop {
            match mail.next().await {
                Mail::AlarmChanged => self.alarm_changed.notify_waiters(),
                Mail::Close(reason) => break reason,
                Mail::Shutdown => break "the server stops".into(),
                // The rest is for channels, of which there are none.
                _ => {}
            }
        };
        // Nobody else sets it.
        let _ = self.told.set(reason);
        stop.cancel();
        tokio::time::sleep(self.shared.timings.close_ok).await;
    }

    async fn let_in(&self, login: PasswordLogin<'_>) -> Result<Entry, Error> {
        let gate = BrokerGate::new(&self.shared, &self.registration);
        let identity = self.authenticate(&gate, login).await?;
        let entered = gate.enter(&identity, login.vhost).await?;
        let entry = Entry { identity, vhost: Arc::clone(&entered.vhost) };
        if self.inside.set(entered).is_err() {
            return Err(Error::new(ReplyCode::NotAllowed, "the connection has logged in before"));
        }
        self.opened(&entry, login.mechanism);
        Ok(entry)
    }

    async fn authenticate(&self, gate: &BrokerGate<'_>, login: PasswordLogin<'_>) -> Result<Identity, Error> {
        let PasswordLogin { mechanism, username, password, .. } = login;
        let credentials = Credentials { username: username.to_owned(), password: password.to_vec() };
        match gate.authenticate(&credentials).await {
            Ok(identity) => {
                gate.login(mechanism, Some(&identity.user().name), Ok(()));
                Ok(identity)
            }
            Err(refusal) => {
                gate.login(mechanism, Some(username), Err(&refusal.to_string()));
                let name = &self.registration.accepted().name;
                tracing::warn!(connection = %name, reason = %refusal, "{mechanism} login refused");
                Err(refusal.to_error(mechanism))
            }
        }
    }

    fn opened(&self, entry: &Entry, mechanism: &str) {
        let Entry { identity, vhost } = entry;
        let (broker, user) = (&self.shared.broker, &identity.user().name);
        self.registration.opened(Opened {
            username: Arc::clone(user),
            needs_internal_user: identity.needs_internal_user(),
            vhost: Arc::clone(&vhost.name),
            mechanism: mechanism.into(),
            client_properties: FieldTable::new(),
            frame_max: 0,
            channel_max: 0,
            heartbeat_s: 0,
        });
        if let Some(reason) = no_longer_welcome(broker, vhost, identity) {
            self.mailbox.send(Mail::Close(reason.into()));
        }
        let Accepted { name, protocol, .. } = self.registration.accepted();
        tracing::info!(connection = %name, protocol, %user, vhost = %vhost.name, "connection opened");
        events::created(broker, &self.registration);
    }
}

/// Completes as soon as no alarm is on; `changed` is notified after each change.
async fn no_alarm(registration: &Registration, changed: &Notify) {
    loop {
        let change = changed.notified();
        if registration.alarm().is_none() {
            return;
        }
        change.await;
    }
}

impl Entrance for Connection {
    fn log_in<'a>(
        &'a self,
        login: PasswordLogin<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Entry, Error>> + Send + 'a>> {
        Box::pin(self.let_in(login))
    }

    fn may_publish(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(no_alarm(&self.registration, &self.alarm_changed))
    }
}

impl Drop for Connection {
    /// However the connection has ended.
    fn drop(&mut self) {
        if let (Some(inside), Some(opened)) = (self.inside.get(), self.registration.open()) {
            let mut turn = self.shared.broker.turn().by(&opened.username);
            inside.vhost.release_connection(&mut turn, self.registration.accepted().id);
        }
        events::closed(&self.shared.broker, &self.registration);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;
    use crate::registry::Connections;

    #[test]
    fn publishers_wait_until_no_alarm_is_on() {
        let connections = Arc::new(Connections::default());
        let accepted =
            Accepted { id: 1, protocol: "P", name: "test".into(), peer: None, local: None, connected_at_ms: 0 };
        let registration = connections.register(accepted, Mailbox::new().0);
        let changed = Notify::new();
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(no_alarm(&registration, &changed)).poll(&mut context).is_ready());
        connections.set_alarm(Some("disk"));
        let mut waiting = pin!(no_alarm(&registration, &changed));
        let mut is_over = || {
            changed.notify_waiters();
            waiting.as_mut().poll(&mut context).is_ready()
        };
        assert!(!is_over());
        connections.set_alarm(Some("memory"));
        assert!(!is_over(), "another alarm is one");
        connections.set_alarm(None);
        assert!(is_over());
    }
}
