//! Timelines: records that wait for their time, each a value of its own, sorted by when they are due.
//!
//! A log packs what came together into one value, because it is read together. What is delayed comes in one order and
//! leaves in another, so that here the engine's own sorting is what is wanted: a record costs a key (some µs of CPU in and
//! out), and reading what is due next is reading forward. Of a record that has a label, a second key without a value leads
//! from the label to the record.
//!
//! Not taken: chunks by the second with many records in each (one that is cancelled or moved would have the others written
//! again), and a wheel of times in memory over an unsorted log (LavinMQ's way: a start reads everything).

use crate::engine::Engine;
use crate::error::StoreError;
use crate::keys::{
    Family, end_of, end_of_timeline, label_key, label_prefix, parse_label_key, parse_timeline_key, timeline_key,
};
use crate::log::LogId;
use crate::read::corrupt;
use crate::records::{Records, RecordsBuilder};

/// Version byte in front of a stored record.
const VERSION: u8 = 1;

/// Where a record stands in its timeline: slots sort by time, and what is due at the same moment by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// When it is due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// Unique in the timeline.
    pub seq: u64,
}

impl Slot {
    /// Behind every other.
    pub const MAX: Self = Self { due_ms: u64::MAX, seq: u64::MAX };

    /// The slot right behind; of the last one itself.
    #[must_use]
    pub fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self { due_ms: self.due_ms.saturating_add(1), seq: if self == Self::MAX { u64::MAX } else { 0 } },
        }
    }
}

/// Records of a timeline in the order of their slots.
#[derive(Debug, Clone)]
pub struct TimelinePage {
    /// Where each record stands.
    pub slots: Vec<Slot>,
    /// The records.
    pub records: Records,
    /// Whether there are more behind, before the end that was asked for.
    pub has_more: bool,
}

/// The stored form of a record.
pub(crate) fn encode(record: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + record.len());
    value.push(VERSION);
    value.extend_from_slice(record);
    value
}

/// See [`Store::read_timeline`](crate::Store::read_timeline).
pub(crate) fn read(
    engine: &dyn Engine,
    timeline: u64,
    from: Slot,
    until: Slot,
    count_max: usize,
    bytes_max: usize,
) -> Result<TimelinePage, StoreError> {
    let mut slots = Vec::new();
    let mut records = RecordsBuilder::new();
    let mut has_more = false;
    engine.scan_timeline(&timeline_key(timeline, from), &end_of_timeline(timeline, until), &mut |key, value| {
        let is_full = slots.len() >= count_max || records.bytes_len().saturating_add(value.len()) > bytes_max;
        if is_full && !slots.is_empty() {
            has_more = true;
            return Ok(false);
        }
        slots.push(parse_timeline_key(key)?);
        records.buffer().extend_from_slice(decode(timeline, key, value)?);
        records.end_record();
        Ok(true)
    })?;
    Ok(TimelinePage { slots, records: records.finish(), has_more })
}

/// See [`Store::read_label`](crate::Store::read_label).
pub(crate) fn read_label(
    engine: &dyn Engine,
    timeline: u64,
    label: u64,
    from: Slot,
    count_max: usize,
) -> Result<Vec<Slot>, StoreError> {
    let mut slots = Vec::new();
    let end = end_of(&label_prefix(timeline, label));
    engine.scan_timeline(&label_key(timeline, label, from), &end, &mut |key, _| {
        slots.push(parse_label_key(key)?);
        Ok(slots.len() < count_max)
    })?;
    Ok(slots)
}

fn decode<'a>(timeline: u64, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let damaged = |error| corrupt(Family::Timeline, LogId { queue: timeline, level: 0 }, key, error);
    match value.split_first() {
        Some((&VERSION, record)) => Ok(record),
        Some((&other, _)) => Err(damaged(crate::codec::DecodeError::Version(other))),
        None => Err(damaged(crate::codec::DecodeError::Truncated)),
    }
}
