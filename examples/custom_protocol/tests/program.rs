//! The program is a whole Leveret that has the protocol.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_custom-protocol"))
}

#[test]
fn the_protocol_is_there_beside_what_leveret_has() {
    let run = |arguments: &[&str]| {
        let output = program().args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = run(&["plugins", "list"]);
    for name in ["lines", "management"] {
        assert!(all.lines().any(|line| line.starts_with(name) && line.contains(" enabled ")), "{name} in {all}");
    }
    let info = run(&["plugins", "info", "lines"]);
    assert!(info.contains("\nprotocol LINES\n") && info.contains("    login_timeout_ms = 10000\n"), "{info}");
}

struct Running {
    process: Child,
    amqp: String,
    lines: String,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let set = ["lines.bind=127.0.0.1:0", "amqp.bind=127.0.0.1:0", "http.bind="];
        let mut command = program();
        command.arg("serve").arg("--data-dir").arg(folder).args(set.iter().flat_map(|set| ["--set", set]));
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let ready = log.find(|line| line.contains(" is ready: ")).expect("the server did not start");
        // Somebody has to read it, or the server waits.
        std::thread::spawn(move || log.for_each(drop));
        let address_of = |protocol| {
            let (_, rest) = ready.split_once(protocol).expect(protocol);
            rest.split_once(',').unwrap().0.to_owned()
        };
        Self { process, amqp: address_of("AMQP 0-9-1 on "), lines: address_of("LINES on ") }
    }

    fn ask(&self, lines: &str) -> Vec<String> {
        let mut socket = TcpStream::connect(&self.lines).unwrap();
        socket.write_all(format!("LOGIN guest guest /\n{lines}QUIT\n").as_bytes()).unwrap();
        BufReader::new(socket).lines().map(Result::unwrap).collect()
    }

    async fn declare(&self, queue: &str) {
        let uri = format!("amqp://{}", self.amqp);
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = connection.create_channel().await.unwrap();
        channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn what_was_said_to_be_safe_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    running.declare("q").await;
    assert_eq!(
        running.ask("PUBLISH - q one\nPUBLISH - q two\nGET q\nACK\n"),
        ["OK", "OK", "OK", "MESSAGE 3", "one", "OK", "BYE"]
    );
    running.kill();
    let running = Running::start(folder.path());
    assert_eq!(running.ask("GET q\nACK\nGET q\n"), ["OK", "MESSAGE 3", "two", "OK", "EMPTY", "BYE"]);
    running.kill();
}
