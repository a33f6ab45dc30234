//! One AMQP connection of the load generator: the codec of `leveret-amqp` over a socket, with batched reads and writes.
//!
//! Not an AMQP client: one channel, no recovery, and what the broker sends is handed on as frames. A general client costs
//! more for each message than a broker does, and would be what is measured.

use bytes::{Buf, BytesMut};
use leveret_amqp::ContentHeader;
use leveret_amqp::method::{Method, channel, connection};
use leveret_amqp::{FieldTable, FieldValue};
use leveret_amqp::{FrameKind, PROTOCOL_HEADER};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

use super::error::Error;
use super::uri::Uri;

/// The one channel of each connection.
pub(super) const CHANNEL: u16 = 1;

/// Room made before each read.
const READ_BYTES: usize = 256 * 1024;

/// The frame size asked for; the broker may lower it.
const FRAME_MAX: u32 = 128 * 1024;

/// What the broker sends on the channel.
pub(super) enum Incoming<'a> {
    Method(Method<'a>),
    Header(ContentHeader<'a>),
    Body(&'a [u8]),
}

/// An open connection with an open channel.
pub(super) struct Wire {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    input: BytesMut,
    /// What waits to be written; filled by the owner.
    pub(super) output: BytesMut,
    frame_max: u32,
}

impl Wire {
    /// Connects, and opens the channel.
    pub(super) async fn open(uri: &Uri, name: &str) -> Result<Self, Error> {
        let address = (uri.host.as_str(), uri.port);
        let stream =
            TcpStream::connect(address).await.map_err(|source| Error::Connect { uri: uri.to_string(), source })?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut wire = Self {
            reader,
            writer,
            input: BytesMut::with_capacity(2 * READ_BYTES),
            output: BytesMut::with_capacity(2 * READ_BYTES),
            frame_max: FRAME_MAX,
        };
        wire.handshake(uri, name).await?;
        Ok(wire)
    }

    /// The largest frame either side may send, in bytes.
    pub(super) fn frame_max(&self) -> u32 {
        self.frame_max
    }

    async fn handshake(&mut self, uri: &Uri, name: &str) -> Result<(), Error> {
        self.output.extend_from_slice(&PROTOCOL_HEADER);
        self.answer("connection.start").await?;
        let response = format!("\0{}\0{}", uri.username, uri.password);
        let start_ok = connection::StartOk {
            client_properties: client_properties(name),
            mechanism: "PLAIN",
            response: response.as_bytes(),
            locale: "en_US",
        };
        self.send(0, &Method::Connection(connection::Method::StartOk(start_ok)));
        let (channel_max, frame_max) = self
            .pick(|method| match method {
                Method::Connection(connection::Method::Tune(tune)) => Some((tune.channel_max, tune.frame_max)),
                _ => None,
            })
            .await?;
        self.frame_max = if frame_max == 0 { FRAME_MAX } else { frame_max.min(FRAME_MAX) };
        // No heartbeats: a run is short and watches its own progress.
        let tune_ok = connection::TuneOk { channel_max, frame_max: self.frame_max, heartbeat: 0 };
        self.send(0, &Method::Connection(connection::Method::TuneOk(tune_ok)));
        let open = connection::Open { virtual_host: &uri.vhost };
        self.call(0, &Method::Connection(connection::Method::Open(open)), "connection.open-ok").await?;
        self.call(CHANNEL, &Method::Channel(channel::Method::Open(channel::Open {})), "channel.open-ok").await
    }

    /// Puts a method into the output.
    pub(super) fn send(&mut self, channel: u16, method: &Method<'_>) {
        method.encode(channel, &mut self.output);
    }

    /// Sends a method and waits for the answer of that name; nothing else may come first.
    pub(super) async fn call(&mut self, channel: u16, method: &Method<'_>, answer: &str) -> Result<(), Error> {
        self.send(channel, method);
        self.answer(answer).await
    }

    async fn answer(&mut self, name: &str) -> Result<(), Error> {
        self.pick(|method| (method.name() == name).then_some(())).await
    }

    /// Writes what waits and reads until `pick` takes something from a method.
    pub(super) async fn pick<T>(&mut self, mut pick: impl FnMut(&Method<'_>) -> Option<T>) -> Result<T, Error> {
        let mut picked = None;
        loop {
            self.frames_while(|incoming, _| {
                if let Incoming::Method(method) = incoming {
                    picked = pick(&method);
                }
                Ok(picked.is_none())
            })?;
            match picked.take() {
                Some(value) => return Ok(value),
                None => self.turn(None).await?,
            }
        }
    }

    /// Moves bytes: reads, writes, or waits until `until`, whichever is possible first.
    pub(super) async fn turn(&mut self, until: Option<Instant>) -> Result<(), Error> {
        if self.input.capacity() - self.input.len() < READ_BYTES / 4 {
            self.input.reserve(READ_BYTES);
        }
        tokio::select! {
            read = self.reader.read_buf(&mut self.input) => {
                if read? == 0 {
                    return Err(Error::Disconnected);
                }
            }
            written = self.writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                written?;
            }
            () = async { tokio::time::sleep_until(until.unwrap_or_else(Instant::now)).await }, if until.is_some() => {}
        }
        Ok(())
    }

    /// Hands every whole frame that was read to `handle`, together with the output for what it answers.
    pub(super) fn frames(
        &mut self,
        mut handle: impl FnMut(Incoming<'_>, &mut BytesMut) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.frames_while(|incoming, output| handle(incoming, output).map(|()| true))
    }

    fn frames_while(
        &mut self,
        mut handle: impl FnMut(Incoming<'_>, &mut BytesMut) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut used = 0;
        let mut go_on = true;
        while go_on && let Some((frame, size)) = leveret_amqp::decode(&self.input[used..], self.frame_max)? {
            used += size;
            let incoming = match frame.kind {
                FrameKind::Method => Incoming::Method(expect_open(Method::decode(frame.payload)?)?),
                FrameKind::Header => Incoming::Header(ContentHeader::decode(frame.payload)?),
                FrameKind::Body => Incoming::Body(frame.payload),
                FrameKind::Heartbeat => continue,
            };
            go_on = handle(incoming, &mut self.output)?;
        }
        self.input.advance(used);
        Ok(())
    }

    /// Closes the connection; when the answer is there, the broker has handled all that was sent before.
    pub(super) async fn close(mut self) -> Result<(), Error> {
        let close = connection::Close { reply_code: 200, reply_text: "done", class_id: 0, method_id: 0 };
        self.call(0, &Method::Connection(connection::Method::Close(close)), "connection.close-ok").await
    }
}

/// Turns the broker's closing of connection or channel, and the loss of a consumer, into errors.
fn expect_open(method: Method<'_>) -> Result<Method<'_>, Error> {
    match method {
        Method::Connection(connection::Method::Close(close)) => Err(Error::closed(close.reply_code, close.reply_text)),
        Method::Channel(channel::Method::Close(close)) => Err(Error::closed(close.reply_code, close.reply_text)),
        Method::Basic(leveret_amqp::basic::Method::Cancel(_)) => Err(Error::Cancelled),
        method => Ok(method),
    }
}

fn client_properties(name: &str) -> FieldTable {
    let capabilities = ["authentication_failure_close", "basic.nack", "consumer_cancel_notify", "publisher_confirms"]
        .into_iter()
        .fold(FieldTable::new(), |table, capability| table.with(capability, true));
    FieldTable::new()
        .with("product", "leveret perf")
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("connection_name", name)
        .with("capabilities", FieldValue::Table(capabilities))
}
