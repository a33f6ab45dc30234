//! Reading chunks, marks and due times.

use leveret_store::{LogId, LogState, Marks, Returned, Slot, StoreError, Writes};
use tempfile::TempDir;

use super::support::{LOG, commit, open, piece, put, seqs};

/// Neighbours on all sides, whose chunks must never be read for those of [`LOG`].
fn neighbours() -> [LogId; 4] {
    let LogId { queue, level } = LOG;
    [(queue - 1, 255), (queue, level + 1), (queue + 1, 0), (u64::MAX, 255)].map(|(queue, level)| LogId { queue, level })
}

#[test]
fn reading_begins_in_the_middle() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| {
        for log in neighbours() {
            put(writes, log, 0..50);
        }
        put(writes, LOG, 10..13);
        writes.put_chunk(LOG, 13, vec![piece(13..15), piece(20..22)]);
        put(writes, LOG, 30..31);
    });
    let read = |from_seq, bytes_max| seqs(&store.read(LOG, from_seq, bytes_max).unwrap());
    let all = [vec![10, 11, 12], vec![13, 14, 20, 21], vec![30]];
    for (from_seq, skipped) in [(0, 0), (10, 0), (12, 0), (13, 1), (17, 1), (21, 1), (22, 2), (30, 2), (31, 3)] {
        assert_eq!(read(from_seq, usize::MAX), all[skipped..], "from {from_seq}");
    }
    assert_eq!(read(u64::MAX, usize::MAX), [] as [Vec<u64>; 0]);
    assert_eq!(read(0, 0), all[..1], "at least one");
    assert_eq!(read(22, 0), all[2..], "at least one, behind a hole");
    assert_eq!(read(0, 90), all[..2], "as many as fit");
}

#[test]
fn a_hole_behind_many_deleted_chunks_is_read_over() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| {
        (0..100).for_each(|seq| put(writes, LOG, seq..seq + 1));
        put(writes, LOG, 200..210);
    });
    commit(&store, |writes| (1..100).for_each(|seq| writes.delete_chunk(LOG, seq)));
    let read = |from_seq| seqs(&store.read(LOG, from_seq, 1).unwrap())[0][0];
    assert_eq!([0, 1, 50, 150, 200, 205].map(read), [0, 200, 200, 200, 200, 200]);
}

#[test]
fn the_last_log_of_all_can_be_read() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let [.., last] = neighbours();
    commit(&store, |writes| {
        put(writes, last, 1..3);
        writes.put_due(last, u64::MAX, u64::MAX);
    });
    assert_eq!(seqs(&store.read(last, 2, 1).unwrap()), [[1, 2]]);
    assert_eq!(store.read_due(last, (0, 0), u64::MAX, 9).unwrap(), [(u64::MAX, u64::MAX)]);
    commit(&store, |writes| writes.delete_queue(last.queue));
    assert!(store.read(last, 0, 1).unwrap().is_empty());
    assert_eq!(store.read_due(last, (0, 0), u64::MAX, 9).unwrap(), []);
}

#[test]
fn marks_come_with_their_chunk() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let marks = Marks {
        settled: vec![1..3, 4..5],
        returned: vec![(3, Returned { delivery_count: 2, acquired_count: 3, waits_until_ms: 9 })],
    };
    commit(&store, |writes| {
        put(writes, LOG, 1..6);
        put(writes, LOG, 6..8);
        writes.put_marks(LOG, 1, marks.clone());
    });
    let chunks = store.read(LOG, 3, usize::MAX).unwrap();
    assert_eq!(chunks[0].marks, marks);
    assert!(chunks[1].marks.is_empty());
    assert_eq!(store.read_chunk(LOG, 1).unwrap().unwrap().marks, marks);
    assert!(store.read_chunk(LOG, 2).unwrap().is_none());
    commit(&store, |writes| writes.put_marks(LOG, 1, Marks::default()));
    assert!(store.read_chunk(LOG, 1).unwrap().unwrap().marks.is_empty());
}

#[test]
fn due_times_are_read_in_order() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| {
        for log in neighbours() {
            writes.put_due(log, 1, 1);
        }
        for (due_ms, first_seq) in [(500, 1), (300, 9), (300, 2), (1 << 62, 4)] {
            writes.put_due(LOG, due_ms, first_seq);
        }
    });
    assert_eq!(store.read_due(LOG, (0, 0), 299, 10).unwrap(), []);
    assert_eq!(store.read_due(LOG, (0, 0), 500, 10).unwrap(), [(300, 2), (300, 9), (500, 1)]);
    assert_eq!(store.read_due(LOG, (0, 0), u64::MAX, 2).unwrap(), [(300, 2), (300, 9)]);
    assert_eq!(store.read_due(LOG, (300, 3), u64::MAX, 9).unwrap(), [(300, 9), (500, 1), (1 << 62, 4)]);
    assert_eq!(store.read_due(LOG, (300, 9), 500, 9).unwrap(), [(300, 9), (500, 1)]);
    assert_eq!(store.read_due(LOG, (300, 10), 499, 9).unwrap(), []);
    commit(&store, |writes| {
        writes.delete_due(LOG, 300, 2);
        writes.delete_due(LOG, 300, 9);
    });
    assert_eq!(store.read_due(LOG, (0, 0), 500, 9).unwrap(), [(500, 1)]);
    assert_eq!(store.read_due(LogId { queue: 1, level: 1 }, (0, 0), u64::MAX, 9).unwrap(), []);
}

#[test]
fn logs_and_catalogue_are_listed_in_order() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let state = |next_seq| LogState { next_seq, ..LogState::default() };
    commit(&store, |writes: &mut Writes| {
        for (queue, level) in [(300, 0), (2, 1), (2, 0)] {
            writes.put_log(LogId { queue, level }, state(queue));
        }
        writes.put_catalogue(b"b".to_vec(), b"2".to_vec());
        writes.put_catalogue(b"a".to_vec(), b"0".to_vec());
        writes.put_catalogue(b"a".to_vec(), b"1".to_vec());
    });
    let logs = store.logs().unwrap();
    let expected = [(2, 0), (2, 1), (300, 0)].map(|(queue, level)| (LogId { queue, level }, state(queue)));
    assert_eq!(logs, expected);
    let catalogue = store.catalogue().unwrap();
    assert_eq!(catalogue, [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]);
}

#[test]
fn damaged_values_are_errors_that_name_them() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| {
        put(writes, LOG, 1..3);
        writes.put_log(LOG, LogState::default());
    });
    drop(store);
    let key = "0000000000000007000000000000000001";
    let damage = |family: &str, key: &str, value: &[u8]| {
        let key: Vec<u8> =
            (0..key.len()).step_by(2).map(|place| u8::from_str_radix(&key[place..place + 2], 16).unwrap()).collect();
        let names = ["default", "catalogue", "chunks", "marks", "logs", "due", "timeline"];
        let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), names).unwrap();
        db.put_cf(db.cf_handle(family).unwrap(), key, value).unwrap();
    };
    let error = |result: Result<(), StoreError>| result.unwrap_err().to_string();

    damage("marks", key, &[1, 200]);
    let found = error(open(&directory).read(LOG, 1, 1).map(drop));
    assert_eq!(found, format!("marks of queue 7, level 0, key {key} cannot be read: it ends too early"));
    damage("chunks", key, &[7]);
    let found = error(open(&directory).read_chunk(LOG, 1).map(drop));
    assert_eq!(found, format!("chunks of queue 7, level 0, key {key} cannot be read: its version 7 is unknown"));
    damage("logs", "000000000000000700", &[1; 42]);
    let found = error(open(&directory).logs().map(drop));
    assert!(found.contains("logs of queue 7, level 0") && found.contains("left over"), "{found}");
    damage("due", "000000000000000700aa", &[]);
    let found = error(open(&directory).read_due(LOG, (0, 0), u64::MAX, 1).map(drop));
    assert_eq!(found, "due has a key that is none: 000000000000000700aa");
    let slot = "00000000000000070000000000000000010000000000000002";
    damage("timeline", slot, &[9, 1]);
    let found = error(open(&directory).read_timeline(7, Slot::default(), Slot::MAX, 1, 1).map(drop));
    assert_eq!(found, format!("timeline of queue 7, level 0, key {slot} cannot be read: its version 9 is unknown"));
}

#[test]
fn transient_chunks_lie_between_the_others() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| {
        for log in neighbours() {
            writes.put_transient(log, 0, vec![piece(0..50)]);
        }
        put(writes, LOG, 10..12);
        writes.put_transient(LOG, 12, vec![piece(12..14), piece(16..17)]);
        put(writes, LOG, 20..22);
        writes.put_transient(LOG, 22, vec![piece(22..24)]);
    });
    let all = [vec![10, 11], vec![12, 13, 16], vec![20, 21], vec![22, 23]];
    for (from_seq, skipped) in [(0, 0), (11, 0), (12, 1), (16, 1), (17, 2), (21, 2), (22, 3), (23, 3), (24, 4)] {
        let chunks = store.read(LOG, from_seq, usize::MAX).unwrap();
        assert_eq!(seqs(&chunks), all[skipped..], "from {from_seq}");
        assert!(chunks.iter().all(|chunk| chunk.persistent == [10, 20].contains(&chunk.first_seq)));
    }
    commit(&store, |writes| writes.delete_transient(LOG, 12));
    assert_eq!(seqs(&store.read(LOG, 12, 0).unwrap()), all[2..3]);
    commit(&store, |writes| writes.delete_transient_log(LOG));
    assert_eq!(seqs(&store.read(LOG, 0, usize::MAX).unwrap()), [vec![10, 11], vec![20, 21]]);
    let [_, level, queue, _] = neighbours();
    commit(&store, |writes| writes.delete_transient_queue(LOG.queue));
    assert_eq!(store.read(level, 0, usize::MAX).unwrap().len(), 0);
    assert_eq!(store.read(queue, 0, usize::MAX).unwrap().len(), 1);
}
