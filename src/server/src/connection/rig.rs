//! The handshake over a socket in memory, against a gate that knows one user and one vhost: for tests and fuzzing.
#![allow(clippy::unwrap_used)]

use leveret_amqp::{Method, ReplyCode, connection as class};
use leveret_broker::{
    Error,
    access::{Refusal, User},
    auth::Identity,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::registry::AMQP;

/// Bytes that either side may have on the way.
pub(super) const SOCKET_BYTES: usize = 64 * 1024;

pub(super) const OFFER: Tuning = Tuning { frame_max: 131_072, channel_max: 2047, heartbeat_s: 60 };

pub(super) struct OneUser;

impl Gate for OneUser {
    type Entry = String;

    async fn authenticate(&self, credentials: &Credentials) -> Result<Identity, Refusal> {
        match (&*credentials.username, &*credentials.password) {
            ("hare", b"form") => {
                let user = User { name: "hare".into(), password: None, tags: Vec::new() };
                Ok(Identity::internal(Arc::new(user)))
            }
            (other, _) => Err(Refusal::Credentials(other.into())),
        }
    }

    async fn enter(&self, _identity: &Identity, vhost: &str) -> Result<String, Error> {
        match vhost {
            "/" => Ok(vhost.into()),
            _ => Err(Error::new(ReplyCode::NotAllowed, format!("vhost {vhost} not found"))),
        }
    }
}

/// What became of it.
pub(super) struct Outcome {
    pub(super) result: Result<Admitted<String>, Rejection>,
    /// What the client received; what is left in the outbox included.
    pub(super) received: Vec<u8>,
    /// What the server has not consumed.
    pub(super) left: Vec<u8>,
}

impl Outcome {
    pub(super) fn methods(&self) -> Vec<String> {
        let mut rest = &self.received[..];
        let mut names = Vec::new();
        while let Ok(Some((frame, length))) = decode(rest, 0) {
            names.push(match Method::decode(frame.payload).unwrap() {
                Method::Connection(class::Method::Close(close)) => {
                    format!("close {} {} ({}, {})", close.reply_code, close.reply_text, close.class_id, close.method_id)
                }
                other => other.name().to_owned(),
            });
            rest = &rest[length..];
        }
        names
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self.result, Err(Rejection { close: Close::Silent, .. }))
    }
}

pub(super) fn registration() -> Registration {
    let accepted = Accepted { id: 1, protocol: AMQP, name: "test".into(), peer: None, local: None, connected_at_ms: 0 };
    Arc::new(Connections::default()).register(accepted, Mailbox::new().0)
}

async fn write_in_pieces(mut client: DuplexStream, bytes: &[u8], piece: usize) -> DuplexStream {
    for part in bytes.chunks(piece) {
        client.write_all(part).await.unwrap();
    }
    client.shutdown().await.unwrap();
    client
}

/// The server's side of the handshake with a client that sends `bytes`, at most [`SOCKET_BYTES`] of them, and nothing more.
pub(super) async fn shake(bytes: &[u8], piece: usize) -> Outcome {
    let (client, server) = duplex(SOCKET_BYTES);
    let registration = registration();
    let mut transport = Transport::new(server, INITIAL_FRAME_MAX);
    let (mut client, result) = tokio::join!(
        write_in_pieces(client, bytes, piece),
        shake_hands(&mut transport, &registration, &OneUser, OFFER, "hares"),
    );
    transport.flush(&registration).await.unwrap();
    let left = transport.input.to_vec();
    drop(transport);
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    Outcome { result, received, left }
}

/// Whatever a client sends, the handshake ends with the socket at the latest, whatever pieces the bytes came in, and
/// what is answered are methods. The answers are not compared byte by byte: an error shows what had arrived by then.
#[cfg(fuzzing)]
pub fn fuzz_handshake(bytes: &[u8]) {
    let bytes = bytes.get(..SOCKET_BYTES).unwrap_or(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let [whole, pieces] = [usize::MAX, 7].map(|piece| runtime.block_on(shake(bytes, piece)));
    assert_eq!((whole.result.is_ok(), whole.is_silent()), (pieces.result.is_ok(), pieces.is_silent()));
    assert_eq!(whole.methods().len(), pieces.methods().len());
    assert!(whole.received.is_empty() || whole.received == PROTOCOL_HEADER || !whole.methods().is_empty());
    assert!(bytes.ends_with(&whole.left) || whole.result.is_err());
}
