//! Commits that are written in parts.

use std::path::Path;

use leveret_store::{LogId, LogState, Options, Store, Writes};
use tempfile::TempDir;

use super::support::{copy_files, put, seqs};

const LOGS: u64 = 50;

fn log(queue: u64) -> LogId {
    LogId { queue, level: 0 }
}

/// Every chunk is a part of its own.
fn open_small(directory: &Path) -> Store {
    Store::open(directory, &Options { batch_bytes: 1, ..Options::default() }).unwrap()
}

fn put_with_counters(writes: &mut Writes, log: LogId, first_seq: u64) {
    put(writes, log, first_seq..first_seq + 2);
    let state = LogState { next_seq: first_seq + 2, head_seq: 1, count: first_seq + 1, ..LogState::default() };
    writes.put_log(log, state);
}

fn put_everywhere(store: &Store, first_seq: u64) {
    store.turn().catalogue(|writes| (1..=LOGS).for_each(|queue| put_with_counters(writes, log(queue), first_seq)));
}

fn everything(store: &Store) -> Vec<Vec<Vec<u64>>> {
    (1..=LOGS).map(|queue| seqs(&store.read(log(queue), 0, usize::MAX).unwrap())).collect()
}

#[test]
fn all_of_it_is_there_afterwards() {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    put_everywhere(&store, 1);
    store.flush().unwrap();
    put_everywhere(&store, 3);
    drop(store);
    let store = open_small(directory.path());
    assert!(everything(&store).iter().all(|chunks| *chunks == [vec![1, 2], vec![3, 4]]));
    assert_eq!(store.logs().unwrap().len(), LOGS as usize);
}

#[test]
fn what_was_not_completed_is_taken_back_at_the_next_start() {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    put_everywhere(&store, 1);
    store.flush().unwrap();
    store.fail_next_write();
    put_everywhere(&store, 3);
    store.flush().unwrap_err();
    assert!(everything(&store).iter().all(|chunks| chunks.len() == 2), "the chunks were written before the failure");
    let crashed = TempDir::new().unwrap();
    copy_files(directory.path(), crashed.path());

    let store = open_small(crashed.path());
    assert!(everything(&store).iter().all(|chunks| *chunks == [[1, 2]]));
    store.turn().catalogue(|writes| put_with_counters(writes, log(1), 3));
    store.flush().unwrap();
    drop(store);
    let store = open_small(crashed.path());
    assert_eq!(everything(&store)[0], [[1, 2], [3, 4]], "it is taken back once only");
}

#[test]
fn chunks_that_replace_others_come_with_the_deletion() {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    put_everywhere(&store, 1);
    store.flush().unwrap();
    store.fail_next_write();
    store.turn().catalogue(|writes| {
        writes.delete_log(log(1));
        put(writes, log(1), 2..3);
        put(writes, log(2), 3..5);
        put(writes, log(3), 3..5);
        writes.delete_queue(3);
    });
    store.flush().unwrap_err();
    let found = everything(&store);
    assert_eq!(found[0], [[1, 2]]);
    assert_eq!(found[1], [[1, 2], [3, 4]]);
    assert_eq!(found[2], [[1, 2]]);
}
