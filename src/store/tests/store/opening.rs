//! Opening, reopening, and what cannot be opened.

use std::sync::Arc;
use std::sync::mpsc::channel;

use leveret_store::{LogState, Options, Store, StoreError};
use tempfile::TempDir;

use super::support::{LOG, Part, commit, copy_files, open, open_os, piece, put, seqs};

#[test]
fn everything_is_there_after_reopening() {
    let directory = TempDir::new().unwrap();
    let state = LogState { next_seq: 9, head_seq: 1, count: 8, bytes: 64, delivered_until: 3, ..LogState::default() };
    let store = open(&directory);
    commit(&store, |writes| {
        put(writes, LOG, 1..9);
        writes.put_log(LOG, state);
        writes.put_catalogue(b"key".to_vec(), b"value".to_vec());
    });
    store.close().unwrap();
    drop(store);
    let store = open(&directory);
    assert_eq!(store.logs().unwrap(), [(LOG, state)]);
    assert_eq!(store.catalogue().unwrap(), [(b"key".to_vec(), b"value".to_vec())]);
    assert_eq!(seqs(&store.read(LOG, 4, 1).unwrap()), [[1, 2, 3, 4, 5, 6, 7, 8]]);
}

#[test]
fn closing_commits_and_syncs_what_nobody_waits_for() {
    let directory = TempDir::new().unwrap();
    let store = open_os(&directory);
    let (part, _events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 1..2));
    store.close().unwrap();
    assert_eq!(store.statistics().syncs, 1);
    store.close().unwrap();
    assert_eq!(store.statistics().syncs, 1);
    drop(store);
    assert_eq!(seqs(&open(&directory).read(LOG, 0, 1).unwrap()), [[1]]);
}

#[test]
fn after_closing_waiters_get_an_error_and_changes_are_let_go() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.close().unwrap();
    let (part, _events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 1..2));
    assert_eq!(Arc::strong_count(&part), 1);
    store.turn().catalogue(|writes| writes.put_catalogue(b"key".to_vec(), Vec::new()));
    assert_eq!(store.flush().unwrap_err().to_string(), "the store failed: it is closed");
    assert_eq!(store.poisoned(), None);
    assert!(store.read(LOG, 0, 1).unwrap().is_empty());
}

#[test]
fn the_committer_may_be_the_last_to_drop_the_store() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(&directory));
    let (release, released) = channel::<()>();
    let (done, waited) = channel();
    let held = Arc::clone(&store);
    store.turn().after_commit(Box::new(move |outcome| {
        released.recv().unwrap();
        drop(held);
        done.send(outcome).unwrap();
    }));
    drop(store);
    release.send(()).unwrap();
    waited.recv().unwrap().unwrap();
}

/// What a crash leaves: the files as they are while the store is open.
#[test]
fn what_was_waited_for_survives_a_crash() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    for seq in 0..100 {
        commit(&store, |writes| put(writes, LOG, seq..seq + 1));
    }
    let copy = TempDir::new().unwrap();
    copy_files(directory.path(), copy.path());
    let chunks = open(&copy).read(LOG, 0, usize::MAX).unwrap();
    assert_eq!(chunks.len(), 100);
}

#[test]
fn a_store_in_use_is_not_opened_again() {
    let directory = TempDir::new().unwrap();
    let _store = open(&directory);
    let error = Store::open(directory.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
}

#[test]
fn a_newer_format_is_named() {
    let directory = TempDir::new().unwrap();
    drop(open(&directory));
    let mut settings = rocksdb::Options::default();
    settings.create_missing_column_families(true);
    let names = ["default", "catalogue", "chunks", "marks", "logs", "due", "timeline", "streams"];
    let db = rocksdb::DB::open_cf(&settings, directory.path(), names).unwrap();
    let open = || Store::open(directory.path(), &Options::default()).unwrap_err();
    db.put(b"format", 2u32.to_le_bytes()).unwrap();
    drop(db);
    let error = open();
    assert!(matches!(error, StoreError::NewerFormat { found: 2, supported: 1, .. }), "{error}");

    let db = rocksdb::DB::open_cf(&settings, directory.path(), names).unwrap();
    db.put(b"format", 1u32.to_le_bytes()).unwrap();
    drop(db);
    assert!(open().to_string().ends_with("unknown column family streams"));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = Store::open(file.join("store"), &Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
}

#[test]
fn transient_chunks_end_with_the_run() {
    let directory = TempDir::new().unwrap();
    for _ in 0..3 {
        let store = open(&directory);
        assert_eq!(store.read(LOG, 0, usize::MAX).unwrap().len(), 0);
        commit(&store, |writes| writes.put_transient(LOG, 3, vec![piece(3..5)]));
        assert_eq!(store.read(LOG, 0, usize::MAX).unwrap().len(), 1);
        store.close().unwrap();
    }
}
