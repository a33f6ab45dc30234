//! A disk that fails on request, for tests of what a program makes of that.
//!
//! The library `leveret_faultfs_preload` is loaded into the program under test (`LD_PRELOAD`) and sees its operations on
//! files below one folder. It writes all of them into a [`journal`], with the data and the time, and fails some, as the
//! switches of a [`Control`] say, which a test may turn at any moment. [`Disk`] replays a journal and rebuilds the folder
//! as a loss of power at any point of it could have left it: one run gives as many crashes as one likes.
//!
//! | variable | what it names |
//! |---|---|
//! | [`ROOT`] | the folder, absolute |
//! | [`JOURNAL`] | the journal, outside of it; a second process continues it |
//! | [`CONTROL`] | the file of the switches, see [`Control::create`] |
//!
//! Roads not taken: dm-flakey and loop devices (need privileges that a test does not have), FUSE (the same, and a kernel
//! with it), an environment of RocksDB's own (not within reach of Rust, and it would not see what the rest of the program
//! does), and copying the folder at syncs (gives whole files only, never a torn write).

mod control;
mod disk;
mod file;
mod folder;
pub mod journal;

pub use control::{Control, Fault, Slot, layout, operations};
pub use disk::Disk;

/// Environment variable: the folder that is watched.
pub const ROOT: &str = "FAULTFS_ROOT";
/// Environment variable: where the journal is written.
pub const JOURNAL: &str = "FAULTFS_JOURNAL";
/// Environment variable: the file with the switches.
pub const CONTROL: &str = "FAULTFS_CONTROL";

/// The clock of the journal's time stamps (CLOCK_MONOTONIC), in nanoseconds. Alike in all processes of a machine.
#[must_use]
pub fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
