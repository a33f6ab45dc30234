//! Lets the engine merge files only while there is room for it.
//!
//! Publishers are stopped early enough for that ([`Store::merge_room`](crate::Store::merge_room)), but they are not alone on
//! the disk, and it may be nearly full when the store is opened. Without room deletions are written all the same, and the
//! more is deleted, the less room the sweeper needs to merge everything.

use crate::rocks::Rocks;
use crate::space::Files;

/// Which of the two databases merge their files as they see fit.
pub(crate) struct Merging {
    kept: bool,
    transient: bool,
}

impl Merging {
    /// Whether they do when they are opened.
    pub(crate) fn new(kept: bool) -> Self {
        Self { kept, transient: true }
    }

    /// Looks whether there is room for the largest merge that may come next.
    pub(crate) fn follow_room(&mut self, rocks: &Rocks) {
        let has_room = rocks.has_room_to_merge(u64::MAX);
        switch(&mut self.kept, has_room, Some(rocks.kept_files()));
        switch(&mut self.transient, has_room, rocks.transient_files());
    }
}

fn switch(is_on: &mut bool, on: bool, files: Option<Files<'_>>) {
    let Some(files) = files.filter(|_| *is_on != on) else { return };
    match files.set_merging(on) {
        Ok(()) => {
            *is_on = on;
            tracing::debug!(on, "files are merged while the disk has room for it");
        }
        Err(error) => tracing::warn!(%error, on, "cannot change whether files are merged"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rocksdb::FlushOptions;

    use super::*;
    use crate::keys::Family;
    use crate::options::Options;

    /// Number of files in the first level.
    fn waiting(rocks: &Rocks) -> usize {
        let files = rocks.db.live_files().unwrap();
        files.iter().filter(|file| file.column_family_name == Family::Chunks.name() && file.level == 0).count()
    }

    #[test]
    fn what_was_not_merged_is_merged_once_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let rocks = Rocks::open(directory.path(), &Options::default()).unwrap();
        rocks.kept_files().set_merging(false).unwrap();
        for value in 0..6 {
            for key in [b"first", b"last "] {
                rocks.db.put_cf(rocks.family(Family::Chunks), key, [value]).unwrap();
            }
            rocks.db.flush_cf_opt(rocks.family(Family::Chunks), &FlushOptions::default()).unwrap();
        }
        assert_eq!(waiting(&rocks), 6);
        Merging::new(false).follow_room(&rocks);
        let patience = Instant::now() + Duration::from_secs(60);
        while waiting(&rocks) >= 4 {
            assert!(Instant::now() < patience, "still {}", waiting(&rocks));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
