//! Gives the disk back what consumers have emptied.
//!
//! The engine forgets deleted chunks when it next merges the files they are in, and it merges files when there are many
//! new ones. After a backlog is drained there are none: what was deleted would stay for days. So once in a while a
//! thread compares what the files hold with what lives, and has all of them merged when most of it is gone.
//!
//! Not taken: deleting whole files by range of keys (a file with the deletion may go while one with what it deletes
//! stays, and that would be there again), and counting deleted bytes (the counters of the logs say what lives).

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rocksdb::{ColumnFamily, CompactOptions, DB, DEFAULT_COLUMN_FAMILY_NAME, FlushOptions};

use crate::error::StoreError;
use crate::keys::Family;
use crate::merging::Merging;
use crate::rocks::Rocks;
use crate::stall;

/// So much may always be lying about.
const DEAD_BYTES_MIN: u64 = 32 << 20;

/// What a record has beside its body, about: exchange, routing key, properties.
const RECORD_BYTES: u64 = 64;

/// The families that queues fill and empty.
const FAMILIES: [Family; 4] = [Family::Chunks, Family::Marks, Family::Due, Family::Timeline];

/// The thread that looks after it; ended when this is dropped.
pub(crate) struct Sweeper {
    rocks: Arc<Rocks>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    /// Starts the thread. It calls `fail` with the reason when it finds that nothing can be written any more.
    pub(crate) fn start(
        rocks: Arc<Rocks>,
        interval: Duration,
        fail: impl FnOnce(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let (of_thread, told) = (Arc::clone(&rocks), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("leveret-sweep".to_owned())
            .spawn(move || sweep_now_and_then(&of_thread, interval, &told, fail))?;
        Ok(Self { rocks, stop, thread: Some(thread) })
    }
}

impl Drop for Sweeper {
    /// What the engine merges just now is given up: it can be done at any time.
    fn drop(&mut self) {
        *self.stop.told.lock() = true;
        self.stop.changed.notify_one();
        self.rocks.db.cancel_all_background_work(false);
        if let Some(db) = self.rocks.transient.db() {
            db.cancel_all_background_work(false);
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the sweeper panicked");
        }
    }
}

#[derive(Default)]
struct Stop {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn is_told_within(&self, time: Duration) -> bool {
        let mut told = self.told.lock();
        if !*told {
            self.changed.wait_for(&mut told, time);
        }
        *told
    }
}

fn sweep_now_and_then(rocks: &Rocks, interval: Duration, stop: &Stop, fail: impl FnOnce(&str)) {
    let (mut kept_before, mut transient_before) = (0, 0);
    let mut was_stalled = false;
    let mut merging = Merging::new(rocks.merges_at_start);
    merging.follow_room(rocks);
    while !stop.is_told_within(interval) {
        // Twice, as one look may be just between the end of a write and the next one's beginning.
        if std::mem::replace(&mut was_stalled, rocks.is_stalled()) && was_stalled {
            fail(stall::REASON);
            rocks.end_stall();
            return;
        }
        merging.follow_room(rocks);
        match rocks.kept_bytes() {
            Ok(live_bytes) => rocks.kept_files().sweep(rocks, live_bytes, &mut kept_before),
            Err(error) => tracing::error!(%error, "cannot tell how much of the disk is used in vain"),
        }
        if let Some(files) = rocks.transient_files() {
            files.sweep(rocks, rocks.transient.live_bytes(), &mut transient_before);
        }
    }
}

/// What messages take on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    /// In all files.
    file_bytes: u64,
    /// Of what lives, about.
    live_bytes: u64,
}

impl Space {
    /// Whether to merge all files: that costs what lives and gains what does not. What consumers are just emptying will
    /// cost less in a moment.
    fn is_worth_sweeping(self, live_bytes_before: u64) -> bool {
        let dead_bytes = self.file_bytes.saturating_sub(self.live_bytes);
        let is_being_emptied = self.live_bytes < live_bytes_before / 10 * 9;
        dead_bytes > DEAD_BYTES_MIN + 2 * self.live_bytes && (!is_being_emptied || self.live_bytes < DEAD_BYTES_MIN)
    }
}

/// The files of families that are emptied together.
pub(crate) struct Files<'a> {
    db: &'a DB,
    families: Vec<&'a ColumnFamily>,
    /// All of the database: what is in memory is written out together.
    written_together: Vec<&'a ColumnFamily>,
}

impl Rocks {
    pub(crate) fn kept_files(&self) -> Files<'_> {
        Files {
            db: &self.db,
            families: FAMILIES.map(|family| self.family(family)).to_vec(),
            written_together: Family::ALL.map(|family| self.family(family)).to_vec(),
        }
    }

    pub(crate) fn transient_files(&self) -> Option<Files<'_>> {
        let db = self.transient.db()?;
        let family = db.cf_handle(DEFAULT_COLUMN_FAMILY_NAME)?;
        Some(Files { db, families: vec![family], written_together: vec![family] })
    }

    /// Bytes of the messages that live there, about.
    fn kept_bytes(&self) -> Result<u64, StoreError> {
        if self.kept_files().bytes() <= DEAD_BYTES_MIN {
            return Ok(0);
        }
        let logs = self.read_logs()?;
        let live_bytes = logs.iter().map(|(_, log)| log.bytes.saturating_add(log.count.saturating_mul(RECORD_BYTES)));
        Ok(live_bytes.fold(0, u64::saturating_add))
    }
}

impl Files<'_> {
    fn bytes(&self) -> u64 {
        let size = |family: &&ColumnFamily| {
            let property = self.db.property_int_value_cf(*family, rocksdb::properties::TOTAL_SST_FILES_SIZE);
            property.ok().flatten().unwrap_or(0)
        };
        self.families.iter().map(size).sum()
    }

    /// Whether they, and those of the other families, are merged as the engine sees fit, from now on. What is being merged
    /// is merged to the end.
    pub(crate) fn set_merging(&self, on: bool) -> Result<(), rocksdb::Error> {
        let setting = [("disable_auto_compactions", if on { "false" } else { "true" })];
        self.written_together.iter().try_for_each(|family| self.db.set_options_cf(*family, &setting))
    }

    /// Merges them if that is worth it. Deletions are in memory as long as there are few of them: they have to be in files
    /// to meet what they delete.
    fn sweep(&self, rocks: &Rocks, live_bytes: u64, live_bytes_before: &mut u64) {
        let space = Space { file_bytes: self.bytes(), live_bytes };
        if !space.is_worth_sweeping(std::mem::replace(live_bytes_before, live_bytes)) {
            return;
        }
        // What comes of it is what lives, and a few deletions.
        if !rocks.has_room_to_merge(live_bytes.saturating_add(DEAD_BYTES_MIN)) {
            tracing::debug!("there is no room to merge files that hold little: consumers have to go on first");
            return;
        }
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        if let Err(error) = self.db.flush_cfs_opt(&self.written_together, &FlushOptions::default()) {
            tracing::warn!(%error, "cannot write out what was deleted");
            return;
        }
        for family in &self.families {
            self.db.compact_range_cf_opt(*family, None::<&[u8]>, None::<&[u8]>, &options);
        }
        tracing::debug!(before_bytes = space.file_bytes, after_bytes = self.bytes(), "gave space back to the disk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_merged_when_most_is_gone_and_consumers_rest() {
        const GIB: u64 = 1 << 30;
        let is_worth = |file_bytes, live_bytes, before| Space { file_bytes, live_bytes }.is_worth_sweeping(before);
        assert!(!is_worth(DEAD_BYTES_MIN, 0, 0), "a little may lie about");
        assert!(is_worth(10 * GIB, GIB, GIB));
        assert!(!is_worth(10 * GIB, 4 * GIB, 4 * GIB), "too much lives");
        assert!(!is_worth(10 * GIB, GIB, 2 * GIB), "they are at it");
        assert!(is_worth(10 * GIB, 0, 2 * GIB), "they have done");
    }
}
