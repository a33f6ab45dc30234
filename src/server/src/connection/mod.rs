//! An AMQP 0-9-1 connection, from accept to close: one task, one socket.
//!
//! * [`transport`]: the socket with its read buffer and outbox; bytes, not frames;
//! * [`handshake`] (with [`sasl`], [`tune`], [`properties`]): a state machine from protocol header to open-ok;
//! * [`open`] (with [`frames`], [`post`], [`channels`], [`flow`], [`blocking`], [`asking`]): what frames and mail do on an open
//!   connection; synchronous;
//! * [`drive`] (with [`heartbeat`]): the loop that reads, takes mail, writes and keeps time;
//! * [`failure`]: errors on their way to the peer, and endings for the log; [`events`]: for observers.
//!
//! Not taken: a task to read and a task to write (a hand-over and a wake-up for each batch, and a queue between them
//! that needs bounds of its own); a task for each channel.

mod asking;
mod blocking;
mod channels;
mod drive;
pub(crate) mod events;
mod failure;
mod flow;
mod frames;
mod gate;
mod handshake;
mod heartbeat;
mod open;
mod post;
mod properties;
mod room;
mod sasl;
mod transport;
mod tune;

#[cfg(any(test, fuzzing))]
mod rig;
#[cfg(test)]
mod tests;

#[cfg(fuzzing)]
pub use self::rig::fuzz_handshake;

use std::{sync::Arc, time::Duration};

use leveret_amqp::{FRAME_OVERHEAD, PROTOCOL_HEADER, ProtocolHeader, check_protocol_header, decode};
use leveret_broker::{Broker, queue::Window};
use tokio::io::{AsyncRead, AsyncWrite};

use self::{
    drive::Drive,
    failure::Ending,
    handshake::{Admitted, Handshake, INITIAL_FRAME_MAX, Progress, Stop},
    open::Open,
    transport::Transport,
};
pub(crate) use self::{
    gate::{BrokerGate, Entry, no_longer_welcome},
    handshake::Gate,
    room::{Room, Taken},
    sasl::Credentials,
    tune::Tuning,
};
use crate::{
    channel::ReplyConsumers,
    mail::Mail,
    mailbox::{Mailbox, Mails},
    registry::{Accepted, Connections, Opened, Registration},
    session::{Limits, Session},
    tally::Tally,
};

/// By so much a frame may be larger than agreed: some clients leave the frame's own eight bytes out of the count.
/// RabbitMQ bears with them too.
const FRAME_SIZE_FUDGE: u32 = FRAME_OVERHEAD;

/// What all connections of a server have in common.
pub(crate) struct Shared {
    /// The broker.
    pub(crate) broker: Arc<Broker>,
    /// The live connections.
    pub(crate) connections: Arc<Connections>,
    /// The open connections and channels by vhost and user.
    pub(crate) tally: Arc<Tally>,
    /// Direct reply-to consumers.
    pub(crate) reply_consumers: Arc<ReplyConsumers>,
    /// What one connection may spend.
    pub(crate) limits: Arc<Limits>,
    /// For messages that are not complete.
    pub(crate) room: Room,
    /// Offered in connection.tune.
    pub(crate) offer: Tuning,
    /// Bytes of deliveries that wait for a slow reader.
    pub(crate) outbox_bytes: u64,
    /// Connections at a time; 0 is no limit.
    pub(crate) connection_max: usize,
    /// Shown to clients.
    pub(crate) cluster_name: String,
    /// How long peers are waited for.
    pub(crate) timings: Timings,
}

/// How long peers are waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timings {
    /// From accept to connection.open.
    pub(crate) handshake: Duration,
    /// Before a peer that failed to log in is dropped without a word, so that guessing takes time.
    pub(crate) silent_close: Duration,
    /// For the answer to connection.close.
    pub(crate) close_ok: Duration,
    /// For the peer to close the socket after everything is said.
    pub(crate) linger: Duration,
}

impl Timings {
    /// Everything as it should be but for the handshake, which can be configured.
    pub(crate) fn with_handshake(handshake: Duration) -> Self {
        Self {
            handshake,
            silent_close: Duration::from_secs(3),
            close_ok: Duration::from_secs(10),
            linger: Duration::from_secs(1),
        }
    }
}

/// Serves a connection from its first byte to its end, and logs how that was.
pub(crate) async fn serve<S>(socket: S, accepted: Accepted, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mailbox, mail) = Mailbox::new();
    let name = Arc::clone(&accepted.name);
    let registration = shared.connections.register(accepted, mailbox.clone());
    let mut handshaking =
        Handshaking { transport: Transport::new(socket, INITIAL_FRAME_MAX), registration, mail, shared };
    let outcome = handshaking.run().await;
    let linger = handshaking.shared.timings.linger;
    match outcome {
        Ok(admitted) => {
            let (mut transport, ending) = handshaking.serve_open(admitted, mailbox).await;
            log_ending(&name, &ending);
            if matches!(ending, Ending::ByClient) {
                transport.let_peer_close(linger).await;
            }
            transport.linger(linger).await;
        }
        Err(ending) => {
            log_ending(&name, &ending);
            let Handshaking { transport, registration, .. } = handshaking;
            drop(registration);
            transport.linger(linger).await;
        }
    }
}

/// A connection that is not open yet.
struct Handshaking<S> {
    transport: Transport<S>,
    registration: Registration,
    mail: Mails,
    shared: Arc<Shared>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Handshaking<S> {
    /// Takes the client through the handshake, in the time there is for it, unless the server stops first.
    async fn run(&mut self) -> Result<Admitted<Entry>, Ending> {
        let gate = BrokerGate::new(&self.shared, &self.registration);
        let offer = self.shared.offer;
        let handshake = shake_hands(&mut self.transport, &self.registration, &gate, offer, &self.shared.cluster_name);
        let stopped = is_told_to_stop(&mut self.mail);
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(self.shared.timings.handshake, handshake) => outcome,
            () = stopped => return Err(Ending::Dropped),
        };
        match outcome {
            Ok(Ok(admitted)) => Ok(admitted),
            Ok(Err(ending)) => Err(self.say_no(ending).await),
            Err(_) => Err(Ending::HandshakeTimeout),
        }
    }

    /// Tells the client why not, or makes it wait for nothing.
    async fn say_no(&mut self, ending: Rejection) -> Ending {
        let Rejection { ending, close } = ending;
        match close {
            Close::Now => {}
            Close::Answered => {
                let answer = async {
                    self.transport.flush(&self.registration).await?;
                    // Whatever comes, its close-ok or the end of the socket, is the answer.
                    self.transport.input.clear();
                    self.transport.read(&self.registration).await
                };
                let _ = tokio::time::timeout(self.shared.timings.silent_close, answer).await;
            }
            Close::Silent => tokio::time::sleep(self.shared.timings.silent_close).await,
        }
        ending
    }

    /// Serves the open connection to its end.
    async fn serve_open(self, admitted: Admitted<Entry>, mailbox: Mailbox) -> (Transport<S>, Ending) {
        let Self { mut transport, registration, mail, shared } = self;
        let Admitted { login, tuning, entry: Entry { vhost, place } } = admitted;
        let username = &login.identity.user().name;
        transport.outbox.set_frame_max(tuning.frame_max);
        registration.opened(Opened {
            username: Arc::clone(username),
            needs_internal_user: login.identity.needs_internal_user(),
            vhost: Arc::clone(&vhost.name),
            mechanism: login.mechanism,
            client_properties: login.client_properties,
            frame_max: tuning.frame_max,
            channel_max: tuning.channel_max,
            heartbeat_s: tuning.heartbeat_s,
        });
        if let Some(reason) = no_longer_welcome(&shared.broker, &vhost, &login.identity) {
            mailbox.send(Mail::Close(reason.into()));
        }
        let accepted = registration.accepted();
        tracing::info!(connection = %accepted.name, user = %username, vhost = %vhost.name, "connection opened");
        events::created(&shared.broker, &registration);
        let session = Session {
            connection_id: accepted.id,
            name: Arc::clone(&accepted.name),
            broker: Arc::clone(&shared.broker),
            username: Arc::clone(username),
            identity: login.identity,
            capabilities: login.capabilities,
            frame_max: tuning.frame_max,
            outbox_window: Arc::new(Window::new(shared.outbox_bytes)),
            limits: Arc::clone(&shared.limits),
            tally: Arc::clone(&shared.tally),
            reply_consumers: Arc::clone(&shared.reply_consumers),
            vhost,
            mailbox,
            registration,
        };
        let open = Open::new(Arc::new(session), tuning.channel_max, place, shared.room.clone());
        let mut drive = Drive::new(transport, open, mail, tuning.heartbeat_s, shared.timings);
        let ending = drive.run().await;
        events::closed(&shared.broker, &drive.open.session.registration);
        (drive.transport, ending)
    }
}

/// How a handshake that failed is to be ended.
struct Rejection {
    ending: Ending,
    close: Close,
}

enum Close {
    /// Nothing is to be said any more.
    Now,
    /// connection.close is in the outbox.
    Answered,
    /// Without a word, after a while.
    Silent,
}

impl From<std::io::Error> for Rejection {
    fn from(error: std::io::Error) -> Self {
        Self { ending: Ending::Io(error), close: Close::Now }
    }
}

async fn shake_hands<S, G>(
    transport: &mut Transport<S>,
    registration: &Registration,
    gate: &G,
    offer: Tuning,
    cluster_name: &str,
) -> Result<Admitted<G::Entry>, Rejection>
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Gate,
{
    read_header(transport, registration).await?;
    let mut state = Handshake::begin(cluster_name, &mut transport.outbox);
    loop {
        transport.flush(registration).await?;
        let outcome = match decode(&transport.input, state.frame_max() + FRAME_SIZE_FUDGE) {
            Ok(None) => {
                read_more(transport, registration).await?;
                continue;
            }
            Ok(Some((frame, length))) => {
                let outcome = state.frame(&frame, gate, offer, &mut transport.outbox).await;
                bytes::Buf::advance(&mut transport.input, length);
                outcome
            }
            Err(error) => Err(state.malformed(&error)),
        };
        state = match outcome {
            Ok(Progress::Further(next)) => next,
            Ok(Progress::Done(admitted)) => return Ok(admitted),
            Err(stop) => return Err(rejection(stop, transport, registration).await?),
        };
    }
}

async fn read_header<S>(transport: &mut Transport<S>, registration: &Registration) -> Result<(), Rejection>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match check_protocol_header(&transport.input) {
            ProtocolHeader::Accepted => {
                bytes::Buf::advance(&mut transport.input, PROTOCOL_HEADER.len());
                return Ok(());
            }
            ProtocolHeader::Incomplete => read_more(transport, registration).await?,
            ProtocolHeader::Rejected => {
                transport.outbox.raw(&PROTOCOL_HEADER);
                transport.flush(registration).await?;
                return Err(Rejection { ending: Ending::NotAmqp(looks_like(&transport.input)), close: Close::Now });
            }
        }
    }
}

async fn read_more<S>(transport: &mut Transport<S>, registration: &Registration) -> Result<(), Rejection>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match transport.read(registration).await? {
        0 => Err(Rejection {
            ending: if registration.has_received() { Ending::Abrupt } else { Ending::NoData },
            close: Close::Now,
        }),
        _ => Ok(()),
    }
}

async fn rejection<S>(
    stop: Stop,
    transport: &mut Transport<S>,
    registration: &Registration,
) -> Result<Rejection, std::io::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Stop::Refused(refused) = stop else {
        transport.flush(registration).await?;
        return Ok(Rejection { ending: Ending::ByClient, close: Close::Now });
    };
    if refused.is_answered {
        refused.failure.connection_close(|close| transport.outbox.method(0, close));
    }
    Ok(Rejection {
        ending: Ending::Refused(refused.reason),
        close: if refused.is_answered { Close::Answered } else { Close::Silent },
    })
}

/// What the first bytes are, where they are not AMQP 0-9-1.
fn looks_like(input: &[u8]) -> &'static str {
    match input {
        [b'G', b'E', b'T', b' ', ..] => "HTTP GET request detected on AMQP port",
        [0x16, 0x03, ..] => "TLS client detected on non-TLS AMQP port",
        [b'A', b'M', b'Q', b'P', ..] => "another version of AMQP",
        _ => "unknown protocol",
    }
}

/// Waits for mail that ends a handshake. Other mail is lost, but means nothing before the connection is open: the alarm
/// is looked up again then.
async fn is_told_to_stop(mail: &mut Mails) {
    while !matches!(mail.next().await, Mail::Shutdown | Mail::Close(_)) {}
}

fn log_ending(name: &str, ending: &Ending) {
    match ending {
        Ending::ByClient => tracing::info!(connection = name, "connection closed by the client"),
        Ending::NoData => tracing::debug!(connection = name, reason = %ending, "connection closed"),
        _ => tracing::warn!(connection = name, reason = %ending, "connection closed"),
    }
}
