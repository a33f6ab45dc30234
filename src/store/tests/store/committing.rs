//! When commits are made, in which order, and when they sync.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use leveret_store::simulation::{self, Disk, Steps, Waits};
use leveret_store::{Marks, Source, Store, SyncMode, Writes};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::support::{LOG, Part, commit, open, open_os, put, seqs};

#[test]
fn a_commit_with_nothing_to_write_does_not_sync() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (part, events) = Part::new();
    part.change(&store, |_| {});
    store.flush().unwrap();
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["collected", "committed"]);
    let statistics = store.statistics();
    assert_eq!((statistics.commits, statistics.syncs, statistics.bytes_written), (0, 0, 0));
    assert!(statistics.empty_commits > 0);
}

#[test]
fn who_waits_until_nothing_can_be_lost_waits_for_syncs_of_chunks_and_the_catalogue() {
    let (store, mut steps) = simulation::open(&Disk::new(), SyncMode::Commit, usize::MAX).unwrap();
    let mut syncs_for = |change: fn(&mut Writes)| {
        let before = store.statistics();
        let turn = store.turn();
        turn.catalogue(change);
        turn.when_safe(Box::new(|_| ()));
        drop(turn);
        commit_once(&mut steps);
        assert_eq!(store.statistics().commits, before.commits + 1);
        store.statistics().syncs - before.syncs
    };
    assert_eq!(syncs_for(|writes| put(writes, LOG, 1..2)), 1);
    assert_eq!(syncs_for(|writes| writes.put_marks(LOG, 1, Marks::default())), 0);
    assert_eq!(syncs_for(|writes| writes.delete_chunk(LOG, 1)), 0);
    assert_eq!(syncs_for(|writes| writes.put_catalogue(vec![1], vec![1])), 1);
    assert_eq!(syncs_for(|writes| writes.delete_catalogue(vec![1])), 1);
}

#[test]
fn what_nobody_waits_for_is_synced_when_nothing_more_comes() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (part, _) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 1..2));
    let begun = Instant::now();
    while store.statistics().syncs == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "never synced");
        std::thread::yield_now();
    }
    assert_eq!(store.statistics().waiters, 0);
}

#[test]
fn who_waits_for_a_commit_finds_what_was_settled_settled_after_a_loss_of_power() {
    let disk = Disk::new();
    let (store, mut steps) = simulation::open(&disk, SyncMode::Commit, usize::MAX).unwrap();
    store.turn().catalogue(|writes| put(writes, LOG, 1..2));
    commit_once(&mut steps);
    store.turn().catalogue(|writes| writes.delete_chunk(LOG, 1));
    commit_once(&mut steps);
    assert_eq!(disk.unsynced(), 2, "nobody has waited for either");
    store.turn().after_commit(Box::new(|outcome| assert_eq!(outcome, Ok(()))));
    commit_once(&mut steps);
    disk.lose_power(0);
    let (store, _) = simulation::open(&disk, SyncMode::Commit, usize::MAX).unwrap();
    assert!(store.read(LOG, 0, 1).unwrap().is_empty());
}

fn commit_once(steps: &mut Steps) {
    while let Some(waits) = steps.poll() {
        match waits {
            Waits::ForUs(us) => steps.advance(us),
            Waits::ForWork => panic!("there is nothing to commit"),
        }
    }
    steps.collect();
    steps.store();
    steps.tell();
}

#[test]
fn what_nobody_waits_for_is_committed_soon_and_synced_for_the_next_waiter() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (part, events) = Part::new();
    part.change(&store, |writes| put(writes, LOG, 1..2));
    assert_eq!((events.recv(), events.recv()), (Ok("collected"), Ok("committed")));
    assert_eq!((store.statistics().commits, store.statistics().syncs), (1, 0));
    assert_eq!(seqs(&store.read(LOG, 0, 1).unwrap()), [[1]]);
    store.flush().unwrap();
    assert_eq!((store.statistics().commits, store.statistics().syncs), (1, 1));
    store.flush().unwrap();
    assert_eq!(store.statistics().syncs, 1);
}

#[test]
fn syncing_can_be_left_to_the_operating_system() {
    let directory = TempDir::new().unwrap();
    let store = open_os(&directory);
    commit(&store, |writes| put(writes, LOG, 1..2));
    assert_eq!((store.statistics().commits, store.statistics().syncs), (1, 0));
}

#[test]
fn changes_of_sources_come_before_those_of_the_catalogue() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let slow =
        Arc::new(Slow { changed: Mutex::new(vec![1]), collected: Mutex::default(), on_committed: Box::new(|| ()) });
    let turn = store.turn();
    turn.catalogue(|writes| writes.delete_queue(LOG.queue));
    turn.dirty(slow);
    drop(turn);
    store.flush().unwrap();
    assert!(store.read(LOG, 0, 1).unwrap().is_empty());
}

/// A source that is written to again while its commit is still on its way.
struct Slow {
    changed: Mutex<Vec<u64>>,
    collected: Mutex<Vec<Vec<u64>>>,
    on_committed: Box<dyn Fn() + Send + Sync>,
}

impl Slow {
    fn change(self: &Arc<Self>, store: &Store, number: u64) {
        let turn = store.turn();
        self.changed.lock().push(number);
        turn.dirty(Arc::clone(self) as Arc<dyn Source>);
    }
}

impl Source for Slow {
    fn collect(&self, writes: &mut Writes) {
        let numbers = std::mem::take(&mut *self.changed.lock());
        numbers.iter().for_each(|&number| put(writes, LOG, number..number + 1));
        self.collected.lock().push(numbers);
    }

    fn committed(&self) {
        (self.on_committed)();
    }
}

#[test]
fn turns_go_on_during_a_commit_and_are_in_the_next() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (entered, committing) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let on_committed = Box::new(move || {
        let _ = entered.send(());
        let _ = released.lock().recv();
    });
    let slow = Arc::new(Slow { changed: Mutex::default(), collected: Mutex::default(), on_committed });
    slow.change(&store, 1);
    committing.recv().unwrap();
    slow.change(&store, 2);
    assert_eq!(*slow.collected.lock(), [[1]]);
    drop(release);
    store.flush().unwrap();
    assert_eq!(*slow.collected.lock(), [[1], [2]]);
    assert_eq!(seqs(&store.read(LOG, 0, usize::MAX).unwrap()), [[1], [2]]);
}

#[test]
fn waiters_are_called_in_order_and_after_the_sources() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let order = Arc::new(Mutex::new(Vec::new()));
    let source_order = Arc::clone(&order);
    let on_committed = Box::new(move || source_order.lock().push("source".to_owned()));
    let slow = Arc::new(Slow { changed: Mutex::default(), collected: Mutex::default(), on_committed });
    let turn = store.turn();
    for number in 0..3 {
        let order = Arc::clone(&order);
        turn.after_commit(Box::new(move |outcome| order.lock().push(format!("{number} {outcome:?}"))));
    }
    slow.changed.lock().push(1);
    turn.dirty(Arc::clone(&slow) as Arc<dyn Source>);
    drop(turn);
    store.flush().unwrap();
    assert_eq!(*order.lock(), ["source", "0 Ok(())", "1 Ok(())", "2 Ok(())"]);
}

#[test]
fn waiters_of_one_thread_stay_in_order_under_load() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (sender, told) = channel();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (store, sender) = (&store, sender.clone());
            scope.spawn(move || {
                for number in 0..200u64 {
                    let turn = store.turn();
                    turn.catalogue(|writes| writes.put_catalogue(vec![thread as u8], number.to_le_bytes().to_vec()));
                    let sender = sender.clone();
                    turn.after_commit(Box::new(move |outcome| sender.send((thread, number, outcome)).unwrap()));
                }
            });
        }
    });
    drop(sender);
    let mut next = [0; 4];
    for (thread, number, outcome) in told.iter().take(800) {
        assert_eq!((number, outcome), (next[thread as usize], Ok(())));
        next[thread as usize] += 1;
    }
    assert_eq!(next, [200; 4]);
    assert!(store.catalogue().unwrap().iter().all(|(_, value)| *value == 199u64.to_le_bytes()));
}
