//! Operations that fail while clients work, and a disk that fills up under them.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use leveret_faultfs::journal::entries;
use leveret_faultfs::{Disk as Replay, Fault, Slot, operations};
use leveret_tests::FaultyDisk as Disk;
use rand::RngExt;

use super::{Outcome, Round, Run, reason};
use crate::chance::pick;
use crate::kind::Kind;
use crate::ledger::NEVER;
use crate::server::Ended;

/// EIO
const INPUT_OUTPUT_ERROR: i32 = 5;
/// How long the fault may take to come about.
const UNTIL_HIT: Duration = Duration::from_secs(5);
/// How long clients go on after it has.
const AFTER: Duration = Duration::from_millis(500);
/// Not blocked before the disk is full: that is another test.
const WITHOUT_ALARM: &str = "disk_free_limit_bytes=0";

impl Run {
    /// The disk fills up while clients work.
    pub(super) async fn disk_full(&mut self) -> io::Result<Round> {
        self.plan.writes_files();
        // Large and small rooms alike.
        let room_max = 1 << self.random.random_range(12..21);
        let room: u64 = self.random.random_range(0..room_max);
        let limit = |disk: &Disk| disk.control.set(Slot::CapacityBytes, disk.control.get(Slot::UsedBytes)? + room);
        let outcome = self.fault_at_work(limit).await?;
        Ok(self.round(format!("room for {room} bytes"), outcome))
    }

    /// Operations fail while clients work.
    pub(super) async fn error_at_work(&mut self) -> io::Result<Round> {
        if self.kind == Kind::ReadError {
            self.plan.leaves_backlog();
            self.plan.has_consumers = false;
            self.record(None).await?;
            self.plan.has_consumers = true;
        }
        if matches!(self.kind, Kind::WriteError | Kind::SyncError) {
            self.plan.writes_files();
        }
        let error = self.choose_error();
        let nth_max = pick(&mut self.random, [1, 5, 20]);
        let nth = self.random.random_range(1..=nth_max);
        let outcome = self.fault_at_work(|disk| error.arm(disk, nth)).await?;
        Ok(self.round(format!("operation {nth}, {error:?}"), outcome))
    }

    pub(super) fn choose_error(&mut self) -> Error {
        let operations = self.kind.failing_operations();
        Error {
            operations: if operations.is_empty() {
                0
            } else {
                operations[self.random.random_range(0..operations.len())]
            },
            pattern: pick(&mut self.random, ["", ".log", ".sst", "MANIFEST"]),
            lasting: self.random.random(),
            delay_ms: pick(&mut self.random, [0, 0, 300]),
            torn_bytes: if self.random.random() { self.random.random_range(1..5000) } else { 0 },
        }
    }

    /// A fault that is armed at a random moment of clients' work; what became of it.
    async fn fault_at_work(&mut self, arm: impl Fn(&Disk) -> io::Result<()>) -> io::Result<Outcome> {
        self.plan.goes_on();
        self.without_disk_alarm();
        let disk = self.disk()?;
        let mut server = self.start_well(Some(&disk))?;
        let moment = Instant::now() + Duration::from_millis(self.random.random_range(0..700));
        let mut is_armed = false;
        let mut hit: Option<Instant> = None;
        let ended = self.work(&mut server, false, || {
            let now = Instant::now();
            if !is_armed && now > moment {
                is_armed = true;
                arm(&disk)?;
            }
            if hit.is_none() && disk.control.get(Slot::Hits)? > 0 {
                hit = Some(now);
            }
            Ok(now > moment + UNTIL_HIT || hit.is_some_and(|hit| now > hit + AFTER))
        });
        let ended = match ended.await {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Ok(Outcome::Failed(format!("hangs: {error}")));
            }
            ended => ended?,
        };
        drop(server);
        self.after(&disk, ended).await
    }

    pub(super) fn without_disk_alarm(&mut self) {
        self.plan.settings.push(WITHOUT_ALARM.to_owned());
    }

    /// What the fault made of a broker at work, and what is there without it.
    async fn after(&mut self, disk: &Disk, ended: Option<Ended>) -> io::Result<Outcome> {
        let mut data = self.data();
        if self.kind == Kind::SyncError {
            data = self.folder.path().join("powerless");
            self.lose_power(disk, Replay::default(), &data)?;
        }
        let kept = self.verify(&data, NEVER - 1).await?;
        let is_hit = disk.control.get(Slot::Hits)? > 0;
        Ok(match (kept, ended) {
            (Outcome::Kept, Some(ended)) => reason(&ended).map_or_else(Outcome::Failed, Outcome::Stopped),
            (Outcome::Kept, None) if !is_hit => Outcome::NotHit,
            (kept, _) => kept,
        })
    }

    /// Makes what a loss of power at the end of the journal leaves: whoever goes on after a failed sync as if nothing
    /// were amiss is found out.
    pub(super) fn lose_power(&mut self, disk: &Disk, before: Replay<'_>, data: &Path) -> io::Result<()> {
        let journal = std::fs::read(&disk.journal)?;
        let mut replay = before;
        entries(&journal).for_each(|entry| replay.apply(&entry.operation, &mut self.random));
        replay.after_power_loss(data, &mut self.random)
    }
}

/// An error to be injected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Error {
    /// Kinds of operations that fail; 0: all that change something, as on a file system mounted for reading.
    operations: u64,
    pattern: &'static str,
    lasting: bool,
    torn_bytes: u64,
    delay_ms: u64,
}

impl Error {
    /// Whether one operation after the other is counted until it comes about.
    pub(super) fn is_counted(&self) -> bool {
        self.operations != 0
    }

    /// Lets the `nth` matching operation fail.
    pub(super) fn arm(&self, disk: &Disk, nth: u64) -> io::Result<()> {
        let Self { operations, pattern, lasting, torn_bytes, delay_ms } = *self;
        if !self.is_counted() {
            return disk.control.set(Slot::ReadOnly, 1);
        }
        // Only data files are read while the broker runs; which of the others are created is a matter of luck.
        let is_narrow = operations & (operations::WRITE | operations::SYNC) != 0;
        let pattern = if is_narrow { pattern } else { "" };
        disk.control.fail(&Fault { operations, errno: INPUT_OUTPUT_ERROR, pattern, nth, lasting, torn_bytes, delay_ms })
    }
}
