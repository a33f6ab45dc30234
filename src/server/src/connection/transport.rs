//! A socket with its read buffer and its outbox. It knows bytes, not frames.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{outbox::Outbox, registry::Registration};

/// Bytes asked for in one read, to begin with: what an idle connection holds.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Bytes asked for in one read of a busy connection. A large read makes a large batch, and batches are what makes the
/// broker fast; beyond this there is nothing more to gain.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Entries of one vectored write.
const SLICES_MAX: usize = 64;

/// The peer's end of the wire.
pub(super) struct Transport<S> {
    socket: S,
    /// What was read and is not yet handled.
    pub(super) input: BytesMut,
    /// What is to be written.
    pub(super) outbox: Outbox,
    read_bytes: usize,
    was_read: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Nothing read, nothing to write.
    pub(super) fn new(socket: S, frame_max: u32) -> Self {
        Self {
            socket,
            input: BytesMut::new(),
            outbox: Outbox::new(frame_max),
            read_bytes: READ_BYTES_MIN,
            was_read: false,
        }
    }

    /// Reads once into `input`; how many bytes, 0 at the end.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        registration: &Registration,
    ) -> Poll<io::Result<usize>> {
        self.input.reserve(self.read_bytes);
        let room = self.input.capacity() - self.input.len();
        // A future of its own each time: `read_buf` keeps nothing between polls.
        let count = match pin!(self.socket.read_buf(&mut self.input)).poll(context) {
            Poll::Ready(Ok(count)) => count,
            other => return other,
        };
        registration.count_received(count);
        self.was_read = true;
        if count == room {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Poll::Ready(Ok(count))
    }

    /// As [`Self::poll_read`], to wait for.
    pub(super) async fn read(&mut self, registration: &Registration) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_read(context, registration)).await
    }

    /// Writes what is in the outbox, as far as the socket takes it. Ready once all is written and flushed; the bytes of
    /// the connection's window that come back are added to `released` in any case.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        registration: &Registration,
        released: &mut u64,
    ) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.outbox.fill_slices(&mut slices);
            let socket = Pin::new(&mut self.socket);
            let written = match &slices[..filled] {
                [only] => socket.poll_write(context, only),
                several => socket.poll_write_vectored(context, several),
            };
            let count = match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            registration.count_sent(count);
            *released += self.outbox.advance(count);
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Writes all of the outbox. For the handshake and the end, when no window is in use.
    pub(super) async fn flush(&mut self, registration: &Registration) -> io::Result<()> {
        let mut released = 0;
        std::future::poll_fn(|context| self.poll_write(context, registration, &mut released)).await
    }

    /// Gives large buffers back after a while without reading; to be called now and then.
    pub(super) fn relax(&mut self) {
        if std::mem::take(&mut self.was_read) {
            return;
        }
        if self.input.is_empty() && self.read_bytes > READ_BYTES_MIN {
            self.read_bytes = READ_BYTES_MIN;
            self.input = BytesMut::new();
        }
        self.outbox.relax();
    }

    /// Leaves it to the peer to close, for at most `patience`: after connection.close-ok both may, but a client that
    /// reads the end before it has taken in the close-ok takes the connection for broken.
    pub(super) async fn let_peer_close(&mut self, patience: Duration) {
        let closed = async {
            self.input.clear();
            while matches!(self.socket.read_buf(&mut self.input).await, Ok(1..)) {
                self.input.clear();
            }
        };
        // Over time or not, what follows closes the socket.
        let _ = tokio::time::timeout(patience, closed).await;
    }

    /// Ends the writing side and reads what still comes, for at most `patience`: bytes left unread would make the
    /// system reset the connection, and the peer might never see what was written last.
    pub(super) async fn linger(mut self, patience: Duration) {
        let drain = async {
            if self.socket.shutdown().await.is_err() {
                return;
            }
            loop {
                self.input.clear();
                if !matches!(self.socket.read_buf(&mut self.input).await, Ok(1..)) {
                    return;
                }
            }
        };
        // Over time or not, the socket is closed now.
        let _ = tokio::time::timeout(patience, drain).await;
    }
}
