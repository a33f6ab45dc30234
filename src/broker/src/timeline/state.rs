//! What is held, pure: no clock, no lock, no store.
//!
//! A message is *unwritten* until a commit takes it, then *being written*, then *written*. In memory are all that are not
//! written, and of the written a window: those before the `horizon`. Whatever the store has before the horizon is in memory,
//! or was removed and its deletion is on its way; what is behind is read when its time comes near. So ten million held
//! messages take no more memory than ten thousand.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};

use leveret_store::{LogId, LogState, Records, Slot, TimelinePage, Writes};
use sha2::{Digest, Sha256};

use crate::message::RecordView;

/// Bytes that the window may have, as long as there is memory: some seconds of what is due at a high rate.
const WINDOW_BYTES: usize = 4 << 20;

/// Less would mean reading for every few messages.
const WINDOW_BYTES_MIN: usize = 64 << 10;

/// How long before something is due it is read.
const AHEAD_MS: u64 = 1000;

/// What an entry takes beside its record: its place in the map, counts of references, what allocations lose.
const ENTRY_BYTES: usize = 128;

/// How much is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages.
    pub messages: u64,
    /// Bytes of their records: properties, bodies and addresses.
    pub bytes: u64,
}

/// A message that has left.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) slot: Slot,
    pub(super) records: Records,
    pub(super) index: u32,
}

#[derive(Debug)]
struct Entry {
    records: Records,
    index: u32,
    label: Option<u64>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unwritten,
    Writing,
    Written,
}

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    entries: BTreeMap<Slot, Entry>,
    horizon: Slot,
    next_seq: u64,
    counts: Counts,
    /// Entries for the next commit, and for the one under way; some may have been removed since.
    unwritten: Vec<Slot>,
    writing: Vec<Slot>,
    /// Written messages that are gone, with their labels: to be deleted by the next commit, and by the one under way.
    removed: BTreeMap<Slot, Option<u64>>,
    removing: BTreeSet<Slot>,
    /// All with a lower number are gone.
    cleared_seq: u64,
    /// The next commit deletes all that the store has.
    clears: bool,
    /// Something was changed since the last commit was cut.
    touched: bool,
    memory_bytes: usize,
    /// Of this, what could be read again.
    window_bytes: usize,
    window_bytes_max: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            horizon: Slot::MAX,
            next_seq: 0,
            counts: Counts::default(),
            unwritten: Vec::new(),
            writing: Vec::new(),
            removed: BTreeMap::new(),
            removing: BTreeSet::new(),
            cleared_seq: 0,
            clears: false,
            touched: false,
            memory_bytes: 0,
            window_bytes: 0,
            window_bytes_max: WINDOW_BYTES,
        }
    }
}

impl Entry {
    fn record(&self) -> &[u8] {
        self.records.record(self.index as usize)
    }

    fn memory_bytes(&self) -> usize {
        ENTRY_BYTES + self.record().len()
    }
}

impl State {
    /// As the store remembers it: nothing is in memory yet.
    pub(super) fn recover(stored: LogState) -> Self {
        let horizon = if stored.count > 0 { Slot { due_ms: stored.head_seq, seq: 0 } } else { Slot::MAX };
        let counts = Counts { messages: stored.count, bytes: stored.bytes };
        Self { horizon, next_seq: stored.next_seq, counts, ..Self::default() }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether there is something to be collected.
    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    /// From now on no more than so many bytes are to be kept that could be read again.
    pub(super) fn share_memory(&mut self, bytes: usize) {
        self.window_bytes_max = bytes.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES);
        self.shrink_window();
    }

    /// Holds the record at `index`; where it stands then.
    pub(super) fn hold(&mut self, records: &Records, index: u32, due_ms: u64) -> Slot {
        let slot = Slot { due_ms, seq: self.next_seq };
        let entry = Entry { records: records.clone(), index, label: None, stage: Stage::Unwritten };
        let entry = Entry { label: message_id(entry.record()).map(label), ..entry };
        self.next_seq += 1;
        self.touched = true;
        self.counts.messages += 1;
        self.counts.bytes += entry.record().len() as u64;
        self.memory_bytes += entry.memory_bytes();
        self.unwritten.push(slot);
        self.entries.insert(slot, entry);
        slot
    }

    /// Nothing is before it.
    pub(super) fn first_slot(&self) -> Slot {
        let first = self.entries.first_key_value().map_or(Slot::MAX, |(slot, _)| *slot);
        first.min(self.horizon)
    }

    /// When to look again: something in memory is due, or something behind the horizon will be soon.
    pub(super) fn next_wake_ms(&self) -> u64 {
        let first = self.entries.first_key_value().filter(|(slot, _)| **slot < self.horizon);
        let due_ms = first.map_or(u64::MAX, |(slot, _)| slot.due_ms);
        let load_ms = if self.has_room() { self.horizon.due_ms.saturating_sub(AHEAD_MS) } else { u64::MAX };
        if self.horizon == Slot::MAX { due_ms } else { due_ms.min(load_ms) }
    }

    /// From where on to read, if something behind the horizon is due soon.
    pub(super) fn wanted_from(&self, now_ms: u64) -> Option<Slot> {
        let is_near = self.horizon != Slot::MAX && self.horizon.due_ms <= now_ms.saturating_add(AHEAD_MS);
        (is_near && self.has_room()).then_some(self.horizon)
    }

    /// Takes what was read from the horizon on.
    pub(super) fn load(&mut self, page: &TimelinePage) {
        for (index, slot) in (0..).zip(&page.slots) {
            if self.is_gone(*slot) || self.entries.contains_key(slot) {
                continue;
            }
            let record = page.records.record(index as usize);
            let label = message_id(record).map(label);
            let entry = Entry { records: page.records.clone(), index, label, stage: Stage::Written };
            self.memory_bytes += entry.memory_bytes();
            self.window_bytes += entry.memory_bytes();
            self.entries.insert(*slot, entry);
        }
        self.horizon = match page.slots.last() {
            Some(last) if page.has_more => last.next(),
            _ => Slot::MAX,
        };
    }

    /// Removes and returns what is due at `now_ms`, soonest first, within the bounds but at least one message if any is due.
    /// What is due behind the horizon has to be loaded first.
    pub(super) fn take_due(&mut self, now_ms: u64, count_max: usize, bytes_max: usize) -> Vec<Taken> {
        let mut due = Vec::new();
        let mut bytes = 0;
        while due.len() < count_max
            && let Some((slot, entry)) = self.entries.first_key_value()
            && slot.due_ms <= now_ms
            && *slot < self.horizon
        {
            bytes += entry.record().len();
            if bytes > bytes_max && !due.is_empty() {
                break;
            }
            let slot = *slot;
            due.extend(self.take(slot));
        }
        due
    }

    /// Removes and returns a message that is in memory.
    pub(super) fn take(&mut self, slot: Slot) -> Option<Taken> {
        let entry = self.entries.remove(&slot)?;
        self.forget(&entry);
        if entry.stage != Stage::Unwritten {
            self.removed.insert(slot, entry.label);
        }
        self.remove_from_counts(entry.record());
        Some(Taken { slot, records: entry.records, index: entry.index })
    }

    /// Removes a message that is not in memory, as the store has it.
    pub(super) fn remove_stored(&mut self, slot: Slot, record: &[u8]) {
        self.removed.insert(slot, message_id(record).map(label));
        self.remove_from_counts(record);
    }

    /// Removes all; how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let cleared = self.counts.messages;
        *self = Self {
            next_seq: self.next_seq,
            cleared_seq: self.next_seq,
            clears: true,
            touched: true,
            window_bytes_max: self.window_bytes_max,
            ..Self::default()
        };
        cleared
    }

    /// Whether a message is gone that the store may still have.
    pub(super) fn is_gone(&self, slot: Slot) -> bool {
        slot.seq < self.cleared_seq || self.removed.contains_key(&slot) || self.removing.contains(&slot)
    }

    /// What of `slots` the store may not have.
    pub(super) fn not_written(&self, from: Slot, until: Slot) -> impl Iterator<Item = (Slot, &Records, u32)> {
        let within = self.entries.range(from..until.max(from));
        let recent = within.filter(|(_, entry)| entry.stage != Stage::Written);
        recent.map(|(slot, entry)| (*slot, &entry.records, entry.index))
    }

    /// The messages with a label that the store may not have.
    pub(super) fn not_written_with(&self, label: u64) -> impl Iterator<Item = (Slot, &Records, u32)> {
        let recent = self.unwritten.iter().chain(&self.writing);
        let entries = recent.filter_map(|slot| Some((*slot, self.entries.get(slot)?)));
        let labelled = entries.filter(move |(_, entry)| entry.label == Some(label) && entry.stage != Stage::Written);
        labelled.map(|(slot, entry)| (slot, &entry.records, entry.index))
    }

    /// Adds all changes to the commit that is being cut.
    pub(super) fn collect(&mut self, timeline: u64, writes: &mut Writes) {
        if take(&mut self.clears) {
            writes.drop_timeline(timeline);
        }
        for slot in take(&mut self.unwritten) {
            let Some(entry) = self.entries.get_mut(&slot) else { continue };
            entry.stage = Stage::Writing;
            writes.put_timeline(timeline, slot, entry.records.clone(), entry.index);
            if let Some(label) = entry.label {
                writes.put_label(timeline, label, slot);
            }
            self.writing.push(slot);
        }
        for (slot, label) in take(&mut self.removed) {
            writes.delete_timeline(timeline, slot);
            if let Some(label) = label {
                writes.delete_label(timeline, label, slot);
            }
            self.removing.insert(slot);
        }
        if take(&mut self.touched) {
            writes.put_log(LogId { queue: timeline, level: 0 }, self.counters());
        }
    }

    /// What was last collected is on disk.
    pub(super) fn committed(&mut self) {
        for slot in take(&mut self.writing) {
            let Some(entry) = self.entries.get_mut(&slot) else { continue };
            if slot < self.horizon {
                // The batch it came in must not stay in memory for its sake.
                entry.records = Records::from_one(entry.record().to_vec());
                entry.index = 0;
                entry.stage = Stage::Written;
                self.window_bytes += entry.memory_bytes();
            } else if let Some(entry) = self.entries.remove(&slot) {
                self.forget(&entry);
            }
        }
        self.removing.clear();
        self.shrink_window();
    }

    fn counters(&self) -> LogState {
        let first_ms = self.entries.first_key_value().map_or(u64::MAX, |(slot, _)| slot.due_ms);
        LogState {
            next_seq: self.next_seq,
            head_seq: first_ms.min(self.horizon.due_ms),
            count: self.counts.messages,
            bytes: self.counts.bytes,
            ..LogState::default()
        }
    }

    fn remove_from_counts(&mut self, record: &[u8]) {
        self.touched = true;
        self.counts.messages -= 1;
        self.counts.bytes -= record.len() as u64;
    }

    /// Counts the memory of an entry that was taken out.
    fn forget(&mut self, entry: &Entry) {
        self.memory_bytes -= entry.memory_bytes();
        if entry.stage == Stage::Written {
            self.window_bytes -= entry.memory_bytes();
        }
    }

    fn has_room(&self) -> bool {
        self.window_bytes < self.window_bytes_max / 2
    }

    /// Lets go of the later half of a window that has become too large.
    fn shrink_window(&mut self) {
        if self.window_bytes <= self.window_bytes_max {
            return;
        }
        let mut bytes = 0;
        let beyond = self.entries.iter().find(|(_, entry)| {
            bytes += if entry.stage == Stage::Written { entry.memory_bytes() } else { 0 };
            bytes > self.window_bytes_max / 2
        });
        let Some(horizon) = beyond.map(|(slot, _)| *slot) else { return };
        for (slot, entry) in self.entries.split_off(&horizon) {
            match entry.stage {
                Stage::Written => self.forget(&entry),
                Stage::Unwritten | Stage::Writing => _ = self.entries.insert(slot, entry),
            }
        }
        self.horizon = horizon;
    }
}

/// A record's property message-id.
pub(super) fn message_id(record: &[u8]) -> Option<&[u8]> {
    let properties_raw = RecordView::parse(record)?.properties_raw;
    leveret_amqp::Properties::parse(properties_raw).ok()?.message_id
}

/// By what the store finds records of a message id: some bytes of its digest, which must be the same in all versions.
pub(super) fn label(message_id: &[u8]) -> u64 {
    let digest = Sha256::digest(message_id);
    digest[..8].iter().fold(0, |label, byte| label << 8 | u64::from(*byte))
}
