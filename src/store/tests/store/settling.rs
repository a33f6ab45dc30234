//! Who is told without a commit, because nothing is left that could be lost.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use leveret_store::{AWAITED_BY_ALL, CommitError, Source, Store, Turn, Waiter};
use tempfile::TempDir;

use super::support::{LOG, Part, commit, open, put};

/// The syncs and commits there had been when the waiter was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    syncs: u64,
    commits: u64,
}

fn now(store: &Store) -> Told {
    let statistics = store.statistics();
    Told { syncs: statistics.syncs, commits: statistics.commits }
}

/// A store that knows how long a sync takes, so that it may wait for settlements.
fn open_with_experience(directory: &TempDir) -> Arc<Store> {
    let store = Arc::new(open(directory));
    commit(&store, |writes| put(writes, LOG, 1..2));
    store
}

/// A waiter, and what it reports when it is told.
fn reporter(store: &Arc<Store>) -> (Waiter, Receiver<Told>) {
    let (sender, told) = channel();
    let store = Arc::clone(store);
    let report = move |outcome: Result<(), CommitError>| {
        outcome.unwrap();
        let told = now(&store);
        // The test must be the one that closes the store: so it has to hear of every waiter.
        drop(store);
        sender.send(told).unwrap();
    };
    (Box::new(report), told)
}

/// Has a chunk to write, unless that is settled before.
fn unsynced(turn: &Turn<'_>, awaited_from: u64) -> Unsynced {
    let (part, _) = Part::new();
    part.push(|writes| put(writes, LOG, 2..3));
    turn.dirty(Arc::clone(&part) as Arc<dyn Source>);
    turn.awaited(None, Some(awaited_from));
    Unsynced { part, awaited_from }
}

struct Unsynced {
    part: Arc<Part>,
    awaited_from: u64,
}

fn settled(turn: &Turn<'_>, unsynced: &Unsynced) {
    unsynced.part.forget();
    turn.awaited(Some(unsynced.awaited_from), None);
}

#[test]
fn what_is_settled_before_its_commit_needs_no_sync() {
    let directory = TempDir::new().unwrap();
    let store = open_with_experience(&directory);
    let before = now(&store);
    for _ in 0..100 {
        let turn = store.turn();
        let part = unsynced(&turn, turn.next_waiter());
        let (waiter, told) = reporter(&store);
        turn.when_safe(waiter);
        settled(&turn, &part);
        drop(turn);
        assert_eq!(told.recv(), Ok(before));
    }
}

#[test]
fn what_one_source_settles_does_not_excuse_another() {
    let directory = TempDir::new().unwrap();
    let store = open_with_experience(&directory);
    for _ in 0..100 {
        let before = now(&store);
        let turn = store.turn();
        let first = unsynced(&turn, turn.next_waiter());
        let _second = unsynced(&turn, turn.next_waiter());
        let (waiter, told) = reporter(&store);
        turn.when_safe(waiter);
        settled(&turn, &first);
        drop(turn);
        assert!(told.recv().unwrap().syncs > before.syncs);
    }
}

#[test]
fn what_is_on_its_way_from_one_source_to_another_is_not_settled() {
    let directory = TempDir::new().unwrap();
    let store = open_with_experience(&directory);
    for _ in 0..100 {
        let before = now(&store);
        let moving = store.turn();
        let (told, other_told) = std::thread::scope(|scope| {
            let ((opened, is_open), (settled_first, may_end)) = (channel(), channel());
            let store = &store;
            let other = scope.spawn(move || {
                let turn = store.turn();
                opened.send(()).unwrap();
                may_end.recv().unwrap();
                let (waiter, told) = reporter(store);
                turn.when_safe(waiter);
                told
            });
            is_open.recv().unwrap();
            let first = unsynced(&moving, moving.next_waiter());
            let (waiter, told) = reporter(store);
            moving.when_safe(waiter);
            settled(&moving, &first);
            settled_first.send(()).unwrap();
            (told, other.join().unwrap())
        });
        let _second = unsynced(&moving, AWAITED_BY_ALL);
        drop(moving);
        assert!(told.recv().unwrap().syncs > before.syncs);
        assert!(other_told.recv().unwrap().syncs > before.syncs);
    }
}

#[test]
fn who_waits_for_a_commit_gets_one() {
    let directory = TempDir::new().unwrap();
    let store = open_with_experience(&directory);
    let before = now(&store);
    let (part, _) = Part::new();
    let turn = store.turn();
    part.push(|writes| writes.delete_chunk(LOG, 1));
    turn.dirty(Arc::clone(&part) as Arc<dyn Source>);
    let (waiter, told) = reporter(&store);
    turn.after_commit(waiter);
    let (waiter, also_told) = reporter(&store);
    turn.when_safe(waiter);
    drop(turn);
    let after = Told { commits: before.commits + 1, syncs: before.syncs + 1 };
    assert_eq!((told.recv().unwrap(), also_told.recv().unwrap()), (after, after));
}

#[test]
fn what_was_written_without_a_sync_is_synced_for_who_waits_for_safety() {
    let directory = TempDir::new().unwrap();
    let store = open_with_experience(&directory);
    let before = now(&store);
    let (part, events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 2..3));
    assert_eq!((events.recv(), events.recv()), (Ok("collected"), Ok("committed")));
    let (waiter, told) = reporter(&store);
    store.turn().when_safe(waiter);
    assert!(told.recv().unwrap().syncs > before.syncs);
}
