//! For those who administer: see what is held, and change it.
//!
//! The store is asked under the timeline's lock: what is found is neither going nor gone.

use std::{collections::BTreeMap, sync::Arc};

use leveret_store::{AWAITED_BY_ALL, Records, Slot, Store, StoreError};

use super::{
    Core, Timeline,
    state::{Taken, label, message_id},
};
use crate::{Turn, message::RecordView};

/// Bytes of messages that one listing gives.
const LISTING_BYTES_MAX: usize = 8 << 20;

/// A message that is held.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Where it stands: its identity among those that its exchange holds.
    pub slot: Slot,
    records: Records,
    index: u32,
}

/// Some of what is held, soonest first.
#[derive(Debug, Default)]
pub struct Listing {
    /// The messages.
    pub messages: Vec<Waiting>,
    /// Where to go on, if there may be more.
    pub next: Option<Slot>,
}

impl Listing {
    /// The first of what was found in a look that came as far as `end` on its way to `until`.
    fn of(found: BTreeMap<Slot, Waiting>, count_max: usize, end: Slot, until: Slot) -> Self {
        let surplus = found.keys().nth(count_max).copied();
        let next = surplus.or((end != until).then_some(end));
        Self { messages: found.into_values().take(count_max).collect(), next }
    }
}

impl Waiting {
    /// The message; `None` for a record that cannot be read.
    #[must_use]
    pub fn record(&self) -> Option<RecordView<'_>> {
        RecordView::parse(self.bytes())
    }

    fn bytes(&self) -> &[u8] {
        self.records.record(self.index as usize)
    }
}

impl Timeline {
    /// When the next message is due, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn next_due_ms(&self, store: &Store) -> Result<Option<u64>, StoreError> {
        let listing = self.list(store, Slot::default(), Slot::MAX, 1)?;
        Ok(listing.messages.first().map(|first| first.slot.due_ms))
    }

    /// Messages from one slot up to, but without, another, at most `count_max`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn list(&self, store: &Store, from: Slot, until: Slot, count_max: usize) -> Result<Listing, StoreError> {
        let core = self.core.lock();
        let mut from = from.max(core.state.first_slot());
        loop {
            let listing = self.list_page(&core, store, from, until, count_max)?;
            match listing.next {
                // All that was read is on its way out.
                Some(next) if listing.messages.is_empty() => from = next,
                _ => return Ok(listing),
            }
        }
    }

    /// Messages with this message id, from one slot up to, but without, another, at most `count_max`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn find(
        &self,
        store: &Store,
        id: &[u8],
        from: Slot,
        until: Slot,
        count_max: usize,
    ) -> Result<Listing, StoreError> {
        let core = self.core.lock();
        let mut slots = store.read_label(self.id, label(id), from, count_max)?;
        let end = slots.last().filter(|_| slots.len() == count_max).map_or(until, |last| last.next().min(until));
        slots.retain(|slot| *slot < end && !core.state.is_gone(*slot));
        let mut found = BTreeMap::new();
        for slot in slots {
            if let Some(records) = store.read_slot(self.id, slot)? {
                found.insert(slot, Waiting { slot, records, index: 0 });
            }
        }
        for (slot, records, index) in core.state.not_written_with(label(id)) {
            if (from..end).contains(&slot) {
                found.insert(slot, Waiting { slot, records: records.clone(), index });
            }
        }
        found.retain(|_, waiting| message_id(waiting.bytes()) == Some(id));
        Ok(Listing::of(found, count_max, end, until))
    }

    /// The message at a slot.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn get(&self, store: &Store, slot: Slot) -> Result<Option<Waiting>, StoreError> {
        Ok(self.list(store, slot, slot.next(), 1)?.messages.pop())
    }

    /// Removes a message; false where it is not there any more.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn cancel(self: &Arc<Self>, turn: &Turn<'_>, slot: Slot) -> Result<bool, StoreError> {
        let mut core = self.core.lock();
        let taken = self.take(&mut core, turn, slot)?;
        self.changed(&mut core, turn);
        Ok(taken.is_some())
    }

    /// Gives a message another time; where it stands then, or `None` where it is not there any more.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn reschedule(self: &Arc<Self>, turn: &Turn<'_>, slot: Slot, due_ms: u64) -> Result<Option<Slot>, StoreError> {
        let mut core = self.core.lock();
        let Some(taken) = self.take(&mut core, turn, slot)? else { return Ok(None) };
        let moved = core.state.hold(&taken.records, taken.index, due_ms);
        core.await_from(turn, AWAITED_BY_ALL);
        self.changed(&mut core, turn);
        Ok(Some(moved))
    }

    /// Sends a message on before its time; false where it is not there any more.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn deliver_now(self: &Arc<Self>, turn: &mut Turn<'_>, slot: Slot) -> Result<bool, StoreError> {
        let taken = {
            let mut core = self.core.lock();
            let taken = self.take(&mut core, turn, slot)?;
            self.changed(&mut core, turn);
            taken
        };
        self.release(turn, taken.as_slice());
        Ok(taken.is_some())
    }

    /// Removes all messages; how many there were.
    pub fn clear(self: &Arc<Self>, turn: &Turn<'_>) -> u64 {
        let mut core = self.core.lock();
        let cleared = core.state.clear();
        self.changed(&mut core, turn);
        cleared
    }

    fn list_page(
        &self,
        core: &Core,
        store: &Store,
        from: Slot,
        until: Slot,
        count_max: usize,
    ) -> Result<Listing, StoreError> {
        let page = store.read_timeline(self.id, from, until, count_max, LISTING_BYTES_MAX)?;
        let end = page.slots.last().filter(|_| page.has_more).map_or(until, |last| last.next());
        let stored = (0..).zip(&page.slots).filter(|(_, slot)| !core.state.is_gone(**slot));
        let waiting =
            |(index, slot): (u32, &Slot)| (*slot, Waiting { slot: *slot, records: page.records.clone(), index });
        let mut found: BTreeMap<Slot, Waiting> = stored.map(waiting).collect();
        for (slot, records, index) in core.state.not_written(from, end) {
            found.insert(slot, Waiting { slot, records: records.clone(), index });
        }
        Ok(Listing::of(found, count_max, end, until))
    }

    fn take(&self, core: &mut Core, turn: &Turn<'_>, slot: Slot) -> Result<Option<Taken>, StoreError> {
        if let Some(taken) = core.state.take(slot) {
            return Ok(Some(taken));
        }
        if core.state.is_gone(slot) {
            return Ok(None);
        }
        let Some(records) = turn.broker.store().read_slot(self.id, slot)? else { return Ok(None) };
        core.state.remove_stored(slot, records.record(0));
        Ok(Some(Taken { slot, records, index: 0 }))
    }
}
