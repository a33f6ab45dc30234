//! The engine in earnest: RocksDB opened and written to. Reading is in `read`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rocksdb::{ColumnFamily, DB, FlushOptions, WriteBatch, WriteOptions};

use crate::chunk::StoredChunk;
use crate::engine::{Batch, CatalogueRecord, Engine, Visit, encode};
use crate::error::StoreError;
use crate::keys::Family;
use crate::large::{Early, UNFINISHED_KEY};
use crate::log::{LogId, LogState};
use crate::opening::{self, DEFAULT_FAMILY};
use crate::options::Options;
use crate::room;
use crate::transient::Transient;
use crate::wal::Stamp;
use crate::writes::Writes;

/// The open database.
pub(crate) struct Rocks {
    pub(crate) db: DB,
    pub(crate) transient: Transient,
    /// Where all of it is.
    pub(crate) directory: PathBuf,
    /// Whether files are merged from the start on.
    pub(crate) merges_at_start: bool,
    /// Everything up to this sequence number is synced. Changed by the committer only.
    synced: AtomicU64,
    /// Up to where the log says so.
    noted: AtomicU64,
    /// About so much is written at once.
    batch_bytes: usize,
    fail_next_write: AtomicBool,
    /// Keeps others out; dropped last.
    _claim: File,
}

impl Rocks {
    pub(crate) fn open(directory: &Path, options: &Options) -> Result<Self, StoreError> {
        let claim = opening::claim(directory)?;
        let merges_at_start = room::has_room_to_merge_all(directory);
        let db = opening::open(directory, options, merges_at_start)?;
        let transient = Transient::new(directory, options).map_err(|error| {
            opening::unusable(directory, format!("its transient messages cannot be removed: {error}"))
        })?;
        // What the engine replayed at opening, it has written out and synced.
        let (synced, noted) = (db.latest_sequence_number().into(), AtomicU64::new(0));
        let batch_bytes = options.batch_bytes;
        let fail_next_write = AtomicBool::new(false);
        let rocks = Self {
            db,
            transient,
            directory: directory.to_owned(),
            merges_at_start,
            synced,
            noted,
            batch_bytes,
            fail_next_write,
            _claim: claim,
        };
        rocks.take_back_unfinished()?;
        Ok(rocks)
    }

    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("every family was opened")
    }

    fn everything_is_synced(&self) {
        self.synced.store(self.db.latest_sequence_number(), Relaxed);
    }

    /// A batch with nothing in it but what is synced.
    pub(crate) fn stamped(&self) -> WriteBatch {
        let mut batch = WriteBatch::default();
        Stamp(self.synced.load(Relaxed)).put(&mut batch);
        batch
    }

    /// Writes a batch that was [`Self::stamped`].
    pub(crate) fn write_stamped(&self, batch: WriteBatch, sync: bool) -> Result<(), String> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(|error| error.to_string())?;
        self.noted.store(self.synced.load(Relaxed), Relaxed);
        if sync {
            self.everything_is_synced();
        }
        Ok(())
    }

    /// Writes the chunks that come before the rest of a commit; their bytes.
    fn write_early(&self, early: &Early, writes: &Writes) -> Result<usize, String> {
        let mut bytes = 0;
        let mut batches = Batches::new(self);
        batches.logged.put(UNFINISHED_KEY, early.unfinished());
        for change in writes.changes.iter().filter(|change| early.contains(change)) {
            encode(change, &mut batches);
            if batches.logged.size_in_bytes() >= self.batch_bytes {
                let full = std::mem::replace(&mut batches.logged, self.stamped());
                bytes += full.size_in_bytes();
                self.write_stamped(full, false)?;
            }
        }
        bytes += batches.logged.size_in_bytes();
        self.write_stamped(batches.logged, false)?;
        Ok(bytes)
    }

    fn injected_failure(&self) -> Result<(), String> {
        match self.fail_next_write.swap(false, Relaxed) {
            true => Err("a failure that was asked for".to_owned()),
            false => Ok(()),
        }
    }
}

impl Engine for Rocks {
    fn write(&self, writes: &Writes, sync: bool) -> Result<usize, String> {
        let early = Early::of(&writes.changes, self.batch_bytes);
        let early_bytes = if early.is_empty() { 0 } else { self.write_early(&early, writes)? };
        let mut batches = Batches::new(self);
        for change in writes.changes.iter().filter(|change| !early.contains(change)) {
            encode(change, &mut batches);
        }
        if !early.is_empty() {
            batches.logged.delete(UNFINISHED_KEY);
        }
        self.injected_failure()?;
        let (logged, transient_bytes) = batches.write_transient().map_err(|error| error.to_string())?;
        let bytes = early_bytes + logged.size_in_bytes() + transient_bytes;
        if sync || !logged.is_empty() {
            self.write_stamped(logged, sync)?;
        }
        Ok(bytes)
    }

    fn sync(&self) -> Result<(), String> {
        self.injected_failure()?;
        self.db.flush_wal(true).map_err(|error| error.to_string())?;
        self.everything_is_synced();
        Ok(())
    }

    fn is_sync_noted(&self) -> bool {
        self.noted.load(Relaxed) == self.synced.load(Relaxed)
    }

    fn note_sync(&self) -> Result<(), String> {
        self.write_stamped(self.stamped(), false)
    }

    fn write_out(&self) -> Result<(), StoreError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        // All that there are: what one of them keeps in memory only would keep the log.
        let names = Family::ALL.iter().map(|family| family.name()).chain([DEFAULT_FAMILY]);
        let families: Vec<_> = names.filter_map(|name| self.db.cf_handle(name)).collect();
        let written = self.db.flush_cfs_opt(&families, &options);
        written.map_err(|error| StoreError::Engine { doing: "writing out", reason: error.to_string() })
    }

    fn merge_room(&self) -> u64 {
        Self::merge_room(self)
    }

    fn chunks(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Vec<StoredChunk>, StoreError> {
        self.read_chunks(log, from_seq, bytes_max)
    }

    fn chunk(&self, log: LogId, first_seq: u64) -> Result<Option<StoredChunk>, StoreError> {
        self.read_chunk(log, first_seq)
    }

    fn due(&self, log: LogId, from: (u64, u64), until_ms: u64, limit: usize) -> Result<Vec<(u64, u64)>, StoreError> {
        self.read_due(log, from, until_ms, limit)
    }

    fn scan_timeline(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.read_timeline(from, to, visit)
    }

    fn logs(&self) -> Result<Vec<(LogId, LogState)>, StoreError> {
        self.read_logs()
    }

    fn catalogue(&self) -> Result<Vec<CatalogueRecord>, StoreError> {
        self.read_catalogue()
    }

    fn fail_next_write(&self) {
        self.fail_next_write.store(true, Relaxed);
    }
}

/// One batch for each database in the making, with the handles that entries are added by.
pub(crate) struct Batches<'a> {
    rocks: &'a Rocks,
    pub(crate) logged: WriteBatch,
    transient: WriteBatch,
    /// Of transient chunks, written already: nothing holds them together.
    transient_bytes: Result<usize, rocksdb::Error>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(rocks: &'a Rocks) -> Self {
        Self { rocks, logged: rocks.stamped(), transient: WriteBatch::default(), transient_bytes: Ok(0) }
    }

    /// Writes what is transient; what remains to be written, and how much is.
    fn write_transient(mut self) -> Result<(WriteBatch, usize), rocksdb::Error> {
        self.empty_transient();
        Ok((self.logged, self.transient_bytes?))
    }

    fn empty_transient(&mut self) {
        let batch = std::mem::take(&mut self.transient);
        if let Ok(bytes) = &mut self.transient_bytes
            && !batch.is_empty()
        {
            *bytes += batch.size_in_bytes();
            if let Err(error) = self.rocks.transient.write(batch) {
                self.transient_bytes = Err(error);
            }
        }
    }
}

impl Batch for Batches<'_> {
    fn put(&mut self, family: Family, key: &[u8], value: Vec<u8>) {
        match family {
            Family::Transient => {
                self.rocks.transient.put(&mut self.transient, key, &value);
                if self.transient.size_in_bytes() >= self.rocks.batch_bytes {
                    self.empty_transient();
                }
            }
            _ => self.logged.put_cf(self.rocks.family(family), key, value),
        }
    }

    fn delete(&mut self, family: Family, key: &[u8]) {
        match family {
            Family::Transient => self.rocks.transient.delete(&mut self.transient, key),
            _ => self.logged.delete_cf(self.rocks.family(family), key),
        }
    }

    fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]) {
        match family {
            Family::Transient => self.rocks.transient.delete_logs(&mut self.transient, from..to),
            _ => self.logged.delete_range_cf(self.rocks.family(family), from, to),
        }
    }
}
