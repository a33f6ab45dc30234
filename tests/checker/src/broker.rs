//! A broker under test that was started by a command, in a group of processes of its own, so that all of it can be killed.

use std::{
    fs::{File, OpenOptions},
    io,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::Error;

/// A broker that runs in the foreground of a command.
pub(crate) struct Broker {
    command: String,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Broker {
    /// Starts `command`, in which `{port}` and `{dir}` are replaced. The broker need not be there yet.
    pub(crate) fn start(command: &str, port: u16, folder: &Path) -> Result<Self, Error> {
        let port = if port == 0 { free_port().map_err(Error::Start)? } else { port };
        let command = command.replace("{port}", &port.to_string()).replace("{dir}", &folder.to_string_lossy());
        let child = launch(&command, folder).map_err(Error::Start)?;
        Ok(Self { command, folder: folder.to_owned(), port, child })
    }

    /// Where to connect.
    pub(crate) fn uri(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Signal 9 to all its processes.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        self.check_alive()?;
        self.end().map_err(Error::Start)
    }

    /// Starts it again on its data.
    pub(crate) fn start_again(&mut self) -> Result<(), Error> {
        self.child = launch(&self.command, &self.folder).map_err(Error::Start)?;
        Ok(())
    }

    /// Fails where it has ended by itself.
    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        match self.child.try_wait().map_err(Error::Start)? {
            Some(status) => Err(Error::Ended { status, log: log_path(&self.folder) }),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let group = format!("-{}", self.child.id());
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about an error here.
        let _ = self.end();
    }
}

fn launch(command: &str, folder: &Path) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(log_path(folder))?;
    Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::null())
        .stdout(File::try_clone(&log)?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
