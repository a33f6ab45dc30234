//! Operations that fail when the broker starts; a disk that is full then.

use std::io;
use std::path::Path;

use leveret_faultfs::{Disk as Replay, Slot};
use leveret_tests::FaultyDisk as Disk;
use rand::RngExt;
use tokio::task::block_in_place;

use super::error::Error;
use super::{Outcome, Round, Run, reason};
use crate::folder;
use crate::kind::Kind;
use crate::ledger::NEVER;
use crate::server::Started;

/// Starts on copies of one folder.
const STARTS: usize = 6;
/// So far away that it only counts.
const FAR: u64 = 1 << 40;
/// What a start needs for a while, at least, before it gives back more.
const GROWTH_MIN: u64 = 32 << 10;

impl Run {
    /// The disk is full when the broker starts.
    pub(super) async fn disk_full_at_start(&mut self) -> io::Result<Vec<Round>> {
        self.without_disk_alarm();
        self.record(None).await?;
        let (counted, used) = self.start_apart(|disk| disk.control.set(Slot::CapacityBytes, FAR))?;
        let growth = counted.control.get(Slot::UsedBytes)?.saturating_sub(used).max(GROWTH_MIN);
        let mut rounds = Vec::new();
        for _ in 0..STARTS {
            // Small ones above all: most of what it grows by is reserved only, and the store goes on without that.
            let room_max = growth >> self.random.random_range(0..10);
            let room = self.random.random_range(0..=room_max);
            let outcome = self.start_badly(|disk, used| disk.control.set(Slot::CapacityBytes, used + room)).await?;
            rounds.push(self.round(format!("room for {room} bytes of {growth}"), outcome));
        }
        Ok(rounds)
    }

    /// Operations fail when the broker starts.
    pub(super) async fn errors_at_start(&mut self) -> io::Result<Vec<Round>> {
        self.without_disk_alarm();
        self.record(None).await?;
        let mut rounds = Vec::new();
        for _ in 0..STARTS {
            let (error, count) = self.choose_striking_error()?;
            // Towards the end no two starts are alike.
            let nth = self.random.random_range(1..=count).min(self.random.random_range(1..=count));
            let outcome = self.start_badly(|disk, _| error.arm(disk, nth)).await?;
            rounds.push(self.round(format!("operation {nth} of {count}, {error:?}"), outcome));
        }
        Ok(rounds)
    }

    /// An error that has something to strike at a start, and how many operations that are.
    fn choose_striking_error(&mut self) -> io::Result<(Error, u64)> {
        loop {
            let error = self.choose_error();
            let count = if error.is_counted() { self.count(&error)? } else { 1 };
            if count > 0 {
                return Ok((error, count));
            }
        }
    }

    /// How many operations of a start the error could strike.
    fn count(&mut self, error: &Error) -> io::Result<u64> {
        let (disk, _) = self.start_apart(|disk| error.arm(disk, FAR))?;
        Ok(FAR - disk.control.get(Slot::Countdown)?)
    }

    /// A start on a copy of the folder that does not matter; the disk as it is then, and what was used of it before.
    fn start_apart(&mut self, arm: impl Fn(&Disk) -> io::Result<()>) -> io::Result<(Disk, u64)> {
        let copy = self.folder.path().join(format!("apart.{}", self.starts));
        folder::copy(&self.data(), &copy)?;
        let (disk, used) = (self.disk()?, used_bytes(&copy)?);
        arm(&disk)?;
        match self.start(&copy, Some(&disk))? {
            Started::Ready(server) => block_in_place(|| server.kill())?,
            Started::Refused(ended) => {
                return Err(io::Error::other(format!("the broker does not start: {}", ended.said)));
            }
        };
        std::fs::remove_dir_all(&copy)?;
        Ok((disk, used))
    }

    /// A start with a fault on a copy of the folder, then one without. The fault is armed with what is used of the disk.
    async fn start_badly(&mut self, arm: impl Fn(&Disk, u64) -> io::Result<()>) -> io::Result<Outcome> {
        let mut copy = self.folder.path().join(format!("start.{}", self.starts));
        folder::copy(&self.data(), &copy)?;
        let disk = self.disk()?;
        let before = Replay::load(&copy)?;
        arm(&disk, used_bytes(&copy)?)?;
        let faulty = match self.start(&copy, Some(&disk))? {
            Started::Ready(server) => block_in_place(|| server.kill()).map(|_| None)?,
            Started::Refused(ended) => Some(reason(&ended)),
        };
        let is_hit = disk.control.get(Slot::Hits)? > 0;
        if self.kind == Kind::SyncErrorAtStart {
            std::fs::remove_dir_all(&copy)?;
            copy.set_extension(format!("{}.powerless", self.starts));
            self.lose_power(&disk, before, &copy)?;
        }
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

/// What the files of a folder take on the disk.
fn used_bytes(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let (path, found) = entry.map(|entry| (entry.path(), entry.metadata()))?;
        let found = found?;
        bytes += if found.is_dir() { used_bytes(&path)? } else { found.blocks() * 512 };
    }
    Ok(bytes)
}
