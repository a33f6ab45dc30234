//! What the engine's manifest says of its logs. Only the front of its entries is read, where these numbers are.

use std::path::{Path, PathBuf};

use super::records::{self, Found, Stretch};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Logs with a lower number have been written out and are not replayed.
    pub(super) log_min: u64,
    /// The last sequence number when the manifest was last written.
    pub(super) last_sequence: u64,
    pub(super) file: PathBuf,
    pub(super) unreadable: Option<Stretch>,
}

impl Manifest {
    /// The manifest in use. None where there is no store, or where this cannot be read: the engine says then what is
    /// wrong.
    pub(super) fn read(directory: &Path) -> Option<Self> {
        let file = file(directory)?;
        let bytes = std::fs::read(&file).ok()?;
        let mut manifest = Self { file, unreadable: records::unreadable(&bytes), ..Self::default() };
        for found in records::plain(&bytes) {
            let Found::Record(entry) = found else { break };
            manifest.take(&entry);
        }
        Some(manifest)
    }

    /// Fields are a tag and a number or text; the simple ones come first.
    fn take(&mut self, mut entry: &[u8]) -> Option<()> {
        loop {
            match varint(&mut entry)? {
                tag::COMPARATOR | tag::ID => {
                    let length = usize::try_from(varint(&mut entry)?).ok()?;
                    entry = entry.get(length..)?;
                }
                tag::LOG_MIN => self.log_min = self.log_min.max(varint(&mut entry)?),
                tag::LAST_SEQUENCE => self.last_sequence = self.last_sequence.max(varint(&mut entry)?),
                tag::LOG | tag::NEXT_FILE | tag::PREVIOUS_LOG | tag::FAMILY_MAX => _ = varint(&mut entry)?,
                _ => return None,
            }
        }
    }
}

/// The one in use. None where there is no store, or where this cannot be read.
pub(super) fn file(directory: &Path) -> Option<PathBuf> {
    let current = std::fs::read_to_string(directory.join("CURRENT")).ok()?;
    Some(directory.join(current.trim_end()))
}

/// The engine's tags of the fields that come first.
mod tag {
    pub(super) const COMPARATOR: u64 = 1;
    pub(super) const LOG: u64 = 2;
    pub(super) const NEXT_FILE: u64 = 3;
    pub(super) const LAST_SEQUENCE: u64 = 4;
    pub(super) const PREVIOUS_LOG: u64 = 9;
    pub(super) const LOG_MIN: u64 = 10;
    pub(super) const ID: u64 = 8193;
    pub(super) const FAMILY_MAX: u64 = 203;
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
