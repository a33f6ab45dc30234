//! Crashes at any operation of a recording.

use std::io;

use leveret_faultfs::Disk as Replay;
use leveret_faultfs::journal::{Entry, Operation, entries};
use rand::RngExt;

use super::{Round, Run};
use crate::kind::Kind;

/// Crashes of one recording.
const CRASHES: usize = 12;

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
        let until_ns = point.checked_sub(1).map_or(0, |last| entries[last].time_ns);
        let outcome = self.verify(&folder, until_ns).await?;
        let round = self.round(format!("operation {point} of {}", entries.len()), outcome);
        if !matches!(round.outcome, super::Outcome::Failed(_)) {
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

fn log_handle(entry: &Entry<'_>) -> Option<u64> {
    match entry.operation {
        Operation::Open { handle, path, .. } if path.ends_with(".log") => Some(handle),
        _ => None,
    }
}

fn pick(from: &[usize], random: &mut impl rand::Rng) -> Option<usize> {
    (!from.is_empty()).then(|| from[random.random_range(0..from.len())])
}
