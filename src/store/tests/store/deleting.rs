//! Deleting chunks, the contents of a log, and queues.

use leveret_store::{LogId, LogState, Marks, Store, Writes};
use tempfile::TempDir;

use super::support::{LOG, commit, open, put, seqs};

const OTHER_LEVEL: LogId = LogId { queue: 7, level: 1 };
const OTHER_QUEUE: LogId = LogId { queue: 8, level: 0 };

fn fill(writes: &mut Writes, log: LogId) {
    put(writes, log, 1..4);
    put(writes, log, 4..6);
    writes.put_marks(log, 1, Marks { settled: std::iter::once(1..2).collect(), ..Marks::default() });
    writes.put_due(log, 100, 1);
    writes.put_log(log, LogState { next_seq: 6, ..LogState::default() });
}

fn filled(directory: &TempDir) -> Store {
    let store = open(directory);
    commit(&store, |writes| [LOG, OTHER_LEVEL, OTHER_QUEUE].into_iter().for_each(|log| fill(writes, log)));
    store
}

/// Chunks, due times and whether there are counters.
fn contents(store: &Store, log: LogId) -> (usize, usize, bool) {
    let chunks = store.read(log, 0, usize::MAX).unwrap();
    let due = store.read_due(log, (0, 0), u64::MAX, 9).unwrap();
    (chunks.len(), due.len(), store.logs().unwrap().iter().any(|(found, _)| *found == log))
}

#[test]
fn a_deleted_chunk_takes_its_marks_along() {
    let directory = TempDir::new().unwrap();
    let store = filled(&directory);
    commit(&store, |writes| writes.delete_chunk(LOG, 1));
    assert_eq!(seqs(&store.read(LOG, 1, usize::MAX).unwrap()), [[4, 5]]);
    commit(&store, |writes| put(writes, LOG, 1..2));
    assert!(store.read_chunk(LOG, 1).unwrap().unwrap().marks.is_empty());
}

#[test]
fn a_purged_log_keeps_its_counters() {
    let directory = TempDir::new().unwrap();
    let store = filled(&directory);
    commit(&store, |writes| {
        writes.delete_log(LOG);
        put(writes, LOG, 6..7);
    });
    assert_eq!(contents(&store, LOG), (1, 0, true));
    assert_eq!(seqs(&store.read(LOG, 0, 1).unwrap()), [[6]]);
    assert_eq!(contents(&store, OTHER_LEVEL), (2, 1, true));
    assert_eq!(contents(&store, OTHER_QUEUE), (2, 1, true));
}

#[test]
fn a_deleted_queue_is_gone_on_all_levels_and_for_good() {
    let directory = TempDir::new().unwrap();
    let store = filled(&directory);
    commit(&store, |writes| {
        fill(writes, LOG);
        writes.delete_queue(LOG.queue);
    });
    drop(store);
    let store = open(&directory);
    assert_eq!(contents(&store, LOG), (0, 0, false));
    assert_eq!(contents(&store, OTHER_LEVEL), (0, 0, false));
    assert_eq!(contents(&store, OTHER_QUEUE), (2, 1, true));
}
