//! What the tests share.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use leveret_store::{LogId, LogState, Options, Piece, RecordsBuilder, Source, Store, StoredChunk, SyncMode, Writes};
use parking_lot::Mutex;
use tempfile::TempDir;

pub(crate) const LOG: LogId = LogId { queue: 7, level: 0 };

pub(crate) fn open(directory: &TempDir) -> Store {
    Store::open(directory.path(), &Options::default()).unwrap()
}

pub(crate) fn open_os(directory: &TempDir) -> Store {
    Store::open(directory.path(), &Options { sync: SyncMode::Os, ..Options::default() }).unwrap()
}

/// Commits what `change` does and waits for it.
pub(crate) fn commit(store: &Store, change: impl FnOnce(&mut Writes)) {
    store.turn().catalogue(change);
    store.flush().unwrap();
}

/// The record that the tests give the sequence number `seq`.
pub(crate) fn text(seq: u64) -> String {
    format!("record {seq}")
}

/// A piece of records with the given sequence numbers, in a run that begins with a record of nobody.
pub(crate) fn piece(seqs: Range<u64>) -> Piece {
    let mut builder = RecordsBuilder::new();
    builder.buffer().extend_from_slice(b"of nobody");
    builder.end_record();
    for seq in seqs.clone() {
        builder.buffer().extend_from_slice(text(seq).as_bytes());
        builder.end_record();
    }
    let count = (seqs.end - seqs.start) as u32;
    Piece { records: builder.finish(), picks: 1..1 + count, first_seq: seqs.start }
}

pub(crate) fn put(writes: &mut Writes, log: LogId, seqs: Range<u64>) {
    writes.put_chunk(log, seqs.start, vec![piece(seqs)]);
}

/// The sequence numbers of chunks; each record must be the one that belongs to its number.
pub(crate) fn seqs(chunks: &[StoredChunk]) -> Vec<Vec<u64>> {
    for chunk in chunks {
        assert_eq!(chunk.seqs.len(), chunk.records.len());
        for (seq, record) in chunk.seqs.iter().zip(chunk.records.iter()) {
            assert_eq!(record, text(*seq).as_bytes());
        }
    }
    chunks.iter().map(|chunk| chunk.seqs.clone()).collect()
}

type Change = Box<dyn FnOnce(&mut Writes) + Send>;

/// A source that gives the changes put into it, and reports what happens to it.
pub(crate) struct Part {
    changes: Mutex<Vec<Change>>,
    events: Sender<&'static str>,
}

impl Part {
    pub(crate) fn new() -> (Arc<Self>, Receiver<&'static str>) {
        let (events, received) = channel();
        (Arc::new(Self { changes: Mutex::default(), events }), received)
    }

    pub(crate) fn change(self: &Arc<Self>, store: &Store, change: impl FnOnce(&mut Writes) + Send + 'static) {
        let turn = store.turn();
        self.push(change);
        turn.dirty(Arc::clone(self) as Arc<dyn Source>);
    }

    /// Adds a change without a word to the store.
    pub(crate) fn push(&self, change: impl FnOnce(&mut Writes) + Send + 'static) {
        self.changes.lock().push(Box::new(change));
    }

    /// Drops what was not collected yet.
    pub(crate) fn forget(&self) {
        self.changes.lock().clear();
    }
}

impl Source for Part {
    fn collect(&self, writes: &mut Writes) {
        for change in self.changes.lock().drain(..) {
            change(writes);
        }
        let _ = self.events.send("collected");
    }

    fn committed(&self) {
        let _ = self.events.send("committed");
    }
}

/// Copies the files of a folder: what a crash of the process leaves of an open store.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The logs in a folder, in the order in which they were written.
pub(crate) fn logs(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    logs.sort();
    logs
}

/// The manifest in use.
pub(crate) fn manifest(directory: &Path) -> PathBuf {
    directory.join(std::fs::read_to_string(directory.join("CURRENT")).unwrap().trim_end())
}

/// Records of a chunk that [`put_counted`] writes.
const RECORDS: u64 = 100;

/// Puts the chunk of this number, and counts it in another family, as queues do.
pub(crate) fn put_counted(writes: &mut Writes, chunk: u64) {
    let next_seq = (chunk + 1) * RECORDS;
    put(writes, LOG, chunk * RECORDS..next_seq);
    writes.put_log(LOG, LogState { next_seq, count: next_seq, ..LogState::default() });
}

/// How many chunks [`put_counted`] has left: as many as are counted, and all before the last.
pub(crate) fn counted(store: &Store) -> u64 {
    let seqs = seqs(&store.read(LOG, 0, usize::MAX).unwrap()).concat();
    let next_seq = store.logs().unwrap().first().map_or(0, |(_, state)| state.next_seq);
    assert_eq!(seqs, (0..next_seq).collect::<Vec<_>>(), "what is counted is not what is there");
    next_seq / RECORDS
}

/// Commits chunks from this number on until the engine has begun a new log and written files for what is in the one
/// before; the number of the first chunk in the new log.
pub(crate) fn fill_a_log(store: &Store, directory: &Path, from: u64) -> u64 {
    let in_use = logs(directory).pop();
    let manifest = manifest(directory);
    let bytes = || std::fs::metadata(&manifest).unwrap().len();
    let before = bytes();
    let mut chunk = from;
    loop {
        commit(store, |writes| put_counted(writes, chunk));
        if logs(directory).pop() != in_use {
            break;
        }
        chunk += 1;
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while bytes() == before {
        assert!(Instant::now() < deadline, "nothing is written out");
        std::thread::yield_now();
    }
    chunk
}

/// A store that writes files soon.
pub(crate) fn open_small(directory: &Path) -> Store {
    Store::open(directory, &Options { chunk_buffer_bytes: 64 << 10, ..Options::default() }).unwrap()
}
