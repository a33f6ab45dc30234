//! What is remembered, in the order in which it came; pure but for reading it back.
//!
//! In the store it is a log: each commit appends what is new as one chunk with one record, and deletes chunks of which
//! nothing is remembered any more. A value that was forgotten out of order leaves a gap with the digest 0.

use std::collections::{HashMap, VecDeque};

use leveret_store::{LogId, LogState, Piece, Records, Store, StoreError, Writes};

/// Bytes of a value in the store: digest and time.
const ENTRY_BYTES: usize = 24;

/// In the place of a value that was forgotten.
const FORGOTTEN: u128 = 0;

/// What a look at a message has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The message has no value to compare.
    WithoutValue,
    /// It is new, and remembered from now on by this digest.
    New(u128),
    /// It is a repetition.
    Before,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    digest: u128,
    until_ms: u64,
}

impl Entry {
    fn is_forgotten(&self) -> bool {
        self.digest == FORGOTTEN
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    size: usize,
    is_kept: bool,
    /// Numbered from `first_seq` on.
    entries: VecDeque<Entry>,
    first_seq: u64,
    /// The entry of each value that is remembered.
    numbers: HashMap<u128, u64, ahash::RandomState>,
    /// Entries from here on are not in the store.
    unwritten_from: u64,
    /// Where the chunks in the store begin.
    chunks: VecDeque<u64>,
    touched: bool,
}

impl State {
    pub(super) fn new(size: usize, is_kept: bool) -> Self {
        Self {
            size,
            is_kept,
            entries: VecDeque::new(),
            first_seq: 0,
            numbers: HashMap::default(),
            unwritten_from: 0,
            chunks: VecDeque::new(),
            touched: false,
        }
    }

    /// Takes back what the store has.
    pub(super) fn recover(&mut self, id: u64, store: &Store, stored: LogState) -> Result<(), StoreError> {
        self.first_seq = stored.next_seq;
        for chunk in store.read(log(id), stored.head_seq, usize::MAX)? {
            if chunk.first_seq != self.next_seq() {
                // What lies between was forgotten before it was written, and all before it as well.
                self.entries.clear();
                self.numbers.clear();
                self.first_seq = chunk.first_seq;
            }
            self.chunks.push_back(chunk.first_seq);
            let record = chunk.records.iter().next().unwrap_or_default();
            record.chunks_exact(ENTRY_BYTES).for_each(|entry| self.append(decode(entry)));
        }
        self.unwritten_from = self.next_seq();
        self.evict();
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether something is to be written.
    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    pub(super) fn knows(&self, digest: u128, now_ms: u64) -> bool {
        let entry = self.numbers.get(&digest).and_then(|seq| self.entries.get((seq - self.first_seq) as usize));
        entry.is_some_and(|entry| entry.until_ms > now_ms)
    }

    pub(super) fn look(&mut self, digest: u128, until_ms: u64, now_ms: u64) -> Seen {
        if self.knows(digest, now_ms) {
            return Seen::Before;
        }
        self.forget(digest);
        self.append(Entry { digest, until_ms });
        self.touched = self.is_kept;
        while self.entries.front().is_some_and(|entry| entry.until_ms <= now_ms) {
            self.forget_first();
        }
        self.evict();
        Seen::New(digest)
    }

    pub(super) fn forget(&mut self, digest: u128) {
        let Some(seq) = self.numbers.remove(&digest) else { return };
        if let Some(entry) = self.entries.get_mut((seq - self.first_seq) as usize) {
            entry.digest = FORGOTTEN;
        }
        while self.next_seq() > self.unwritten_from && self.entries.back().is_some_and(Entry::is_forgotten) {
            self.entries.pop_back();
        }
    }

    pub(super) fn collect(&mut self, id: u64, writes: &mut Writes) {
        if !std::mem::take(&mut self.touched) {
            return;
        }
        let first_seq = self.unwritten_from.max(self.first_seq);
        let unwritten = self.entries.range((first_seq - self.first_seq) as usize..);
        let mut record = Vec::with_capacity(unwritten.len() * ENTRY_BYTES);
        unwritten.for_each(|entry| encode(entry, &mut record));
        if !record.is_empty() {
            let piece = Piece { records: Records::from_one(record), picks: 0..1, first_seq };
            writes.put_chunk(log(id), first_seq, vec![piece]);
            self.chunks.push_back(first_seq);
        }
        self.unwritten_from = self.next_seq();
        // A chunk ends where the next begins.
        while self.chunks.get(1).is_some_and(|next| *next <= self.first_seq) {
            writes.delete_chunk(log(id), self.chunks[0]);
            self.chunks.pop_front();
        }
        let count = self.entries.len() as u64;
        writes.put_log(
            log(id),
            LogState {
                next_seq: self.next_seq(),
                head_seq: self.chunks.front().copied().unwrap_or(self.first_seq),
                count,
                bytes: count * ENTRY_BYTES as u64,
                ..LogState::default()
            },
        );
    }

    fn next_seq(&self) -> u64 {
        self.first_seq + self.entries.len() as u64
    }

    fn append(&mut self, entry: Entry) {
        if !entry.is_forgotten() {
            self.numbers.insert(entry.digest, self.next_seq());
        }
        self.entries.push_back(entry);
    }

    /// Forgets the oldest until there are no more than may be, and gaps do not take more than what is remembered.
    fn evict(&mut self) {
        while self.numbers.len() > self.size
            || self.entries.len() > 2 * self.size
            || self.entries.front().is_some_and(Entry::is_forgotten)
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        if self.numbers.get(&entry.digest) == Some(&self.first_seq) {
            self.numbers.remove(&entry.digest);
        }
        self.first_seq += 1;
    }
}

/// For tests.
#[cfg(test)]
impl State {
    pub(super) fn entries_len(&self) -> usize {
        self.entries.len()
    }
}

fn log(id: u64) -> LogId {
    LogId { queue: id, level: 0 }
}

fn encode(entry: &Entry, out: &mut Vec<u8>) {
    out.extend_from_slice(&entry.digest.to_le_bytes());
    out.extend_from_slice(&entry.until_ms.to_le_bytes());
}

/// `bytes` are [`ENTRY_BYTES`].
fn decode(bytes: &[u8]) -> Entry {
    let (digest, until_ms) = bytes.split_at(16);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte));
    Entry { digest: number(digest), until_ms: number(until_ms) as u64 }
}
