//! RocksDB opened and written to. Reading is in `read`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rocksdb::{ColumnFamily, DB, FlushOptions, WriteBatch, WriteOptions};

use crate::chunk;
use crate::error::StoreError;
use crate::keys::{Family, chunk_key, due_key, end_of, log_key};
use crate::options::Options;
use crate::tuning;
use crate::wal::{self, Stamp};
use crate::writes::{Change, Writes};

/// The format this program writes, and the newest it reads.
const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";
/// What the engine calls the family that is always there. It holds the format only.
const DEFAULT_FAMILY: &str = "default";

/// The open database.
pub(crate) struct Engine {
    pub(crate) db: DB,
    /// Everything up to this sequence number is synced. Changed by the committer only.
    synced: AtomicU64,
    /// Up to where the log says so.
    noted: AtomicU64,
    fail_next_write: AtomicBool,
}

impl Engine {
    pub(crate) fn open(directory: &Path, options: &Options) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| unusable(directory, format!("it cannot be created: {error}")))?;
        if !options.accept_damage {
            refuse_loss(directory)?;
        }
        let settings = tuning::database(options);
        let others = unknown_families(directory, &settings)?;
        let families = tuning::families(options, &others);
        let db = DB::open_cf_descriptors(&settings, directory, families)
            .map_err(|error| opening_error(directory, &error))?;
        check_format(&db, directory)?;
        if let Some(name) = others.first() {
            return Err(unusable(directory, format!("it has the unknown column family {name}")));
        }
        // What the engine replayed at opening, it has written out and synced.
        let (synced, noted) = (db.latest_sequence_number().into(), AtomicU64::new(0));
        Ok(Self { db, synced, noted, fail_next_write: AtomicBool::new(false) })
    }

    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("every family was opened")
    }

    /// Writes all changes or none. Returns the bytes written; the error is the engine's reason.
    pub(crate) fn write(&self, writes: &Writes, sync: bool) -> Result<usize, String> {
        let batch = self.encode(writes);
        let bytes = batch.size_in_bytes();
        self.injected_failure()?;
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(|error| error.to_string())?;
        if sync {
            self.everything_is_synced();
        }
        Ok(bytes)
    }

    /// Syncs what earlier writes left unsynced.
    pub(crate) fn sync(&self) -> Result<(), String> {
        self.injected_failure()?;
        self.db.flush_wal(true).map_err(|error| error.to_string())?;
        self.everything_is_synced();
        Ok(())
    }

    fn everything_is_synced(&self) {
        self.synced.store(self.db.latest_sequence_number(), Relaxed);
    }

    /// Whether the log says of everything synced that it is.
    pub(crate) fn is_sync_noted(&self) -> bool {
        self.noted.load(Relaxed) == self.synced.load(Relaxed)
    }

    /// Says in the log what is synced, for a time at which no commit comes that would: see [`wal`].
    pub(crate) fn note_sync(&self) -> Result<(), String> {
        self.db.write(self.stamped()).map_err(|error| error.to_string())
    }

    /// A batch with nothing in it but what is synced.
    fn stamped(&self) -> WriteBatch {
        let mut batch = WriteBatch::default();
        let synced = self.synced.load(Relaxed);
        Stamp(synced).put(&mut batch);
        self.noted.store(synced, Relaxed);
        batch
    }

    pub(crate) fn write_out(&self) -> Result<(), StoreError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        let families = Family::ALL.map(|family| self.family(family));
        let written = self.db.flush_cfs_opt(&families, &options);
        written.map_err(|error| StoreError::Engine { doing: "writing out", reason: error.to_string() })
    }

    pub(crate) fn fail_next_write(&self) {
        self.fail_next_write.store(true, Relaxed);
    }

    fn injected_failure(&self) -> Result<(), String> {
        match self.fail_next_write.swap(false, Relaxed) {
            true => Err("a failure that was asked for".to_owned()),
            false => Ok(()),
        }
    }

    fn encode(&self, writes: &Writes) -> WriteBatch {
        let mut batch = self.stamped();
        for change in &writes.changes {
            self.encode_change(&mut batch, change);
        }
        batch
    }

    fn encode_change(&self, batch: &mut WriteBatch, change: &Change) {
        let of = |family| self.family(family);
        match change {
            Change::PutChunk { log, first_seq, pieces } => {
                batch.put_cf(of(Family::Chunks), chunk_key(*log, *first_seq), chunk::encode(*first_seq, pieces));
            }
            Change::DeleteChunk { log, first_seq } => {
                batch.delete_cf(of(Family::Chunks), chunk_key(*log, *first_seq));
                batch.delete_cf(of(Family::Marks), chunk_key(*log, *first_seq));
            }
            Change::PutMarks { log, first_seq, marks } if marks.is_empty() => {
                batch.delete_cf(of(Family::Marks), chunk_key(*log, *first_seq));
            }
            Change::PutMarks { log, first_seq, marks } => {
                batch.put_cf(of(Family::Marks), chunk_key(*log, *first_seq), marks.encode(*first_seq));
            }
            Change::PutDue { log, due_ms, first_seq } => {
                batch.put_cf(of(Family::Due), due_key(*log, *due_ms, *first_seq), []);
            }
            Change::DeleteDue { log, due_ms, first_seq } => {
                batch.delete_cf(of(Family::Due), due_key(*log, *due_ms, *first_seq));
            }
            Change::PutLog { log, state } => batch.put_cf(of(Family::Logs), log_key(*log), state.encode()),
            Change::DeleteLog { log } => self.delete_prefix(batch, &Family::OF_LOGS, &log_key(*log)),
            Change::DeleteQueue { queue } => self.delete_prefix(batch, &Family::OF_QUEUES, &queue.to_be_bytes()),
            Change::PutCatalogue { key, value } => batch.put_cf(of(Family::Catalogue), key, value),
            Change::DeleteCatalogue { key } => batch.delete_cf(of(Family::Catalogue), key),
        }
    }

    fn delete_prefix(&self, batch: &mut WriteBatch, families: &[Family], prefix: &[u8]) {
        let end = end_of(prefix);
        for &family in families {
            batch.delete_range_cf(self.family(family), prefix, &end);
        }
    }
}

/// Looks for what the engine would lose without a word.
fn refuse_loss(directory: &Path) -> Result<(), StoreError> {
    match wal::find_loss(directory) {
        Ok(None) => Ok(()),
        Ok(Some(wal::Loss { file, offset, changes })) => Err(StoreError::Damaged { file, offset, changes }),
        Err(error) => Err(unusable(directory, format!("its write-ahead log cannot be read: {error}"))),
    }
}

/// Column families in an existing directory that this program does not know. They must be opened all the same.
fn unknown_families(directory: &Path, settings: &rocksdb::Options) -> Result<Vec<String>, StoreError> {
    let Ok(current) = std::fs::read(directory.join("CURRENT")) else { return Ok(Vec::new()) };
    let manifest = String::from_utf8_lossy(&current).trim_end().to_owned();
    if !directory.join(&manifest).is_file() {
        let reason = format!("Corruption: the file CURRENT names {manifest:?}, which is not there");
        return Err(unusable(directory, reason));
    }
    let names = DB::list_cf(settings, directory).map_err(|error| opening_error(directory, &error))?;
    let known = |name: &String| name == DEFAULT_FAMILY || Family::ALL.iter().any(|family| family.name() == name);
    Ok(names.into_iter().filter(|name| !known(name)).collect())
}

/// Compares the format of what was opened, and writes it when the database is new.
fn check_format(db: &DB, directory: &Path) -> Result<(), StoreError> {
    let engine_error = |error: rocksdb::Error| opening_error(directory, &error);
    let Some(value) = db.get(FORMAT_KEY).map_err(engine_error)? else {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        return db.put_opt(FORMAT_KEY, FORMAT.to_le_bytes(), &options).map_err(engine_error);
    };
    match <[u8; 4]>::try_from(value.as_slice()).map(u32::from_le_bytes) {
        Ok(found) if found <= FORMAT => Ok(()),
        Ok(found) => Err(StoreError::NewerFormat { directory: directory.to_owned(), found, supported: FORMAT }),
        Err(_) => Err(unusable(directory, "its format record is damaged".to_owned())),
    }
}

fn opening_error(directory: &Path, error: &rocksdb::Error) -> StoreError {
    let reason = error.to_string();
    // The engine has no kind of error for this: it reports what locking the file LOCK reported.
    if reason.contains("While lock file") || reason.contains("lock hold by current process") {
        return StoreError::Locked { directory: directory.to_owned(), reason };
    }
    unusable(directory, reason)
}

fn unusable(directory: &Path, reason: String) -> StoreError {
    StoreError::Unusable { directory: directory.to_owned(), reason }
}
