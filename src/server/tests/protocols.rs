//! What the server does for the front ends of plugins.
#![allow(clippy::unwrap_used)]

use std::{net::SocketAddr, sync::Arc};

use leveret::{
    config::Config,
    plugins::Plugins,
    server::{Server, ServerError},
};
use leveret_amqp::FieldTable;
use leveret_broker::{
    DeclareQueue,
    plugin::{
        Client, Event, EventKind, ListenAddress, Observer, PasswordLogin, Plugin, Protocol, RegisterError, Registry,
        Serving,
    },
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A protocol of requests of one byte: `l` logs in, `d` declares an exclusive queue, `p` panics, `e` ends.
struct Bytes {
    addresses: Vec<String>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Bytes {
    fn at(addresses: &[&str]) -> (Self, Arc<Mutex<Vec<String>>>) {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        (
            Self {
                addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
                heard: Arc::clone(&heard),
            },
            heard,
        )
    }
}

impl Plugin for Bytes {
    fn name(&self) -> &'static str {
        "bytes"
    }

    fn description(&self) -> &'static str {
        "a protocol of single bytes"
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        registry.observer(Arc::new(Heard(Arc::clone(&self.heard))))?;
        registry.protocol(Arc::new(FrontEnd(self.addresses.clone())))
    }
}

struct FrontEnd(Vec<String>);

impl Protocol for FrontEnd {
    fn name(&self) -> &'static str {
        "BYTES"
    }

    fn addresses(&self) -> Vec<ListenAddress> {
        self.0.iter().map(|address| ListenAddress { key: "bytes.bind", address: address.clone() }).collect()
    }

    fn serve(&self, mut client: Client) -> Serving {
        Box::pin(async move {
            loop {
                let request = tokio::select! {
                    request = client.stream.read_u8() => request?,
                    () = client.stop.cancelled() => b'e',
                };
                match request {
                    b'l' => {
                        let login =
                            PasswordLogin { mechanism: "BYTE", username: "guest", password: b"guest", vhost: "/" };
                        let is_in = client.entrance.log_in(login).await.is_ok();
                        client.stream.write_u8(if is_in { b'+' } else { b'-' }).await?;
                    }
                    b'd' => {
                        let declare = DeclareQueue {
                            name: "mine",
                            durable: false,
                            auto_delete: false,
                            exclusive_to: Some(client.connection_id),
                            arguments: &FieldTable::new(),
                        };
                        let vhost = client.broker.vhost("/").unwrap();
                        vhost.declare_queue(&mut client.broker.turn(), &declare)?;
                        client.stream.write_u8(b'+').await?;
                    }
                    b'p' => panic!("as asked for"),
                    _ => return Ok(()),
                }
            }
        })
    }
}

/// Notes what happens to connections and logins of the protocol.
struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn name(&self) -> &str {
        "heard"
    }

    fn observe(&self, event: &Event) {
        let protocol = match &event.kind {
            EventKind::ConnectionCreated(connection) | EventKind::ConnectionClosed(connection) => connection.protocol,
            EventKind::LoginSucceeded(login) => login.protocol,
            _ => return,
        };
        self.0.lock().push(format!("{protocol} {}", event.kind.name()));
    }
}

async fn start(folder: &tempfile::TempDir, bytes: Bytes) -> Result<Server, ServerError> {
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    config.amqp.bind = "127.0.0.1:0".to_owned();
    config.http.bind = String::new();
    Server::start(config, Plugins::default().with(bytes)).await
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn ask(socket: &mut TcpStream, request: u8) -> Option<u8> {
    socket.write_u8(request).await.unwrap();
    socket.read_u8().await.ok()
}

#[tokio::test]
async fn a_connection_is_one_of_the_servers_from_its_login_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, heard) = Bytes::at(&["127.0.0.1:0", "", "127.0.0.1:0"]);
    let server = start(&folder, bytes).await.unwrap();
    let [(_, one), (_, other)] = *server.protocol_addresses() else { panic!("an address is missing, or too many") };
    for address in [one, other] {
        let mut socket = connect(address).await;
        assert_eq!(ask(&mut socket, b'l').await, Some(b'+'));
        assert_eq!(ask(&mut socket, b'l').await, Some(b'-'), "a connection logs in once");
        assert_eq!(ask(&mut socket, b'e').await, None);
    }
    let mut waiting = connect(one).await;
    assert_eq!(ask(&mut waiting, b'l').await, Some(b'+'));
    assert_eq!(ask(&mut waiting, b'd').await, Some(b'+'));
    let vhost = server.broker().vhost("/").unwrap();
    assert!(vhost.find_queue("mine").is_some());
    server.shut_down().await.unwrap();
    assert!(vhost.find_queue("mine").is_none());
    assert_eq!(waiting.read_u8().await.ok(), None, "it was told to end");
    let heard = heard.lock();
    let count = |name: &str| heard.iter().filter(|line| **line == format!("BYTES {name}")).count();
    assert_eq!(["connection.created", "connection.closed"].map(count), [3, 3]);
}

#[tokio::test]
async fn a_panic_ends_its_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, heard) = Bytes::at(&["127.0.0.1:0"]);
    let server = start(&folder, bytes).await.unwrap();
    let address = server.protocol_addresses()[0].1;
    let (mut one, mut other) = (connect(address).await, connect(address).await);
    assert_eq!(ask(&mut one, b'l').await, Some(b'+'));
    assert_eq!(ask(&mut one, b'p').await, None);
    assert_eq!(ask(&mut other, b'l').await, Some(b'+'));
    assert_eq!(ask(&mut connect(address).await, b'l').await, Some(b'+'));
    server.shut_down().await.unwrap();
    let closed = heard.lock().iter().filter(|line| line.ends_with("connection.closed")).count();
    assert_eq!(closed, 3);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let error = start(&folder, Bytes::at(&[&taken]).0).await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot listen on {taken} (bytes.bind): ")), "{error}");
    let server = start(&folder, Bytes::at(&[""]).0).await.unwrap();
    assert!(server.protocol_addresses().is_empty());
    server.shut_down().await.unwrap();
}
