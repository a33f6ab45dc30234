//! What all parts of a run share.

use std::{collections::BTreeMap, net::SocketAddr, str::FromStr, time::Duration};

use lapin::{Connection, ConnectionProperties, uri::AMQPUri};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IteratorRandom};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Error, Options, broker::Broker, history::Recorder};

/// Between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// For one attempt: a broker that is starting may accept and then say nothing.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(5);

/// What all parts of a run share.
pub(crate) struct Scene {
    pub(crate) options: Options,
    pub(crate) recorder: Recorder,
    /// No more faults, no more publishes.
    pub(crate) over: CancellationToken,
    /// Where the broker is.
    pub(crate) address: SocketAddr,
    uri: AMQPUri,
    /// What cuts the connections that are open, by process.
    cutters: Mutex<BTreeMap<u32, AbortHandle>>,
}

impl Scene {
    pub(crate) async fn new(options: &Options, uri: &str, recorder: Recorder) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Uri { uri: uri.to_owned(), reason };
        let parsed = AMQPUri::from_str(uri).map_err(wrong)?;
        let authority = (parsed.authority.host.as_str(), parsed.authority.port);
        let found = tokio::net::lookup_host(authority).await.map_err(|reason| wrong(reason.to_string()))?.next();
        let address = found.ok_or_else(|| wrong("no such host".to_owned()))?;
        Ok(Self {
            options: options.clone(),
            recorder,
            over: CancellationToken::new(),
            address,
            uri: parsed,
            cutters: Mutex::default(),
        })
    }

    /// The source of the choices of one part of the run.
    pub(crate) fn random(&self, part: u64) -> StdRng {
        let mut parts = StdRng::seed_from_u64(self.options.seed);
        let of_run: u64 = parts.random();
        StdRng::seed_from_u64(of_run.wrapping_add(part))
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.options.patience)
    }

    /// The name of a queue.
    pub(crate) fn queue(&self, number: u32) -> String {
        format!("checker.{}.{number}", self.options.seed)
    }

    /// Where to log in, by another address.
    pub(crate) fn uri_at(&self, address: SocketAddr) -> AMQPUri {
        let mut uri = self.uri.clone();
        uri.authority.host = address.ip().to_string();
        uri.authority.port = address.port();
        uri
    }

    /// A little time before the next attempt to connect.
    pub(crate) async fn pause(&self) {
        sleep(RETRY_PAUSE).await;
    }

    /// Waits until the broker takes connections.
    pub(crate) async fn until_reachable(&self, mut broker: Option<&mut Broker>) -> Result<(), Error> {
        let deadline = Instant::now() + self.patience();
        loop {
            let attempt = Connection::connect_uri(self.uri_at(self.address), ConnectionProperties::default());
            let failure = match timeout(ATTEMPT_TIME_MAX, attempt).await {
                Ok(Ok(connection)) => {
                    // It has said that it is there; how it says goodbye is nothing to this.
                    let _ = connection.close(200, "there".into()).await;
                    return Ok(());
                }
                Ok(Err(failure)) => failure,
                Err(_) => timed_out(),
            };
            if let Some(broker) = &mut broker {
                broker.check_alive()?;
            }
            if Instant::now() > deadline {
                return Err(Error::Unreachable { address: self.address.to_string(), reason: Box::new(failure) });
            }
            self.pause().await;
        }
    }

    pub(crate) fn connected(&self, process: u32, cutter: AbortHandle) {
        self.cutters.lock().insert(process, cutter);
    }

    pub(crate) fn disconnected(&self, process: u32) {
        self.cutters.lock().remove(&process);
    }

    /// One of the processes that are connected, and what cuts it.
    pub(crate) fn victim(&self, random: &mut StdRng) -> Option<(u32, AbortHandle)> {
        let cutters = self.cutters.lock();
        cutters.iter().choose(random).map(|(process, cutter)| (*process, cutter.clone()))
    }
}

/// As an error of the client.
pub(crate) fn timed_out() -> lapin::Error {
    io_error(std::io::ErrorKind::TimedOut.into())
}

pub(crate) fn io_error(error: std::io::Error) -> lapin::Error {
    lapin::ErrorKind::IOError(error.into()).into()
}
