//! What is certain of one file, and what is not.

use std::collections::HashSet;

use rand::{Rng, RngExt};

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// A file: what a loss of power leaves for certain, and what was done since.
#[derive(Clone, Debug, Default)]
pub(crate) struct File<'a> {
    synced: Vec<u8>,
    unsynced: Vec<Unsynced<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Unsynced<'a> {
    number: u64,
    change: Change<'a>,
    /// A sync of it failed: the next one succeeds, whether this reached the disk or not.
    is_given_up: bool,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Write { offset: u64, data: &'a [u8] },
    Resize { size: u64 },
}

/// How much of what was not synced is there after a loss of power.
enum Luck {
    Nothing,
    Everything,
    /// What came first, and a part of the next.
    Beginning,
    /// This part of all sectors, wherever they are.
    Some(f64),
}

impl<'a> File<'a> {
    pub(crate) fn synced(content: Vec<u8>) -> Self {
        Self { synced: content, unsynced: Vec::new() }
    }

    pub(crate) fn change(&mut self, number: u64, change: Change<'a>) {
        self.unsynced.push(Unsynced { number, change, is_given_up: false });
    }

    /// A sync that began at `number` has ended.
    pub(crate) fn sync_ended(&mut self, number: u64, succeeded: bool, random: &mut impl Rng) {
        let covered = self.unsynced.partition_point(|unsynced| unsynced.number < number);
        if !succeeded {
            self.unsynced[..covered].iter_mut().for_each(|unsynced| unsynced.is_given_up = true);
            return;
        }
        for unsynced in self.unsynced.drain(..covered) {
            if !unsynced.is_given_up || random.random() {
                apply(&mut self.synced, unsynced.change);
            }
        }
    }

    /// What could be there after a loss of power now.
    pub(crate) fn after_power_loss(&self, random: &mut impl Rng) -> Vec<u8> {
        let mut content = self.synced.clone();
        match luck(random) {
            Luck::Nothing => {}
            Luck::Everything => content = self.as_written(),
            Luck::Beginning if self.unsynced.is_empty() => {}
            Luck::Beginning => {
                let whole = random.random_range(0..self.unsynced.len());
                self.unsynced[..whole].iter().for_each(|unsynced| apply(&mut content, unsynced.change));
                let mut sectors = random.random_range(0..8);
                apply_torn(&mut content, self.unsynced[whole].change, |_| {
                    sectors -= 1;
                    sectors >= 0
                });
            }
            Luck::Some(part) => {
                // A sector is as it was at some moment: without one write to it, it is without those that came later.
                let mut lost = HashSet::new();
                for unsynced in &self.unsynced {
                    apply_torn(&mut content, unsynced.change, |sector| {
                        let is_there = !sector.is_some_and(|sector| lost.contains(&sector)) && random.random_bool(part);
                        if !is_there {
                            lost.extend(sector);
                        }
                        is_there
                    });
                }
            }
        }
        // The size may be there before the data.
        if random.random_ratio(1, 4) {
            content.resize(content.len().max(self.size()), 0);
        }
        content
    }

    /// What is certain.
    pub(crate) fn as_synced(&self) -> Vec<u8> {
        self.synced.clone()
    }

    /// What the program sees.
    pub(crate) fn as_written(&self) -> Vec<u8> {
        let mut content = self.synced.clone();
        self.unsynced.iter().for_each(|unsynced| apply(&mut content, unsynced.change));
        content
    }

    fn size(&self) -> usize {
        self.unsynced.iter().fold(self.synced.len(), |size, unsynced| match unsynced.change {
            Change::Write { offset, data } => size.max(offset as usize + data.len()),
            Change::Resize { size } => size as usize,
        })
    }
}

fn luck(random: &mut impl Rng) -> Luck {
    match random.random_range(0..5) {
        0 => Luck::Nothing,
        1 => Luck::Everything,
        2 => Luck::Beginning,
        _ => Luck::Some(random.random_range(0.05..0.95)),
    }
}

fn apply(content: &mut Vec<u8>, change: Change<'_>) {
    apply_torn(content, change, |_| true);
}

/// Does what `is_there` says of each sector, by its number, or of a change of size.
fn apply_torn(content: &mut Vec<u8>, change: Change<'_>, mut is_there: impl FnMut(Option<usize>) -> bool) {
    match change {
        Change::Write { offset, mut data } => {
            let mut offset = offset as usize;
            while !data.is_empty() {
                let length = data.len().min(SECTOR_BYTES - offset % SECTOR_BYTES);
                let (sector, rest) = data.split_at(length);
                if is_there(Some(offset / SECTOR_BYTES)) {
                    content.resize(content.len().max(offset + length), 0);
                    content[offset..offset + length].copy_from_slice(sector);
                }
                (offset, data) = (offset + length, rest);
            }
        }
        Change::Resize { size } => {
            if is_there(None) {
                content.resize(size as usize, 0);
            }
        }
    }
}
