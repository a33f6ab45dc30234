//! The store without RocksDB, without a thread and without a clock: for runs that a seed repeats exactly.
//!
//! Turns, waiters, what a commit takes, when it is due and whether it syncs are the real ones; so are the keys and values.
//! Replaced are the engine, by a [`Disk`] in memory that knows what was synced and can lose the rest, and the
//! committer's thread, by whoever calls [`Steps`]: between any two of them turns may run, or the power may fail.
//!
//! Not taken: RocksDB over a simulated file system. It is slower by orders of magnitude, has threads of its own, and what
//! it would test of RocksDB, its authors test better.

mod disk;
mod memory;
mod steps;

pub use disk::Disk;
pub use steps::{Steps, Waits, open};
