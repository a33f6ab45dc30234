//! Chunks of transient messages that found no room in memory.
//!
//! A database of their own without a write-ahead log, made when it is first needed and thrown away when the store is
//! opened again. Not taken: a column family beside the others (the engine does not write past the log where logs are
//! used again, and that makes syncs cheap), and plain files (what is consumed has to give its space back piece by
//! piece, which the engine does).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::{Bound, Range};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use rocksdb::{ColumnFamilyDescriptor, DB, DEFAULT_COLUMN_FAMILY_NAME, WriteBatch, WriteOptions};

use crate::keys::LOG_KEY_BYTES;
use crate::options::Options;
use crate::tuning;

/// Its folder within the store's.
const FOLDER: &str = "transient";

/// See the module.
pub(crate) struct Transient {
    folder: PathBuf,
    settings: rocksdb::Options,
    db: OnceLock<DB>,
    live: Mutex<Live>,
}

/// What lives, by log: nothing else counts transient chunks.
#[derive(Debug, Default)]
struct Live {
    logs: BTreeMap<Vec<u8>, Chunks>,
}

#[derive(Debug, Default)]
struct Chunks {
    count: u64,
    bytes: u64,
}

impl Transient {
    /// Nothing yet; what an earlier run left in the store's `directory` is removed.
    pub(crate) fn new(directory: &Path, options: &Options) -> std::io::Result<Self> {
        let folder = directory.join(FOLDER);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { folder, settings: tuning::transient(options), db: OnceLock::new(), live: Mutex::default() })
    }

    /// The database, if anything was ever written.
    pub(crate) fn db(&self) -> Option<&DB> {
        self.db.get()
    }

    /// A chunk is about to be written.
    pub(crate) fn put(&self, batch: &mut WriteBatch, key: &[u8], value: &[u8]) {
        batch.put(key, value);
        self.live.lock().put(key, value.len() as u64);
    }

    /// A chunk is about to be deleted.
    pub(crate) fn delete(&self, batch: &mut WriteBatch, key: &[u8]) {
        batch.delete(key);
        self.live.lock().delete(key);
    }

    /// All chunks of logs are about to be deleted.
    pub(crate) fn delete_logs(&self, batch: &mut WriteBatch, keys: Range<&[u8]>) {
        batch.delete_range(keys.start, keys.end);
        self.live.lock().delete_logs(keys);
    }

    /// Bytes of what lives, about.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live.lock().logs.values().map(|chunks| chunks.bytes).sum()
    }

    /// Writes all of `batch` or none. Called by one thread.
    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), rocksdb::Error> {
        let db = match self.db.get() {
            Some(db) => db,
            None => {
                // Named, so that there is a handle for it.
                let family = ColumnFamilyDescriptor::new(DEFAULT_COLUMN_FAMILY_NAME, self.settings.clone());
                let db = DB::open_cf_descriptors(&self.settings, &self.folder, [family])?;
                self.db.get_or_init(|| db)
            }
        };
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        db.write_opt(batch, &options)
    }
}

impl Live {
    fn put(&mut self, key: &[u8], bytes: u64) {
        let chunks = self.logs.entry(log_of(key).to_vec()).or_default();
        chunks.count += 1;
        chunks.bytes += bytes;
    }

    /// As large as those of its log are on average: deletions do not say.
    fn delete(&mut self, key: &[u8]) {
        let Some(chunks) = self.logs.get_mut(log_of(key)) else { return };
        chunks.bytes -= chunks.bytes / chunks.count.max(1);
        chunks.count = chunks.count.saturating_sub(1);
        if chunks.count == 0 {
            self.logs.remove(log_of(key));
        }
    }

    fn delete_logs(&mut self, keys: Range<&[u8]>) {
        let range = (Bound::Included(keys.start), Bound::Excluded(keys.end));
        let deleted: Vec<Vec<u8>> = self.logs.range::<[u8], _>(range).map(|(log, _)| log.clone()).collect();
        for log in deleted {
            self.logs.remove(&log);
        }
    }
}

fn log_of(key: &[u8]) -> &[u8] {
    &key[..LOG_KEY_BYTES.min(key.len())]
}
