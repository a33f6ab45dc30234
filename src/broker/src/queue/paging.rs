//! Bringing pages of a queue back from the store, while the queue's lock is held: a page is some 64 KiB and nearly
//! always in the operating system's cache, and the order of what follows needs no second mechanism.

use std::sync::Arc;

use leveret_store::{LogId, Store, StoreError};

use super::{
    Command, DueChunk,
    shell::{Core, Queue},
};
use crate::{Turn, timers::Sleeper};

impl Queue {
    pub(super) fn load(&self, core: &mut Core, turn: &Turn<'_>, level: u8, from_seq: u64, bytes_max: usize) {
        let log = LogId { queue: self.id, level };
        match turn.broker.store().read(log, from_seq, bytes_max) {
            Ok(chunks) => core.state.apply(turn.now_ms, Command::Loaded { level, chunks }, &mut core.actions),
            Err(error) => self.unreadable(turn, level, &error),
        }
    }

    pub(super) fn load_due(&self, core: &mut Core, turn: &Turn<'_>, level: u8, from: (u64, u64), until_ms: u64) {
        let log = LogId { queue: self.id, level };
        match find_due(turn.broker.store(), log, from, until_ms) {
            Ok((found, next_due_ms)) => {
                let command = Command::LoadedDue { level, found, next_due_ms };
                core.state.apply(turn.now_ms, command, &mut core.actions);
            }
            Err(error) => self.unreadable(turn, level, &error),
        }
    }

    /// A queue whose pages cannot be read must not go on as if they were empty: the store is declared broken, so that
    /// nothing is confirmed any more and the server says why.
    fn unreadable(&self, turn: &Turn<'_>, level: u8, error: &StoreError) {
        tracing::error!(queue = %self.name, vhost = %self.vhost, level, %error, "cannot read the queue's messages");
        turn.broker.store().poison(error);
    }

    /// Messages that should be there and are not. Stopping would not bring them back, so the queue goes on with what
    /// there is; but nobody shall have to find out by himself.
    pub(super) fn report_missing(&self, count: u64) {
        tracing::error!(queue = %self.name, vhost = %self.vhost, count, "messages are missing from the store");
    }

    pub(super) fn wake_at(self: &Arc<Self>, core: &mut Core, turn: &Turn<'_>, due_ms: u64) {
        if due_ms < core.wake_at_ms {
            core.wake_at_ms = due_ms;
            turn.broker.timers().schedule(&Sleeper::Queue(Arc::clone(self)), due_ms);
        }
    }
}

fn find_due(
    store: &Store,
    log: LogId,
    from: (u64, u64),
    until_ms: u64,
) -> Result<(Vec<DueChunk>, Option<u64>), StoreError> {
    let mut found = Vec::new();
    for (due_ms, first_seq) in store.read_due(log, from, until_ms, DUE_CHUNKS_MAX)? {
        let chunk = store.read_chunk(log, first_seq)?;
        found.push(DueChunk { due_ms, first_seq, chunk });
    }
    let next = if found.is_empty() { store.read_due(log, from, u64::MAX, 1)? } else { Vec::new() };
    Ok((found, next.first().map(|(due_ms, _)| *due_ms)))
}

/// Chunks with expired messages taken up in one step; the state asks again while there are more.
const DUE_CHUNKS_MAX: usize = 64;
