//! From the protocol header to connection.open-ok, as a state machine: each transition consumes the state and yields
//! the next one, so that a step can neither be left out nor taken twice.
//!
//! It reads frames and writes to an outbox, and asks a [`Gate`] who may come in; sockets and time are its driver's.

use std::sync::Arc;

use leveret_amqp::{FieldTable, Frame, FrameKind, Method, ReplyCode, WireError, connection};
use leveret_broker::{Error, access::Refusal, auth::Identity};

use super::{
    failure::Failure,
    properties::server_properties,
    sasl::{self, Credentials},
    tune::Tuning,
};
use crate::{outbox::Outbox, session::Capabilities};

/// Largest frame before connection.tune-ok, in bytes: RabbitMQ's `initial_frame_max`, enough for a token in start-ok.
pub(super) const INITIAL_FRAME_MAX: u32 = 8192;

/// Who decides on logins and vhosts.
pub(crate) trait Gate {
    /// What a client that is let in has.
    type Entry;

    /// Checks a login; who that is.
    fn authenticate(&self, credentials: &Credentials) -> impl Future<Output = Result<Identity, Refusal>> + Send;

    /// Is told how a login by a mechanism went: whose it was, where that is known, and why it was refused.
    fn login(&self, _mechanism: &str, _user: Option<&str>, _outcome: Result<(), &str>) {}

    /// Checks that the user may enter the vhost now.
    fn enter(&self, identity: &Identity, vhost: &str) -> impl Future<Output = Result<Self::Entry, Error>> + Send;
}

/// Where the handshake stands: what the client has to send next.
pub(super) enum Handshake {
    /// connection.start-ok.
    Starting,
    /// connection.tune-ok.
    Tuning(Login),
    /// connection.open.
    Opening(Login, Tuning),
}

/// A client that has logged in.
pub(super) struct Login {
    pub(super) identity: Identity,
    pub(super) mechanism: Arc<str>,
    pub(super) client_properties: FieldTable,
    pub(super) capabilities: Capabilities,
}

/// A client that is through.
pub(super) struct Admitted<E> {
    pub(super) login: Login,
    pub(super) tuning: Tuning,
    pub(super) entry: E,
}

/// The outcome of a frame.
pub(super) enum Progress<E> {
    /// More to come.
    Further(Handshake),
    /// open-ok is in the outbox.
    Done(Admitted<E>),
}

/// The handshake ends here.
#[derive(Debug)]
pub(super) enum Stop {
    /// The client has closed; close-ok is in the outbox.
    ByClient,
    /// The server refuses.
    Refused(Refused),
}

/// Why, and what the client is told.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) failure: Failure,
    /// Whether the client is told. One that is not trusted, or would not understand, is dropped after a while.
    pub(super) is_answered: bool,
    /// For the log, where it says more than the failure.
    pub(super) reason: String,
}

impl Refused {
    fn new(failure: Failure, is_answered: bool) -> Self {
        Self { reason: failure.error.text.clone(), failure, is_answered }
    }
}

impl Handshake {
    /// The protocol header was right: begins with connection.start.
    pub(super) fn begin(cluster_name: &str, outbox: &mut Outbox) -> Self {
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: server_properties(cluster_name),
            mechanisms: sasl::MECHANISMS,
            locales: b"en_US",
        };
        outbox.method(0, &start.into());
        Self::Starting
    }

    /// Largest frame to accept now, in bytes.
    pub(super) fn frame_max(&self) -> u32 {
        match self {
            Self::Opening(_, tuning) => tuning.frame_max,
            _ => INITIAL_FRAME_MAX,
        }
    }

    /// Handles a frame.
    pub(super) async fn frame<G: Gate>(
        self,
        frame: &Frame<'_>,
        gate: &G,
        offer: Tuning,
        outbox: &mut Outbox,
    ) -> Result<Progress<G::Entry>, Stop> {
        match (frame.kind, frame.channel) {
            (FrameKind::Heartbeat, 0) => Ok(Progress::Further(self)),
            (FrameKind::Method, 0) => match Method::decode(frame.payload) {
                Ok(Method::Connection(method)) => self.method(&method, gate, offer, outbox).await,
                Ok(other) => Err(self.unexpected(other.ids())),
                Err(error) => Err(self.malformed(&error)),
            },
            _ => Err(self.refuse(Failure::unexpected_frame(frame))),
        }
    }

    /// The bytes are no frame, or no method.
    pub(super) fn malformed(&self, error: &WireError) -> Stop {
        self.refuse(Failure::malformed(error))
    }

    async fn method<G: Gate>(
        self,
        method: &connection::Method<'_>,
        gate: &G,
        offer: Tuning,
        outbox: &mut Outbox,
    ) -> Result<Progress<G::Entry>, Stop> {
        use connection::Method as M;
        match (self, method) {
            (Self::Starting, M::StartOk(start_ok)) => {
                let login = log_in(start_ok, gate).await?;
                outbox.method(0, &offer.offer().into());
                Ok(Progress::Further(Self::Tuning(login)))
            }
            (Self::Tuning(login), M::TuneOk(tune_ok)) => match offer.agree(tune_ok) {
                Ok(tuning) => Ok(Progress::Further(Self::Opening(login, tuning))),
                Err(error) => Err(Stop::Refused(Refused::new(Failure::of(error, method), true))),
            },
            (Self::Opening(login, tuning), M::Open(open)) => match gate.enter(&login.identity, open.virtual_host).await
            {
                Ok(entry) => {
                    outbox.method(0, &connection::OpenOk.into());
                    Ok(Progress::Done(Admitted { login, tuning, entry }))
                }
                Err(error) => Err(Stop::Refused(Refused::new(Failure::of(error, method), true))),
            },
            (_, M::Close(_)) => {
                outbox.method(0, &connection::CloseOk.into());
                Err(Stop::ByClient)
            }
            (state, other) => Err(state.unexpected((connection::Method::CLASS_ID, other.id()))),
        }
    }

    fn unexpected(&self, ids: (u16, u16)) -> Stop {
        let text = format!("unexpected method in connection state {}", self.name());
        self.refuse(Failure { error: Error::new(ReplyCode::ChannelError, text), ids })
    }

    /// Only who has logged in is told what was wrong.
    fn refuse(&self, failure: Failure) -> Stop {
        Stop::Refused(Refused::new(failure, !matches!(self, Self::Starting)))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Tuning(_) => "tuning",
            Self::Opening(..) => "opening",
        }
    }
}

async fn log_in<G: Gate>(start_ok: &connection::StartOk<'_>, gate: &G) -> Result<Login, Stop> {
    let capabilities = Capabilities::from_client_properties(&start_ok.client_properties);
    let refused = |error: Error, reason: String| {
        Stop::Refused(Refused {
            failure: Failure { error, ids: (0, 0) },
            is_answered: capabilities.authentication_failure_close,
            reason,
        })
    };
    let credentials = sasl::credentials(start_ok.mechanism, start_ok.response).map_err(|error| {
        let reason = error.text.clone();
        gate.login(start_ok.mechanism, None, Err(&reason));
        refused(error, reason)
    })?;
    let identity = gate.authenticate(&credentials).await.map_err(|refusal| {
        gate.login(start_ok.mechanism, Some(&credentials.username), Err(&refusal.to_string()));
        let reason = format!("{} login refused: {refusal}", start_ok.mechanism);
        refused(refusal.to_error(start_ok.mechanism), reason)
    })?;
    gate.login(start_ok.mechanism, Some(&identity.user().name), Ok(()));
    Ok(Login {
        identity,
        mechanism: start_ok.mechanism.into(),
        client_properties: start_ok.client_properties.clone(),
        capabilities,
    })
}
