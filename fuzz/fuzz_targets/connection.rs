//! An open connection to a whole server: whatever frames a client sends after its login, in whatever order, the server
//! answers or closes, lets the socket go when the client has, and never panics.

#![no_main]

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc, LazyLock, Mutex,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use bytes::BytesMut;
use leveret::{config::Config, plugins::Plugins, server::Server};
use leveret_amqp::{FRAME_END, FieldTable, FrameKind, Method, PROTOCOL_HEADER, connection, encode_frame_start};
use leveret_broker::{Broker, VHostMetadata, access::Permissions};
use libfuzzer_sys::fuzz_target;

/// Inputs after which the broker is emptied: what one has declared, the next ones shall meet.
const USES_MAX: u32 = 64;

/// The server has this long to end a connection.
const END_TIME_MAX: Duration = Duration::from_secs(8);

static RIG: LazyLock<Mutex<Rig>> = LazyLock::new(|| Mutex::new(Rig::start()));

fuzz_target!(|bytes: &[u8]| RIG.lock().expect("a server without a panic").serve(bytes));

struct Rig {
    address: SocketAddr,
    broker: Arc<Broker>,
    uses: u32,
}

impl Rig {
    fn start() -> Self {
        let (sender, started) = channel();
        std::thread::spawn(|| run(sender));
        let (address, broker) = started.recv().expect("a server");
        Self { address, broker, uses: 0 }
    }

    fn serve(&mut self, bytes: &[u8]) {
        let mut socket = TcpStream::connect(self.address).expect("a connection");
        socket.set_read_timeout(Some(END_TIME_MAX)).expect("a timeout");
        let mut sent = log_in();
        put_frames(bytes, &mut sent);
        // Who is closed in the middle of this hears of it here or there.
        let written = socket.write_all(&sent).and_then(|()| socket.shutdown(Shutdown::Write));
        let read = socket.read_to_end(&mut Vec::new());
        let waits = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!written.as_ref().is_err_and(waits) && !read.as_ref().is_err_and(waits), "the connection does not end");
        self.uses += 1;
        if self.uses.is_multiple_of(USES_MAX) {
            self.empty();
        }
    }

    fn empty(&self) {
        let mut turn = self.broker.turn();
        self.broker.remove_vhost(&mut turn, "/");
        self.broker.create_vhost(&mut turn, "/", VHostMetadata::default()).expect("the first vhost");
        let all = || ".*".to_owned();
        let permissions =
            Permissions { user: "guest".into(), vhost: "/".into(), configure: all(), write: all(), read: all() };
        self.broker.set_permissions(&mut turn, permissions).expect("the first user");
    }
}

/// Serves until the process ends.
fn run(started: Sender<(SocketAddr, Arc<Broker>)>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    config.amqp.bind = "127.0.0.1:0".to_owned();
    config.http.bind = String::new();
    config.store.sync = leveret::config::Sync::Os;
    (config.disk_free_limit_bytes, config.memory_high_watermark) = (0, 0.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = Server::start(config, Plugins::compiled_in()).await.expect("a server");
        started.send((server.amqp_address(), Arc::clone(server.broker()))).expect("the fuzzer");
        std::future::pending::<()>().await;
    });
}

fn log_in() -> Vec<u8> {
    let start_ok = connection::StartOk {
        client_properties: FieldTable::new(),
        mechanism: "PLAIN",
        response: b"\0guest\0guest",
        locale: "en_US",
    };
    let tune_ok = connection::TuneOk { channel_max: 3, frame_max: 4096, heartbeat: 0 };
    let methods: [Method<'_>; 3] = [start_ok.into(), tune_ok.into(), connection::Open { virtual_host: "/" }.into()];
    let mut bytes = BytesMut::from(&PROTOCOL_HEADER[..]);
    methods.iter().for_each(|method| method.encode(0, &mut bytes));
    bytes.to_vec()
}

/// The input as frames, so that their lengths are right: an octet for kind and channel, one for the length, the payload.
/// What is left over is sent as it is.
fn put_frames(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let [head, len, rest @ ..] = bytes
        && let Some((payload, next)) = rest.split_at_checked(usize::from(*len))
    {
        let kind = match head & 3 {
            0 => FrameKind::Method,
            1 => FrameKind::Header,
            2 => FrameKind::Body,
            _ => FrameKind::Heartbeat,
        };
        encode_frame_start(kind, u16::from(head >> 2 & 3), payload.len() as u32, out);
        out.extend_from_slice(payload);
        out.push(FRAME_END);
        bytes = next;
    }
    out.extend_from_slice(bytes);
}
