//! How a store behaves and how much it may use.

use std::time::Duration;

/// When a waiter is told that its changes are durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// After the sync: survives a crash of the machine.
    #[default]
    Commit,
    /// After the write: survives a crash of the process, not of the machine.
    Os,
}

/// Settings of [`Store::open`](crate::Store::open). The defaults suit a broker on a small machine.
#[derive(Debug, Clone)]
pub struct Options {
    /// When waiters are told. Default: after the sync.
    pub sync: SyncMode,
    /// Whether a store opens although its write-ahead log has lost what had been synced; what was stored after that is
    /// gone then. Default: no.
    pub accept_damage: bool,
    /// Bytes of chunks kept in memory before they go to a file. What is consumed before that never reaches one.
    /// Default: 16 MiB; chunks are large values, so a larger buffer costs memory and gains nothing.
    pub chunk_buffer_bytes: usize,
    /// Bound for all write buffers together. Default: 40 MiB.
    pub write_buffers_bytes: usize,
    /// Bytes of chunks written at once; a commit with more is written in parts. Default: 16 MiB.
    pub batch_bytes: usize,
    /// Bytes of write-ahead log from which on quiet parts are written out so that old logs can go. Default: 64 MiB.
    pub wal_bytes: u64,
    /// Bytes of read cache, shared by everything. Default: 32 MiB.
    pub cache_bytes: usize,
    /// Bound for open files. Default: 512.
    pub open_files: u16,
    /// Background threads for writing out and compacting. Default: 2.
    pub background_jobs: u8,
    /// Time between two looks at how much of the disk is used in vain. Default: 5 seconds.
    pub sweep_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: SyncMode::Commit,
            accept_damage: false,
            chunk_buffer_bytes: 16 << 20,
            write_buffers_bytes: 40 << 20,
            batch_bytes: 16 << 20,
            wal_bytes: 64 << 20,
            cache_bytes: 32 << 20,
            open_files: 512,
            background_jobs: 2,
            sweep_interval: Duration::from_secs(5),
        }
    }
}
