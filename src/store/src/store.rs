//! The store as its users see it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::chunk::StoredChunk;
use crate::clock::Clock;
use crate::commit::{Turn, closed};
use crate::committer::{self, Core};
use crate::engine::{CatalogueRecord, Engine};
use crate::error::{CommitError, StoreError};
use crate::log::{LogId, LogState};
use crate::options::Options;
use crate::records::Records;
use crate::rocks::Rocks;
use crate::space::Sweeper;
use crate::statistics::Statistics;
use crate::timeline::{self, Slot, TimelinePage};

/// An open store. Reads see what has been committed; changes go through [`turn`](Self::turn).
///
/// Dropping it closes it. All its methods may be called from any thread, except that what runs on the committer's
/// thread (sources and waiters) must not wait for it.
pub struct Store {
    core: Arc<Core>,
    committer: Mutex<Option<JoinHandle<()>>>,
    sweeper: Mutex<Option<Sweeper>>,
}

impl Store {
    /// Opens the store in `directory`, which is created when it is not there, and starts its committer.
    ///
    /// # Errors
    /// When the directory is in use, was written by a newer version, is damaged, or cannot be used at all.
    pub fn open(directory: impl AsRef<Path>, options: &Options) -> Result<Self, StoreError> {
        let rocks = Arc::new(Rocks::open(directory.as_ref(), options)?);
        let core = Arc::new(Core::new(Arc::clone(&rocks) as Arc<dyn Engine>, Clock::System, options.sync));
        let committer = committer::start(Arc::clone(&core))
            .map_err(|error| StoreError::Engine { doing: "starting the committer", reason: error.to_string() })?;
        let of_sweeper = Arc::clone(&core);
        let sweeper = Sweeper::start(rocks, options.sweep_interval, move |reason| of_sweeper.poison.set(reason))
            .map_err(|error| StoreError::Engine { doing: "starting the sweeper", reason: error.to_string() })?;
        Ok(Self { core, committer: Mutex::new(Some(committer)), sweeper: Mutex::new(Some(sweeper)) })
    }

    /// A store whose commits somebody else makes.
    pub(crate) fn without_thread(core: Arc<Core>) -> Self {
        Self { core, committer: Mutex::new(None), sweeper: Mutex::new(None) }
    }

    /// All catalogue records, in the order of their keys.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn catalogue(&self) -> Result<Vec<CatalogueRecord>, StoreError> {
        self.core.engine.catalogue()
    }

    /// The counters of all logs, in the order of queue and level.
    ///
    /// # Errors
    /// When the engine fails or a record is damaged.
    pub fn logs(&self) -> Result<Vec<(LogId, LogState)>, StoreError> {
        self.core.engine.logs()
    }

    /// Chunks from the one that holds `from_seq`, or from the next one if there is none, in order: as many as fit into
    /// `bytes_max`, but at least one if there is any. Begin at the head rather than at 0: what was deleted behind
    /// `from_seq` has to be stepped over.
    ///
    /// # Errors
    /// When the engine fails or a record is damaged.
    pub fn read(&self, log: LogId, from_seq: u64, bytes_max: usize) -> Result<Vec<StoredChunk>, StoreError> {
        self.core.engine.chunks(log, from_seq, bytes_max)
    }

    /// The chunk that begins at `first_seq`.
    ///
    /// # Errors
    /// When the engine fails or the record is damaged.
    pub fn read_chunk(&self, log: LogId, first_seq: u64) -> Result<Option<StoredChunk>, StoreError> {
        self.core.engine.chunk(log, first_seq)
    }

    /// Due times up to and with `until_ms`, in milliseconds since the Unix epoch, each with the first sequence number of
    /// its chunk: from `from` on, soonest first, at most `limit`. Who knows that nothing before `from` is left should say
    /// so: otherwise each call steps over what was deleted there.
    ///
    /// # Errors
    /// When the engine fails or a key is damaged.
    pub fn read_due(
        &self,
        log: LogId,
        from: (u64, u64),
        until_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        self.core.engine.due(log, from, until_ms, limit)
    }

    /// Records of a timeline from one slot up to, but without, another ([`Slot::MAX`]: to the end), soonest first: as many
    /// as fit into the bounds, but at least one if there is any. Who knows that nothing before `from` is left should say
    /// so: otherwise each call steps over what was deleted there.
    ///
    /// # Errors
    /// When the engine fails or a record is damaged.
    pub fn read_timeline(
        &self,
        timeline: u64,
        from: Slot,
        until: Slot,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<TimelinePage, StoreError> {
        timeline::read(&*self.core.engine, timeline, from, until, count_max, bytes_max)
    }

    /// The record of a timeline at a slot.
    ///
    /// # Errors
    /// When the engine fails or the record is damaged.
    pub fn read_slot(&self, timeline: u64, slot: Slot) -> Result<Option<Records>, StoreError> {
        let page = self.read_timeline(timeline, slot, slot.next(), 1, usize::MAX)?;
        Ok((!page.slots.is_empty()).then_some(page.records))
    }

    /// Where the records of a timeline stand that have a label, from one slot on, soonest first, at most `count_max`.
    ///
    /// # Errors
    /// When the engine fails or a key is damaged.
    pub fn read_label(&self, timeline: u64, label: u64, from: Slot, count_max: usize) -> Result<Vec<Slot>, StoreError> {
        timeline::read_label(&*self.core.engine, timeline, label, from, count_max)
    }

    /// Begins a turn. Waits only while a commit is being cut.
    pub fn turn(&self) -> Turn<'_> {
        Turn::start(&self.core)
    }

    /// Waits until everything changed so far is durable. Not within a turn, nor on the committer's thread.
    ///
    /// # Errors
    /// When the store has failed or is closed.
    pub fn flush(&self) -> Result<(), CommitError> {
        let (sender, receiver) = mpsc::channel();
        self.turn().after_commit(Box::new(move |outcome| {
            let _ = sender.send(outcome);
        }));
        receiver.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Commits and syncs what is left, and ends the committer; not within a turn. Closing twice does nothing more.
    /// Reading goes on until the store is dropped.
    ///
    /// # Errors
    /// When the store has failed, now or before.
    pub fn close(&self) -> Result<(), CommitError> {
        self.core.close();
        let committer = self.committer.lock().take();
        // Dropped by its own committer, with the last thing that held it: the thread ends by itself.
        if let Some(thread) = committer.filter(|thread| thread.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            self.core.poison.set("the committer panicked");
        }
        // Ended by being dropped.
        let sweeper = self.sweeper.lock().take();
        drop(sweeper);
        self.core.poison.check()
    }

    /// Writes out what is kept in memory, and waits for it: logs that held it can go then, and files whose chunks are
    /// settled are compacted. For when the disk runs short: where nothing more is written, none of it happens by itself.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn write_out(&self) -> Result<(), StoreError> {
        self.core.engine.write_out()
    }

    /// What merging files may take of the disk for a while, beyond the little that it usually takes, in bytes: who stops
    /// writing when the disk has only some space left does so earlier by that. Grows as more is written than can be
    /// merged, and shrinks by itself.
    #[must_use]
    pub fn merge_room(&self) -> u64 {
        self.core.engine.merge_room()
    }

    /// Why the store has failed, if it has.
    pub fn poisoned(&self) -> Option<Arc<str>> {
        self.core.poison.reason().cloned()
    }

    /// Declares the store failed on behalf of a reader that found data it cannot read: from now on nothing is confirmed.
    pub fn poison(&self, error: &StoreError) {
        self.core.poison.set(&error.to_string());
    }

    /// Calls `watcher` once with the reason when the store fails: on a thread of the store, before the waiters of the
    /// failed commit; at once when it has failed already.
    pub fn on_poison(&self, watcher: impl FnOnce(Arc<str>) + Send + 'static) {
        self.core.poison.watch(Box::new(watcher));
    }

    /// What the committer has done so far.
    pub fn statistics(&self) -> Statistics {
        self.core.counters.snapshot()
    }

    /// Lets the next write or sync fail. For tests of what happens then.
    #[doc(hidden)]
    pub fn fail_next_write(&self) {
        self.core.engine.fail_next_write();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "closed a store that had failed");
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").field("poisoned", &self.poisoned()).finish_non_exhaustive()
    }
}
