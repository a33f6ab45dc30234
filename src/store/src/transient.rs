//! Chunks of transient messages that found no room in memory.
//!
//! A database of their own without a write-ahead log, made when it is first needed and thrown away when the store is
//! opened again. Not taken: a column family beside the others (the engine does not write past the log where logs are
//! used again, and that makes syncs cheap), and plain files (what is consumed has to give its space back piece by
//! piece, which the engine does).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rocksdb::{DB, WriteBatch, WriteOptions};

use crate::options::Options;
use crate::tuning;

/// Its folder within the store's.
const FOLDER: &str = "transient";

/// See the module.
pub(crate) struct Transient {
    folder: PathBuf,
    settings: rocksdb::Options,
    db: OnceLock<DB>,
}

impl Transient {
    /// Nothing yet; what an earlier run left in the store's `directory` is removed.
    pub(crate) fn new(directory: &Path, options: &Options) -> std::io::Result<Self> {
        let folder = directory.join(FOLDER);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { folder, settings: tuning::transient(options), db: OnceLock::new() })
    }

    /// The database, if anything was ever written.
    pub(crate) fn db(&self) -> Option<&DB> {
        self.db.get()
    }

    /// Writes all of `batch` or none. Called by one thread.
    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), rocksdb::Error> {
        let db = match self.db.get() {
            Some(db) => db,
            None => {
                let db = DB::open(&self.settings, &self.folder)?;
                self.db.get_or_init(|| db)
            }
        };
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        db.write_opt(batch, &options)
    }
}
