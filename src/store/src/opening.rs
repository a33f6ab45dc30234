//! Opens the database, or says why it cannot be.

use std::fs::{File, TryLockError};
use std::path::Path;

use rocksdb::{DB, WriteOptions};

use crate::error::StoreError;
use crate::keys::Family;
use crate::options::Options;
use crate::tuning;
use crate::wal::{self, Damage, Loss};

/// The format this program writes, and the newest it reads.
const FORMAT: u32 = 1;
const FORMAT_KEY: &[u8] = b"format";
/// What the engine calls the family that is always there. It holds the format only.
pub(crate) const DEFAULT_FAMILY: &str = "default";

/// Makes the directory where it is not there, and keeps others out of it as long as what this returns is not dropped. The
/// engine's own lock comes too late: files are looked at, and may be changed, before the engine opens them.
pub(crate) fn claim(directory: &Path) -> Result<File, StoreError> {
    std::fs::create_dir_all(directory)
        .map_err(|error| unusable(directory, format!("it cannot be created: {error}")))?;
    let cannot = |error: std::io::Error| unusable(directory, format!("it cannot be locked: {error}"));
    let claim = File::open(directory).map_err(cannot)?;
    match claim.try_lock() {
        Ok(()) => Ok(claim),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::Locked { directory: directory.to_owned(), reason: "it is locked".to_owned() })
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Opens the database in a directory that was claimed. Whether it `merges` files can be changed later.
pub(crate) fn open(directory: &Path, options: &Options, merges: bool) -> Result<DB, StoreError> {
    wal::cut_torn_manifest(directory)
        .map_err(|error| unusable(directory, format!("its manifest cannot be mended: {error}")))?;
    look_for_damage(directory, options.accept_damage)?;
    wal::remove_written_out(directory)
        .map_err(|error| unusable(directory, format!("a log that is not needed any more is in the way: {error}")))?;
    let settings = tuning::database(options);
    let others = unknown_families(directory, &settings)?;
    let families = tuning::families(options, &others, merges);
    let db =
        DB::open_cf_descriptors(&settings, directory, families).map_err(|error| opening_error(directory, &error))?;
    check_format(&db, directory)?;
    if let Some(name) = others.first() {
        return Err(unusable(directory, format!("it has the unknown column family {name}")));
    }
    Ok(db)
}

/// Looks for what the engine would lose without a word. What a log has lost can be accepted: the engine writes all families
/// out together, so its files are of one moment, and replaying the logs ends before the damage.
fn look_for_damage(directory: &Path, accepts_damage: bool) -> Result<(), StoreError> {
    let damage = wal::find_loss(directory)
        .map_err(|error| unusable(directory, format!("its write-ahead log cannot be read: {error}")))?;
    match damage {
        None => Ok(()),
        Some(Damage::Log(Loss { file, offset, .. })) if accepts_damage => {
            tracing::warn!(file = %file.display(), byte = offset, "the damage is accepted: what was stored later is lost");
            Ok(())
        }
        Some(Damage::Log(Loss { file, offset, changes })) => Err(StoreError::Damaged { file, offset, changes }),
        Some(Damage::Manifest { file, offset }) => Err(StoreError::DamagedManifest { file, offset }),
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
