//! The broker's process.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use leveret_tests::FaultyDisk as Disk;

use crate::patience::PATIENCE;

const POLL: Duration = Duration::from_millis(5);

/// A running broker; killed when dropped.
pub(crate) struct Server {
    child: Child,
    said: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) uri: String,
}

/// How a start, or a run, ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

/// What became of a start.
pub(crate) enum Started {
    Ready(Server),
    Refused(Ended),
}

impl Server {
    /// Starts a broker on `data`, on a disk that fails where one is given, with these keys of its configuration. What it
    /// says goes to `said`.
    ///
    /// # Errors
    /// When it cannot be started, or neither gets ready nor ends.
    pub(crate) fn start(data: &Path, said: PathBuf, disk: Option<&Disk>, settings: &[String]) -> io::Result<Started> {
        let mut command = command();
        if let Some(disk) = disk {
            command.envs(disk.environment(data));
        }
        let output = File::create(&said)?;
        command.args(["serve", "--amqp-bind", "127.0.0.1:0", "--http-bind", "", "--data-dir"]).arg(data);
        command.args(settings.iter().flat_map(|setting| ["--set", setting]));
        command.current_dir(data.parent().unwrap_or(data));
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let mut server = Self { child, said, data: data.to_owned(), uri: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = server.child.try_wait()? {
                return Ok(Started::Refused(Ended { status, said: server.said()? }));
            }
            if let Some(address) = server.said()?.split("AMQP 0-9-1 on ").nth(1).and_then(|rest| rest.split(',').next())
            {
                server.uri = format!("amqp://guest:guest@{address}");
                return Ok(Started::Ready(server));
            }
            std::thread::sleep(POLL);
        }
        Err(timed_out(format!("the broker hangs at its start; it said: {}", server.said()?)))
    }

    fn said(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.said)?).into_owned())
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> io::Result<Option<Ended>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        Ok(Some(Ended { status, said: self.said()? }))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not come.
    pub(crate) fn wait(&mut self) -> io::Result<Ended> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(ended) = self.ended()? {
                return Ok(ended);
            }
            std::thread::sleep(POLL);
        }
        Err(timed_out(format!("the broker does not end; it said: {}", self.said()?)))
    }

    /// Signal 9. It may have ended before.
    pub(crate) fn kill(mut self) -> io::Result<Ended> {
        self.child.kill()?;
        self.wait()
    }

    /// SIGTERM.
    pub(crate) fn stop(mut self) -> io::Result<Ended> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, with nothing of this machine's configuration in reach.
pub(crate) fn command() -> Command {
    let mut command = Command::new(leveret_tests::binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LEVERET_")) {
        command.env_remove(name);
    }
    command
}

fn timed_out(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
