//! What happens in one turn is in one commit, seen from many threads at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;

use leveret_store::{LogId, LogState, Source, Store, Turn, Writes};
use tempfile::TempDir;

use super::support::open;

const THREADS: u64 = 4;
const TURNS: u64 = 500;

/// Counts, and commits its count as a log's next sequence number.
struct Counter {
    log: LogId,
    count: AtomicU64,
    dirty: AtomicBool,
}

impl Counter {
    fn new(queue: u64) -> Arc<Self> {
        let log = LogId { queue, level: 0 };
        Arc::new(Self { log, count: AtomicU64::new(0), dirty: AtomicBool::new(false) })
    }

    /// Returns the new count.
    fn increase(self: &Arc<Self>, turn: &Turn<'_>) -> u64 {
        let before = self.count.fetch_add(1, SeqCst);
        if !self.dirty.swap(true, SeqCst) {
            turn.dirty(Arc::clone(self) as Arc<dyn Source>);
        }
        before + 1
    }
}

impl Source for Counter {
    fn collect(&self, writes: &mut Writes) {
        assert!(self.dirty.swap(false, SeqCst), "collected once for each time it was said");
        let next_seq = self.count.load(SeqCst);
        writes.put_log(self.log, LogState { next_seq, ..LogState::default() });
    }

    fn committed(&self) {}
}

/// What the two counters are in the store.
fn stored(store: &Store) -> Vec<u64> {
    let logs = store.logs().unwrap();
    logs.iter().map(|(_, state)| state.next_seq).collect()
}

#[test]
fn two_parts_changed_in_one_turn_agree_in_every_commit() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(open(&directory));
    let (left, right) = (Counter::new(1), Counter::new(2));
    let (sender, told) = channel();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (store, left, right, sender) = (&store, &left, &right, sender.clone());
            scope.spawn(move || {
                for _ in 0..TURNS {
                    one_turn(store, left, right, &sender);
                }
            });
        }
    });
    store.flush().unwrap();
    drop(sender);
    let seen: Vec<_> = told.iter().collect();
    assert_eq!(seen.len() as u64, THREADS * TURNS);
    for (at_least, found) in seen {
        assert_eq!(found[0], found[1]);
        assert!(found[0] >= at_least, "a waiter was told before its own change was there");
    }
    assert_eq!(stored(&store), [THREADS * TURNS; 2]);
    assert!(store.statistics().commits <= THREADS * TURNS);
}

/// Changes both parts; the waiter reads what is committed while other turns go on.
fn one_turn(
    store: &Arc<Store>,
    left: &Arc<Counter>,
    right: &Arc<Counter>,
    sender: &std::sync::mpsc::Sender<(u64, Vec<u64>)>,
) {
    let turn = store.turn();
    let left = left.increase(&turn);
    // Give the committer every chance to cut here; it must not.
    std::thread::yield_now();
    let at_least = left.max(right.increase(&turn));
    let (reader, sender) = (Arc::clone(store), sender.clone());
    turn.after_commit(Box::new(move |outcome| {
        outcome.unwrap();
        sender.send((at_least, stored(&reader))).unwrap();
    }));
}
