//! The committer's work in single steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::Disk;
use super::memory::Memory;
use crate::clock::Clock;
use crate::committer::{Committer, Core};
use crate::error::StoreError;
use crate::options::SyncMode;
use crate::pending::Next;
use crate::store::Store;

/// What the committer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// A change or a waiter.
    ForWork,
    /// At most for so many microseconds.
    ForUs(u64),
}

/// The committer of one store, without its thread: poll, and when it is to commit, collect, store, tell, in this order.
/// None of it within a turn.
pub struct Steps {
    committer: Committer,
    elapsed_us: Arc<AtomicU64>,
    start: Instant,
}

/// Opens the store on a disk, and its committer. Of a commit about `batch_bytes` are written at once.
///
/// # Errors
/// Where a commit that was interrupted cannot be taken back.
pub fn open(disk: &Disk, sync: SyncMode, batch_bytes: usize) -> Result<(Store, Steps), StoreError> {
    let elapsed_us = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let clock = Clock::ByHand { start, elapsed_us: Arc::clone(&elapsed_us) };
    let engine = Arc::new(Memory { disk: disk.clone(), batch_bytes, elapsed_us: Arc::clone(&elapsed_us) });
    engine.take_back_unfinished()?;
    let core = Arc::new(Core::new(engine, clock, sync));
    let store = Store::without_thread(Arc::clone(&core));
    Ok((store, Steps { committer: Committer::new(core), elapsed_us, start }))
}

impl Steps {
    /// Lets time pass for the committer.
    pub fn advance(&self, duration_us: u64) {
        self.elapsed_us.fetch_add(duration_us, Relaxed);
    }

    /// Looks for work. Waiters that are safe without a commit are told; `None` means that a commit begins, which
    /// [`Self::collect`], [`Self::store`] and [`Self::tell`] make up.
    pub fn poll(&mut self) -> Option<Waits> {
        let core = &self.committer.core;
        let unsynced = self.committer.has_unsynced_commits();
        loop {
            let now = core.clock.now();
            let next = core.pending.lock().next(unsynced, now);
            match next {
                Next::Tell(safe) => core.tell(safe),
                Next::Commit => return None,
                Next::Wait => return Some(Waits::ForWork),
                Next::WaitUntil(due) => {
                    let until_us = due.duration_since(self.start).as_micros() as u64;
                    return Some(Waits::ForUs(until_us.saturating_sub(self.elapsed_us.load(Relaxed)).max(1)));
                }
            }
        }
    }

    /// Takes the cut: what was changed up to here is in the commit, what is changed from here on is not.
    pub fn collect(&mut self) {
        self.committer.collect();
    }

    /// Writes the commit, and syncs where somebody waits for that. Lets the sources know.
    pub fn store(&mut self) {
        self.committer.store(false);
    }

    /// Tells the waiters of the commit.
    pub fn tell(&mut self) {
        self.committer.tell();
    }

    /// Ends the store as [`Store::close`] does with a thread: everything is committed and synced. To be called when no
    /// commit is under way.
    pub fn close(&mut self) {
        self.committer.core.close();
        loop {
            self.committer.collect();
            self.committer.store(true);
            self.committer.tell();
            if self.committer.core.finish_closing() {
                return;
            }
        }
    }
}
