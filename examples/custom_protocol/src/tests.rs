//! A server in this process, clients of both protocols.

use std::path::Path;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use leveret::{
    config::{self, Setting, Sources},
    plugins::Plugins,
    server::Server,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use crate::lines::Lines;

const LOGIN: &str = "LOGIN guest guest /";

async fn start(folder: &Path, set: &[(&str, &str)]) -> Server {
    let folder = folder.to_str().unwrap();
    let always = [("data_dir", folder), ("amqp.bind", "127.0.0.1:0"), ("http.bind", ""), ("lines.bind", "127.0.0.1:0")];
    let flags = always.iter().chain(set).map(|(key, text)| Setting::flag("--set", key, *text)).collect();
    let plugins = Plugins::default().with(Lines);
    let config = config::load(&Sources { flags, sections: plugins.sections(), ..Sources::default() }).unwrap();
    Server::start(config, plugins).await.unwrap()
}

struct Peer(BufStream<TcpStream>);

impl Peer {
    async fn connect(server: &Server) -> Self {
        let [(name, address)] = *server.protocol_addresses() else { panic!("not one protocol") };
        assert_eq!(name, "LINES");
        Self(BufStream::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn logged_in(server: &Server) -> Self {
        let mut peer = Self::connect(server).await;
        assert_eq!(peer.ask(LOGIN).await, "OK");
        peer
    }

    async fn ask(&mut self, line: &str) -> String {
        self.0.write_all(line.as_bytes()).await.unwrap();
        self.0.write_all(b"\n").await.unwrap();
        self.0.flush().await.unwrap();
        self.hear().await
    }

    async fn hear(&mut self) -> String {
        let mut answer = String::new();
        self.0.read_line(&mut answer).await.unwrap();
        answer.trim_end_matches('\n').to_owned()
    }

    /// The body of the message that is got.
    async fn get(&mut self, queue: &str) -> String {
        let answer = self.ask(&format!("GET {queue}")).await;
        let length = answer.strip_prefix("MESSAGE ").unwrap_or_else(|| panic!("{answer}"));
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        assert_eq!(self.hear().await, "");
        String::from_utf8(body).unwrap()
    }

    async fn is_closed(&mut self) -> bool {
        self.0.read_u8().await.is_err()
    }
}

async fn amqp(server: &Server) -> (Connection, Channel) {
    let uri = format!("amqp://guest:guest@{}", server.amqp_address());
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("q".into(), options, FieldTable::default()).await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn messages_go_from_each_protocol_to_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]).await;
    let (_connection, channel) = amqp(&server).await;
    let mut peer = Peer::logged_in(&server).await;
    assert_eq!(peer.ask("PUBLISH - q from a line").await, "OK");
    let got = channel.basic_get("q".into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!((&*got.data, *got.properties.delivery_mode()), (&b"from a line"[..], Some(2)));

    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let options = BasicPublishOptions::default();
    let body = b"from\na frame";
    let sent = channel.basic_publish("".into(), "q".into(), options, body, BasicProperties::default());
    sent.await.unwrap().await.unwrap();
    assert_eq!(peer.get("q").await, "from\na frame");
    assert_eq!(peer.ask("ACK").await, "OK");
    assert_eq!(peer.ask("GET q").await, "EMPTY");
    assert_eq!(peer.ask("QUIT").await, "BYE");
    assert!(peer.is_closed().await);
    server.shut_down().await.unwrap();
}

#[tokio::test]
async fn what_was_said_to_be_safe_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]).await;
    amqp(&server).await;
    let mut peer = Peer::logged_in(&server).await;
    for body in ["one", "two"] {
        assert_eq!(peer.ask(&format!("PUBLISH - q {body}")).await, "OK");
    }
    assert_eq!(peer.get("q").await, "one");
    assert_eq!(peer.ask("ACK").await, "OK");
    server.shut_down().await.unwrap();
    assert_eq!(peer.hear().await, "ERROR the server closes the connection");

    let server = start(folder.path(), &[]).await;
    let mut peer = Peer::logged_in(&server).await;
    assert_eq!(peer.get("q").await, "two");
    server.shut_down().await.unwrap();
}

#[tokio::test]
async fn who_may_not_is_told_so_and_goes_on_only_where_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]).await;
    let refused = "ERROR ACCESS_REFUSED - Login was refused using authentication mechanism LOGIN. For details see the \
                   broker logfile.";
    for (line, answer) in [
        ("LOGIN guest wrong /", refused),
        ("LOGIN guest guest nowhere", "ERROR NOT_ALLOWED - vhost nowhere not found"),
        ("PUBLISH - q body", "ERROR LOGIN user password vhost comes first"),
    ] {
        let mut peer = Peer::connect(&server).await;
        assert_eq!(peer.ask(line).await, answer);
        assert!(peer.is_closed().await);
    }
    let mut peer = Peer::logged_in(&server).await;
    for (line, answer) in [
        ("PUBLISH - nothing body", "UNROUTABLE"),
        ("PUBLISH nowhere key body", "ERROR NOT_FOUND - no exchange 'nowhere' in vhost '/'"),
        ("GET nothing", "ERROR NOT_FOUND - no queue 'nothing' in vhost '/'"),
        ("ACK", "ERROR PRECONDITION_FAILED - there is nothing to acknowledge"),
        ("HELLO", "ERROR PRECONDITION_FAILED - there are PUBLISH, GET, ACK and QUIT"),
    ] {
        assert_eq!(peer.ask(line).await, answer);
    }
    let broker = server.broker();
    assert!(broker.clear_permissions(&mut broker.turn(), "guest", "/"));
    let answer = peer.ask("PUBLISH amq.topic key body").await;
    assert!(answer.starts_with("ERROR ACCESS_REFUSED - write access to exchange 'amq.topic'"), "{answer}");
    server.shut_down().await.unwrap();
}

#[tokio::test]
async fn what_a_peer_may_spend_has_limits() {
    let folder = tempfile::tempdir().unwrap();
    let set = [("lines.line_bytes_max", "100"), ("amqp.connection_max", "1")];
    let server = start(folder.path(), &set).await;
    let mut first = Peer::logged_in(&server).await;
    let mut second = Peer::connect(&server).await;
    let full = "ERROR NOT_ALLOWED - connection refused: node connection limit (1) is reached";
    assert_eq!(second.ask(LOGIN).await, full);

    let just_right = format!("PUBLISH - nothing {}", "x".repeat(100 - "PUBLISH - nothing ".len()));
    assert_eq!(first.ask(&just_right).await, "UNROUTABLE");
    assert_eq!(first.ask(&"x".repeat(100_000)).await, "ERROR the line is longer than 100 bytes");
    assert!(first.is_closed().await);
    server.shut_down().await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[("lines.login_timeout_ms", "1")]).await;
    let mut silent = Peer::connect(&server).await;
    assert_eq!(silent.hear().await, "ERROR not logged in in time");
    assert!(silent.is_closed().await);
    server.shut_down().await.unwrap();
}

#[tokio::test]
async fn what_was_not_acknowledged_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]).await;
    amqp(&server).await;
    let mut peer = Peer::logged_in(&server).await;
    assert_eq!(peer.ask("PUBLISH - q again").await, "OK");
    assert_eq!(peer.get("q").await, "again");
    let twice = "ERROR PRECONDITION_FAILED - the message that was got before is to be acknowledged first";
    assert_eq!(peer.ask("GET q").await, twice);
    let queue = server.broker().vhost("/").unwrap().find_queue("q").unwrap();
    assert_eq!(queue.counts().unacked, 1);
    assert_eq!(peer.ask("QUIT").await, "BYE");
    assert!(peer.is_closed().await);
    assert_eq!(Peer::logged_in(&server).await.get("q").await, "again");
    server.shut_down().await.unwrap();
}
