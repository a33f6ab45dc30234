//! One thread that wakes queues when their time has come: TTL, `x-expires`.
//!
//! An idle queue owns no task and no timer; it has at most one entry that matters here, and only while something in it
//! will fall due. Entries that were overtaken by an earlier one are left in the heap and find nothing to do.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::{Broker, clock, queue::Queue};

/// The due times of all queues.
#[derive(Default)]
pub(crate) struct Timers {
    heap: Mutex<Heap>,
    changed: Condvar,
}

#[derive(Default)]
struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    closed: bool,
}

struct Entry {
    due_ms: u64,
    queue: Weak<Queue>,
}

impl Timers {
    /// Has `queue` ticked at `due_ms` or soon after.
    pub(crate) fn schedule(&self, queue: &Arc<Queue>, due_ms: u64) {
        let mut heap = self.heap.lock();
        let is_next = heap.entries.peek().is_none_or(|Reverse(next)| due_ms < next.due_ms);
        heap.entries.push(Reverse(Entry { due_ms, queue: Arc::downgrade(queue) }));
        if is_next {
            self.changed.notify_one();
        }
    }

    /// The queue whose time came first, if that has passed.
    pub(crate) fn pop_due(&self, now_ms: u64) -> Option<Arc<Queue>> {
        self.heap.lock().pop_due(now_ms)
    }

    /// The next due time.
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        self.heap.lock().entries.peek().map(|Reverse(next)| next.due_ms)
    }

    /// Ends [`run`].
    pub(crate) fn close(&self) {
        self.heap.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next due entry; `None` once closed.
    fn next_due(&self) -> Option<Arc<Queue>> {
        let mut heap = self.heap.lock();
        while !heap.closed {
            let now_ms = clock::now_ms();
            if let Some(due) = heap.pop_due(now_ms) {
                return Some(due);
            }
            match heap.entries.peek().map(|Reverse(next)| next.due_ms) {
                Some(due_ms) => {
                    let wait = Duration::from_millis(due_ms.saturating_sub(now_ms));
                    self.changed.wait_for(&mut heap, wait);
                }
                None => self.changed.wait(&mut heap),
            }
        }
        None
    }
}

impl Heap {
    /// The first queue that is due and still there.
    fn pop_due(&mut self, now_ms: u64) -> Option<Arc<Queue>> {
        while self.entries.peek().is_some_and(|Reverse(next)| next.due_ms <= now_ms) {
            let due = self.entries.pop().and_then(|Reverse(entry)| entry.queue.upgrade());
            if due.is_some() {
                return due;
            }
        }
        None
    }
}

/// Ticks queues until [`Timers::close`]. Holds the broker only weakly, so that a forgotten broker can go.
pub(crate) fn run(timers: &Timers, broker: &Weak<Broker>) {
    while let Some(due) = timers.next_due() {
        let Some(broker) = broker.upgrade() else { return };
        due.tick(&mut broker.turn());
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due_ms == other.due_ms
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due_ms.cmp(&other.due_ms)
    }
}
