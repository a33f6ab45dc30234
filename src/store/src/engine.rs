//! RocksDB opened and written to. Reading is in `read`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rocksdb::{ColumnFamily, DB, WriteBatch, WriteOptions};

use crate::chunk;
use crate::error::StoreError;
use crate::keys::{Family, chunk_key, due_key, end_of, log_key};
use crate::options::Options;
use crate::transient::Transient;
use crate::tuning;
use crate::writes::{Change, Writes};

/// The format this program writes, and the newest it reads.
const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";
/// What the engine calls the family that is always there. It holds the format only.
const DEFAULT_FAMILY: &str = "default";

/// What one commit writes.
#[derive(Default)]
struct Batches {
    logged: WriteBatch,
    transient: WriteBatch,
}

/// The open database.
pub(crate) struct Engine {
    pub(crate) db: DB,
    pub(crate) transient: Transient,
    fail_next_write: AtomicBool,
}

impl Engine {
    pub(crate) fn open(directory: &Path, options: &Options) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| unusable(directory, format!("it cannot be created: {error}")))?;
        let settings = tuning::database(options);
        let others = unknown_families(directory, &settings)?;
        let families = tuning::families(options, &others);
        let db = DB::open_cf_descriptors(&settings, directory, families)
            .map_err(|error| opening_error(directory, &error))?;
        check_format(&db, directory)?;
        if let Some(name) = others.first() {
            return Err(unusable(directory, format!("it has the unknown column family {name}")));
        }
        let transient = Transient::new(directory, options)
            .map_err(|error| unusable(directory, format!("its transient messages cannot be removed: {error}")))?;
        Ok(Self { db, transient, fail_next_write: AtomicBool::new(false) })
    }

    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("every family was opened")
    }

    /// Writes all changes or none, but for transient chunks, which may be written without the rest: nobody looks for
    /// them then. Returns the bytes written; the error is the engine's reason.
    pub(crate) fn write(&self, writes: &Writes, sync: bool) -> Result<usize, String> {
        let Batches { logged, transient } = self.encode(writes);
        let bytes = logged.size_in_bytes() + transient.size_in_bytes();
        self.injected_failure()?;
        if !transient.is_empty() {
            self.transient.write(transient).map_err(|error| error.to_string())?;
        }
        if sync || !logged.is_empty() {
            let mut options = WriteOptions::default();
            options.set_sync(sync);
            self.db.write_opt(logged, &options).map_err(|error| error.to_string())?;
        }
        Ok(bytes)
    }

    /// Syncs what earlier writes left unsynced.
    pub(crate) fn sync(&self) -> Result<(), String> {
        self.injected_failure()?;
        self.db.flush_wal(true).map_err(|error| error.to_string())
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

    fn encode(&self, writes: &Writes) -> Batches {
        let mut batches = Batches::default();
        for change in &writes.changes {
            self.encode_change(&mut batches, change);
        }
        batches
    }

    fn encode_change(&self, Batches { logged: batch, transient }: &mut Batches, change: &Change) {
        let of = |family| self.family(family);
        match change {
            Change::PutTransient { log, first_seq, pieces } => {
                transient.put(chunk_key(*log, *first_seq), chunk::encode(*first_seq, pieces));
            }
            Change::DeleteTransient { log, first_seq } => transient.delete(chunk_key(*log, *first_seq)),
            Change::DeleteTransientLog { log } => {
                transient.delete_range(log_key(*log).as_slice(), &end_of(&log_key(*log)));
            }
            Change::DeleteTransientQueue { queue } => {
                transient.delete_range(queue.to_be_bytes().as_slice(), &end_of(&queue.to_be_bytes()));
            }
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

/// Column families in an existing directory that this program does not know. They must be opened all the same.
fn unknown_families(directory: &Path, settings: &rocksdb::Options) -> Result<Vec<String>, StoreError> {
    if !directory.join("CURRENT").exists() {
        return Ok(Vec::new());
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
