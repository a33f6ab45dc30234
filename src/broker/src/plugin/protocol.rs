//! Front ends beside AMQP 0-9-1: who speaks another protocol with clients, on an address of its own.
//!
//! The server listens, accepts, counts connections and lists them; a front end reads and writes one connection's stream, and
//! does what its client asks through the broker, as the AMQP front end does. What the two have in common — who comes in
//! within which limits, alarms, the end — is behind [`Entrance`], so that no protocol is a way around it.
//!
//! Without front ends nothing is listened on, and nothing is done for them.
//!
//! Not taken: front ends that listen for themselves (limits, listings and an orderly end would be each one's own to get
//! right), and sockets in place of streams (the broker knows none, and a test has none).

use std::{error, net::SocketAddr, pin::Pin, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::{Broker, Error, VHost, auth::Identity};

/// Speaks a protocol with clients.
pub trait Protocol: Send + Sync {
    /// Its name, given once, as listings and events have it, such as `STOMP 1.2`.
    fn name(&self) -> &'static str;

    /// Where it is to be listened on, as the plugin's section of the configuration says. Asked once, when the server starts.
    fn addresses(&self) -> Vec<ListenAddress>;

    /// Serves a connection to its end. It runs as a task of its own: where it panics, this connection ends. It must not
    /// block, nor keep a [`Turn`](crate::Turn) over an await.
    ///
    /// A connection that has not ended some seconds after [`Client::stop`] is dropped in the midst of what it does: what must
    /// be given back, such as messages that are not acknowledged, is given back by a `Drop`.
    ///
    /// How long a peer is waited for and what it may send before it has logged in is the front end's to limit.
    fn serve(&self, client: Client) -> Serving;
}

/// A connection that is being served. An error is why it has ended, for the log; without one the client has ended it.
pub type Serving = Pin<Box<dyn Future<Output = Result<(), Box<dyn error::Error + Send + Sync>>> + Send>>;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The key of the configuration that says so, such as `stomp.bind`.
    pub key: &'static str,
    /// Address and port; port 0 takes a free one, and empty is off.
    pub address: String,
}

/// A stream of bytes from and to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that the server has accepted for a front end.
pub struct Client {
    /// The broker.
    pub broker: Arc<Broker>,
    /// Bytes from and to the peer.
    pub stream: Box<dyn Stream>,
    /// Unique among the connections, channels and consumers of this run; the owner of its exclusive
    /// queues, which are deleted when it ends.
    pub connection_id: u64,
    /// `peer:port -> local:port`, as RabbitMQ names connections.
    pub name: Arc<str>,
    /// The peer's end; `None` where the transport has no addresses.
    pub peer: Option<SocketAddr>,
    /// The server's end.
    pub local: Option<SocketAddr>,
    /// The way in.
    pub entrance: Arc<dyn Entrance>,
    /// Cancelled when the connection is to end: the server stops, somebody has closed the connection, or its vhost or user is
    /// gone.
    pub stop: CancellationToken,
}

/// What the server does for a connection of a front end.
pub trait Entrance: Send + Sync {
    /// Lets a user into a vhost, by the same backends and within the same limits as AMQP. From then on the connection is
    /// listed, and observers have heard of it. A connection logs in once.
    ///
    /// # Errors
    /// 403 where the login is refused, and why is in the log only; 530 where the user may not enter the vhost, or a limit of
    /// connections is reached.
    fn log_in<'a>(
        &'a self,
        login: PasswordLogin<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Entry, Error>> + Send + 'a>>;

    /// Completes as soon as no resource alarm is on. To be waited for before each publish: publishers wait, others do not.
    fn may_publish(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What a client logs in with. Not `Debug`, so that it cannot be logged by accident.
#[derive(Clone, Copy)]
pub struct PasswordLogin<'a> {
    /// The mechanism by the protocol's name for it, such as `PLAIN`; for listings and events.
    pub mechanism: &'a str,
    /// The user's name.
    pub username: &'a str,
    /// The password.
    pub password: &'a [u8],
    /// The vhost's name.
    pub vhost: &'a str,
}

/// A client that is in.
pub struct Entry {
    /// Who, and who decides on permissions.
    pub identity: Identity,
    /// Where.
    pub vhost: Arc<VHost>,
}
