//! After the first failure nothing is confirmed any more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use leveret_store::{CommitError, Source, Store, Writes};
use tempfile::TempDir;

use super::support::{LOG, Part, commit, open, put, seqs};

fn waiter(store: &Store) -> Receiver<Result<(), CommitError>> {
    let (sender, told) = channel();
    store.turn().after_commit(Box::new(move |outcome| sender.send(outcome).unwrap()));
    told
}

#[test]
fn a_failed_write_fails_all_waiters_for_ever() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (sender, watched) = channel();
    let early = sender.clone();
    store.on_poison(move |reason| early.send(reason).unwrap());
    commit(&store, |writes| put(writes, LOG, 1..2));
    store.fail_next_write();
    let (part, events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 2..3));
    let error = waiter(&store).recv().unwrap().unwrap_err();
    assert_eq!(&*error.reason, "a failure that was asked for");
    assert_eq!(watched.recv().unwrap(), error.reason);

    part.change(&store, |writes| put(writes, LOG, 3..4));
    assert_eq!(waiter(&store).recv().unwrap(), Err(error.clone()));
    assert_eq!(store.flush(), Err(error.clone()));
    assert_eq!(store.poisoned(), Some(error.reason.clone()));
    store.on_poison(move |reason| sender.send(reason).unwrap());
    assert_eq!(watched.recv().unwrap(), error.reason);
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["collected"], "never told that it is committed");
    assert_eq!(Arc::strong_count(&part), 1, "and let go");

    assert_eq!(seqs(&store.read(LOG, 0, usize::MAX).unwrap()), [[1]], "reading goes on");
    assert_eq!(store.close(), Err(error.clone()));
    assert_eq!(store.flush(), Err(error));
    drop(store);
    assert_eq!(seqs(&open(&directory).read(LOG, 0, usize::MAX).unwrap()), [[1]]);
}

#[test]
fn a_failed_sync_of_earlier_writes_counts_too() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (part, events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 1..2));
    assert_eq!((events.recv(), events.recv()), (Ok("collected"), Ok("committed")));
    store.fail_next_write();
    assert!(store.flush().is_err());
    assert!(store.poisoned().is_some());
}

struct Panicking;

impl Source for Panicking {
    fn collect(&self, _: &mut Writes) {
        panic!("on purpose");
    }

    fn committed(&self) {}
}

#[test]
fn a_panicking_source_is_a_failure_and_leaves_the_gate_open() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.turn().dirty(Arc::new(Panicking));
    let error = waiter(&store).recv().unwrap().unwrap_err();
    assert_eq!(&*error.reason, "a commit panicked: on purpose");
    assert!(store.flush().is_err());
}

#[test]
fn a_panicking_waiter_harms_nobody_else() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.turn().after_commit(Box::new(|_| panic!("on purpose")));
    assert_eq!(waiter(&store).recv().unwrap(), Ok(()));
    commit(&store, |writes| put(writes, LOG, 1..2));
    assert_eq!(store.poisoned(), None);
}
