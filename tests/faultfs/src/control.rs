//! The switches: a small file that the program under test has mapped, and a test writes while it runs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Kinds of operations, to be combined.
pub mod operations {
    /// Writing, allocating and resizing.
    pub const WRITE: u64 = 1;
    /// fsync and fdatasync, of files and folders.
    pub const SYNC: u64 = 2;
    /// Reading.
    pub const READ: u64 = 4;
    /// Creating, renaming, linking and deleting.
    pub const NAME: u64 = 8;
}

/// Where the switches are in the file.
pub mod layout {
    /// Length of the file, in bytes.
    pub const FILE_BYTES: usize = 4096;
    /// Where the pattern begins; what comes before are the slots.
    pub const PATTERN_AT: usize = 1024;
    /// Longest pattern, in bytes; a shorter one is filled up with zeros.
    pub const PATTERN_BYTES: usize = 64;
}

/// A switch or counter: a native 64-bit number at 8 times its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// Which [`operations`] fail; 0: none.
    Operations = 0,
    /// The error they fail with (errno).
    Errno,
    /// How many matching operations until the first one that fails: 1 is the next.
    Countdown,
    /// Whether all matching operations after that fail too.
    Lasting,
    /// How many bytes of a failing write are written all the same.
    TornBytes,
    /// Whether everything that changes something fails as after a remount without writing.
    ReadOnly,
    /// Size of the disk in bytes; 0: the real one.
    CapacityBytes,
    /// What is used of it. Counted by the library.
    UsedBytes,
    /// What was used of it at most. Counted by the library; a test may set it back.
    MostUsedBytes,
    /// Every so many writes, one is cut short; 0: none.
    ShortWrites,
    /// How many operations failed. Counted by the library.
    Hits,
    /// How long a write takes before it fails, in milliseconds.
    DelayMs,
}

/// Errors to be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// Kinds of [`operations`].
    pub operations: u64,
    /// The error (errno).
    pub errno: i32,
    /// Only for files whose path below the root contains this; empty: for all.
    pub pattern: &'a str,
    /// Which of the matching operations is the first to fail; 1 is the next.
    pub nth: u64,
    /// Whether all after that fail too.
    pub lasting: bool,
    /// How many bytes of a failing write are written all the same.
    pub torn_bytes: u64,
    /// How long a write takes before it fails, in milliseconds: others go on meanwhile.
    pub delay_ms: u64,
}

/// The switches as a test has them.
#[derive(Debug)]
pub struct Control {
    file: File,
}

impl Control {
    /// Creates the file with everything off.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(&[0; layout::FILE_BYTES], 0)?;
        Ok(Self { file })
    }

    /// Reads a switch or counter.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, slot: Slot) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, slot as u64 * 8)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Turns a switch.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set(&self, slot: Slot, value: u64) -> io::Result<()> {
        self.file.write_all_at(&value.to_ne_bytes(), slot as u64 * 8)
    }

    /// Lets operations fail from now on.
    ///
    /// # Errors
    /// When the file cannot be written or the pattern is too long.
    pub fn fail(&self, fault: &Fault<'_>) -> io::Result<()> {
        let mut pattern = [0; layout::PATTERN_BYTES];
        let start = pattern.get_mut(..fault.pattern.len());
        let start = start.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the pattern is too long"))?;
        start.copy_from_slice(fault.pattern.as_bytes());
        self.file.write_all_at(&pattern, layout::PATTERN_AT as u64)?;
        self.set(Slot::Errno, u64::from(fault.errno.unsigned_abs()))?;
        self.set(Slot::Countdown, fault.nth)?;
        self.set(Slot::Lasting, u64::from(fault.lasting))?;
        self.set(Slot::TornBytes, fault.torn_bytes)?;
        self.set(Slot::DelayMs, fault.delay_ms)?;
        // Last: with this it begins.
        self.set(Slot::Operations, fault.operations)
    }
}
