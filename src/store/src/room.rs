//! How much of the disk merging files takes for a while, and when it has to wait for room.
//!
//! The engine writes what comes of a merge before it removes what went into it. A merge can be done at any time, and one
//! that finds no room loses nothing; but as long as it fills the disk nothing can be written either, and of that the store
//! fails. So merges are small, and what they may take beyond that is asked for: by the alarm that stops publishers, and
//! before they begin.
//!
//! One merge runs at a time, over all families and both databases: they share the engine's one thread for it. It is
//!
//! * from a level to the next, and bounded by [`MERGE_BYTES`] and some files of [`FILE_BYTES`], or
//! * out of the first level, whose files overlap: all of them with all of the level they go into. There are as many
//!   as were written out faster than they were merged, and nothing but slowing down writers bounds them.
//!
//! Not taken: a smaller bound for files in the first level (writers would be held back on every disk for the sake of those
//! that are nearly full), and the engine's own look at free space (it begins after something has failed).

use std::path::Path;

use rocksdb::properties::{BASE_LEVEL, LEVELSTATS};
use rocksdb::{ColumnFamily, DB, DEFAULT_COLUMN_FAMILY_NAME};

use crate::keys::Family;
use crate::rocks::Rocks;

/// Size of the files that merging makes: the parts that merging takes and gives back at a time.
pub(crate) const FILE_BYTES: u64 = 16 << 20;

/// About so much is merged at a time from one level to the next.
pub(crate) const MERGE_BYTES: u64 = 64 << 20;

/// A merge of that size with what may be on its edges. Any store needs so much.
const USUAL_BYTES: u64 = MERGE_BYTES + 2 * FILE_BYTES;

/// What a merge leaves to writing: what is in memory, and the log.
const FOR_WRITING_BYTES: u64 = 64 << 20;

/// The files of a family.
struct Levels {
    /// Their bytes by level.
    bytes: Vec<u64>,
    /// The level that those of the first one are merged into.
    base: usize,
}

impl Rocks {
    /// See [`Store::merge_room`](crate::Store::merge_room).
    pub(crate) fn merge_room(&self) -> u64 {
        self.largest_merge().saturating_sub(USUAL_BYTES)
    }

    /// Whether there is room for any merge whose outcome is not more than `outcome_bytes`.
    pub(crate) fn has_room_to_merge(&self, outcome_bytes: u64) -> bool {
        has_room(&self.directory, self.largest_merge().min(outcome_bytes))
    }

    fn largest_merge(&self) -> u64 {
        let kept = Family::ALL.iter().filter_map(|family| Levels::of(&self.db, self.family(*family)));
        let transient = self.transient.db().and_then(|db| Levels::of(db, db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME)?));
        kept.chain(transient).map(|levels| levels.largest_merge()).max().unwrap_or(0)
    }
}

impl Levels {
    fn of(db: &DB, family: &ColumnFamily) -> Option<Self> {
        let table = db.property_value_cf(family, LEVELSTATS).ok().flatten()?;
        let base = db.property_int_value_cf(family, BASE_LEVEL).ok().flatten()?;
        Some(Self { bytes: read_levels(&table), base: usize::try_from(base).ok()? })
    }

    /// What the largest merge that may come takes, at most.
    fn largest_merge(&self) -> u64 {
        let of_level = |level: usize| self.bytes.get(level).copied().unwrap_or(0);
        USUAL_BYTES.min(self.bytes.iter().sum()).max(of_level(0) + of_level(self.base))
    }
}

/// Free bytes of the disk that `folder` is on, as far as they are left to users without privileges.
///
/// # Errors
/// Where the folder is missing, or the system does not tell.
pub fn disk_free_bytes(folder: &Path) -> std::io::Result<u64> {
    let status = rustix::fs::statvfs(folder)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// Whether there is room for merging all files in `directory`, which is not open yet: merges begin with opening.
pub(crate) fn has_room_to_merge_all(directory: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(directory) else { return true };
    let tables = files.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "sst"));
    let bytes: u64 = tables.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    has_room(directory, bytes)
}

/// Whether so much can be written and something is left then. It is believed where nobody can tell.
fn has_room(directory: &Path, bytes: u64) -> bool {
    match disk_free_bytes(directory) {
        Ok(free) => free >= bytes.saturating_add(FOR_WRITING_BYTES),
        Err(error) => {
            tracing::warn!(%error, "cannot tell the free disk space");
            true
        }
    }
}

/// Reads the engine's table of level, number of files and MiB. Rounded up: it rounds to whole ones.
fn read_levels(table: &str) -> Vec<u64> {
    let lines = table.lines().map(|line| line.split_whitespace().map(str::parse::<u64>).collect());
    let rows = lines.filter_map(|row: Result<Vec<u64>, _>| row.ok().filter(|row| row.len() == 3));
    rows.map(|row| if row[1] > 0 { (row[2] + 1) << 20 } else { 0 }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn tells_the_free_bytes_of_a_folder_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(disk_free_bytes(folder.path()).unwrap() > 0);
        assert!(disk_free_bytes(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn the_first_level_is_merged_as_a_whole_and_others_piece_by_piece() {
        let largest_merge = |mib: &[u64]| {
            let bytes = mib.iter().map(|mib| mib * MIB).collect();
            Levels { bytes, base: 2 }.largest_merge() / MIB
        };
        assert_eq!(largest_merge(&[]), 0);
        assert_eq!(largest_merge(&[10, 0, 0, 20]), 30, "there is no more");
        assert_eq!(largest_merge(&[0, 0, 30, 100_000]), USUAL_BYTES / MIB, "however much there is");
        assert_eq!(largest_merge(&[400, 0, 60, 100_000]), 460);
        assert_eq!(largest_merge(&[400, 0, 0, 100_000]), 400, "into an empty level");
    }

    #[test]
    fn reads_the_table_of_levels() {
        let table = "Level Files Size(MB)\n--------------------\n  0        3       41\n  1        0        0\n  2        1        0\n";
        assert_eq!(read_levels(table), [42 * MIB, 0, MIB]);
    }
}
