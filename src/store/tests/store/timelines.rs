//! Records that wait for their time.

use std::cell::RefCell;

use leveret_store::{
    LogId, LogState, Records, Slot, Store, SyncMode, Writes,
    simulation::{self, Steps},
};
use tempfile::TempDir;

use super::support::{commit, open};

const TIMELINE: u64 = 7;

fn slot(due_ms: u64, seq: u64) -> Slot {
    Slot { due_ms, seq }
}

fn text(slot: Slot) -> String {
    format!("due {} number {}", slot.due_ms, slot.seq)
}

fn put(writes: &mut Writes, timeline: u64, slot: Slot) {
    writes.put_timeline(timeline, slot, Records::from_one(text(slot).into_bytes()), 0);
}

/// The slots read; each record must be the one that belongs there.
fn read(store: &Store, from: Slot, until: Slot, count_max: usize, bytes_max: usize) -> (Vec<Slot>, bool) {
    let page = store.read_timeline(TIMELINE, from, until, count_max, bytes_max).unwrap();
    for (slot, record) in page.slots.iter().zip(page.records.iter()) {
        assert_eq!(record, text(*slot).as_bytes());
    }
    (page.slots, page.has_more)
}

/// A store on one of the engines.
struct Rig {
    store: Store,
    /// Where the store has no committer of its own.
    steps: RefCell<Option<Steps>>,
}

impl Rig {
    fn commit(&self, change: impl FnOnce(&mut Writes)) {
        match &mut *self.steps.borrow_mut() {
            None => commit(&self.store, change),
            Some(steps) => {
                let turn = self.store.turn();
                turn.catalogue(change);
                turn.after_commit(Box::new(Result::unwrap));
                drop(turn);
                assert_eq!(steps.poll(), None);
                steps.collect();
                steps.store();
                steps.tell();
            }
        }
    }
}

fn on_both_engines(check: impl Fn(&Rig)) {
    let directory = TempDir::new().unwrap();
    check(&Rig { store: open(&directory), steps: RefCell::new(None) });
    let (store, steps) = simulation::open(&simulation::Disk::new(), SyncMode::Commit, usize::MAX).unwrap();
    check(&Rig { store, steps: RefCell::new(Some(steps)) });
}

#[test]
fn records_come_back_in_the_order_of_their_time() {
    on_both_engines(|rig| {
        let store = &rig.store;
        let slots = [slot(50, 1), slot(10, 2), slot(u64::MAX, 3), slot(10, 4), slot(0, 5), slot(256, u64::MAX)];
        rig.commit(|writes| {
            for slot in slots {
                put(writes, TIMELINE, slot);
                put(writes, TIMELINE - 1, slot);
                put(writes, TIMELINE + 1, slot);
            }
        });
        let mut sorted = slots;
        sorted.sort();
        let all = |from, until| read(store, from, until, usize::MAX, usize::MAX);
        assert_eq!(all(Slot::default(), Slot::MAX), (sorted.to_vec(), false));
        assert_eq!(all(slot(10, 3), slot(256, 0)), (vec![slot(10, 4), slot(50, 1)], false));
        assert_eq!(all(slot(10, 4), slot(50, 1)), (vec![slot(10, 4)], false));
        assert_eq!(all(slot(11, 0), slot(11, 0)), (vec![], false));
        assert_eq!(read(store, Slot::default(), Slot::MAX, 2, usize::MAX), (sorted[..2].to_vec(), true));
        assert_eq!(read(store, Slot::default(), Slot::MAX, 6, usize::MAX), (sorted.to_vec(), false));
        assert_eq!(read(store, Slot::default(), Slot::MAX, 9, 1), (sorted[..1].to_vec(), true), "at least one");
    });
}

#[test]
fn a_record_is_read_and_deleted_by_its_slot() {
    on_both_engines(|rig| {
        let store = &rig.store;
        let (one, other) = (slot(10, 1), slot(10, 2));
        rig.commit(|writes| [one, other].into_iter().for_each(|slot| put(writes, TIMELINE, slot)));
        let found = |slot| store.read_slot(TIMELINE, slot).unwrap().map(|records| records.record(0).to_vec());
        assert_eq!(found(one), Some(text(one).into_bytes()));
        rig.commit(|writes| writes.delete_timeline(TIMELINE, one));
        assert_eq!((found(one), found(other)), (None, Some(text(other).into_bytes())));
    });
}

#[test]
fn labels_lead_to_records() {
    on_both_engines(|rig| {
        let store = &rig.store;
        rig.commit(|writes| {
            for (label, slot) in [(5, slot(20, 1)), (5, slot(10, 2)), (6, slot(10, 3))] {
                put(writes, TIMELINE, slot);
                writes.put_label(TIMELINE, label, slot);
                writes.put_label(TIMELINE + 1, label, slot);
            }
        });
        let labelled = |label, count_max| store.read_label(TIMELINE, label, Slot::default(), count_max).unwrap();
        assert_eq!(labelled(5, 9), [slot(10, 2), slot(20, 1)]);
        assert_eq!(labelled(5, 1), [slot(10, 2)]);
        assert_eq!(labelled(7, 9), []);
        assert_eq!(store.read_label(TIMELINE, 5, slot(10, 3), 9).unwrap(), [slot(20, 1)]);
        rig.commit(|writes| writes.delete_label(TIMELINE, 5, slot(10, 2)));
        assert_eq!(labelled(5, 9), [slot(20, 1)]);
        assert_eq!(read(store, Slot::default(), Slot::MAX, 9, usize::MAX).0.len(), 3, "labels are no records");
    });
}

#[test]
fn a_timeline_is_dropped_with_its_counters_and_nothing_else() {
    on_both_engines(|rig| {
        let store = &rig.store;
        let log = |queue| LogId { queue, level: 0 };
        rig.commit(|writes| {
            for timeline in [TIMELINE, TIMELINE + 1] {
                put(writes, timeline, slot(1, 1));
                writes.put_label(timeline, 9, slot(1, 1));
                writes.put_log(log(timeline), LogState { count: 1, ..LogState::default() });
            }
        });
        rig.commit(|writes| writes.drop_timeline(TIMELINE));
        assert_eq!(read(store, Slot::default(), Slot::MAX, 9, usize::MAX).0, []);
        assert_eq!(store.read_label(TIMELINE, 9, Slot::default(), 9).unwrap(), []);
        assert_eq!(store.logs().unwrap().into_iter().map(|(log, _)| log.queue).collect::<Vec<_>>(), [TIMELINE + 1]);
        assert_eq!(store.read_label(TIMELINE + 1, 9, Slot::default(), 9).unwrap(), [slot(1, 1)]);
    });
}

#[test]
fn records_survive_a_restart() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| put(writes, TIMELINE, slot(3, 4)));
    drop(store);
    assert_eq!(read(&open(&directory), Slot::default(), Slot::MAX, 9, usize::MAX).0, [slot(3, 4)]);
}

#[test]
fn the_next_slot_is_right_behind() {
    assert_eq!(slot(1, 1).next(), slot(1, 2));
    assert_eq!(slot(1, u64::MAX).next(), slot(2, 0));
    assert_eq!(Slot::MAX.next(), Slot::MAX);
}
