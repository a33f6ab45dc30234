//! Operations that fail, while clients work and at the start; disks that are full.

use std::io;
use std::path::Path;
use std::time::Duration;

use leveret_faultfs::journal::entries;
use leveret_faultfs::{Disk as Replay, Fault, Slot, operations};
use leveret_tests::FaultyDisk as Disk;
use rand::RngExt;

use super::{Outcome, Round, Run, reason};
use crate::folder;
use crate::kind::Kind;
use crate::ledger::NEVER;
use crate::server::{Ended, Started};

/// EIO
const INPUT_OUTPUT_ERROR: i32 = 5;
/// Starts on copies of one folder.
const STARTS: usize = 6;
/// How long clients go on after the fault was armed.
const AFTER: Duration = Duration::from_millis(1500);
/// Not blocked before the disk is full: that is another test.
const WITHOUT_ALARM: [&str; 2] = ["--set", "disk_free_limit_bytes=0"];

impl Run {
    /// The disk fills up while clients work.
    pub(super) async fn disk_full(&mut self) -> io::Result<Round> {
        let disk = self.disk()?;
        let mut server = self.start_well(Some(&disk), &WITHOUT_ALARM)?;
        let room: u64 = self.random.random_range(0..12 << 20);
        let limit = || disk.control.set(Slot::CapacityBytes, disk.control.get(Slot::UsedBytes)? + room);
        let ended = self.work(&mut server, 2 * AFTER, limit).await?;
        drop(server);
        let outcome = self.after(&disk, ended).await?;
        Ok(self.round(format!("room for {room} bytes"), outcome))
    }

    /// The disk is full when the broker starts.
    pub(super) async fn disk_full_at_start(&mut self) -> io::Result<Vec<Round>> {
        self.record(None).await?;
        let mut rounds = Vec::new();
        for _ in 0..STARTS {
            let room: u64 = [0, 10_000, 300_000, 20 << 20][self.random.random_range(0..4)];
            let limit = |disk: &Disk, used: u64| disk.control.set(Slot::CapacityBytes, used + room);
            let outcome = self.start_badly(limit).await?;
            rounds.push(self.round(format!("room for {room} bytes"), outcome));
        }
        Ok(rounds)
    }

    /// Operations fail, while clients work or at the start.
    pub(super) async fn errors(&mut self) -> io::Result<Vec<Round>> {
        if self.random.random() {
            return self.error_at_work().await.map(|round| vec![round]);
        }
        self.record(None).await?;
        let mut rounds = Vec::new();
        for _ in 0..STARTS {
            let error = self.choose_error(40);
            let outcome = self.start_badly(|disk, _| error.arm(disk)).await?;
            rounds.push(self.round(format!("at the start, {error:?}"), outcome));
        }
        Ok(rounds)
    }

    async fn error_at_work(&mut self) -> io::Result<Round> {
        if self.kind == Kind::ReadError {
            // So that there is something to be read.
            self.record(None).await?;
        }
        let disk = self.disk()?;
        let mut server = self.start_well(Some(&disk), &[])?;
        let error = self.choose_error(300);
        let ended = self.work(&mut server, AFTER, || error.arm(&disk)).await?;
        drop(server);
        let outcome = self.after(&disk, ended).await?;
        Ok(self.round(format!("at work, {error:?}"), outcome))
    }

    fn choose_error(&mut self, nth_max: u64) -> Error {
        let patterns = ["", ".log", ".sst", "MANIFEST"];
        Error {
            kind: self.kind,
            pattern: patterns[self.random.random_range(0..patterns.len())],
            nth: self.random.random_range(1..=nth_max).min(self.random.random_range(1..=nth_max)),
            lasting: self.random.random(),
            torn_bytes: if self.random.random() { self.random.random_range(1..5000) } else { 0 },
        }
    }

    /// What the fault made of a broker at work, and what is there without it.
    async fn after(&mut self, disk: &Disk, ended: Option<Ended>) -> io::Result<Outcome> {
        let mut data = self.data();
        if self.kind == Kind::SyncError {
            // Whoever goes on after a failed sync as if nothing were amiss is found out now.
            data = self.folder.path().join("powerless");
            let journal = std::fs::read(&disk.journal)?;
            let mut replay = Replay::default();
            entries(&journal).for_each(|entry| replay.apply(&entry.operation, &mut self.random));
            replay.after_power_loss(&data, &mut self.random)?;
        }
        let kept = self.verify(&data, NEVER - 1).await?;
        let is_hit = disk.control.get(Slot::Hits)? > 0;
        Ok(match (kept, ended) {
            (Outcome::Kept, Some(ended)) => reason(&ended).map_or_else(Outcome::Failed, Outcome::Stopped),
            (Outcome::Kept, None) if !is_hit => Outcome::NotHit,
            (kept, _) => kept,
        })
    }

    /// A start with a fault on a copy of the folder, then one without.
    async fn start_badly(&mut self, arm: impl Fn(&Disk, u64) -> io::Result<()>) -> io::Result<Outcome> {
        let copy = self.folder.path().join(format!("start.{}", self.starts));
        folder::copy(&self.data(), &copy)?;
        let disk = self.disk()?;
        arm(&disk, used_bytes(&copy)?)?;
        let faulty = match self.start(&copy, Some(&disk), &WITHOUT_ALARM)? {
            Started::Ready(server) => server.kill().map(|_| None)?,
            Started::Refused(ended) => Some(reason(&ended)),
        };
        let is_hit = disk.control.get(Slot::Hits)? > 0;
        let kept = self.verify(&copy, NEVER - 1).await?;
        if !matches!(kept, Outcome::Failed(_)) {
            std::fs::remove_dir_all(&copy)?;
        }
        Ok(match (kept, faulty) {
            (Outcome::Kept, Some(reason)) => reason.map_or_else(Outcome::Failed, Outcome::Refused),
            (Outcome::Kept, None) if !is_hit => Outcome::NotHit,
            (kept, _) => kept,
        })
    }
}

/// An error to be injected.
#[derive(Clone, Copy, Debug)]
struct Error {
    kind: Kind,
    pattern: &'static str,
    nth: u64,
    lasting: bool,
    torn_bytes: u64,
}

impl Error {
    fn arm(&self, disk: &Disk) -> io::Result<()> {
        let Self { kind, pattern, nth, lasting, torn_bytes } = *self;
        let operations = match kind {
            Kind::ReadOnly => return disk.control.set(Slot::ReadOnly, 1),
            Kind::SyncError => operations::SYNC,
            Kind::ReadError => operations::READ,
            _ => operations::WRITE,
        };
        disk.control.fail(&Fault { operations, errno: INPUT_OUTPUT_ERROR, pattern, nth, lasting, torn_bytes })
    }
}

/// What the files of a folder take on the disk.
fn used_bytes(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.blocks() * 512;
    }
    Ok(bytes)
}
