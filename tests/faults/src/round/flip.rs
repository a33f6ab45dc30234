//! A bit that has changed in a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rand::RngExt;

use super::{Outcome, Round, Run, quiet, reason};
use crate::folder;
use crate::ledger::NEVER;
use crate::patience::Trouble;
use crate::server::{Ended, Started};

/// Bits flipped on copies of one folder.
const FLIPS: usize = 12;
/// The key that lets the broker start all the same.
const ACCEPTS_DAMAGE: &str = "store.accept_damage";

impl Run {
    /// Records a broker at work, and flips bits in what it leaves.
    pub(super) async fn flipped_bits(&mut self) -> io::Result<Vec<Round>> {
        self.record(None).await?;
        let mut server = self.start_well(None)?;
        self.work_well(&mut server, 100..1000).await?;
        // What was just synced has nothing behind it that could vouch for it; soon after, it has.
        tokio::task::block_in_place(|| quiet(&self.data()))?;
        if self.random.random() {
            tokio::task::block_in_place(|| server.stop())?;
        } else {
            tokio::task::block_in_place(|| server.kill())?;
        }
        let mut rounds = Vec::new();
        for number in 0..FLIPS {
            rounds.push(self.flip(number).await?);
        }
        Ok(rounds)
    }

    async fn flip(&mut self, number: usize) -> io::Result<Round> {
        let copy = self.folder.path().join(format!("flipped.{number}"));
        folder::copy(&self.data(), &copy)?;
        let file = self.choose_file(&folder::data_files(&copy)?);
        let (length, bit) = (std::fs::metadata(&file)?.len(), self.random.random_range(0..8));
        let offset = self.random.random_range(0..length);
        flip(&file, offset, bit)?;
        let what = format!("{} byte {offset} of {length} bit {bit}", name(&file));
        let outcome = match self.start(&copy, None)? {
            Started::Refused(ended) => match explained(&ended, &copy) {
                Ok(reason) if reason.contains(ACCEPTS_DAMAGE) => self.accept(&copy, reason).await?,
                Ok(reason) => Outcome::Refused(reason),
                Err(complaint) => Outcome::Failed(complaint),
            },
            Started::Ready(mut server) => match self.compare(&server, NEVER - 1).await {
                Ok(complaints) if complaints.is_empty() => Outcome::Kept,
                Ok(complaints) => Outcome::Failed(complaints.join("; ")),
                Err(Trouble::Hangs(what)) => Outcome::Failed(format!("hangs: {what}")),
                Err(Trouble::Refused(_)) => match tokio::task::block_in_place(|| server.wait()) {
                    Ok(ended) => explained(&ended, &copy).map_or_else(Outcome::Failed, Outcome::Stopped),
                    Err(error) => Outcome::Failed(error.to_string()),
                },
            },
        };
        if !matches!(outcome, Outcome::Failed(_)) {
            std::fs::remove_dir_all(&copy)?;
        }
        Ok(self.round(what, outcome))
    }

    /// Starts once with the damage accepted, as the refusal proposes. What is there then may be too little, or settled
    /// already, but it is whole and in order.
    async fn accept(&mut self, data: &Path, refusal: String) -> io::Result<Outcome> {
        let settings = self.plan.settings.clone();
        self.plan.settings.push(format!("{ACCEPTS_DAMAGE}=true"));
        let started = self.start(data, None);
        self.plan.settings = settings;
        let complaints = match started? {
            Started::Refused(ended) => Some(super::last_lines(&ended.said)),
            Started::Ready(server) => match self.compare(&server, NEVER - 1).await {
                Ok(complaints) => complaints.into_iter().find(|complaint| !is_of_the_past(complaint)),
                Err(trouble) => Some(trouble.to_string()),
            },
        };
        self.confirmed = 0;
        Ok(match complaints {
            Some(complaint) => Outcome::Failed(format!("with the damage accepted: {complaint}")),
            None => Outcome::Refused(refusal),
        })
    }

    /// A file of any kind: most of them are few and small.
    fn choose_file(&mut self, files: &[PathBuf]) -> PathBuf {
        let mut kinds: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
        for file in files {
            let kind = match file.extension() {
                Some(extension) => extension.to_string_lossy().into_owned(),
                None => name(file).split('-').next().unwrap_or_default().to_owned(),
            };
            kinds.entry(kind).or_default().push(file);
        }
        let kinds: Vec<_> = kinds.into_values().collect();
        let files = &kinds[self.random.random_range(0..kinds.len())];
        files[self.random.random_range(0..files.len())].clone()
    }
}

/// Whether a complaint is that this is the state of an earlier moment.
fn is_of_the_past(complaint: &str) -> bool {
    ["lost", "are back", "and is there", "was set last"].iter().any(|past| complaint.contains(past))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn flip(file: &Path, offset: u64, bit: u32) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(file)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset)
}

/// The reason, which must name a file in the folder.
fn explained(ended: &Ended, data: &Path) -> Result<String, String> {
    let reason = reason(ended)?;
    let files = std::fs::read_dir(data).map_err(|error| error.to_string())?;
    let mut names = files.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.any(|name| reason.contains(&name)) {
        true => Ok(reason),
        false => Err(format!("names no file: {reason}")),
    }
}
