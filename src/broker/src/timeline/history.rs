//! The last messages of an exchange, in the order in which they came.

use std::sync::Arc;

use leveret_store::{Records, Slot, Store, StoreError};

use super::{Core, Timeline, Waiting};
use crate::Turn;

/// When messages are due that are not held but kept.
const NEVER_MS: u64 = 0;

/// Record bytes that an exchange keeps, beside its newest message: what is kept is sent, in one turn, to whoever binds.
pub(super) const HISTORY_BYTES_MAX: u64 = 64 << 20;

/// A message of a batch that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Which record of the batch it is.
    pub(crate) index: u32,
    /// As one of how many.
    pub(crate) length: u64,
}

impl Timeline {
    /// Keeps messages of a batch, for which the store's waiters from `awaited_from` on wait. The oldest make room.
    pub(crate) fn keep(
        self: &Arc<Self>,
        turn: &Turn<'_>,
        records: &Records,
        kept: impl IntoIterator<Item = Kept>,
        awaited_from: u64,
    ) {
        let mut core = self.core.lock();
        if core.is_closed {
            return;
        }
        for Kept { index, length } in kept {
            core.state.hold(records, index, NEVER_MS);
            self.make_room(&mut core, turn, length);
        }
        core.await_from(turn, awaited_from);
        self.changed(&mut core, turn);
    }

    /// All that is kept, oldest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(crate) fn kept(&self, store: &Store) -> Result<Vec<Waiting>, StoreError> {
        let mut kept = Vec::new();
        let mut next = Some(Slot::default());
        while let Some(from) = next {
            let mut listing = self.list(store, from, Slot::MAX, usize::MAX)?;
            kept.append(&mut listing.messages);
            next = listing.next;
        }
        Ok(kept)
    }

    fn make_room(&self, core: &mut Core, turn: &Turn<'_>, length: u64) {
        loop {
            let counts = core.state.counts();
            if counts.messages <= length && (counts.bytes <= HISTORY_BYTES_MAX || counts.messages <= 1) {
                return;
            }
            // The oldest may be on disk only, after a restart.
            self.load_window(core, turn);
            if core.state.take_due(NEVER_MS, 1, usize::MAX).is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
