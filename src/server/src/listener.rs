//! Listening, and accepting connections.

use std::{net::SocketAddr, time::Duration};

use leveret_broker::clock;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{connection::Shared, registry::Accepted, server::ServerError};

/// Connections beyond the limit that may be in their handshake, to be told there why they cannot stay. More are dropped
/// at once.
const OVER_LIMIT_MAX: usize = 256;

/// First pause after a failed accept; doubled each time. Out of file handles, a loop without pause would spin.
const BACK_OFF_MIN: Duration = Duration::from_millis(10);

/// Longest pause.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Listens on an address that the configuration has under a key; where that is, with the port that the system chose for 0.
///
/// # Errors
/// Where it cannot be listened on.
pub(crate) async fn listen(address: &str, key: &'static str) -> Result<(TcpListener, SocketAddr), ServerError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound.await.map_err(|reason| ServerError::Listen { address: address.into(), key, reason })
}

/// How a server ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    /// No more connections are accepted.
    pub(crate) stop: CancellationToken,
    /// Connections still there are dropped.
    pub(crate) cut_off: CancellationToken,
}

/// A listener that does not give up.
pub(crate) struct Acceptor {
    listener: TcpListener,
    back_off: Duration,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, back_off: BACK_OFF_MIN }
    }

    /// The next connection. Dropped while it waits, it loses none.
    pub(crate) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => {
                    self.back_off = BACK_OFF_MIN;
                    return accepted;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(self.back_off).await;
                    self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
                }
            }
        }
    }
}

/// Accepts connections of a protocol until the server stops, has each served in a task of its own, and then waits for them
/// to end; those still there at the cut-off are dropped.
pub(crate) async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    protocol: &'static str,
    shared: &Shared,
    ends: Ends,
    serve: impl Fn(TcpStream, Accepted) -> F,
) {
    let mut acceptor = Acceptor::new(listener);
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            tokio::select! {
                (socket, peer) = acceptor.accept() => {
                    if let Some(accepted) = welcome(&socket, peer, protocol, shared) {
                        connections.spawn(serve(socket, accepted));
                    }
                }
                Some(ended) = connections.join_next() => look_at(ended),
            }
        }
    };
    ends.stop.run_until_cancelled(accepting).await;
    drop(acceptor);
    let ending = async {
        while let Some(ended) = connections.join_next().await {
            look_at(ended);
        }
    };
    if ends.cut_off.run_until_cancelled(ending).await.is_none() {
        connections.shutdown().await;
    }
}

fn look_at(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a connection has failed");
    }
}

/// What is known of a connection that may stay for now.
fn welcome(socket: &TcpStream, peer: SocketAddr, protocol: &'static str, shared: &Shared) -> Option<Accepted> {
    if shared.connection_max != 0 && shared.connections.len() >= shared.connection_max + OVER_LIMIT_MAX {
        tracing::warn!(%peer, limit = shared.connection_max, "connection dropped: far over the connection limit");
        return None;
    }
    // What is written is gathered by who writes it; the system must not hold them back to gather more.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "connection gone before it began");
        return None;
    }
    let local = socket.local_addr().ok();
    let accepted = Accepted {
        id: shared.broker.next_id(),
        protocol,
        name: connection_name(peer, local).into(),
        peer: Some(peer),
        local,
        connected_at_ms: clock::now_ms(),
    };
    tracing::debug!(connection = %accepted.name, "connection accepted");
    Some(accepted)
}

/// As RabbitMQ names connections: `127.0.0.1:50000 -> 127.0.0.1:5672`.
fn connection_name(peer: SocketAddr, local: Option<SocketAddr>) -> String {
    match local {
        Some(local) => format!("{peer} -> {local}"),
        None => peer.to_string(),
    }
}
