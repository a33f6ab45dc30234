//! What each commit says of those before it.

use rocksdb::WriteBatch;

/// Version of the stamp's form.
const VERSION: u8 = 1;
/// Of a batch in the log: sequence number of its first change, and their count.
const HEADER_BYTES: usize = 12;
/// The engine's mark for a text that is in the log only.
const LOG_DATA: u8 = 3;
/// Version and number.
const STAMP_BYTES: u8 = 9;

/// Everything up to this sequence number was synced when the commit was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) u64);

impl Stamp {
    /// Puts it into a batch, which must be empty.
    pub(crate) fn put(self, batch: &mut WriteBatch) {
        let mut text = [VERSION; STAMP_BYTES as usize];
        text[1..].copy_from_slice(&self.0.to_le_bytes());
        batch.put_log_data(text);
    }
}

/// A commit as it is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Commit {
    /// The sequence number of its first change.
    pub(super) first: u64,
    /// How many numbers it takes.
    pub(super) count: u64,
    pub(super) stamp: Option<Stamp>,
}

impl Commit {
    /// Reads the head of a batch.
    pub(super) fn decode(batch: &[u8]) -> Option<Self> {
        let (head, changes) = batch.split_at_checked(HEADER_BYTES)?;
        let (first, count) = head.split_first_chunk()?;
        let count = u32::from_le_bytes(count.try_into().ok()?);
        Some(Self { first: u64::from_le_bytes(*first), count: count.into(), stamp: stamp(changes) })
    }

    /// The sequence number behind it.
    pub(super) fn end(self) -> u64 {
        self.first.saturating_add(self.count)
    }
}

fn stamp(changes: &[u8]) -> Option<Stamp> {
    let number = changes.strip_prefix(&[LOG_DATA, STAMP_BYTES, VERSION])?.first_chunk()?;
    Some(Stamp(u64::from_le_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_from_its_batch() {
        let mut batch = WriteBatch::default();
        Stamp(77).put(&mut batch);
        batch.put(b"key", b"value");
        let commit = Commit::decode(batch.data()).unwrap();
        assert_eq!(commit, Commit { first: 0, count: 1, stamp: Some(Stamp(77)) });
        let mut plain = WriteBatch::default();
        plain.put(b"key", b"value");
        assert_eq!(Commit::decode(plain.data()).unwrap().stamp, None);
        assert_eq!(Commit::decode(&[0; 11]), None);
    }
}
