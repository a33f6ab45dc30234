//! The thread that commits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use crate::clock::Clock;
use crate::commit::{Source, Waiter};
use crate::engine::Engine;
use crate::error::CommitError;
use crate::options::SyncMode;
use crate::pending::{Next, Pending};
use crate::poison::Poison;
use crate::statistics::Counters;
use crate::writes::Writes;

/// After so long without a commit, what the last ones left is synced, and the log is told so.
const REST_AFTER: Duration = Duration::from_millis(100);

/// What turns, readers and the committer share.
pub(crate) struct Core {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Clock,
    sync: SyncMode,
    /// Shared by turns, taken alone to cut. Fair: a waiting cut lets no further turn in.
    pub(crate) gate: RwLock<()>,
    pub(crate) pending: Mutex<Pending>,
    /// The number that the next waiter gets. Changed under the lock of `pending`; numbers begin at 1.
    pub(crate) next_waiter: AtomicU64,
    /// Signalled when `pending` has become worth looking at.
    pub(crate) changed: Condvar,
    pub(crate) poison: Poison,
    pub(crate) counters: Counters,
}

impl Core {
    pub(crate) fn new(engine: Arc<dyn Engine>, clock: Clock, sync: SyncMode) -> Self {
        Self {
            engine,
            clock,
            sync,
            gate: RwLock::default(),
            pending: Mutex::default(),
            next_waiter: AtomicU64::new(1),
            changed: Condvar::new(),
            poison: Poison::default(),
            counters: Counters::default(),
        }
    }

    /// Asks the committer to commit what is left and to end.
    pub(crate) fn close(&self) {
        self.pending.lock().closing = true;
        self.changed.notify_one();
    }

    /// Waits until a commit is due, or until it is time to rest where `is_restless`.
    fn wait_for_work(&self, unsynced_commits: bool, is_restless: bool) -> Work {
        let mut pending = self.pending.lock();
        loop {
            match pending.next(unsynced_commits, self.clock.now()) {
                Next::Tell(safe) => MutexGuard::unlocked(&mut pending, || self.tell(safe)),
                Next::Commit => return Work::Commit { closing: pending.closing },
                Next::WaitUntil(due) => _ = self.changed.wait_until(&mut pending, due),
                Next::Wait if !is_restless => self.changed.wait(&mut pending),
                Next::Wait => {
                    if self.changed.wait_for(&mut pending, REST_AFTER).timed_out() {
                        return Work::Rest;
                    }
                }
            }
        }
    }

    /// Tells waiters what has become of what they waited for.
    pub(crate) fn tell(&self, waiters: Vec<Waiter>) {
        let outcome = self.poison.check();
        self.counters.told(waiters.len());
        for waiter in waiters {
            tell(waiter, outcome.clone());
        }
    }

    /// Ends taking anything, unless something is left to commit.
    pub(crate) fn finish_closing(&self) -> bool {
        let mut pending = self.pending.lock();
        pending.closed = pending.is_empty();
        pending.closed
    }
}

/// Starts the thread.
pub(crate) fn start(core: Arc<Core>) -> std::io::Result<JoinHandle<()>> {
    let mut committer = Committer::new(core);
    std::thread::Builder::new().name("leveret-commit".to_owned()).spawn(move || committer.run())
}

/// What the committer is woken for.
enum Work {
    /// A commit; the last one where the store is being closed.
    Commit { closing: bool },
    /// Nothing more seems to come.
    Rest,
}

/// One commit on its way. Kept to use its memory again.
#[derive(Default)]
struct Cut {
    sources: Vec<Arc<dyn Source>>,
    catalogue: Writes,
    writes: Writes,
    waiters: Vec<Waiter>,
    /// One of them waits for the commit itself.
    has_strict: bool,
}

/// What earlier commits wrote without a sync, because nobody waited for them.
#[derive(Default)]
struct Unsynced {
    /// Anything at all.
    anything: bool,
    /// Something that a waiter must not be told before it is synced.
    needed: bool,
}

/// The work of the thread. The simulation does it step by step, without one.
pub(crate) struct Committer {
    pub(crate) core: Arc<Core>,
    cut: Cut,
    unsynced: Unsynced,
}

impl Committer {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, cut: Cut::default(), unsynced: Unsynced::default() }
    }

    fn run(&mut self) {
        loop {
            let closing = match self.core.wait_for_work(self.has_unsynced_commits(), self.is_restless()) {
                Work::Commit { closing } => closing,
                Work::Rest => {
                    self.rest();
                    continue;
                }
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| self.commit(closing)));
            if let Err(panic) = outcome {
                self.core.poison.set(&format!("a commit panicked: {}", panic_text(&*panic)));
            }
            self.tell();
            if closing && self.core.finish_closing() {
                self.rest();
                return;
            }
        }
    }

    fn is_restless(&self) -> bool {
        self.core.poison.reason().is_none() && (self.has_sync_to_catch_up() || !self.core.engine.is_sync_noted())
    }

    fn has_sync_to_catch_up(&self) -> bool {
        self.core.sync == SyncMode::Commit && self.unsynced.anything
    }

    /// Syncs what nobody waits for, which would otherwise be at risk for as long as nothing happens, and has the log say
    /// what is synced.
    fn rest(&mut self) {
        if !self.is_restless() {
            return;
        }
        let mut outcome = Ok(());
        if self.has_sync_to_catch_up() {
            let started = self.core.clock.now();
            outcome = self.core.engine.sync();
            self.core.counters.written(0, true, self.core.clock.now() - started);
            self.unsynced = Unsynced::default();
        }
        if let Err(reason) = outcome.and_then(|()| self.core.engine.note_sync()) {
            self.core.poison.set(&reason);
        }
    }

    /// Whether earlier commits have written what must be synced before any waiter is told.
    pub(crate) fn has_unsynced_commits(&self) -> bool {
        self.core.sync == SyncMode::Commit && self.unsynced.needed
    }

    /// One commit up to, but without, telling the waiters.
    fn commit(&mut self, closing: bool) {
        self.collect();
        self.store(closing);
    }

    /// The only moment at which no turn is open. Once the store has failed, what is taken goes nowhere.
    pub(crate) fn collect(&mut self) {
        if self.core.poison.reason().is_some() {
            self.take();
            return;
        }
        let started = self.core.clock.now();
        let core = Arc::clone(&self.core);
        let gate = core.gate.write();
        self.take();
        for source in &self.cut.sources {
            source.collect(&mut self.cut.writes);
        }
        drop(gate);
        self.core.counters.gate(core.clock.now() - started);
        self.cut.writes.append(&mut self.cut.catalogue);
    }

    fn take(&mut self) {
        let mut pending = self.core.pending.lock();
        std::mem::swap(&mut pending.sources, &mut self.cut.sources);
        std::mem::swap(&mut pending.catalogue, &mut self.cut.catalogue);
        (self.cut.waiters, self.cut.has_strict) = pending.take_waiters();
    }

    /// Writes what was collected, and tells the sources.
    pub(crate) fn store(&mut self, closing: bool) {
        if self.core.poison.reason().is_some() {
            return;
        }
        match self.write(closing) {
            Ok(()) => self.cut.sources.iter().for_each(|source| source.committed()),
            Err(reason) => self.core.poison.set(&reason),
        }
    }

    /// Tells the waiters, and makes room for the next commit.
    pub(crate) fn tell(&mut self) {
        self.core.tell(std::mem::take(&mut self.cut.waiters));
        self.cut.sources.clear();
        self.cut.catalogue.clear();
        self.cut.writes.clear();
    }

    fn write(&mut self, closing: bool) -> Result<(), String> {
        let writes = &self.cut.writes;
        let sync = self.must_sync(closing);
        let started = self.core.clock.now();
        let bytes = match (writes.is_empty(), sync) {
            (false, _) => self.core.engine.write(writes, sync)?,
            (true, true) => self.core.engine.sync().map(|()| 0)?,
            (true, false) => {
                self.core.counters.nothing_written();
                return Ok(());
            }
        };
        let took = self.core.clock.now() - started;
        self.core.counters.written(bytes, sync, took);
        if sync {
            self.core.pending.lock().patience.synced(took, self.cut.waiters.len());
        }
        self.unsynced = Unsynced { anything: !sync, needed: !sync && (self.unsynced.needed || writes.needs_sync()) };
        Ok(())
    }

    /// A sync also covers what earlier commits wrote. So one that itself has nothing to write syncs for its waiters if
    /// an earlier one left something: their changes may have been in it. Who waits for the commit itself was promised
    /// that what is settled stays so; the others only that nothing is lost.
    fn must_sync(&self, closing: bool) -> bool {
        let writes = &self.cut.writes;
        let anything = self.unsynced.anything || !writes.is_empty();
        if closing {
            return anything;
        }
        let needed = self.unsynced.needed || writes.needs_sync();
        let is_awaited = needed && !self.cut.waiters.is_empty() || anything && self.cut.has_strict;
        self.core.sync == SyncMode::Commit && is_awaited
    }
}

/// A waiter that panics is one connection's misfortune: the data is safe, and the others wait for their turn.
fn tell(waiter: Waiter, outcome: Result<(), CommitError>) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waiter(outcome))) {
        tracing::error!(panic = panic_text(&*panic), "a waiter for a commit panicked");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
