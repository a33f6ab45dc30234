//! Folders of data: copied, and the files in them.

use std::io;
use std::path::{Path, PathBuf};

/// Copies the files of a folder and its folders. Sockets are left out.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The files of the store that hold something, without its own log for people and its lock.
pub(crate) fn data_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_told = name.to_str().is_some_and(|name| name.starts_with("LOG") || name == "LOCK");
        if entry.file_type()?.is_file() && !is_told && entry.metadata()?.len() > 0 {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
