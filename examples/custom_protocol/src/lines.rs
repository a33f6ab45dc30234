//! Protocol `LINES`: a request is a line, and so is an answer. For `nc`, and to begin with.
//!
//! ```text
//! LOGIN user password vhost     OK, or ERROR and the end
//! PUBLISH exchange key body     OK once the message is as safe as a confirm of AMQP says, UNROUTABLE, REFUSED by a queue's
//!                               limits, or ERROR. The exchange `-` is the default one. The body is the rest of the line
//! GET queue                     MESSAGE, the body's length in bytes, a line feed, and the body; EMPTY; or ERROR
//! ACK                           OK once the message that was got is gone for good. Without it the message goes back
//! QUIT                          BYE
//! ```
//!
//! What a peer may spend has a limit: the length of a line, the time until it has logged in, and one message unacknowledged.

use std::{io, sync::Arc, time::Duration};

use leveret_broker::{
    Error,
    plugin::{
        Client, Entrance, Entry, ListenAddress, PasswordLogin, Plugin, Protocol, RegisterError, Registry, Section,
        Serving, Stream,
    },
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};

use crate::session::{Got, Published, Session};

const SECTION: &str = "lines";

/// How long a peer that was told why it cannot go on has to read it and to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The section of the configuration.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on; empty is off.
    bind: String,
    /// A request, in bytes.
    line_bytes_max: u64,
    /// From accept to the login, in milliseconds.
    login_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bind: String::new(), line_bytes_max: 64 * 1024, login_timeout_ms: 10_000 }
    }
}

pub struct Lines;

impl Plugin for Lines {
    fn name(&self) -> &'static str {
        "lines"
    }

    fn description(&self) -> &'static str {
        "protocol LINES: a request is a line"
    }

    fn section(&self) -> Option<Section> {
        Some(Section::of::<Settings>(SECTION))
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        let settings = registry.section(SECTION)?;
        registry.protocol(Arc::new(FrontEnd(settings)))
    }
}

struct FrontEnd(Settings);

impl Protocol for FrontEnd {
    fn name(&self) -> &'static str {
        "LINES"
    }

    fn addresses(&self) -> Vec<ListenAddress> {
        vec![ListenAddress { key: "lines.bind", address: self.0.bind.clone() }]
    }

    fn serve(&self, client: Client) -> Serving {
        let settings = self.0.clone();
        Box::pin(async move { Ok(serve(client, &settings).await?) })
    }
}

/// Why a connection has ended, other than by its client.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Refused(#[from] Error),
    #[error("the line is longer than {0} bytes")]
    TooLong(u64),
    #[error("the line is not UTF-8")]
    NotText,
    #[error("not logged in in time")]
    LoginTimeout,
    #[error("LOGIN user password vhost comes first")]
    NotLoggedIn,
    #[error("the server closes the connection")]
    Stopped,
}

/// From the first byte to the last, unless the server wants it to end before.
async fn serve(client: Client, settings: &Settings) -> Result<(), Ending> {
    let Client { broker, stream, connection_id, entrance, stop, .. } = client;
    let mut lines = Conversation { stream: BufStream::new(stream), line_bytes_max: settings.line_bytes_max };
    let served = async {
        let login = log_in(&mut lines, &*entrance);
        let within = Duration::from_millis(settings.login_timeout_ms);
        let Some(entry) = tokio::time::timeout(within, login).await.map_err(|_| Ending::LoginTimeout)?? else {
            return Ok(());
        };
        let mut session = Session::new(broker, connection_id, entry);
        answer_all(&mut lines, &mut session, &*entrance).await
    };
    let outcome = tokio::select! {
        outcome = served => outcome,
        () = stop.cancelled() => Err(Ending::Stopped),
    };
    if let Err(ending) = &outcome {
        lines.end(ending).await;
    }
    outcome
}

/// Who is in; `None` where the client has gone.
async fn log_in(lines: &mut Conversation, entrance: &dyn Entrance) -> Result<Option<Entry>, Ending> {
    let Some(line) = lines.read().await? else { return Ok(None) };
    let [login, username, password, vhost] = *line.split(' ').collect::<Vec<_>>() else {
        return Err(Ending::NotLoggedIn);
    };
    if login != "LOGIN" {
        return Err(Ending::NotLoggedIn);
    }
    let login = PasswordLogin { mechanism: "LOGIN", username, password: password.as_bytes(), vhost };
    let entry = entrance.log_in(login).await?;
    lines.write(b"OK").await?;
    Ok(Some(entry))
}

async fn answer_all(lines: &mut Conversation, session: &mut Session, entrance: &dyn Entrance) -> Result<(), Ending> {
    while let Some(line) = lines.read().await? {
        let (request, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match request {
            "PUBLISH" => {
                entrance.may_publish().await;
                publish(session, rest).await
            }
            "GET" => get(session, rest).await,
            "ACK" => session.acknowledge().await.map(|()| b"OK".to_vec()),
            "QUIT" => {
                lines.write(b"BYE").await?;
                return Ok(());
            }
            _ => Err(Error::precondition_failed("there are PUBLISH, GET, ACK and QUIT")),
        };
        lines.write(&answer.unwrap_or_else(|error| format!("ERROR {error}").into_bytes())).await?;
    }
    Ok(())
}

async fn publish(session: &mut Session, rest: &str) -> Result<Vec<u8>, Error> {
    let [exchange, key, body] = *rest.splitn(3, ' ').collect::<Vec<_>>() else {
        return Err(Error::precondition_failed("PUBLISH exchange key body"));
    };
    let exchange = if exchange == "-" { "" } else { exchange };
    let answer: &[u8] = match session.publish(exchange, key, body.as_bytes()).await? {
        Published::Safe => b"OK",
        Published::Unroutable => b"UNROUTABLE",
        Published::Refused => b"REFUSED",
    };
    Ok(answer.to_vec())
}

async fn get(session: &mut Session, queue: &str) -> Result<Vec<u8>, Error> {
    Ok(match session.get(queue).await? {
        Got::Message(body) => [format!("MESSAGE {}\n", body.len()).as_bytes(), &body].concat(),
        Got::Empty => b"EMPTY".to_vec(),
    })
}

/// Lines from and to a peer.
struct Conversation {
    stream: BufStream<Box<dyn Stream>>,
    line_bytes_max: u64,
}

impl Conversation {
    /// The next line; `None` where the peer has closed.
    async fn read(&mut self) -> Result<Option<String>, Ending> {
        let mut line = Vec::new();
        // A byte more than may be, so that one that is too long shows.
        let mut limited = (&mut self.stream).take(self.line_bytes_max.saturating_add(1));
        limited.read_until(b'\n', &mut line).await?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => {
                let text = line.strip_suffix(b"\r").unwrap_or(&line);
                Ok(Some(str::from_utf8(text).map_err(|_| Ending::NotText)?.to_owned()))
            }
            Some(_) if line.len() as u64 == self.line_bytes_max => Err(Ending::TooLong(self.line_bytes_max)),
            // Half a line was never meant.
            Some(_) => Ok(None),
        }
    }

    async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line).await?;
        self.stream.write_all(b"\n").await?;
        self.stream.flush().await
    }

    /// Says why it ends, and lets the peer read that: a socket that is closed with bytes unread takes back what was written.
    async fn end(&mut self, ending: &Ending) {
        let last_words = async {
            self.write(format!("ERROR {ending}").as_bytes()).await?;
            self.stream.shutdown().await?;
            tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await
        };
        // Whether it has read them or not, it is over.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, last_words).await;
    }
}
