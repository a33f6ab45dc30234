//! Commits too large to be written at once: one message may go to a thousand queues, and the engine has what it writes at
//! once in memory more than once.
//!
//! The chunks of such a commit are written before the rest of it, in parts. As long as the rest is not there, nothing
//! knows of them. Should it never come, they are removed at the next start: the first part names the logs, and in these
//! nothing belongs behind the last sequence number that the counters know of.
//!
//! Not taken: parts for all changes, which would need a way back for each of them; chunks are what is large. Nor are
//! chunks taken that replace others of their log, as after a purge: they must come with the deletion.

use std::collections::BTreeSet;

use crate::engine::Batch;
use crate::error::StoreError;
use crate::keys::{Family, LOG_KEY_BYTES, chunk_key, end_of, log_key, parse_log_key};
use crate::log::{LogId, LogState};
use crate::read::{corrupt, engine_error};
use crate::rocks::{Batches, Rocks};
use crate::writes::Change;

/// In the family of the format: the logs of a commit of which the chunks are being written.
pub(crate) const UNFINISHED_KEY: &[u8] = b"unfinished";

/// The logs whose chunks are to be written before the rest of a commit. Empty for most commits.
#[derive(Debug, Default)]
pub(crate) struct Early {
    logs: BTreeSet<LogId>,
}

impl Early {
    /// What is to be written early so that no more than about `bytes_max` are written at once.
    pub(crate) fn of(changes: &[Change], bytes_max: usize) -> Self {
        if changes.iter().map(chunk_bytes).sum::<usize>() <= bytes_max {
            return Self::default();
        }
        let mut logs: BTreeSet<LogId> = changes.iter().filter_map(log_of_chunk).collect();
        for change in changes {
            match change {
                Change::DeleteLog { log } => _ = logs.remove(log),
                Change::DeleteQueue { queue } => logs.retain(|log| log.queue != *queue),
                _ => {}
            }
        }
        Self { logs }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    pub(crate) fn contains(&self, change: &Change) -> bool {
        !self.logs.is_empty() && log_of_chunk(change).is_some_and(|log| self.logs.contains(&log))
    }

    /// What the first part says of the logs concerned, and the rest of the commit takes back.
    pub(crate) fn unfinished(&self) -> Vec<u8> {
        self.logs.iter().flat_map(|log| log_key(*log)).collect()
    }
}

/// Removes the chunks of the logs that a first part has named. `state` are the counters of a log.
pub(crate) fn take_back(
    unfinished: &[u8],
    state: impl Fn(LogId) -> Result<Option<LogState>, StoreError>,
    batch: &mut impl Batch,
) -> Result<(), StoreError> {
    for key in unfinished.chunks(LOG_KEY_BYTES) {
        let log = parse_log_key(key)?;
        let next_seq = state(log)?.map_or(0, |state| state.next_seq);
        batch.delete_range(Family::Chunks, &chunk_key(log, next_seq), &end_of(key));
    }
    Ok(())
}

impl Rocks {
    /// Removes the chunks of a commit whose rest never came.
    pub(crate) fn take_back_unfinished(&self) -> Result<(), StoreError> {
        let read = self.db.get(UNFINISHED_KEY).map_err(|error| engine_error("reading what was unfinished", &error))?;
        let Some(logs) = read else { return Ok(()) };
        let mut batches = Batches::new(self);
        take_back(&logs, |log| self.state(log), &mut batches)?;
        let mut batch = batches.logged;
        batch.delete(UNFINISHED_KEY);
        tracing::info!(
            logs = logs.len() / LOG_KEY_BYTES,
            "removed messages of a commit that was interrupted; none was confirmed"
        );
        self.write_stamped(batch, true).map_err(|reason| StoreError::Engine { doing: "taking back a commit", reason })
    }

    fn state(&self, log: LogId) -> Result<Option<LogState>, StoreError> {
        let key = log_key(log);
        let value = self.db.get_pinned_cf(self.family(Family::Logs), key);
        let Some(value) = value.map_err(|error| engine_error("reading counters", &error))? else { return Ok(None) };
        LogState::decode(&value).map(Some).map_err(|error| corrupt(Family::Logs, log, &key, error))
    }
}

fn log_of_chunk(change: &Change) -> Option<LogId> {
    match change {
        Change::PutChunk { log, .. } => Some(*log),
        _ => None,
    }
}

fn chunk_bytes(change: &Change) -> usize {
    match change {
        Change::PutChunk { pieces, .. } => {
            pieces.iter().map(|piece| piece.records.bytes_of(piece.picks.clone()).len()).sum()
        }
        _ => 0,
    }
}
