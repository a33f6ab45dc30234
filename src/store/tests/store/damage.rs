//! A write-ahead log with a flipped bit: either nothing is missing, or the store refuses to open and names the file.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use leveret_store::{Options, Store, StoreError};
use tempfile::TempDir;

use super::support::{
    LOG, Part, commit, copy_files, counted, fill_a_log, logs, open, open_small, put, put_counted, seqs,
};

const COMMITS: u64 = 40;

/// The log in use: the one written last.
fn log(directory: &Path) -> PathBuf {
    logs(directory).pop().unwrap()
}

/// A store with [`COMMITS`] chunks, each synced, closed.
fn filled() -> TempDir {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    for seq in 0..COMMITS {
        commit(&store, |writes| put(writes, LOG, seq..seq + 1));
    }
    drop(store);
    directory
}

fn flip(file: &Path, offset: u64) {
    let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

#[test]
fn a_bit_flipped_anywhere_in_the_log_loses_nothing_without_a_word() {
    let directory = filled();
    let length = std::fs::metadata(log(directory.path())).unwrap().len();
    let mut refused = 0;
    for offset in (0..length).step_by(23) {
        let copy = TempDir::new().unwrap();
        copy_files(directory.path(), copy.path());
        let log = log(copy.path());
        flip(&log, offset);
        match Store::open(copy.path(), &Options::default()) {
            Ok(store) => assert_eq!(store.read(LOG, 0, usize::MAX).unwrap().len() as u64, COMMITS, "byte {offset}"),
            Err(StoreError::Damaged { file, .. }) => {
                assert_eq!(file, log);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 40, "{refused} were refused");
}

#[test]
fn damage_that_is_accepted_ends_the_store_there() {
    let directory = filled();
    let length = std::fs::metadata(log(directory.path())).unwrap().len();
    flip(&log(directory.path()), length / 2);
    let refused = Store::open(directory.path(), &Options::default()).unwrap_err();
    assert!(refused.to_string().contains("accept_damage"), "{refused}");
    let options = Options { accept_damage: true, ..Options::default() };
    let store = Store::open(directory.path(), &options).unwrap();
    let found = store.read(LOG, 0, usize::MAX).unwrap().len() as u64;
    assert!((1..COMMITS).contains(&found), "{found}");
    drop(store);
    let chunks = open(&directory).read(LOG, 0, usize::MAX).unwrap();
    assert_eq!(seqs(&chunks).concat(), (0..found).collect::<Vec<_>>(), "accepting once is enough");
}

/// What the log holds is partly in files already.
#[test]
fn damage_can_be_accepted_where_files_are_newer_than_what_is_in_the_log() {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    let mut count = 0;
    for _ in 0..3 {
        count = fill_a_log(&store, directory.path(), count) + 1;
    }
    let written_out = count;
    for chunk in count..count + 10 {
        commit(&store, |writes| put_counted(writes, chunk));
    }
    drop(store);
    for log in logs(directory.path()) {
        let length = std::fs::metadata(&log).unwrap().len();
        flip(&log, length / 2);
    }
    assert!(matches!(Store::open(directory.path(), &Options::default()), Err(StoreError::Damaged { .. })));
    let options = Options { accept_damage: true, ..Options::default() };
    let found = counted(&Store::open(directory.path(), &options).unwrap());
    assert!((written_out..written_out + 10).contains(&found), "{found} of {written_out} and 10");
}

#[test]
fn a_torn_end_that_was_not_synced_is_no_damage() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| put(writes, LOG, 0..1));
    let synced = log_bytes(&directory);
    let (part, events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 1..2));
    assert_eq!((events.recv(), events.recv()), (Ok("collected"), Ok("committed")));
    let written = log_bytes(&directory);
    let copy = TempDir::new().unwrap();
    copy_files(directory.path(), copy.path());
    let file = std::fs::File::options().write(true).open(log(copy.path())).unwrap();
    file.set_len((synced + written) / 2).unwrap();
    assert_eq!(seqs(&open(&copy).read(LOG, 0, usize::MAX).unwrap()), [[0]]);
}

fn log_bytes(directory: &TempDir) -> u64 {
    std::fs::metadata(log(directory.path())).unwrap().len()
}

/// The last commit before a pause has nothing behind it that could vouch for it, so the committer writes something.
#[test]
fn a_sync_is_noted_when_nothing_follows() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| put(writes, LOG, 0..1));
    let committed = log_bytes(&directory);
    let deadline = Instant::now() + Duration::from_secs(60);
    while log_bytes(&directory) == committed {
        assert!(Instant::now() < deadline, "nothing is noted");
        std::thread::yield_now();
    }
    let copy = TempDir::new().unwrap();
    copy_files(directory.path(), copy.path());
    flip(&log(copy.path()), committed - 20);
    let error = Store::open(copy.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}
