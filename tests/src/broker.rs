//! A broker for one test.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use lapin::Connection;
use lapin::ConnectionProperties;
use tempfile::TempDir;

use crate::client::Client;
use crate::recording::Recording;
use crate::{FaultyDisk, binary, until};

/// A test that takes longer has hung; many rounds of crashes take minutes.
const TEST_TIME: Duration = Duration::from_secs(900);

/// Another process may take a port between its choice and its use.
const START_ATTEMPTS: u32 = 5;

/// What the broker says, beside its data.
const SAID: &str = "said";

/// A running broker; killed, and its data deleted, when dropped.
pub struct Broker {
    process: Option<Process>,
    uri: String,
}

struct Process {
    child: Child,
    folder: TempDir,
    arguments: Vec<String>,
    /// Where management is listened on.
    http: String,
    disk: Option<FaultyDisk>,
}

/// Runs a test with a broker of its own.
///
/// # Panics
///
/// When the broker does not start, or the test takes too long.
pub async fn with_broker(test: impl AsyncFnOnce(Broker)) {
    with_test_time(async { test(Broker::start(&[]).await).await }).await;
}

/// Runs a test that starts a broker for itself.
///
/// # Panics
///
/// When it takes too long.
pub async fn with_test_time(test: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(TEST_TIME, test).await.is_ok(), "the test did not end in time");
}

impl Broker {
    /// Starts a broker with an empty data folder and more arguments for `leveret serve`; or takes the broker of
    /// `LEVERET_TEST_URI`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start(arguments: &[&str]) -> Self {
        if let Ok(uri) = std::env::var("LEVERET_TEST_URI") {
            return Self { process: None, uri };
        }
        Self::launch(tempfile::tempdir().expect("a temporary folder"), arguments, None).await
    }

    /// Starts a broker of our own, as [`Broker::start`] does, on a disk that fails on request and is `prepare`d before.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_on_faulty_disk(arguments: &[&str], prepare: impl FnOnce(&FaultyDisk)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk = FaultyDisk::create(folder.path()).expect("a disk");
        prepare(&disk);
        Self::launch(folder, arguments, Some(disk)).await
    }

    async fn launch(folder: TempDir, arguments: &[&str], disk: Option<FaultyDisk>) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let Launched { child, uri, http } = launch(folder.path(), &arguments, disk.as_ref()).await;
        Self { process: Some(Process { child, folder, arguments, http, disk }), uri }
    }

    /// Starts a broker of our own on data that is in the folder `data` of `folder`, with a disk that works.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_on(folder: TempDir, arguments: &[String]) -> Self {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self::launch(folder, &arguments, None).await
    }

    /// Kills the broker of [`Broker::start_on_faulty_disk`]; what it did to its disk, for losses of power.
    ///
    /// # Panics
    ///
    /// When it is on another one.
    pub fn into_recording(mut self) -> Recording {
        self.kill();
        let journal = std::fs::read(&self.disk().journal).expect("the journal");
        Recording::new(journal, self.process.take().expect("a broker of our own").arguments)
    }

    /// The disk of [`Broker::start_on_faulty_disk`].
    ///
    /// # Panics
    ///
    /// When it is on another one.
    pub fn disk(&self) -> &FaultyDisk {
        let process = self.process.as_ref().expect("a broker of our own");
        process.disk.as_ref().expect("a faulty disk")
    }

    /// Where management is listened on, as `host:port`.
    ///
    /// # Panics
    ///
    /// When the broker is not ours.
    pub fn http(&self) -> &str {
        &self.process.as_ref().expect("a broker of our own").http
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it is not ours.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().expect("a broker of our own").child.try_wait().expect("the broker's state")
    }

    /// Whether this is a Leveret that the test may stop, and not the broker of `LEVERET_TEST_URI`.
    pub fn is_ours(&self) -> bool {
        self.process.is_some()
    }

    /// Where to connect.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where to connect with `login`, a `user:password`, to a vhost.
    ///
    /// # Panics
    ///
    /// When the broker's own URI is none.
    pub fn uri_for(&self, login: &str, vhost: &str) -> String {
        let address = self.uri.rsplit('@').next().expect("an address");
        format!("amqp://{login}@{address}/{}", vhost.replace('/', "%2f"))
    }

    /// Where the data is.
    ///
    /// # Panics
    ///
    /// When the broker is not ours.
    pub fn data_dir(&self) -> PathBuf {
        self.process.as_ref().expect("a broker of our own").folder.path().join("data")
    }

    /// A connection as guest to vhost `/`, with a channel.
    pub async fn client(&self) -> Client {
        Client::connect(&self.uri).await
    }

    /// Stops the broker as an operator does (SIGTERM), and starts it again on its data.
    ///
    /// # Panics
    ///
    /// When it does not end well, or does not start.
    pub async fn restart(&mut self) {
        let process = self.process.as_mut().expect("a broker of our own");
        signal(process.child.id(), "TERM");
        let status = until("the broker's end", async || process.child.try_wait().ok().flatten()).await;
        assert!(status.success(), "the broker ended with {status}");
        self.start_again().await;
    }

    /// Kills the broker (signal 9).
    ///
    /// # Panics
    ///
    /// When it is not ours.
    pub fn kill(&mut self) {
        let process = self.process.as_mut().expect("a broker of our own");
        process.child.kill().expect("killing the broker");
        process.child.wait().expect("the killed broker's end");
    }

    /// Starts the broker again on its data, after [`Broker::kill`].
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.start_again_with(&[]).await;
    }

    /// As [`Broker::start_again`], with more arguments this once.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_again_with(&mut self, more: &[&str]) {
        let process = self.process.as_mut().expect("a broker of our own");
        let arguments: Vec<String> =
            process.arguments.iter().cloned().chain(more.iter().map(ToString::to_string)).collect();
        let launched = launch(process.folder.path(), &arguments, process.disk.as_ref()).await;
        (process.child, process.http, self.uri) = (launched.child, launched.http, launched.uri);
    }

    /// Starts the broker again on its data, which it must refuse; what it says.
    ///
    /// # Panics
    ///
    /// When it goes on.
    pub async fn start_refused(&mut self) -> String {
        let (amqp, http, before) = (free_address(), free_address(), self.said().len());
        let process = self.process.as_mut().expect("a broker of our own");
        process.child = spawn(process.folder.path(), &amqp, &http, &process.arguments, process.disk.as_ref());
        let status = until("the broker's refusal", async || self.has_ended()).await;
        assert!(!status.success(), "the broker ended with {status}");
        self.said().split_off(before)
    }

    /// What the broker has said, over all its starts.
    ///
    /// # Panics
    ///
    /// When it is not ours.
    pub fn said(&self) -> String {
        let process = self.process.as_ref().expect("a broker of our own");
        said(process.folder.path())
    }

    /// Runs `leveret ctl` with these arguments and gives what it prints.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.ctl_output(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "leveret ctl {arguments:?}: {}: {errors}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs `leveret ctl` with these arguments.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn ctl_output(&self, arguments: &[&str]) -> Output {
        let process = self.process.as_ref().expect("a broker of our own");
        let mut command = command(process.folder.path());
        command.arg("ctl").args(arguments);
        command.env("LEVERET_DATA_DIR", self.data_dir());
        command.output().expect("leveret ctl")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended already; there is nothing to do about an error here.
            let _ = process.child.kill();
            let _ = process.child.wait();
            // The runner shows it when the test fails.
            println!("{}", self.said());
        }
    }
}

/// The binary, with nothing of this machine's configuration in reach.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEVERET_")) {
        command.env_remove(name);
    }
    command
}

struct Launched {
    child: Child,
    uri: String,
    http: String,
}

async fn launch(folder: &Path, arguments: &[String], disk: Option<&FaultyDisk>) -> Launched {
    for _ in 0..START_ATTEMPTS {
        let (amqp, http) = (free_address(), free_address());
        let mut child = spawn(folder, &amqp, &http, arguments, disk);
        let uri = format!("amqp://guest:guest@{amqp}");
        if answers(&mut child, &uri).await {
            return Launched { child, uri, http };
        }
    }
    panic!("the broker does not start: {}", said(folder));
}

fn spawn(folder: &Path, amqp: &str, http: &str, arguments: &[String], disk: Option<&FaultyDisk>) -> Child {
    let mut command = command(folder);
    command.args(["serve", "--data-dir", "data", "--amqp-bind", amqp, "--http-bind", http]).args(arguments);
    if let Some(disk) = disk {
        command.envs(disk.environment(&folder.join("data")));
    }
    let said = File::options().create(true).append(true).open(folder.join(SAID)).expect("a file");
    command.stdout(said.try_clone().expect("a file")).stderr(said);
    command.spawn().expect("starting the broker")
}

/// Waits until the broker takes connections; false when it ended instead.
async fn answers(child: &mut Child, uri: &str) -> bool {
    until("the broker's start", async || {
        if child.try_wait().ok().flatten().is_some() {
            return Some(false);
        }
        let connection = Connection::connect(uri, ConnectionProperties::default()).await.ok()?;
        let _ = connection.close(200, "started".into()).await;
        Some(true)
    })
    .await
}

fn said(folder: &Path) -> String {
    std::fs::read_to_string(folder.join(SAID)).expect("what the broker said")
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the address of a listener").to_string()
}

fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(status.expect("the command kill").success());
}
