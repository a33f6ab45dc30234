//! Notices that a write would wait for ever.
//!
//! Where a file cannot be written for lack of space, the engine tries again by itself once there is some. Until then it
//! takes writes only as long as its memory lasts, and the next one waits inside of it: nobody would be told anything.
//! The engine has no way to say so from within, nor a setting against it, so the sweeper looks now and then.
//!
//! Not taken: writes that return instead of waiting (`no_slowdown`: they would no longer be slowed down gently where files
//! are only written too slowly).

use rocksdb::DB;
use rocksdb::properties::{BACKGROUND_ERRORS, IS_WRITE_STOPPED, NUM_RUNNING_COMPACTIONS, NUM_RUNNING_FLUSHES};

use crate::rocks::Rocks;

/// What the store failed of then. Other errors do not let the engine wait.
pub(crate) const REASON: &str = "No space left on device: files cannot be written, and writing waits for them";

impl Rocks {
    /// Whether a write waits for files that nobody is writing, because that failed.
    pub(crate) fn is_stalled(&self) -> bool {
        is_stalled(&self.db) || self.transient.db().is_some_and(is_stalled)
    }

    /// Lets the write that waits fail. Nothing is written out or merged any more.
    pub(crate) fn end_stall(&self) {
        self.db.cancel_all_background_work(false);
        if let Some(transient) = self.transient.db() {
            transient.cancel_all_background_work(false);
        }
    }
}

fn is_stalled(db: &DB) -> bool {
    let number = |property| db.property_int_value(property).ok().flatten().unwrap_or(0);
    number(IS_WRITE_STOPPED) > 0
        && number(BACKGROUND_ERRORS) > 0
        && number(NUM_RUNNING_FLUSHES) == 0
        && number(NUM_RUNNING_COMPACTIONS) == 0
}
