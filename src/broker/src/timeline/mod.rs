//! The messages that an exchange holds back until their time.
//!
//! Each exchange that holds messages back ([`Hold`](crate::exchange::Hold)) has one [`Timeline`]. What is held is in the
//! store, sorted by when it is due; in memory are what the store has not got yet and a window of what is due next. A message
//! that is due leaves and enters its queues in one turn, so in one commit: after a crash it is still held, or in its
//! queues, never both and never neither.
//!
//! As with queues, [`state`] is pure and this shell a short lock around it; [`release`] sends on what is due, and
//! [`look`] is for those who administer: list, find, cancel, move.
//!
//! An exchange that keeps its last messages for those who bind later ([`History`](crate::exchange::History)) has them in a
//! timeline, too: all due at the same time, which is nobody's, so that their order is that of their coming ([`history`]).
//!
//! Not taken: a queue with an index of due times (a record would lie among others that are due at other times, and reading
//! it means reading those), and one timeline for all exchanges (counting and deleting by exchange would be a search).

mod history;
mod lateness;
mod look;
mod release;
mod state;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use leveret_store::{LogState, Records, Source, Writes};
pub use leveret_store::{Slot, Store};
use parking_lot::Mutex;

pub(crate) use history::Kept;
pub use lateness::{LATENESS_BOUNDS_MS, Lateness};
pub use look::{Listing, Waiting};
pub use state::Counts;
use state::State;

use crate::{Turn, exchange::Hold, memory::MessageMemory, timers::Sleeper};

/// Records read from the store for the window at a time, in bytes.
const PAGE_BYTES: usize = 256 * 1024;

/// The messages that one exchange holds back, or keeps.
pub struct Timeline {
    /// Unique in the store, numbered with the queues, never reused.
    pub id: u64,
    /// The vhost's name.
    pub vhost: Arc<str>,
    /// The exchange's name.
    pub exchange: Arc<str>,
    /// Whether it survives a restart, as its exchange does.
    pub is_kept: bool,
    /// Whether it is what an exchange keeps for those who bind later, and not what it holds back.
    pub is_history: bool,
    /// What has left it since start.
    pub totals: Totals,
    /// The rule of its exchange; `None` where the exchange's type is missing. Then the messages wait on.
    hold: Option<Arc<dyn Hold>>,
    core: Mutex<Core>,
    memory: Arc<MessageMemory>,
}

/// Counts since start.
#[derive(Debug, Default)]
pub struct Totals {
    /// How late messages left, by how many.
    pub lateness: Lateness,
    /// Messages that no queue took when they were due.
    pub unroutable: std::sync::atomic::AtomicU64,
}

struct Core {
    state: State,
    wake_at_ms: u64,
    /// It is not woken before this time, so that others are in between.
    not_before_ms: u64,
    memory_bytes: usize,
    /// Said to the store, and not collected since.
    is_dirty: bool,
    awaited_from: Option<u64>,
    is_closed: bool,
}

/// A message of a batch that is to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which record of the batch it is.
    pub index: u32,
    /// When it is due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
}

impl Timeline {
    /// An empty one.
    pub(crate) fn new(
        id: u64,
        vhost: &Arc<str>,
        exchange: &str,
        is_kept: bool,
        is_history: bool,
        hold: Option<Arc<dyn Hold>>,
        memory: Arc<MessageMemory>,
    ) -> Self {
        Self {
            id,
            vhost: Arc::clone(vhost),
            exchange: exchange.into(),
            is_kept,
            is_history,
            totals: Totals::default(),
            hold,
            core: Mutex::new(Core {
                state: State::default(),
                wake_at_ms: u64::MAX,
                not_before_ms: 0,
                memory_bytes: 0,
                is_dirty: false,
                awaited_from: None,
                is_closed: false,
            }),
            memory,
        }
    }

    /// One as the store remembers it.
    pub(crate) fn recover(
        id: u64,
        vhost: &Arc<str>,
        exchange: &str,
        is_history: bool,
        hold: Option<Arc<dyn Hold>>,
        memory: Arc<MessageMemory>,
        stored: Option<LogState>,
    ) -> Self {
        let timeline = Self::new(id, vhost, exchange, true, is_history, hold, memory);
        if let Some(stored) = stored {
            timeline.core.lock().state = State::recover(stored);
        }
        timeline
    }

    /// How many messages wait, and their record bytes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.core.lock().state.counts()
    }

    /// Holds messages of a batch, for which the store's waiters from `awaited_from` on wait.
    pub(crate) fn hold(
        self: &Arc<Self>,
        turn: &Turn<'_>,
        records: &Records,
        held: impl IntoIterator<Item = Held>,
        awaited_from: u64,
    ) {
        let mut core = self.core.lock();
        if core.is_closed {
            return;
        }
        for Held { index, due_ms } in held {
            core.state.hold(records, index, due_ms);
        }
        core.await_from(turn, awaited_from);
        self.changed(&mut core, turn);
    }

    /// Sends on what is due.
    pub(crate) fn tick(self: &Arc<Self>, turn: &mut Turn<'_>) {
        let due = {
            let mut core = self.core.lock();
            core.wake_at_ms = u64::MAX;
            core.state.share_memory(self.memory.share());
            self.load_window(&mut core, turn);
            let slack = self.memory.slack();
            let due = core.state.take_due(turn.now_ms, release::batch_count(slack), release::BATCH_BYTES_MAX);
            core.not_before_ms = turn.now_ms + release::pause_ms(slack);
            self.changed(&mut core, turn);
            due
        };
        self.release(turn, &due);
    }

    /// Has it woken when the next is due.
    pub(crate) fn wake(self: &Arc<Self>, turn: &Turn<'_>) {
        self.changed(&mut self.core.lock(), turn);
    }

    /// Lets go of what it has in memory beyond its share.
    pub(crate) fn relieve(&self) {
        let mut core = self.core.lock();
        core.state.share_memory(self.memory.share());
        self.count_memory(&mut core);
    }

    /// Ends it with what is in it: nothing more is written for it.
    pub(crate) fn close(&self) {
        let mut core = self.core.lock();
        let lost = core.state.counts().messages;
        core.is_closed = true;
        core.state = State::default();
        self.count_memory(&mut core);
        if lost > 0 && !self.is_history {
            tracing::warn!(exchange = %self.exchange, vhost = %self.vhost, count = lost, "deleted with delayed messages");
        }
    }

    /// Reads what is due soon, and not in memory.
    fn load_window(&self, core: &mut Core, turn: &Turn<'_>) {
        let store = turn.broker.store();
        while let Some(from) = core.state.wanted_from(turn.now_ms) {
            match store.read_timeline(self.id, from, Slot::MAX, usize::MAX, PAGE_BYTES) {
                Ok(page) => core.state.load(&page),
                Err(error) => {
                    tracing::error!(exchange = %self.exchange, vhost = %self.vhost, %error, "cannot read what is held or kept");
                    store.poison(&error);
                    return;
                }
            }
        }
    }

    /// What is to be done after every change of the state.
    fn changed(self: &Arc<Self>, core: &mut Core, turn: &Turn<'_>) {
        if core.is_closed {
            return;
        }
        self.count_memory(core);
        if core.state.is_touched() && !core.is_dirty {
            core.is_dirty = true;
            turn.store.dirty(Arc::clone(self) as Arc<dyn Source>);
        }
        // The clock may have been set back since.
        let not_before_ms = core.not_before_ms.min(turn.now_ms + release::PAUSE_MS);
        let wake_at_ms = core.state.next_wake_ms().max(not_before_ms);
        if self.hold.is_some() && wake_at_ms < core.wake_at_ms {
            core.wake_at_ms = wake_at_ms;
            turn.broker.timers().schedule(&Sleeper::Timeline(Arc::clone(self)), wake_at_ms);
        }
    }

    fn count_memory(&self, core: &mut Core) {
        let now = core.state.memory_bytes();
        let was = std::mem::replace(&mut core.memory_bytes, now);
        if was != now {
            self.memory.changed(was, now);
        }
    }
}

impl Core {
    /// The store's waiters from a number on wait for what was changed.
    fn await_from(&mut self, turn: &Turn<'_>, awaited_from: u64) {
        if self.awaited_from.is_none_or(|earlier| awaited_from < earlier) {
            turn.store.awaited(self.awaited_from, Some(awaited_from));
            self.awaited_from = Some(awaited_from);
        }
    }
}

impl Source for Timeline {
    fn collect(&self, writes: &mut Writes) {
        let mut core = self.core.lock();
        core.is_dirty = false;
        core.awaited_from = None;
        if !core.is_closed {
            core.state.collect(self.id, writes);
        }
    }

    fn committed(&self) {
        let mut core = self.core.lock();
        core.state.share_memory(self.memory.share());
        core.state.committed();
        self.count_memory(&mut core);
    }
}

impl std::fmt::Debug for Timeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Timeline({} in {})", self.exchange, self.vhost)
    }
}
