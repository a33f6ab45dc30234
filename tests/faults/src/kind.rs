//! The kinds of fault.

use leveret_faultfs::operations;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Signal 9.
    Kill,
    /// Loss of power after any operation on a file.
    PowerLoss,
    /// Loss of power after any operation of a start that follows a loss of power, up to three times in a row.
    PowerLossAtStart,
    /// The process ends in the middle of a write to the log.
    TornRecord,
    /// The disk fills up while clients work.
    DiskFull,
    /// The disk is full when the broker starts.
    DiskFullAtStart,
    /// A write fails (EIO), in part or whole, or a file cannot be created or renamed, while clients work.
    WriteError,
    /// The same when the broker starts.
    WriteErrorAtStart,
    /// A sync fails (EIO) while clients work; power is lost after that.
    SyncError,
    /// A sync fails (EIO) when the broker starts; power is lost after that.
    SyncErrorAtStart,
    /// A read fails (EIO) while clients work on a backlog.
    ReadError,
    /// A read fails (EIO) when the broker starts.
    ReadErrorAtStart,
    /// The file system does not let anything be changed any more while clients work.
    ReadOnly,
    /// The file system does not let anything be changed when the broker starts.
    ReadOnlyAtStart,
    /// The system writes less than asked for.
    ShortWrites,
    /// A bit has changed in a file.
    FlippedBit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Kill,
        Self::PowerLoss,
        Self::PowerLossAtStart,
        Self::TornRecord,
        Self::DiskFull,
        Self::DiskFullAtStart,
        Self::WriteError,
        Self::WriteErrorAtStart,
        Self::SyncError,
        Self::SyncErrorAtStart,
        Self::ReadError,
        Self::ReadErrorAtStart,
        Self::ReadOnly,
        Self::ReadOnlyAtStart,
        Self::ShortWrites,
        Self::FlippedBit,
    ];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerLoss => "power-loss",
            Self::PowerLossAtStart => "power-loss-at-start",
            Self::TornRecord => "torn-record",
            Self::DiskFull => "disk-full",
            Self::DiskFullAtStart => "disk-full-at-start",
            Self::WriteError => "write-error",
            Self::WriteErrorAtStart => "write-error-at-start",
            Self::SyncError => "sync-error",
            Self::SyncErrorAtStart => "sync-error-at-start",
            Self::ReadError => "read-error",
            Self::ReadErrorAtStart => "read-error-at-start",
            Self::ReadOnly => "read-only",
            Self::ReadOnlyAtStart => "read-only-at-start",
            Self::ShortWrites => "short-writes",
            Self::FlippedBit => "flipped-bit",
        }
    }

    /// Which operations it lets fail, any of these sets; none where it does so in another way.
    pub(crate) fn failing_operations(self) -> &'static [u64] {
        match self {
            Self::WriteError | Self::WriteErrorAtStart => &[operations::WRITE, operations::NAME],
            Self::SyncError | Self::SyncErrorAtStart => &[operations::SYNC],
            Self::ReadError | Self::ReadErrorAtStart => &[operations::READ],
            _ => &[],
        }
    }
}
