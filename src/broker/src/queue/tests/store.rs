//! A store in memory that keeps what a queue writes as the real one does.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use leveret_store::{LogId, LogState, Marks, Piece, StoredChunk, decode_chunk, encode_chunk};

use crate::queue::{DueChunk, level::LogWriter};

/// What is on disk.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeStore {
    pub(super) chunks: BTreeMap<(LogId, u64), Vec<u8>>,
    pub(super) transient: BTreeMap<(LogId, u64), Vec<u8>>,
    pub(super) marks: BTreeMap<(LogId, u64), Marks>,
    pub(super) due: BTreeSet<(LogId, u64, u64)>,
    pub(super) logs: BTreeMap<LogId, LogState>,
}

/// What one commit writes, before it is written.
#[derive(Debug, Default)]
pub(super) struct Cut {
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Chunk(LogId, u64, Vec<Piece>),
    NoChunk(LogId, u64),
    Transient(LogId, u64, Vec<Piece>),
    NoTransient(LogId, u64),
    NoTransientLog(LogId),
    Marks(LogId, u64, Marks),
    Due(LogId, u64, u64),
    NoDue(LogId, u64, u64),
    Log(LogId, LogState),
    NoLog(LogId),
}

impl LogWriter for Cut {
    fn put_chunk(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>) {
        assert_eq!(first_seq, pieces[0].first_seq, "a chunk is named by its first record");
        self.changes.push(Change::Chunk(log, first_seq, pieces));
    }

    fn delete_chunk(&mut self, log: LogId, first_seq: u64) {
        self.changes.push(Change::NoChunk(log, first_seq));
    }

    fn put_transient(&mut self, log: LogId, first_seq: u64, pieces: Vec<Piece>) {
        assert_eq!(first_seq, pieces[0].first_seq, "a chunk is named by its first record");
        self.changes.push(Change::Transient(log, first_seq, pieces));
    }

    fn delete_transient(&mut self, log: LogId, first_seq: u64) {
        self.changes.push(Change::NoTransient(log, first_seq));
    }

    fn delete_transient_log(&mut self, log: LogId) {
        self.changes.push(Change::NoTransientLog(log));
    }

    fn put_marks(&mut self, log: LogId, first_seq: u64, marks: Marks) {
        self.changes.push(Change::Marks(log, first_seq, marks));
    }

    fn put_due(&mut self, log: LogId, due_ms: u64, first_seq: u64) {
        self.changes.push(Change::Due(log, due_ms, first_seq));
    }

    fn delete_due(&mut self, log: LogId, due_ms: u64, first_seq: u64) {
        self.changes.push(Change::NoDue(log, due_ms, first_seq));
    }

    fn put_log(&mut self, log: LogId, state: LogState) {
        self.changes.push(Change::Log(log, state));
    }

    fn delete_log(&mut self, log: LogId) {
        self.changes.push(Change::NoLog(log));
    }
}

impl FakeStore {
    pub(super) fn write(&mut self, cut: Cut) {
        for change in cut.changes {
            match change {
                Change::Chunk(log, seq, pieces) => {
                    let old = self.chunks.insert((log, seq), encode_chunk(seq, &pieces));
                    assert!(old.is_none(), "chunk {seq} written twice");
                }
                Change::NoChunk(log, seq) => {
                    self.chunks.remove(&(log, seq)).expect("only chunks that are there are deleted");
                    self.marks.remove(&(log, seq));
                }
                Change::Transient(log, seq, pieces) => {
                    let old = self.transient.insert((log, seq), encode_chunk(seq, &pieces));
                    assert!(old.is_none(), "transient chunk {seq} written twice");
                }
                Change::NoTransient(log, seq) => {
                    self.transient.remove(&(log, seq)).expect("only chunks that are there are deleted");
                }
                Change::NoTransientLog(log) => self.transient.retain(|(other, _), _| *other != log),
                Change::Marks(log, seq, marks) => {
                    assert!(self.chunks.contains_key(&(log, seq)), "marks of no chunk");
                    self.marks.insert((log, seq), marks);
                }
                Change::Due(log, due_ms, seq) => {
                    self.due.insert((log, due_ms, seq));
                }
                Change::NoDue(log, due_ms, seq) => {
                    self.due.remove(&(log, due_ms, seq));
                }
                Change::Log(log, state) => {
                    self.logs.insert(log, state);
                }
                Change::NoLog(log) => {
                    self.chunks.retain(|(other, _), _| *other != log);
                    self.marks.retain(|(other, _), _| *other != log);
                    self.due.retain(|(other, _, _)| *other != log);
                }
            }
        }
    }

    pub(super) fn chunk(&self, log: LogId, first_seq: u64) -> Option<StoredChunk> {
        let value = self.chunks.get(&(log, first_seq))?.clone();
        let mut chunk = decode_chunk(first_seq, value).expect("a chunk that was written can be read");
        chunk.marks = self.marks.get(&(log, first_seq)).cloned().unwrap_or_default();
        Some(chunk)
    }

    fn transient_chunk(&self, log: LogId, first_seq: u64) -> Option<StoredChunk> {
        let value = self.transient.get(&(log, first_seq))?.clone();
        let mut chunk = decode_chunk(first_seq, value).expect("a chunk that was written can be read");
        chunk.persistent = false;
        Some(chunk)
    }

    pub(super) fn read(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Vec<StoredChunk> {
        let before = self.chunks_in(log, 0..from_seq).next_back();
        let before = before.filter(|chunk| chunk.seqs.last().is_some_and(|last| *last >= from_seq));
        let mut read = Vec::new();
        let mut bytes = 0;
        for chunk in before.into_iter().chain(self.chunks_in(log, from_seq..u64::MAX)) {
            if bytes >= bytes_max && !read.is_empty() {
                break;
            }
            bytes += chunk.records.bytes_len();
            read.push(chunk);
        }
        read
    }

    pub(super) fn find_due(
        &self,
        log: LogId,
        from: (u64, u64),
        until_ms: u64,
        limit: usize,
    ) -> (Vec<DueChunk>, Option<u64>) {
        let entries = self.due.range((log, from.0, from.1)..=(log, u64::MAX, u64::MAX));
        let next_due_ms = entries.clone().next().map(|(_, due_ms, _)| *due_ms);
        let found: Vec<DueChunk> = entries
            .take_while(|(_, due_ms, _)| *due_ms <= until_ms)
            .take(limit)
            .map(|(_, due_ms, seq)| DueChunk { due_ms: *due_ms, first_seq: *seq, chunk: self.chunk(log, *seq) })
            .collect();
        let next_due_ms = if found.is_empty() { next_due_ms } else { None };
        (found, next_due_ms)
    }

    /// The records that live, by level and sequence number.
    pub(super) fn live_records(&self) -> Vec<(LogId, u64, Vec<u8>)> {
        let mut live = Vec::new();
        for (log, first_seq) in self.chunks.keys() {
            let Some(chunk) = self.chunk(*log, *first_seq) else { continue };
            for (index, seq) in chunk.seqs.iter().enumerate() {
                if !chunk.marks.settled.iter().any(|range| range.contains(seq)) {
                    live.push((*log, *seq, chunk.records.record(index).to_vec()));
                }
            }
        }
        live
    }

    fn chunks_in(&self, log: LogId, seqs: Range<u64>) -> impl DoubleEndedIterator<Item = StoredChunk> + '_ {
        let firsts = (log, seqs.start)..(log, seqs.end);
        let persistent = self.chunks.range(firsts.clone()).filter_map(move |((_, seq), _)| self.chunk(log, *seq));
        let transient = self.transient.range(firsts).filter_map(move |((_, seq), _)| self.transient_chunk(log, *seq));
        let both: BTreeMap<u64, StoredChunk> =
            persistent.chain(transient).map(|chunk| (chunk.first_seq, chunk)).collect();
        both.into_values()
    }
}
