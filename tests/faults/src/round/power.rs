//! Crashes at any operation of a recording.

use std::io;
use std::path::PathBuf;

use leveret_faultfs::Disk as Replay;
use leveret_faultfs::journal::{Entry, Operation, entries};
use rand::RngExt;

use super::{Outcome, Round, Run};
use crate::kind::Kind;
use crate::server::Started;

/// Crashes of one recording.
const CRASHES: usize = 12;
/// Crashes of one recording that have others at the starts after them.
const CRASHES_IN_A_ROW: usize = 6;
/// How many those are at most.
const IN_A_ROW_MAX: usize = 3;

impl Run {
    /// Records a broker at work, and lets the power go, or the process end, at some points of that.
    pub(super) async fn power_losses(&mut self) -> io::Result<Vec<Round>> {
        let disk = self.disk()?;
        self.record(Some(&disk)).await?;
        let journal = std::fs::read(&disk.journal)?;
        let entries: Vec<Entry<'_>> = entries(&journal).collect();
        let mut replay = Replay::default();
        let mut rounds = Vec::new();
        let mut done = 0;
        for point in self.points(&entries) {
            entries[done..point].iter().for_each(|entry| replay.apply(&entry.operation, &mut self.random));
            done = point;
            rounds.push(self.crash(&entries, point, &replay).await?);
        }
        Ok(rounds)
    }

    /// The same, and the power goes again at some operation of the start after that.
    pub(super) async fn power_losses_at_start(&mut self) -> io::Result<Vec<Round>> {
        let disk = self.disk()?;
        self.record(Some(&disk)).await?;
        let journal = std::fs::read(&disk.journal)?;
        let entries: Vec<Entry<'_>> = entries(&journal).collect();
        let mut rounds = Vec::new();
        for number in 1..=CRASHES_IN_A_ROW {
            let point = self.random.random_range(0..=entries.len());
            let mut replay = Replay::default();
            entries[..point].iter().for_each(|entry| replay.apply(&entry.operation, &mut self.random));
            let data = self.folder.path().join(format!("crash-{number}"));
            replay.after_power_loss(&data, &mut self.random)?;
            rounds.push(
                self.crashes_at_start(data, format!("operation {point} of {}", entries.len()), until(&entries, point))
                    .await?,
            );
        }
        Ok(rounds)
    }

    async fn crashes_at_start(&mut self, mut data: PathBuf, mut what: String, until_ns: u64) -> io::Result<Round> {
        for _ in 0..self.random.random_range(1..=IN_A_ROW_MAX) {
            let disk = self.disk()?;
            let mut replay = Replay::load(&data)?;
            match self.start(&data, Some(&disk))? {
                Started::Ready(server) => _ = tokio::task::block_in_place(|| server.kill())?,
                Started::Refused(ended) => {
                    let reason = super::last_lines(&ended.said);
                    return Ok(self.round(what, Outcome::Failed(format!("does not start: {reason}"))));
                }
            }
            let journal = std::fs::read(&disk.journal)?;
            let entries: Vec<Entry<'_>> = entries(&journal).collect();
            let point = self.random.random_range(0..=entries.len());
            what += &format!(", then {point} of {}", entries.len());
            entries[..point].iter().for_each(|entry| replay.apply(&entry.operation, &mut self.random));
            data.set_extension(format!("{}", self.starts));
            replay.after_power_loss(&data, &mut self.random)?;
        }
        let outcome = self.verify(&data, until_ns).await?;
        Ok(self.round(what, outcome))
    }

    /// The crash is before the operation of this number.
    async fn crash(&mut self, entries: &[Entry<'_>], point: usize, replay: &Replay<'_>) -> io::Result<Round> {
        let folder = self.folder.path().join(format!("crash.{point}"));
        if self.kind == Kind::TornRecord {
            let mut torn = replay.clone();
            if let Some(Entry { operation: Operation::Write { handle, offset, data }, .. }) = entries.get(point) {
                let data = &data[..self.random.random_range(0..data.len())];
                let part = Operation::Write { handle: *handle, offset: *offset, data };
                torn.apply(&part, &mut self.random);
            }
            torn.as_written(&folder)?;
        } else {
            replay.after_power_loss(&folder, &mut self.random)?;
        }
        let outcome = self.verify(&folder, until(entries, point)).await?;
        let round = self.round(format!("operation {point} of {}", entries.len()), outcome);
        if !matches!(round.outcome, Outcome::Failed(_)) {
            std::fs::remove_dir_all(&folder)?;
        }
        Ok(round)
    }

    /// Where the crashes are, in order: anywhere, and just behind what is rarer than a write; or at writes to the log.
    fn points(&mut self, entries: &[Entry<'_>]) -> Vec<usize> {
        let is_write = |entry: &Entry<'_>| matches!(entry.operation, Operation::Write { .. });
        let mut points = Vec::new();
        if self.kind == Kind::TornRecord {
            let logs: std::collections::HashSet<u64> = entries.iter().filter_map(|entry| log_handle(entry)).collect();
            let to_log = |entry: &Entry<'_>| matches!(entry.operation, Operation::Write { handle, .. } if logs.contains(&handle));
            let writes: Vec<usize> = (0..entries.len()).filter(|&at| to_log(&entries[at])).collect();
            points.extend((0..CRASHES).filter_map(|_| pick(&writes, &mut self.random)));
        } else {
            let rare: Vec<usize> = (0..entries.len()).filter(|&at| !is_write(&entries[at])).map(|at| at + 1).collect();
            points.extend((0..CRASHES / 2).filter_map(|_| pick(&rare, &mut self.random)));
            points.extend((0..CRASHES / 2).map(|_| self.random.random_range(0..=entries.len())));
        }
        points.sort_unstable();
        points.dedup();
        points
    }
}

/// What was promised by this time counts where the power goes before the operation of this number.
fn until(entries: &[Entry<'_>], point: usize) -> u64 {
    point.checked_sub(1).map_or(0, |last| entries[last].time_ns)
}

fn log_handle(entry: &Entry<'_>) -> Option<u64> {
    match entry.operation {
        Operation::Open { handle, path, .. } if path.ends_with(".log") => Some(handle),
        _ => None,
    }
}

fn pick(from: &[usize], random: &mut impl rand::Rng) -> Option<usize> {
    (!from.is_empty()).then(|| from[random.random_range(0..from.len())])
}
