//! The kinds of fault.

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Signal 9.
    Kill,
    /// Loss of power after any operation on a file.
    PowerLoss,
    /// The process ends in the middle of a write to the log.
    TornRecord,
    /// The disk fills up while clients work.
    DiskFull,
    /// The disk is full when the broker starts.
    DiskFullAtStart,
    /// A write fails (EIO), in part or whole.
    WriteError,
    /// A sync fails (EIO); power is lost after that.
    SyncError,
    /// A read fails (EIO).
    ReadError,
    /// The file system does not let anything be changed any more.
    ReadOnly,
    /// The system writes less than asked for.
    ShortWrites,
    /// A bit has changed in a file.
    FlippedBit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Kill,
        Self::PowerLoss,
        Self::TornRecord,
        Self::DiskFull,
        Self::DiskFullAtStart,
        Self::WriteError,
        Self::SyncError,
        Self::ReadError,
        Self::ReadOnly,
        Self::ShortWrites,
        Self::FlippedBit,
    ];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerLoss => "power-loss",
            Self::TornRecord => "torn-record",
            Self::DiskFull => "disk-full",
            Self::DiskFullAtStart => "disk-full-at-start",
            Self::WriteError => "write-error",
            Self::SyncError => "sync-error",
            Self::ReadError => "read-error",
            Self::ReadOnly => "read-only",
            Self::ShortWrites => "short-writes",
            Self::FlippedBit => "flipped-bit",
        }
    }
}
