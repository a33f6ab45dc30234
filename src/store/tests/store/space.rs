//! What is deleted gives its space back.

use std::path::Path;
use std::time::{Duration, Instant};

use leveret_store::{LogId, LogState, Options, Piece, RecordsBuilder, Store};
use tempfile::TempDir;

use super::support::{LOG, commit};

/// Half a MiB of what does not compress.
fn piece(first_seq: u64) -> Piece {
    let mut builder = RecordsBuilder::new();
    let mut state = first_seq;
    builder.buffer().extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(512 << 10),
    );
    builder.end_record();
    Piece { records: builder.finish(), picks: 0..1, first_seq }
}

fn tables_mib(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().filter_map(Result::ok);
    let tables = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "sst"));
    // A file may go between being listed and being looked at.
    tables.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>() >> 20
}

fn until_small(directory: &Path) {
    let patience = Instant::now() + Duration::from_secs(60);
    while tables_mib(directory) > 32 {
        assert!(Instant::now() < patience, "still {} MiB", tables_mib(directory));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_backlog_that_was_consumed_leaves_the_disk() {
    let directory = TempDir::new().unwrap();
    let options = Options { sweep_interval: Duration::from_millis(20), ..Options::default() };
    let store = Store::open(directory.path(), &options).unwrap();
    for first_seq in 0..256 {
        commit(&store, |writes| {
            writes.put_chunk(LOG, first_seq, vec![piece(first_seq)]);
            let count = first_seq + 1;
            writes.put_log(LOG, LogState { next_seq: count, count, bytes: count << 19, ..LogState::default() });
        });
    }
    assert!(tables_mib(directory.path()) >= 64, "{} MiB", tables_mib(directory.path()));
    commit(&store, |writes| {
        (0..250).for_each(|first_seq| writes.delete_chunk(LOG, first_seq));
        writes.put_log(LOG, LogState { next_seq: 256, head_seq: 250, count: 6, bytes: 6 << 19, ..LogState::default() });
    });
    until_small(directory.path());
    assert_eq!(store.read(LOG, 0, usize::MAX).unwrap().len(), 6);
    store.close().unwrap();
}

#[test]
fn transient_messages_that_were_consumed_leave_the_disk() {
    let directory = TempDir::new().unwrap();
    let options = Options { sweep_interval: Duration::from_millis(20), ..Options::default() };
    let store = Store::open(directory.path(), &options).unwrap();
    for first_seq in 0..256 {
        commit(&store, |writes| writes.put_transient(LOG, first_seq, vec![piece(first_seq)]));
    }
    let folder = directory.path().join("transient");
    assert!(tables_mib(&folder) >= 64, "{} MiB", tables_mib(&folder));
    commit(&store, |writes| (0..250).for_each(|first_seq| writes.delete_transient(LOG, first_seq)));
    until_small(&folder);
    assert_eq!(store.read(LOG, 0, usize::MAX).unwrap().len(), 6);
    store.close().unwrap();
}

/// Files hold chunks of all logs then: none can be put below others without being merged with them.
#[test]
fn merging_a_backlog_needs_little_room_in_the_end() {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path(), &Options::default()).unwrap();
    for first_seq in 0..60 {
        commit(&store, |writes| {
            (0..8).for_each(|queue| {
                writes.put_chunk(LogId { queue, level: 0 }, first_seq, vec![piece(first_seq * 8 + queue)]);
            });
        });
    }
    assert!(tables_mib(directory.path()) >= 160, "{} MiB", tables_mib(directory.path()));
    let patience = Instant::now() + Duration::from_secs(60);
    while store.merge_room() > 64 << 20 {
        assert!(Instant::now() < patience, "still {} MiB", store.merge_room() >> 20);
        std::thread::sleep(Duration::from_millis(5));
    }
    store.close().unwrap();
}
