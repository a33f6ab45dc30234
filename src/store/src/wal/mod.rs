//! Looks through the write-ahead log before the engine opens it: is something missing that had been synced?
//!
//! The engine replays its logs up to the first record it cannot read. After a crash that is right: what was not synced
//! may be there in part. But a bit that flips in the middle of a log would end the replay there just the same, and all
//! that was confirmed behind it would be gone without a word. The engine cannot tell these apart, its records can: each
//! commit carries up to where everything was synced when it was written ([`Stamp`]). Sequence numbers that are missing
//! although a later commit says that they were synced are damage, and the store refuses to open, naming the file.
//!
//! What was written last before a crash has no later commit to vouch for it, so the committer writes an empty one soon
//! after a sync when nothing else comes, and when it ends.
//!
//! * [`records`]: the engine's log format, as far as it is needed; it reads past damage;
//! * [`manifest`]: which logs count;
//! * [`torn`]: what was never synced, and keeps the manifest from being read;
//! * [`written_out`]: what need not be read, and keeps the rest from being replayed;
//! * [`gap`]: what is missing.
//!
//! Roads not taken: the engine's own recovery modes (one refuses every torn tail, another skips damage silently) and its
//! list of logs in the manifest (knows the sizes of logs that are complete, nothing of the one that was being written).

mod gap;
mod manifest;
mod records;
#[cfg(any(test, fuzzing))]
mod rig;
mod stamp;
mod torn;
mod written_out;

pub(crate) use gap::find_loss;
#[cfg(fuzzing)]
pub use rig::fuzz_logs;
pub(crate) use stamp::Stamp;
pub(crate) use torn::cut_torn_manifest;
pub(crate) use written_out::remove_written_out;

/// Something that had been synced cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A log.
    Log(Loss),
    /// The manifest. So nobody knows which files the store consists of.
    Manifest {
        /// Which file that is.
        file: std::path::PathBuf,
        /// Where in it reading fails, in bytes.
        offset: u64,
    },
}

/// A part of the logs that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The log.
    pub(crate) file: std::path::PathBuf,
    /// Where in it reading fails, in bytes.
    pub(crate) offset: u64,
    /// How many changes are missing before the next one that can be read, as far as that is known.
    pub(crate) changes: u64,
}
