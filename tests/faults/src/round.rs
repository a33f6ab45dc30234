//! A run: one recording of a broker at work, and the rounds that are made of it.

mod error;
mod flip;
mod power;
mod start;

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use leveret_tests::FaultyDisk as Disk;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::task::block_in_place;

use crate::check::{Checked, check};
use crate::kind::Kind;
use crate::ledger::{Ledger, NEVER};
use crate::patience::{PATIENCE, Trouble};
use crate::server::{Ended, Server, Started};
use crate::workload::{self, Plan};

/// Kills of one run.
const KILLS: usize = 4;
const POLL: Duration = Duration::from_millis(5);

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything promised is there, and nothing else.
    Kept,
    /// The broker did not start, and said why: this. Everything promised is there at a start without the fault, where
    /// that can be.
    Refused(String),
    /// The broker stopped, and said why: this. Everything promised is there at the next start, where that can be.
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
    /// Confirmed messages that had to be there, and were looked for.
    pub confirmed: usize,
    /// How often the broker was started for it.
    pub starts: usize,
}

/// When the broker confirms (its key `store.sync`). Whatever it is: what is asked for is what `commit` promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sync {
    /// After the sync.
    Commit,
    /// After the write. Losses of power are to find losses then: the proof that they do where there are some.
    Os,
}

/// A run by its seed, with this kind of fault. The folder of a run that failed is kept in `kept`.
///
/// # Errors
/// When the machine does not let it (no binary, no room, no folder), or the broker fails without a fault.
pub async fn run(seed: u64, kind: Kind, sync: Sync, kept: &Path) -> io::Result<Vec<Round>> {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::Builder::new().prefix("leveret-faults-").tempdir()?;
    let mut plan = Plan::new(&mut random);
    if sync == Sync::Os {
        plan.settings.push("store.sync=os".to_owned());
    }
    let ledger = Ledger::default();
    let mut run = Run { seed, kind, folder, random, plan, ledger, starts: 0, starts_told: 0, confirmed: 0 };
    let rounds = run.rounds().await;
    let is_good = |rounds: &Vec<Round>| !rounds.iter().any(|round| matches!(round.outcome, Outcome::Failed(_)));
    if !rounds.as_ref().is_ok_and(is_good) {
        std::fs::create_dir_all(kept)?;
        let target = kept.join(format!("{}-{seed}", run.kind.name()));
        let _ = std::fs::remove_dir_all(&target);
        crate::folder::copy(run.folder.path(), &target)?;
    }
    rounds
}

struct Run {
    seed: u64,
    kind: Kind,
    folder: TempDir,
    random: StdRng,
    plan: Plan,
    ledger: Ledger,
    starts: usize,
    /// Of these, those that belong to rounds that are done.
    starts_told: usize,
    /// Confirmed messages that the last comparison looked for.
    confirmed: usize,
}

impl Run {
    async fn rounds(&mut self) -> io::Result<Vec<Round>> {
        match self.kind {
            Kind::Kill => self.kills().await,
            Kind::ShortWrites => self.short_writes().await.map(|round| vec![round]),
            Kind::PowerLoss | Kind::TornRecord => self.power_losses().await,
            Kind::PowerLossAtStart => self.power_losses_at_start().await,
            Kind::FlippedBit => self.flipped_bits().await,
            Kind::DiskFull => self.disk_full().await.map(|round| vec![round]),
            Kind::DiskFullAtStart => self.disk_full_at_start().await,
            Kind::WriteError | Kind::SyncError | Kind::ReadError | Kind::ReadOnly => {
                self.error_at_work().await.map(|round| vec![round])
            }
            Kind::WriteErrorAtStart | Kind::SyncErrorAtStart | Kind::ReadErrorAtStart | Kind::ReadOnlyAtStart => {
                self.errors_at_start().await
            }
        }
    }

    /// The data folder.
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A disk without faults, and with an empty journal.
    fn disk(&self) -> io::Result<Disk> {
        let disk = Disk::create(self.folder.path())?;
        std::fs::write(&disk.journal, [])?;
        Ok(disk)
    }

    fn start(&mut self, data: &Path, disk: Option<&Disk>) -> io::Result<Started> {
        self.starts += 1;
        let said = self.folder.path().join(format!("said.{}", self.starts));
        block_in_place(|| Server::start(data, said, disk, &self.plan.settings))
    }

    /// A start that must succeed: nothing is broken yet.
    fn start_well(&mut self, disk: Option<&Disk>) -> io::Result<Server> {
        std::fs::create_dir_all(self.data())?;
        match self.start(&self.data(), disk)? {
            Started::Ready(server) => Ok(server),
            Started::Refused(ended) => Err(io::Error::other(format!("the broker does not start: {}", ended.said))),
        }
    }

    /// Lets clients work until `is_over`, which is asked again and again, or until the broker ends; where it does not,
    /// publishers must then get the answers they are owed, unless they are to be left in the middle of their work.
    async fn work(
        &mut self,
        server: &mut Server,
        leaves: bool,
        mut is_over: impl FnMut() -> io::Result<bool>,
    ) -> io::Result<Option<Ended>> {
        let clients = workload::start(server, &self.plan, &self.ledger).await;
        let clients = clients.map_err(|trouble| io::Error::other(format!("clients cannot start: {trouble}")))?;
        while !is_over()? {
            if let Some(ended) = server.ended()? {
                return Ok(Some(ended));
            }
            tokio::time::sleep(POLL).await;
        }
        if leaves {
            return Ok(None);
        }
        let finished = clients.finish();
        let ended = async {
            loop {
                match server.ended() {
                    Ok(None) => tokio::time::sleep(POLL).await,
                    ended => return ended,
                }
            }
        };
        let are_answered = tokio::select! {
            ended = ended => return ended,
            finished = finished => finished.map_err(|trouble| io::Error::new(io::ErrorKind::TimedOut, trouble.to_string()))?,
        };
        // A broker that has closed its connections is about to end.
        if are_answered { Ok(None) } else { block_in_place(|| server.wait()).map(Some) }
    }

    /// Lets clients work for a time, on a broker that must not end.
    async fn work_well(&mut self, server: &mut Server, ms: std::ops::Range<u64>) -> io::Result<()> {
        let end = Instant::now() + Duration::from_millis(self.random.random_range(ms));
        let leaves = self.random.random_bool(0.7);
        match self.work(server, leaves, || Ok(Instant::now() > end)).await? {
            None => Ok(()),
            Some(ended) => Err(io::Error::other(format!("the broker ended without a fault: {}", ended.said))),
        }
    }

    /// A broker at work, restarted or not, and killed or stopped.
    async fn record(&mut self, disk: Option<&Disk>) -> io::Result<()> {
        let lives = self.random.random_range(1..=2);
        for life in 1..=lives {
            let mut server = self.start_well(disk)?;
            self.work_well(&mut server, 300..1500).await?;
            if life < lives && self.random.random() {
                let ended = block_in_place(|| server.stop())?;
                if !ended.status.success() {
                    return Err(io::Error::other(format!("the broker stopped badly: {}", ended.said)));
                }
            } else {
                block_in_place(|| server.kill())?;
            }
        }
        Ok(())
    }

    /// Starts a broker on `data` without faults and compares.
    async fn verify(&mut self, data: &Path, until_ns: u64) -> io::Result<Outcome> {
        match self.start(data, None)? {
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

    /// The complaints about what a broker holds.
    async fn compare(&mut self, server: &Server, until_ns: u64) -> Result<Vec<String>, Trouble> {
        let Checked { complaints, confirmed } = check(server, &self.plan.works, &self.ledger, until_ns).await?;
        self.confirmed = confirmed;
        Ok(complaints)
    }

    fn round(&mut self, what: impl Into<String>, outcome: Outcome) -> Round {
        let starts = self.starts - std::mem::replace(&mut self.starts_told, self.starts);
        let confirmed = std::mem::take(&mut self.confirmed);
        Round { seed: self.seed, kind: self.kind, what: what.into(), outcome, confirmed, starts }
    }

    /// Kills the broker again and again, and looks each time at a copy of what it leaves.
    async fn kills(&mut self) -> io::Result<Vec<Round>> {
        let mut rounds = Vec::new();
        for number in 1..=KILLS {
            let mut server = self.start_well(None)?;
            self.work_well(&mut server, 100..1000).await?;
            block_in_place(|| server.kill())?;
            let copy = self.folder.path().join(format!("killed.{number}"));
            crate::folder::copy(&self.data(), &copy)?;
            let outcome = self.verify(&copy, NEVER - 1).await?;
            rounds.push(self.round(format!("kill {number}"), outcome));
        }
        Ok(rounds)
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
            last = last.max(modified(&entry?)?);
        }
        if last.elapsed().is_ok_and(|elapsed| elapsed > Duration::from_millis(500)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "the broker writes without end"))
}

/// When a file was last written to; what has been removed meanwhile, just now.
fn modified(entry: &DirEntry) -> io::Result<SystemTime> {
    match entry.metadata().and_then(|metadata| metadata.modified()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SystemTime::now()),
        modified => modified,
    }
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
