//! One thread that wakes queues and timelines when their time has come: TTL, `x-expires`, delayed messages.
//!
//! An idle queue owns no task and no timer; it has at most one entry that matters here, and only while something in it
//! will fall due. Entries that were overtaken by an earlier one are left in the heap and find nothing to do.
//!
//! Times are those of the wall clock, since messages are due by it and it goes on while the broker is down. It may be set
//! while the thread waits, which no wait notices: so no wait is long.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::{Broker, Turn, clock, queue::Queue, timeline::Timeline};

/// How late something may be after the clock was set forward.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What sleeps until its time has come.
#[derive(Clone, Debug)]
pub enum Sleeper {
    /// A queue.
    Queue(Arc<Queue>),
    /// The delayed messages of an exchange.
    Timeline(Arc<Timeline>),
}

impl Sleeper {
    pub(crate) fn tick(&self, turn: &mut Turn<'_>) {
        match self {
            Self::Queue(queue) => queue.tick(turn),
            Self::Timeline(timeline) => timeline.tick(turn),
        }
    }

    fn downgrade(&self) -> Asleep {
        match self {
            Self::Queue(queue) => Asleep::Queue(Arc::downgrade(queue)),
            Self::Timeline(timeline) => Asleep::Timeline(Arc::downgrade(timeline)),
        }
    }
}

/// A [`Sleeper`] that may go meanwhile.
enum Asleep {
    Queue(Weak<Queue>),
    Timeline(Weak<Timeline>),
}

impl Asleep {
    fn upgrade(&self) -> Option<Sleeper> {
        match self {
            Self::Queue(queue) => queue.upgrade().map(Sleeper::Queue),
            Self::Timeline(timeline) => timeline.upgrade().map(Sleeper::Timeline),
        }
    }
}

/// The due times of all who sleep.
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
    asleep: Asleep,
}

impl Timers {
    /// Has `sleeper` ticked at `due_ms` or soon after.
    pub(crate) fn schedule(&self, sleeper: &Sleeper, due_ms: u64) {
        let mut heap = self.heap.lock();
        let is_next = heap.entries.peek().is_none_or(|Reverse(next)| due_ms < next.due_ms);
        heap.entries.push(Reverse(Entry { due_ms, asleep: sleeper.downgrade() }));
        if is_next {
            self.changed.notify_one();
        }
    }

    /// Whose time came first, if that has passed.
    pub(crate) fn pop_due(&self, now_ms: u64) -> Option<Sleeper> {
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
    fn next_due(&self) -> Option<Sleeper> {
        let mut heap = self.heap.lock();
        while !heap.closed {
            let now_ms = clock::now_ms();
            if let Some(due) = heap.pop_due(now_ms) {
                return Some(due);
            }
            match heap.entries.peek().map(|Reverse(next)| next.due_ms) {
                Some(due_ms) => {
                    let wait = Duration::from_millis(due_ms.saturating_sub(now_ms));
                    self.changed.wait_for(&mut heap, wait.min(WAIT_MAX));
                }
                None => self.changed.wait(&mut heap),
            }
        }
        None
    }
}

impl Heap {
    /// The first that is due and still there.
    fn pop_due(&mut self, now_ms: u64) -> Option<Sleeper> {
        while self.entries.peek().is_some_and(|Reverse(next)| next.due_ms <= now_ms) {
            let due = self.entries.pop().and_then(|Reverse(entry)| entry.asleep.upgrade());
            if due.is_some() {
                return due;
            }
        }
        None
    }
}

/// Ticks those who are due until [`Timers::close`]. Holds the broker only weakly, so that a forgotten broker can go.
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
