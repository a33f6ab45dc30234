//! Counters of the commits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the committer has done since the store was opened. Durations in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Commits that wrote something.
    pub commits: u64,
    /// Commits in which nothing was left to write.
    pub empty_commits: u64,
    /// Syncs of the write-ahead log.
    pub syncs: u64,
    /// Bytes written to the write-ahead log.
    pub bytes_written: u64,
    /// Waiters told, with success or without.
    pub waiters: u64,
    /// Time spent writing and syncing.
    pub write_us: u64,
    /// The longest write.
    pub write_us_max: u64,
    /// Time for which turns were held back, the wait for the running ones included.
    pub gate_us: u64,
    /// The longest time for which turns were held back.
    pub gate_us_max: u64,
}

/// The live form of [`Statistics`]: written by the committer only.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    empty_commits: AtomicU64,
    syncs: AtomicU64,
    bytes_written: AtomicU64,
    waiters: AtomicU64,
    write_us: AtomicU64,
    write_us_max: AtomicU64,
    gate_us: AtomicU64,
    gate_us_max: AtomicU64,
}

impl Counters {
    pub(crate) fn gate(&self, duration: Duration) {
        let us = duration.as_micros() as u64;
        self.gate_us.fetch_add(us, Relaxed);
        self.gate_us_max.fetch_max(us, Relaxed);
    }

    pub(crate) fn written(&self, bytes: usize, synced: bool, duration: Duration) {
        let us = duration.as_micros() as u64;
        self.commits.fetch_add(u64::from(bytes > 0), Relaxed);
        self.syncs.fetch_add(u64::from(synced), Relaxed);
        self.bytes_written.fetch_add(bytes as u64, Relaxed);
        self.write_us.fetch_add(us, Relaxed);
        self.write_us_max.fetch_max(us, Relaxed);
    }

    pub(crate) fn nothing_written(&self) {
        self.empty_commits.fetch_add(1, Relaxed);
    }

    pub(crate) fn told(&self, waiters: usize) {
        self.waiters.fetch_add(waiters as u64, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Statistics {
        Statistics {
            commits: self.commits.load(Relaxed),
            empty_commits: self.empty_commits.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
            waiters: self.waiters.load(Relaxed),
            write_us: self.write_us.load(Relaxed),
            write_us_max: self.write_us_max.load(Relaxed),
            gate_us: self.gate_us.load(Relaxed),
            gate_us_max: self.gate_us_max.load(Relaxed),
        }
    }
}
