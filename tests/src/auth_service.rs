//! A web service that says who comes in and what they may do, as an operator would write one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The paths that it answers.
const PATHS: [&str; 4] = ["user", "vhost", "resource", "topic"];

/// What it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthQuestion {
    /// `user`, `vhost`, `resource` or `topic`.
    pub path: String,
    /// The parameters, by name.
    pub parameters: BTreeMap<String, String>,
}

/// The service; gone when it is dropped.
pub struct AuthService {
    address: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    answer: Box<dyn Fn(&AuthQuestion) -> String + Send + Sync>,
    asked: watch::Sender<Vec<AuthQuestion>>,
    /// Paths whose answers wait.
    held: watch::Sender<BTreeSet<&'static str>>,
}

impl AuthQuestion {
    /// A parameter; empty where it was not given.
    pub fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
}

impl AuthService {
    /// Starts a service that answers so.
    ///
    /// # Panics
    ///
    /// When there is no port to listen on.
    pub async fn start(answer: impl Fn(&AuthQuestion) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the address of a listener").to_string();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            asked: watch::Sender::default(),
            held: watch::Sender::default(),
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, server }
    }

    /// The arguments for `leveret serve` that have it asked, beside those that say when.
    pub fn arguments(&self) -> Vec<String> {
        let urls = PATHS.map(|path| format!("auth_http.{path}_path=http://{}/{path}", self.address));
        urls.into_iter().flat_map(|url| ["--set".to_owned(), url]).collect()
    }

    /// What it was asked by a path, answered or not.
    pub fn asked(&self, path: &str) -> Vec<AuthQuestion> {
        let asked = self.shared.asked.borrow();
        asked.iter().filter(|question| question.path == path).cloned().collect()
    }

    /// Answers nothing on a path until [`Self::release`].
    pub fn hold(&self, path: &'static str) {
        self.shared.held.send_modify(|held| _ = held.insert(path));
    }

    /// Answers everything again.
    pub fn release(&self) {
        self.shared.held.send_modify(BTreeSet::clear);
    }

    /// Is gone, in the middle of what it does.
    pub async fn stop(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for AuthService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the service.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(answer_all(BufStream::new(socket), Arc::clone(&shared)));
    }
}

async fn answer_all(mut socket: BufStream<TcpStream>, shared: Arc<Shared>) -> io::Result<()> {
    while let Some(question) = read(&mut socket).await? {
        let mut held = shared.held.subscribe();
        shared.asked.send_modify(|asked| asked.push(question.clone()));
        let _ = held.wait_for(|held| !held.contains(question.path.as_str())).await;
        let body = (shared.answer)(&question);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        socket.write_all((head + &body).as_bytes()).await?;
        socket.flush().await?;
    }
    Ok(())
}

/// The next request's path and form; none at the end.
async fn read(socket: &mut BufStream<TcpStream>) -> io::Result<Option<AuthQuestion>> {
    let mut first = String::new();
    if socket.read_line(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    let path = first.split([' ', '?']).nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    Ok(Some(AuthQuestion { path, parameters: form(&String::from_utf8_lossy(&body)) }))
}

fn form(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), unescaped(value))).collect()
}

fn unescaped(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut parts = text.split('%');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2);
        octets.push(u8::from_str_radix(code, 16).expect("two hexadecimal digits"));
        octets.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&octets).into_owned()
}
