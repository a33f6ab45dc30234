//! A manifest with a flipped bit: either nothing is missing, or the store refuses to open, names the file, and proposes
//! nothing that does not help.

use std::path::Path;

use leveret_store::{Options, Store, StoreError};
use tempfile::TempDir;

use super::support::{copy_files, counted, fill_a_log, manifest, open_small};

/// A store of which a part is in files and the rest in the log, closed; and how many chunks it has.
fn filled() -> (TempDir, u64) {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    let last = fill_a_log(&store, directory.path(), 0);
    drop(store);
    (directory, last + 1)
}

/// Opens what is in `from` with a bit of its manifest flipped, in an empty folder.
fn open_flipped(from: &Path, to: &Path, offset: usize, accept_damage: bool) -> Result<Store, StoreError> {
    copy_files(from, to);
    let manifest = manifest(to);
    let mut content = std::fs::read(&manifest).unwrap();
    content[offset] ^= 1 << (offset % 8);
    std::fs::write(&manifest, &content).unwrap();
    let opened = Store::open(to, &Options { accept_damage, ..Options::default() });
    if opened.is_err() {
        assert!(std::fs::read(&manifest).unwrap() == content, "byte {offset}: the evidence was changed");
    }
    opened
}

#[test]
fn a_bit_flipped_anywhere_in_the_manifest_loses_nothing_without_a_word() {
    let (directory, count) = filled();
    let name = manifest(directory.path()).file_name().unwrap().to_string_lossy().into_owned();
    let mut refused = 0;
    for offset in 0..std::fs::metadata(manifest(directory.path())).unwrap().len() as usize {
        let copy = TempDir::new().unwrap();
        match open_flipped(directory.path(), copy.path(), offset, offset % 2 == 0) {
            Ok(store) => assert_eq!(counted(&store), count, "byte {offset}"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains(&name) && !error.contains("accept_damage"), "byte {offset}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 200, "{refused} were refused");
}
