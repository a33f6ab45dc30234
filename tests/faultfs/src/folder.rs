//! Names, and which of their changes are certain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::{Rng, RngExt};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// A file, by its number.
    File(usize),
    Folder,
}

/// All names below the root, by their path from there.
pub(crate) type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Debug)]
enum Change {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

#[derive(Clone, Debug)]
struct Unsynced {
    number: u64,
    folder: PathBuf,
    change: Change,
}

/// The names as the program sees them, and as a loss of power leaves them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folders {
    now: Names,
    synced: Names,
    unsynced: Vec<Unsynced>,
}

impl Folders {
    pub(crate) fn synced(names: Names) -> Self {
        Self { now: names.clone(), synced: names, unsynced: Vec::new() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<Node> {
        self.now.get(Path::new(path)).copied()
    }

    pub(crate) fn put(&mut self, number: u64, path: &str, node: Node) {
        self.change(number, parent(path), Change::Put(path.into(), node));
    }

    pub(crate) fn remove(&mut self, number: u64, path: &str) {
        self.change(number, parent(path), Change::Remove(path.into()));
    }

    /// Within a folder a rename is there or not. Between two of them, the new name and the loss of the old one may be
    /// apart.
    pub(crate) fn rename(&mut self, number: u64, from: &str, to: &str) {
        let Some(node) = self.get(from) else { return };
        if parent(from) == parent(to) {
            self.change(number, parent(to), Change::Rename(from.into(), to.into(), node));
        } else {
            self.put(number, to, node);
            self.remove(number, from);
        }
    }

    fn change(&mut self, number: u64, folder: PathBuf, change: Change) {
        apply(&mut self.now, &change);
        self.unsynced.push(Unsynced { number, folder, change });
    }

    /// A sync of `folder` that began at `number` has succeeded.
    pub(crate) fn synced_folder(&mut self, folder: &Path, number: u64) {
        let Self { synced, unsynced, .. } = self;
        unsynced.retain(|unsynced| {
            let is_covered = unsynced.folder == folder && unsynced.number < number;
            if is_covered {
                apply(synced, &unsynced.change);
            }
            !is_covered
        });
    }

    /// What is certain.
    pub(crate) fn as_synced(&self) -> &Names {
        &self.synced
    }

    /// What the program sees.
    pub(crate) fn as_written(&self) -> &Names {
        &self.now
    }

    /// What could be there after a loss of power now: of each folder's changes, those that came first.
    pub(crate) fn after_power_loss(&self, random: &mut impl Rng) -> Names {
        let folders: BTreeSet<&Path> = self.unsynced.iter().map(|unsynced| unsynced.folder.as_path()).collect();
        let mut names = self.synced.clone();
        for folder in folders {
            let of_folder: Vec<_> = self.unsynced.iter().filter(|unsynced| unsynced.folder == folder).collect();
            let first = random.random_range(0..=of_folder.len());
            of_folder[..first].iter().for_each(|unsynced| apply(&mut names, &unsynced.change));
        }
        names
    }
}

/// The folder of a path; the root's is empty.
fn parent(path: &str) -> PathBuf {
    Path::new(path).parent().unwrap_or(Path::new("")).to_owned()
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Put(path, node) => {
            names.insert(path.clone(), *node);
        }
        Change::Remove(path) => {
            names.remove(path);
        }
        Change::Rename(from, to, node) => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}
