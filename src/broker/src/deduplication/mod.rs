//! Repeated messages are dropped: at an exchange or a queue that is declared with `x-message-deduplication`.
//!
//! What tells a repetition is a header, whose values a [`Cache`] remembers: the latest ones, for a time. What is remembered
//! of a durable exchange or queue goes into the store with the message that brought it, and a confirm waits for both; so a
//! message that is confirmed is known after any crash, and one that is not may be sent again. A message that nobody takes,
//! or that is refused, is forgotten again: its repetition is the attempt that may succeed.
//!
//! Remembered are digests of 16 bytes, so a cache takes no more memory than its size allows, whatever the values are.
//!
//! Not taken: uniqueness of what is in a queue just now (the community plugin for RabbitMQ has it for queues: its memory
//! grows with the queue, and what was consumed a moment ago is taken again), and caches that are looked up on disk (a read
//! for each message, where the point of a cache is that repetitions come soon).

mod rule;
mod state;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use leveret_amqp::RawTable;
use leveret_store::{LogState, Source, Store, StoreError, Writes};
use parking_lot::Mutex;

pub(crate) use rule::ARGUMENTS;
pub use rule::{CACHE_SIZE_MAX, Rule};
pub(crate) use state::Seen;
use state::State;

use crate::{Error, Turn};

/// What an exchange or a queue remembers of messages.
pub struct Cache {
    /// Unique in the store, numbered with the queues, never reused.
    pub id: u64,
    /// Whether it survives a restart.
    pub is_kept: bool,
    rule: Rule,
    core: Mutex<Core>,
}

struct Core {
    state: State,
    is_dirty: bool,
    awaited_from: Option<u64>,
    is_closed: bool,
}

impl Cache {
    /// One that knows nothing.
    pub(crate) fn new(id: u64, is_kept: bool, rule: Rule) -> Self {
        let state = State::new(rule.size, is_kept && rule.is_kept);
        let core = Mutex::new(Core { state, is_dirty: false, awaited_from: None, is_closed: false });
        Self { id, is_kept: is_kept && rule.is_kept, rule, core }
    }

    /// One as the store remembers it.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(crate) fn recover(id: u64, rule: Rule, store: &Store, stored: LogState) -> Result<Self, StoreError> {
        let cache = Self::new(id, true, rule);
        cache.core.lock().state.recover(id, store, stored)?;
        Ok(cache)
    }

    /// How many values it remembers, those that are over among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.lock().state.len()
    }

    /// Whether it remembers none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks at a message, and remembers it where it is new.
    ///
    /// # Errors
    /// 406 for a time to be remembered that is none.
    pub(crate) fn look(&self, headers: Option<RawTable<'_>>, now_ms: u64) -> Result<Seen, Error> {
        let Some((digest, until_ms)) = self.rule.digest(headers, now_ms)? else { return Ok(Seen::WithoutValue) };
        Ok(self.core.lock().state.look(digest, until_ms, now_ms))
    }

    /// Whether a message would be dropped. Remembers nothing.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub(crate) fn is_repetition(&self, headers: Option<RawTable<'_>>, now_ms: u64) -> Result<bool, Error> {
        let digest = self.rule.digest(headers, now_ms)?;
        Ok(digest.is_some_and(|(digest, _)| self.core.lock().state.knows(digest, now_ms)))
    }

    /// Forgets a message that was new, and that nobody has taken.
    pub(crate) fn forget(&self, digest: u128) {
        self.core.lock().state.forget(digest);
    }

    /// Has what was remembered written, before the store's waiters from `awaited_from` on are told.
    pub(crate) fn note(self: &Arc<Self>, turn: &Turn<'_>, awaited_from: u64) {
        let mut core = self.core.lock();
        if core.is_closed || !core.state.is_touched() {
            return;
        }
        if core.awaited_from.is_none_or(|earlier| awaited_from < earlier) {
            turn.store.awaited(core.awaited_from, Some(awaited_from));
            core.awaited_from = Some(awaited_from);
        }
        if !std::mem::replace(&mut core.is_dirty, true) {
            turn.store.dirty(Arc::clone(self) as Arc<dyn Source>);
        }
    }

    /// Ends it: nothing more is written for it.
    pub(crate) fn close(&self) {
        self.core.lock().is_closed = true;
    }
}

impl Source for Cache {
    fn collect(&self, writes: &mut Writes) {
        let mut core = self.core.lock();
        core.is_dirty = false;
        core.awaited_from = None;
        if !core.is_closed {
            core.state.collect(self.id, writes);
        }
    }

    fn committed(&self) {}
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cache({:?})", self.rule)
    }
}
