//! A run: one recording of a broker at work, and the rounds that are made of it.

mod error;
mod flip;
mod power;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use leveret_tests::FaultyDisk as Disk;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::check::check;
use crate::kind::Kind;
use crate::ledger::{Ledger, NEVER};
use crate::server::{Ended, PATIENCE, Server, Started};
use crate::workload::{self, Plan};

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything promised is there, and nothing else.
    Kept,
    /// The broker did not start, and said why: this.
    Refused(String),
    /// The broker stopped, and said why: this. Everything promised is there at the next start, where that is asked.
    Stopped(String),
    /// The fault did not come about; everything promised is there.
    NotHit,
    /// What must not happen.
    Failed(String),
}

/// One fault and what came of it.
#[derive(Clone, Debug)]
pub struct Round {
    /// Of the run.
    pub seed: u64,
    /// The kind of fault.
    pub kind: Kind,
    /// What chance decided, for people.
    pub what: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Promises that were checked: confirmed messages.
    pub confirmed: usize,
}

/// A run by its seed: with this kind of fault, or one that the seed decides. The folder of a run with a failed round is
/// kept in `kept`.
///
/// # Errors
/// When the machine does not let it: no binary, no room, no folder.
pub async fn run(seed: u64, kind: Option<Kind>, kept: &Path) -> io::Result<Vec<Round>> {
    let mut random = StdRng::seed_from_u64(seed);
    let chosen = Kind::ALL[random.random_range(0..Kind::ALL.len())];
    let folder = tempfile::Builder::new().prefix("leveret-faults-").tempdir()?;
    let plan = Plan::new(&mut random);
    let mut run =
        Run { seed, kind: kind.unwrap_or(chosen), folder, random, plan, ledger: Ledger::default(), starts: 0 };
    let rounds = run.rounds().await?;
    if rounds.iter().any(|round| matches!(round.outcome, Outcome::Failed(_))) {
        std::fs::create_dir_all(kept)?;
        let target = kept.join(format!("{}-{seed}", run.kind.name()));
        let _ = std::fs::remove_dir_all(&target);
        crate::folder::copy(run.folder.path(), &target)?;
    }
    Ok(rounds)
}

struct Run {
    seed: u64,
    kind: Kind,
    folder: TempDir,
    random: StdRng,
    plan: Plan,
    ledger: Ledger,
    starts: u32,
}

impl Run {
    async fn rounds(&mut self) -> io::Result<Vec<Round>> {
        match self.kind {
            Kind::Kill => self.kill().await.map(|round| vec![round]),
            Kind::ShortWrites => self.short_writes().await.map(|round| vec![round]),
            Kind::PowerLoss | Kind::TornRecord => self.power_losses().await,
            Kind::FlippedBit => self.flipped_bits().await,
            Kind::DiskFull => self.disk_full().await.map(|round| vec![round]),
            Kind::DiskFullAtStart => self.disk_full_at_start().await,
            Kind::WriteError | Kind::SyncError | Kind::ReadError | Kind::ReadOnly => self.errors().await,
        }
    }

    /// The data folder.
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn disk(&self) -> io::Result<Disk> {
        Disk::create(self.folder.path())
    }

    fn start(&mut self, data: &Path, disk: Option<&Disk>, more: &[&str]) -> io::Result<Started> {
        self.starts += 1;
        let said = self.folder.path().join(format!("said.{}", self.starts));
        tokio::task::block_in_place(|| Server::start(data, said, disk, more))
    }

    /// A start that must succeed: nothing is broken yet.
    fn start_well(&mut self, disk: Option<&Disk>, more: &[&str]) -> io::Result<Server> {
        std::fs::create_dir_all(self.data())?;
        match self.start(&self.data(), disk, more)? {
            Started::Ready(server) => Ok(server),
            Started::Refused(ended) => Err(io::Error::other(format!("the broker does not start: {}", ended.said))),
        }
    }

    /// Lets clients work for a time, or until the broker ends.
    async fn work(
        &self,
        server: &mut Server,
        time: Duration,
        mut then: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Option<Ended>> {
        let clients = workload::start(&server.uri, &self.plan, &self.ledger).await;
        // A fault may have come already.
        let _clients = clients.ok();
        then()?;
        let end = Instant::now() + time;
        while Instant::now() < end {
            if let Some(ended) = server.ended()? {
                return Ok(Some(ended));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(None)
    }

    fn time(&mut self, ms: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(ms))
    }

    /// A broker at work, restarted or not, and killed or stopped.
    async fn record(&mut self, disk: Option<&Disk>) -> io::Result<()> {
        let lives = self.random.random_range(1..=2);
        for life in 1..=lives {
            let mut server = self.start_well(disk, &[])?;
            let time = self.time(300..1500);
            if let Some(ended) = self.work(&mut server, time, || Ok(())).await? {
                return Err(io::Error::other(format!("the broker ended without a fault: {}", ended.said)));
            }
            if life < lives && self.random.random() {
                let ended = tokio::task::block_in_place(|| server.stop())?;
                if !ended.status.success() {
                    return Err(io::Error::other(format!("the broker stopped badly: {}", ended.said)));
                }
            } else {
                server.kill()?;
            }
        }
        Ok(())
    }

    /// Starts a broker on `data` without faults and compares.
    async fn verify(&mut self, data: &Path, until_ns: u64) -> io::Result<Outcome> {
        match self.start(data, None, &[])? {
            Started::Refused(ended) => Ok(Outcome::Failed(format!("does not start: {}", last_lines(&ended.said)))),
            Started::Ready(mut server) => match self.compare(&server, until_ns).await {
                Ok(complaints) if complaints.is_empty() => Ok(Outcome::Kept),
                Ok(complaints) => Ok(Outcome::Failed(complaints.join("; "))),
                Err(error) => {
                    let said = server.ended()?.map_or_else(String::new, |ended| last_lines(&ended.said));
                    Ok(Outcome::Failed(format!("does not serve: {error}; {said}")))
                }
            },
        }
    }

    async fn compare(&self, server: &Server, until_ns: u64) -> Result<Vec<String>, String> {
        let checked = check(&server.uri, &self.plan.works, &self.ledger, until_ns);
        match tokio::time::timeout(2 * PATIENCE, checked).await {
            Ok(checked) => checked.map_err(|error| error.to_string()),
            Err(_) => Ok(vec!["the check hangs".to_owned()]),
        }
    }

    fn round(&self, what: impl Into<String>, outcome: Outcome) -> Round {
        let confirmed = self.ledger.confirmed_count();
        Round { seed: self.seed, kind: self.kind, what: what.into(), outcome, confirmed }
    }

    async fn kill(&mut self) -> io::Result<Round> {
        self.record(None).await?;
        let outcome = self.verify(&self.data(), NEVER - 1).await?;
        Ok(self.round("", outcome))
    }

    async fn short_writes(&mut self) -> io::Result<Round> {
        let disk = self.disk()?;
        let every = self.random.random_range(1..10);
        disk.control.set(leveret_faultfs::Slot::ShortWrites, every)?;
        self.record(Some(&disk)).await?;
        let outcome = self.verify(&self.data(), NEVER - 1).await?;
        Ok(self.round(format!("every {every}."), outcome))
    }
}

/// Waits until nothing has been written for a while: what was synced has then been noted as such.
fn quiet(data: &Path) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let mut last = SystemTime::UNIX_EPOCH;
        for entry in std::fs::read_dir(data)? {
            last = last.max(entry?.metadata()?.modified()?);
        }
        if last.elapsed().is_ok_and(|elapsed| elapsed > Duration::from_millis(500)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the broker writes without end"))
}

/// The reason that the broker gave for its end; or what is wrong with how it ended.
fn reason(ended: &Ended) -> Result<String, String> {
    if ended.said.contains("panicked") {
        return Err(format!("panicked: {}", last_lines(&ended.said)));
    }
    let reason = ended.said.lines().rev().find_map(|line| line.strip_prefix("leveret: "));
    match reason {
        Some(reason) if ended.status.code() == Some(1) => Ok(reason.to_owned()),
        _ => Err(format!("ended with {} and no reason: {}", ended.status, last_lines(&ended.said))),
    }
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(4)..].join(" | ")
}
