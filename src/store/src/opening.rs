//! Opens the database, or says why it cannot be.

use std::path::Path;

use rocksdb::{DB, WriteOptions};

use crate::error::StoreError;
use crate::keys::Family;
use crate::options::Options;
use crate::tuning;
use crate::wal;

/// The format this program writes, and the newest it reads.
const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";
/// What the engine calls the family that is always there. It holds the format only.
pub(crate) const DEFAULT_FAMILY: &str = "default";

pub(crate) fn open(directory: &Path, options: &Options) -> Result<DB, StoreError> {
    std::fs::create_dir_all(directory)
        .map_err(|error| unusable(directory, format!("it cannot be created: {error}")))?;
    if !options.accept_damage {
        refuse_loss(directory)?;
    }
    let settings = tuning::database(options);
    let others = unknown_families(directory, &settings)?;
    let families = tuning::families(options, &others);
    let db =
        DB::open_cf_descriptors(&settings, directory, families).map_err(|error| opening_error(directory, &error))?;
    check_format(&db, directory)?;
    if let Some(name) = others.first() {
        return Err(unusable(directory, format!("it has the unknown column family {name}")));
    }
    Ok(db)
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

pub(crate) fn unusable(directory: &Path, reason: String) -> StoreError {
    StoreError::Unusable { directory: directory.to_owned(), reason }
}
