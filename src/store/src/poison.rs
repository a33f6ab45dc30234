//! The first failure, kept for ever.
//!
//! After a failed write nobody knows what is on the disk, so nothing may be confirmed any more. Trying again is what
//! lost data in programs that did: after a failed sync the operating system may drop the pages and report success.

use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::error::CommitError;

/// Called once with the reason when the store fails.
pub(crate) type Watcher = Box<dyn FnOnce(Arc<str>) + Send>;

/// Whether the store failed, and who wants to know.
#[derive(Default)]
pub(crate) struct Poison {
    reason: OnceLock<Arc<str>>,
    watchers: Mutex<Vec<Watcher>>,
}

impl Poison {
    pub(crate) fn reason(&self) -> Option<&Arc<str>> {
        self.reason.get()
    }

    pub(crate) fn check(&self) -> Result<(), CommitError> {
        match self.reason() {
            Some(reason) => Err(CommitError { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Keeps `reason` if it is the first one, and tells the watchers.
    pub(crate) fn set(&self, reason: &str) {
        let mut watchers = self.watchers.lock();
        if self.reason.set(reason.into()).is_err() {
            return;
        }
        let told = std::mem::take(&mut *watchers);
        drop(watchers);
        tracing::error!(reason, "the store failed; nothing is stored or confirmed from now on");
        for watcher in told {
            watcher(reason.into());
        }
    }

    /// Calls `watcher` when the store fails, or at once when it has failed.
    pub(crate) fn watch(&self, watcher: Watcher) {
        let mut watchers = self.watchers.lock();
        match self.reason() {
            None => watchers.push(watcher),
            Some(reason) => {
                drop(watchers);
                watcher(reason.clone());
            }
        }
    }
}
