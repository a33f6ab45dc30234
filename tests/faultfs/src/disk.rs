//! A folder replayed from a journal, and what a loss of power leaves of it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use rand::Rng;

use crate::file::{Change, File};
use crate::folder::{Folders, Names, Node};
use crate::journal::Operation;

/// The state of a folder at one point of a journal.
///
/// What was written is certain once a sync of the file that began later has succeeded; a name, once one of its folder
/// has. Of the rest, a loss of power leaves what it likes: see [`Disk::after_power_loss`].
#[derive(Clone, Debug, Default)]
pub struct Disk<'a> {
    files: Vec<File<'a>>,
    folders: Folders,
    handles: HashMap<u64, Target>,
    syncs: HashMap<u64, Sync>,
    /// Of the next operation: what was done before a sync began has a lower one.
    number: u64,
}

#[derive(Clone, Debug)]
enum Target {
    File(usize),
    Folder(PathBuf),
}

#[derive(Clone, Debug)]
struct Sync {
    target: Target,
    began: u64,
}

impl<'a> Disk<'a> {
    /// Begins with what is in `root`, all of it certain. What is no file or folder is left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(root: &Path) -> io::Result<Self> {
        let (mut files, mut names) = (Vec::new(), Names::new());
        load(root, Path::new(""), &mut files, &mut names)?;
        Ok(Self { files, folders: Folders::synced(names), ..Self::default() })
    }

    /// Takes the next operation of the journal. Chance decides about what was given up by a failed sync.
    pub fn apply(&mut self, operation: &Operation<'a>, random: &mut impl Rng) {
        self.number += 1;
        match *operation {
            // What the process before had open is closed; what it was syncing never ended.
            Operation::Start => {
                self.handles.clear();
                self.syncs.clear();
            }
            Operation::Open { handle, path, truncates } => self.open(handle, path, truncates),
            Operation::Write { handle, offset, data } => self.change(handle, Change::Write { offset, data }),
            Operation::Resize { handle, size } => self.change(handle, Change::Resize { size }),
            Operation::SyncBegin { handle, sync } => {
                if let Some(target) = self.handles.get(&handle).cloned() {
                    self.syncs.insert(sync, Sync { target, began: self.number });
                }
            }
            Operation::SyncEnd { sync, succeeded } => self.sync_ended(sync, succeeded, random),
            Operation::Rename { from, to } => self.folders.rename(self.number, from, to),
            Operation::Link { from, to } => {
                if let Some(node) = self.folders.get(from) {
                    self.folders.put(self.number, to, node);
                }
            }
            Operation::Remove { path } => self.folders.remove(self.number, path),
            Operation::MakeFolder { path } => self.folders.put(self.number, path, Node::Folder),
        }
    }

    fn open(&mut self, handle: u64, path: &str, truncates: bool) {
        let target = match self.folders.get(path) {
            _ if path.is_empty() => Target::Folder(PathBuf::new()),
            Some(Node::Folder) => Target::Folder(path.into()),
            Some(Node::File(file)) => Target::File(file),
            None => {
                self.files.push(File::default());
                let file = self.files.len() - 1;
                self.folders.put(self.number, path, Node::File(file));
                Target::File(file)
            }
        };
        self.handles.insert(handle, target);
        if truncates {
            self.change(handle, Change::Resize { size: 0 });
        }
    }

    fn change(&mut self, handle: u64, change: Change<'a>) {
        if let Some(Target::File(file)) = self.handles.get(&handle) {
            self.files[*file].change(self.number, change);
        }
    }

    fn sync_ended(&mut self, sync: u64, succeeded: bool, random: &mut impl Rng) {
        match self.syncs.remove(&sync) {
            Some(Sync { target: Target::File(file), began }) => self.files[file].sync_ended(began, succeeded, random),
            Some(Sync { target: Target::Folder(path), began }) if succeeded => {
                self.folders.synced_folder(&path, began);
            }
            _ => {}
        }
    }

    /// Writes into `root`, which must be empty, what could be left after a loss of power at this point. Of what was not
    /// synced there is, by chance: nothing, all, a beginning that ends within a write, or any of its sectors (512 bytes)
    /// without the others; the size of a file may be there without the data. Of each folder's names there is a beginning.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn after_power_loss(&self, root: &Path, random: &mut impl Rng) -> io::Result<()> {
        let names = self.folders.after_power_loss(random);
        write(root, &names, |file| self.files[file].after_power_loss(random))
    }

    /// Writes into `root`, which must be empty, what is certain at this point: the loss of power that takes everything it
    /// can.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn as_synced(&self, root: &Path) -> io::Result<()> {
        write(root, self.folders.as_synced(), |file| self.files[file].as_synced())
    }

    /// Writes into `root`, which must be empty, everything as the program under test sees it at this point.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn as_written(&self, root: &Path) -> io::Result<()> {
        write(root, self.folders.as_written(), |file| self.files[file].as_written())
    }
}

fn write(root: &Path, names: &Names, mut content: impl FnMut(usize) -> Vec<u8>) -> io::Result<()> {
    std::fs::create_dir_all(root)?;
    for (path, node) in names {
        let path = root.join(path);
        match node {
            Node::Folder => std::fs::create_dir_all(path)?,
            // A name may be there although that of its folder is not.
            Node::File(_) if !path.parent().is_some_and(Path::is_dir) => {}
            Node::File(file) => std::fs::write(path, content(*file))?,
        }
    }
    Ok(())
}

fn load(root: &Path, folder: &Path, files: &mut Vec<File<'_>>, names: &mut Names) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            names.insert(path.clone(), Node::Folder);
            load(root, &path, files, names)?;
        } else if kind.is_file() {
            files.push(File::synced(std::fs::read(entry.path())?));
            names.insert(path, Node::File(files.len() - 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const OPEN: Operation<'_> = Operation::Open { handle: 1, path: "a", truncates: true };
    const OPEN_ROOT: Operation<'_> = Operation::Open { handle: 2, path: "", truncates: false };
    const OLD: [u8; 1024] = [1; 1024];
    const NEW: [u8; 1024] = [2; 1024];

    fn write(data: &[u8]) -> Operation<'_> {
        Operation::Write { handle: 1, offset: 0, data }
    }

    fn sync(handle: u64, succeeded: bool) -> [Operation<'static>; 2] {
        [Operation::SyncBegin { handle, sync: handle }, Operation::SyncEnd { sync: handle, succeeded }]
    }

    /// What 200 losses of power leave: the content of the file named, or none.
    fn outcomes(operations: &[Operation<'_>], name: &str) -> HashSet<Option<Vec<u8>>> {
        let found = (0..200).map(|seed| {
            let mut random = StdRng::seed_from_u64(seed);
            let mut disk = Disk::default();
            operations.iter().for_each(|operation| disk.apply(operation, &mut random));
            let root = tempfile::tempdir().unwrap();
            disk.after_power_loss(root.path(), &mut random).unwrap();
            std::fs::read(root.path().join(name)).ok()
        });
        found.collect()
    }

    #[test]
    fn what_was_synced_is_there() {
        let operations = [&[OPEN, OPEN_ROOT, write(&OLD)][..], &sync(1, true), &sync(2, true)].concat();
        assert_eq!(outcomes(&operations, "a"), HashSet::from([Some(OLD.to_vec())]));
    }

    #[test]
    fn the_worst_loss_leaves_what_was_synced_and_nothing_else() {
        let synced = [&[OPEN, OPEN_ROOT, write(&OLD)][..], &sync(1, true), &sync(2, true)].concat();
        let later = [write(&NEW), Operation::Rename { from: "a", to: "b" }];
        let (mut disk, mut random) = (Disk::default(), StdRng::seed_from_u64(0));
        synced.iter().chain(&later).for_each(|operation| disk.apply(operation, &mut random));
        let root = tempfile::tempdir().unwrap();
        disk.as_synced(root.path()).unwrap();
        assert_eq!(std::fs::read(root.path().join("a")).unwrap(), OLD);
        assert!(!root.path().join("b").exists());
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_missing() {
        let operations = [&[OPEN, OPEN_ROOT, write(&OLD)][..], &sync(1, true)].concat();
        assert_eq!(outcomes(&operations, "a"), HashSet::from([None, Some(OLD.to_vec())]));
    }

    #[test]
    fn of_a_write_that_was_not_synced_any_sector_may_be_there() {
        let synced = [&[OPEN, OPEN_ROOT, write(&OLD)][..], &sync(1, true), &sync(2, true), &[write(&NEW)]].concat();
        let half = |first: &[u8; 1024], second: &[u8; 1024]| Some([&first[..512], &second[512..]].concat());
        let expected = [half(&OLD, &OLD), half(&NEW, &OLD), half(&OLD, &NEW), half(&NEW, &NEW)];
        assert_eq!(outcomes(&synced, "a"), HashSet::from(expected));
    }

    #[test]
    fn a_sector_has_no_later_write_without_the_earlier_ones() {
        let small = |offset, data| Operation::Write { handle: 1, offset, data };
        let operations = [&[OPEN, OPEN_ROOT][..], &sync(2, true), &[small(0, b"1"), small(1, b"2")]].concat();
        let found = outcomes(&operations, "a");
        assert!(found.contains(&Some(b"12".to_vec())));
        assert!(!found.contains(&Some(b"\x002".to_vec())), "{found:?}");
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let begun = [OPEN, OPEN_ROOT, Operation::SyncBegin { handle: 1, sync: 7 }, write(&OLD)];
        let operations = [&begun[..], &sync(2, true), &[Operation::SyncEnd { sync: 7, succeeded: true }]].concat();
        assert!(outcomes(&operations, "a").contains(&Some(Vec::new())));
    }

    #[test]
    fn after_a_failed_sync_the_next_one_proves_nothing() {
        let failed = [&[OPEN, OPEN_ROOT, write(&OLD)][..], &sync(2, true), &sync(1, false)].concat();
        let operations = [&failed[..], &sync(1, true)].concat();
        assert!(outcomes(&operations, "a").contains(&Some(Vec::new())));
    }

    #[test]
    fn a_file_under_a_new_name_shows_its_old_content_where_the_new_was_not_synced() {
        let old = [&[OPEN, OPEN_ROOT, write(&OLD)][..], &sync(1, true)].concat();
        let renamed = [&old[..], &[Operation::Rename { from: "a", to: "b" }], &sync(2, true), &[write(&NEW)]].concat();
        let found = outcomes(&renamed, "b");
        assert!(found.contains(&Some(OLD.to_vec())) && found.contains(&Some(NEW.to_vec())) && found.len() == 4);
        assert_eq!(outcomes(&renamed, "a"), HashSet::from([None]));
    }
}
