//! Repetitions are dropped before they are in the queue's state, where it was declared with `x-message-deduplication`.

use std::{ops::Range, sync::Arc};

use leveret_amqp::Properties;
use leveret_store::Records;

use super::Queue;
use crate::{
    Turn,
    deduplication::{Cache, Seen},
    message::RecordView,
};

/// Messages that the queue has not seen before.
pub(super) struct Fresh {
    pub(super) picks: Vec<Range<u32>>,
    /// What those with a value are remembered by.
    seen: Vec<(u32, u128)>,
}

impl Queue {
    /// What the queue has seen; `None` where it takes repetitions.
    #[must_use]
    pub fn cache(&self) -> Option<&Arc<Cache>> {
        self.cache.get()
    }

    /// Has it drop repetitions from now on. Once.
    pub(crate) fn attach_cache(&self, cache: Arc<Cache>) {
        // It has one already: that one stays.
        let _ = self.cache.set(cache);
    }
}

/// Leaves out what `cache` has seen before. Dead letters are never left out: they may well have been here.
pub(super) fn leave_out(
    cache: &Arc<Cache>,
    turn: &Turn<'_>,
    records: &Records,
    picks: Vec<Range<u32>>,
    awaited_from: u64,
) -> Fresh {
    let mut fresh = Fresh { picks: Vec::with_capacity(picks.len()), seen: Vec::new() };
    for index in picks.into_iter().flatten() {
        let seen = look(cache, records.record(index as usize), turn.now_ms);
        if let Seen::New(digest) = seen {
            fresh.seen.push((index, digest));
        }
        if seen != Seen::Before {
            fresh.pick(index);
        }
    }
    cache.note(turn, awaited_from);
    fresh
}

/// A message that does not say for how long it is to be remembered, but something else, is not: nobody can be told here.
fn look(cache: &Cache, record: &[u8], now_ms: u64) -> Seen {
    let headers = RecordView::parse(record)
        .filter(|record| !record.dead_lettered)
        .and_then(|record| Properties::parse(record.properties_raw).ok()?.headers);
    cache.look(headers, now_ms).unwrap_or(Seen::WithoutValue)
}

impl Fresh {
    fn pick(&mut self, index: u32) {
        match self.picks.last_mut() {
            Some(last) if last.end == index => last.end += 1,
            _ => self.picks.push(index..index + 1),
        }
    }

    /// The queue has refused these: when they come again, they are no repetitions.
    pub(super) fn forget(&self, cache: &Cache, refused: &[Range<u32>]) {
        for (index, digest) in &self.seen {
            if refused.iter().any(|refused| refused.contains(index)) {
                cache.forget(*digest);
            }
        }
    }
}
