//! A disk in memory that tells written from synced.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::Batch;
use crate::keys::Family;

/// Keys and values of a family.
pub(super) type Values = BTreeMap<Vec<u8>, Vec<u8>>;

/// What outlives a crash. A share of it is handed to each store opened on it; clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Default)]
pub(super) struct Contents {
    /// As a reader sees it.
    written: Image,
    /// As it would be found after a loss of power.
    synced: Image,
    /// What was written since, in order.
    unsynced: VecDeque<Write>,
    batches: u64,
    fails_next_write: bool,
    is_going: bool,
}

#[derive(Clone, Default)]
struct Image {
    families: [Values; Family::ALL.len() + 1],
    /// The logs of a commit that is being written in parts.
    unfinished: Option<Vec<u8>>,
}

/// What is written at once: done as a whole or not at all. A batch, or a part of one that comes before the rest.
#[derive(Default)]
pub(super) struct Write {
    changes: Vec<Change>,
    /// It does not end a commit.
    is_part: bool,
}

enum Change {
    Put(Family, Vec<u8>, Vec<u8>),
    Delete(Family, Vec<u8>),
    DeleteRange(Family, Vec<u8>, Vec<u8>),
    Unfinished(Option<Vec<u8>>),
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many batches have been written since the disk was new, those that were lost not among them.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.contents.lock().batches
    }

    /// How many of them are not synced.
    #[must_use]
    pub fn unsynced(&self) -> u64 {
        count_batches(&self.contents.lock().unsynced)
    }

    /// The power begins to fail: from now on nothing is synced any more, whatever the disk says.
    pub fn stop_syncing(&self) {
        self.contents.lock().is_going = true;
    }

    /// The power fails: of what was not synced, the first `kept` writes are found again, batches and parts of such. Whoever still has the disk open
    /// must let go of it.
    pub fn lose_power(&self, kept: u64) {
        let mut contents = self.contents.lock();
        let contents = &mut *contents;
        contents.batches -= count_batches(&contents.unsynced);
        for write in contents.unsynced.drain(..).take(usize::try_from(kept).unwrap_or(usize::MAX)) {
            contents.synced.apply(&write);
            contents.batches += u64::from(!write.is_part);
        }
        contents.synced.families[place(Family::Transient)].clear();
        contents.written = contents.synced.clone();
        contents.fails_next_write = false;
        contents.is_going = false;
    }

    pub(super) fn write(&self, write: Write, sync: bool) -> Result<usize, String> {
        let mut contents = self.contents.lock();
        // What a failed write leaves behind is as uncertain as what is not synced.
        let fails = std::mem::take(&mut contents.fails_next_write);
        let bytes = write.bytes();
        contents.written.apply(&write);
        contents.unsynced.push_back(write);
        contents.batches += 1;
        if fails {
            return Err("the disk fails".to_owned());
        }
        if sync {
            contents.sync();
        }
        Ok(bytes)
    }

    /// Writes what comes before the rest of a batch; its bytes.
    pub(super) fn write_part(&self, write: Write) -> usize {
        let mut contents = self.contents.lock();
        let bytes = write.bytes();
        contents.written.apply(&write);
        contents.unsynced.push_back(Write { is_part: true, ..write });
        bytes
    }

    pub(super) fn sync(&self) -> Result<(), String> {
        let mut contents = self.contents.lock();
        if std::mem::take(&mut contents.fails_next_write) {
            return Err("the disk fails".to_owned());
        }
        contents.sync();
        Ok(())
    }

    pub(super) fn fail_next_write(&self) {
        self.contents.lock().fails_next_write = true;
    }

    /// The logs of a commit that did not come to its end.
    pub(super) fn unfinished(&self) -> Option<Vec<u8>> {
        self.contents.lock().written.unfinished.clone()
    }

    /// Looks at a family as it was written.
    pub(super) fn read<T>(&self, family: Family, look: impl FnOnce(&Values) -> T) -> T {
        look(&self.contents.lock().written.families[place(family)])
    }
}

impl Contents {
    fn sync(&mut self) {
        if self.is_going {
            return;
        }
        for write in self.unsynced.drain(..) {
            self.synced.apply(&write);
        }
    }
}

impl Image {
    fn apply(&mut self, write: &Write) {
        for change in &write.changes {
            match change {
                Change::Put(family, key, value) => {
                    self.families[place(*family)].insert(key.clone(), value.clone());
                }
                Change::Delete(family, key) => {
                    self.families[place(*family)].remove(key);
                }
                Change::DeleteRange(family, from, to) => {
                    let _gone = self.families[place(*family)].extract_if(from.clone()..to.clone(), |_, _| true).count();
                }
                Change::Unfinished(logs) => self.unfinished.clone_from(logs),
            }
        }
    }
}

impl Write {
    /// Says which logs an unfinished commit concerns, or that there is none.
    pub(super) fn set_unfinished(&mut self, logs: Option<Vec<u8>>) {
        self.changes.push(Change::Unfinished(logs));
    }

    pub(super) fn bytes(&self) -> usize {
        let of_change = |change: &Change| match change {
            Change::Put(_, key, value) => key.len() + value.len(),
            Change::Delete(_, key) => key.len(),
            Change::DeleteRange(_, from, to) => from.len() + to.len(),
            Change::Unfinished(logs) => logs.as_ref().map_or(0, Vec::len),
        };
        self.changes.iter().map(of_change).sum()
    }
}

impl Batch for Write {
    fn put(&mut self, family: Family, key: &[u8], value: Vec<u8>) {
        self.changes.push(Change::Put(family, key.to_vec(), value));
    }

    fn delete(&mut self, family: Family, key: &[u8]) {
        self.changes.push(Change::Delete(family, key.to_vec()));
    }

    fn delete_range(&mut self, family: Family, from: &[u8], to: &[u8]) {
        self.changes.push(Change::DeleteRange(family, from.to_vec(), to.to_vec()));
    }
}

fn count_batches(writes: &VecDeque<Write>) -> u64 {
    writes.iter().filter(|write| !write.is_part).count() as u64
}

fn place(family: Family) -> usize {
    family as usize
}
