//! Errors of the store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::DecodeError;
use crate::log::LogId;

/// Why the store could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this one, has the directory open.
    #[error("the store in {} is in use by another process: {reason}", directory.display())]
    Locked {
        /// The store's directory.
        directory: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// The directory was written by a newer version of this program.
    #[error("the store in {} has format {found}, this program knows formats up to {supported}", directory.display())]
    NewerFormat {
        /// The store's directory.
        directory: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format this program can read.
        supported: u32,
    },
    /// The directory holds something that is not a store of this program, or a damaged one.
    #[error("the store in {} is not usable: {reason}", directory.display())]
    Unusable {
        /// The store's directory.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Part of the write-ahead log cannot be read, although it had been synced.
    #[error(
        "{} is damaged at byte {offset}: {changes} changes that had reached the disk cannot be read. Restore the data \
         folder from a backup. Or start once with store.accept_damage = true: it goes on with what was stored before the \
         damage, and what was stored later is lost", file.display()
    )]
    Damaged {
        /// The log.
        file: PathBuf,
        /// Where in it reading fails, in bytes.
        offset: u64,
        /// How many changes are missing before the next one that can be read, as far as that is known.
        changes: u64,
    },
    /// The manifest cannot be read, although it had been synced.
    #[error(
        "{} is damaged at byte {offset}, and says no more which files the store consists of. Restore the data folder from a \
         backup", file.display()
    )]
    DamagedManifest {
        /// The manifest.
        file: PathBuf,
        /// Where in it reading fails, in bytes.
        offset: u64,
    },
    /// A stored value of a log cannot be decoded.
    #[error("{family} of queue {}, level {}, key {key} cannot be read: {source}", log.queue, log.level)]
    Corrupt {
        /// Which kind of value: `chunks`, `marks`, `logs` or `due`.
        family: &'static str,
        /// The log it belongs to.
        log: LogId,
        /// Its key, in hexadecimal digits.
        key: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A key has a length that no key of its kind has.
    #[error("{family} has a key that is none: {key}")]
    ForeignKey {
        /// Which kind of value: `chunks`, `marks`, `logs` or `due`.
        family: &'static str,
        /// The key, in hexadecimal digits.
        key: String,
    },
    /// The engine failed: the disk is full or broken, files are missing or damaged.
    #[error("{doing}: {reason}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// What the engine said.
        reason: String,
    },
}

/// Why something is not, and will not be, durable. After the first one the store accepts nothing more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store failed: {reason}")]
pub struct CommitError {
    /// What went wrong first.
    pub reason: Arc<str>,
}
