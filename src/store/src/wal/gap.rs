//! What is missing in a sequence of commits, and whether it matters.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::manifest::Manifest;
use super::records::{self, Found};
use super::stamp::Commit;
use super::{Damage, Loss};

/// Looks for changes that are missing from the logs in `directory` although they had been synced.
///
/// # Errors
/// When a log cannot be read at all.
pub(crate) fn find_loss(directory: &Path) -> std::io::Result<Option<Damage>> {
    let Some(manifest) = Manifest::read(directory) else { return Ok(None) };
    let of_manifest = manifest.unreadable.as_ref().map(|stretch| {
        let offset = stretch.bytes.start as u64;
        Damage::Manifest { file: manifest.file.clone(), offset }
    });
    // The engine may read round it, or try to for ever. An entry that is cut short it leaves out, rightly or not.
    if manifest.unreadable.is_some_and(|stretch| !stretch.is_cut_short) {
        return Ok(of_manifest);
    }
    let mut search = Search::new(manifest.last_sequence);
    for (number, file) in logs(directory, manifest.log_written_out)? {
        let mut bytes = Vec::new();
        File::open(&file)?.read_to_end(&mut bytes)?;
        search.log(file, number, &bytes);
    }
    // What the manifest says last may be that a log is not needed any more.
    Ok(search.loss.map(|loss| of_manifest.unwrap_or(Damage::Log(loss))))
}

/// The logs from a number on, in the engine's order.
pub(super) fn logs(directory: &Path, min: u64) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        let number = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
        if let Some(number) = number.filter(|&number| is_log && number >= min) {
            logs.push((number, path));
        }
    }
    logs.sort_unstable();
    Ok(logs)
}

/// Goes over the commits of all logs, in order.
struct Search {
    /// The last sequence number that the manifest knows of.
    known: u64,
    /// The number that the next commit must have.
    next: Option<u64>,
    /// Where the log is at that is being read; and where reading failed since its last commit.
    file: PathBuf,
    unreadable: Option<u64>,
    is_first_of_log: bool,
    /// The end of the log before.
    before: Option<Place>,
    gap: Option<Gap>,
    loss: Option<Loss>,
}

#[derive(Debug, Clone)]
struct Place {
    file: PathBuf,
    offset: u64,
}

/// Sequence numbers that are missing.
struct Gap {
    first: u64,
    /// The number behind it.
    end: u64,
    place: Place,
}

impl Search {
    fn new(known: u64) -> Self {
        let (next, unreadable, before, gap, loss) = (None, None, None, None, None);
        Self { known, next, file: PathBuf::new(), unreadable, is_first_of_log: true, before, gap, loss }
    }

    fn log(&mut self, file: PathBuf, number: u64, bytes: &[u8]) {
        self.file = file;
        self.is_first_of_log = true;
        for found in records::reused(bytes, number) {
            match found {
                Found::Unreadable(offset) => _ = self.unreadable.get_or_insert(offset),
                Found::Record(record) => Commit::decode(&record).into_iter().for_each(|commit| self.commit(commit)),
            }
        }
        let offset = self.unreadable.take().unwrap_or(bytes.len() as u64);
        self.before = Some(Place { file: std::mem::take(&mut self.file), offset });
    }

    fn commit(&mut self, commit: Commit) {
        if std::mem::take(&mut self.is_first_of_log) {
            self.begin_log(commit);
        }
        let next = self.next.unwrap_or_else(|| self.first_expected(commit));
        if commit.first > next && self.gap.is_none() {
            self.gap = Some(Gap { first: next, end: commit.first, place: self.place() });
        }
        self.unreadable = None;
        self.next = Some(commit.end());
        let lost = self.gap.as_ref().filter(|gap| commit.stamp.is_some_and(|stamp| stamp.0 >= gap.first));
        if let (None, Some(gap)) = (&self.loss, lost) {
            let Place { file, offset } = gap.place.clone();
            self.loss = Some(Loss { file, offset, changes: gap.end - gap.first });
        }
    }

    /// Where a new log goes on before a gap, the store was opened with what came before it: nobody misses the rest.
    fn begin_log(&mut self, commit: Commit) {
        if self.gap.take_if(|gap| commit.first <= gap.first).is_some() {
            self.next = Some(commit.first);
        }
    }

    /// The number that the first commit of all should have. What the manifest knows of may be in a log as well, so what
    /// is missing before that shows only where something cannot be read.
    fn first_expected(&self, commit: Commit) -> u64 {
        let behind_known = self.known.saturating_add(1);
        if self.unreadable.is_some() { behind_known.min(commit.first.saturating_sub(1)) } else { behind_known }
    }

    fn place(&self) -> Place {
        let here = |offset| Place { file: self.file.clone(), offset };
        match (self.unreadable, &self.before) {
            (None, Some(before)) => before.clone(),
            (unreadable, _) => here(unreadable.unwrap_or(0)),
        }
    }
}

/// Whatever a log holds, a loss is of something.
#[cfg(fuzzing)]
pub(super) fn fuzz_search(number: u32, log: &[u8]) {
    let mut search = Search::new(0);
    search.log("1.log".into(), number.into(), log);
    search.log("2.log".into(), number.into(), log);
    assert!(search.loss.is_none_or(|loss| loss.changes > 0));
}

#[cfg(test)]
mod tests {
    use super::super::stamp::Stamp;
    use super::*;

    /// First number, count and stamp of a commit; none is something that cannot be read.
    type Written = Option<(u64, u64, u64)>;

    /// A search over the commits of some logs.
    fn search(known: u64, logs: &[&[Written]]) -> Option<(PathBuf, u64)> {
        let mut search = Search::new(known);
        for (number, log) in logs.iter().enumerate() {
            search.file = number.to_string().into();
            search.is_first_of_log = true;
            for commit in *log {
                match *commit {
                    Some((first, count, stamp)) => search.commit(Commit { first, count, stamp: Some(Stamp(stamp)) }),
                    None => search.unreadable = Some(7),
                }
            }
            search.before = Some(Place { file: search.file.clone(), offset: search.unreadable.take().unwrap_or(9) });
        }
        search.loss.map(|loss| (loss.file, loss.changes))
    }

    #[test]
    fn what_a_later_commit_calls_synced_must_be_there() {
        let (one, two, three) = (Some((1, 2, 0)), Some((3, 2, 2)), Some((5, 2, 4)));
        assert_eq!(search(0, &[&[one, two, three]]), None);
        assert_eq!(search(0, &[&[one, two, None]]), None);
        assert_eq!(search(0, &[&[one, None, three]]), Some(("0".into(), 2)));
        assert_eq!(search(0, &[&[one, None], &[three]]), Some(("0".into(), 2)));
        assert_eq!(search(0, &[&[one], &[None, three]]), Some(("1".into(), 2)));
        assert_eq!(search(0, &[&[None, two]]), Some(("0".into(), 2)));
        assert_eq!(search(2, &[&[two, three]]), None);
        assert_eq!(search(0, &[&[three]]), Some(("0".into(), 4)), "a log that is missing");
    }

    #[test]
    fn what_was_not_synced_may_be_missing() {
        assert_eq!(search(0, &[&[Some((1, 2, 0)), None, Some((5, 2, 2))]]), None);
    }

    #[test]
    fn where_the_store_was_opened_again_before_the_gap_nothing_is_missing() {
        let torn = [Some((1, 2, 0)), None, Some((5, 2, 2))];
        assert_eq!(search(0, &[&torn, &[Some((3, 0, 2)), Some((3, 9, 2)), Some((12, 1, 11))]]), None);
    }
}
