//! What the engine's manifest says of its logs. Only the front of its entries is read, where these numbers are.

use std::path::{Path, PathBuf};

use super::records::{self, Found, Stretch};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Logs with a lower number are not replayed.
    pub(super) log_min: u64,
    /// What logs with a lower number hold is in files, replayed or not. Never less than the above.
    pub(super) log_written_out: u64,
    /// The last sequence number when the manifest was last written.
    pub(super) last_sequence: u64,
    pub(super) file: PathBuf,
    pub(super) unreadable: Option<Stretch>,
    /// Of the last entry: up to which log it says that a family is written out.
    log_of_last: u64,
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
            manifest.take(&Entry::decode(&entry));
        }
        Some(manifest)
    }

    fn take(&mut self, entry: &Entry) {
        self.last_sequence = self.last_sequence.max(entry.last_sequence);
        self.log_min = self.log_min.max(entry.log_min);
        // The end of a group says which logs may go, and the entry before that it has written a family out.
        let of_group = if entry.ends_group { self.log_of_last } else { 0 };
        self.log_written_out = self.log_written_out.max(self.log_min).max(of_group);
        self.log_of_last = entry.log;
    }
}

/// The fields of an entry that come first. Zero is none.
#[derive(Debug, Default)]
struct Entry {
    log: u64,
    log_min: u64,
    last_sequence: u64,
    /// Whether it is the last of a group that counts only as a whole.
    ends_group: bool,
}

impl Entry {
    fn decode(bytes: &[u8]) -> Self {
        let mut entry = Self::default();
        entry.take(bytes);
        entry
    }

    /// Fields are a tag and a number or text; the simple ones come first. None at the first other one, or at the end.
    fn take(&mut self, mut fields: &[u8]) -> Option<()> {
        loop {
            match varint(&mut fields)? {
                tag::COMPARATOR | tag::ID => {
                    let length = usize::try_from(varint(&mut fields)?).ok()?;
                    fields = fields.get(length..)?;
                }
                tag::LOG => self.log = varint(&mut fields)?,
                tag::LOG_MIN => self.log_min = varint(&mut fields)?,
                tag::LAST_SEQUENCE => self.last_sequence = varint(&mut fields)?,
                tag::OF_GROUP => self.ends_group = varint(&mut fields)? == 0,
                tag::NEXT_FILE | tag::PREVIOUS_LOG | tag::FAMILY_MAX => _ = varint(&mut fields)?,
                _ => return None,
            }
        }
    }
}

/// Whatever entries hold, what need not be replayed is what is written out.
#[cfg(fuzzing)]
pub(super) fn fuzz_entries(entries: &[Vec<u8>]) {
    let mut manifest = Manifest::default();
    for entry in entries {
        manifest.take(&Entry::decode(entry));
        assert!(manifest.log_min <= manifest.log_written_out);
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
    /// How many entries of the group follow.
    pub(super) const OF_GROUP: u64 = 300;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as the engine writes them: with a log of a family, or with the lowest log; and what is left of their group.
    fn manifest(entries: &[(u64, u64, Option<u8>)]) -> Manifest {
        let mut manifest = Manifest::default();
        for (log, log_min, of_group) in entries {
            let field = |tag: u8, number: &u64| if *number == 0 { vec![] } else { vec![tag, *number as u8] };
            let mut bytes = [field(2, log), vec![9, 0, 3, 99], field(10, log_min), vec![4, 77]].concat();
            bytes.extend(of_group.iter().flat_map(|left| [0xac, 2, *left]));
            manifest.take(&Entry::decode(&bytes));
        }
        manifest
    }

    #[test]
    fn a_group_says_up_to_where_everything_is_written_out_once_it_is_whole() {
        let opened = [(5, 0, None), (20, 0, None), (0, 5, None)];
        let first = [(9, 0, Some(2)), (9, 0, Some(1)), (0, 9, Some(0))];
        let second = [(12, 0, Some(2)), (12, 0, Some(1)), (0, 9, Some(0))];
        let logs = |entries: &[_]| {
            let manifest = manifest(entries);
            assert_eq!(manifest.last_sequence, 77);
            (manifest.log_min, manifest.log_written_out)
        };
        assert_eq!(logs(&opened), (5, 5));
        assert_eq!(logs(&[&opened[..], &first].concat()), (9, 9));
        assert_eq!(logs(&[&opened[..], &first, &second].concat()), (9, 12));
        assert_eq!(logs(&[&opened[..], &first, &second[..2]].concat()), (9, 9), "the end of the group is missing");
        assert_eq!(logs(&[(5, 0, None), (9, 0, None), (0, 5, None)]), (5, 5), "written out one by one");
    }
}
