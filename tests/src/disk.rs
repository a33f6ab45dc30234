//! A disk that fails on request, under a broker of our own.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use leveret_faultfs::journal::{Entry, Operation, entries};
use leveret_faultfs::{CONTROL, Control, JOURNAL, ROOT};

use crate::binary;

/// The switches of a disk, and where what happens on it is written.
#[derive(Debug)]
pub struct FaultyDisk {
    /// What was done, see [`leveret_faultfs::journal`].
    pub journal: PathBuf,
    control_file: PathBuf,
    /// What fails.
    pub control: Control,
}

impl FaultyDisk {
    /// A disk without faults yet; its files are in `folder`, which must not be the data folder.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let control_file = folder.join("disk.control");
        let control = Control::create(&control_file)?;
        Ok(Self { journal: folder.join("disk.journal"), control_file, control })
    }

    /// How often a file whose name ends so was written to.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn writes_to(&self, ending: &str) -> io::Result<usize> {
        let journal = std::fs::read(&self.journal)?;
        let mut handles = HashSet::new();
        let mut writes = 0;
        for Entry { operation, .. } in entries(&journal) {
            match operation {
                Operation::Open { handle, path, .. } if path.ends_with(ending) => _ = handles.insert(handle),
                Operation::Write { handle, .. } if handles.contains(&handle) => writes += 1,
                _ => {}
            }
        }
        Ok(writes)
    }

    /// What puts a program's files below `root` on this disk.
    ///
    /// # Panics
    /// When the library for that is not beside the broker's binary: `make test` builds both.
    pub fn environment(&self, root: &Path) -> [(&'static str, PathBuf); 4] {
        let library = binary().with_file_name("libleveret_faultfs_preload.so");
        assert!(library.is_file(), "{} is missing: run `make test`, which builds it", library.display());
        [
            ("LD_PRELOAD", library),
            (ROOT, root.to_owned()),
            (JOURNAL, self.journal.clone()),
            (CONTROL, self.control_file.clone()),
        ]
    }
}
