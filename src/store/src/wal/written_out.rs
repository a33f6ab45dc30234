//! Removes logs that the engine would stumble over although nothing is in them that it needs.
//!
//! The engine writes all families out together, and lets nobody see that before everything is in files that was written
//! before the moment it chose ([`crate::tuning`]). So once the manifest says of one family that it is written out up to a
//! log, everything in the logs before that is in files, of all families; and the entries that say so count as a group or
//! not at all. But a family that had nothing new at that moment keeps the log that it was given earlier, and so all logs
//! since are replayed. Where one of these cannot be read to its end, because a bit has flipped, or only because of what it
//! held when it was last used, the engine stops there, sees that files are newer, and refuses to open.
//!
//! Manifests in which no group has ended say nothing of that kind: those are of stores that wrote families out one by one.
//!
//! Not taken: cutting off what such a log held when it was last used (what a flipped bit leaves may look the same), and
//! writing to each family with each commit, so that none has nothing new (a file for each of them, each time).

use std::fs::File;
use std::path::Path;

use super::gap::logs;
use super::manifest::Manifest;
use super::records::{self, Found};

/// See the module. Nobody else may have the store open.
///
/// # Errors
/// When a log cannot be read at all, or not be removed.
pub(crate) fn remove_written_out(directory: &Path) -> std::io::Result<()> {
    let Some(manifest) = Manifest::read(directory) else { return Ok(()) };
    for (number, file) in logs(directory, manifest.log_min)? {
        if number >= manifest.log_written_out {
            break;
        }
        let bytes = std::fs::read(&file)?;
        let unreadable = records::reused(&bytes, number).find_map(|found| match found {
            Found::Unreadable(offset) => Some(offset),
            Found::Record(_) => None,
        });
        if let Some(offset) = unreadable {
            tracing::warn!(file = %file.display(), byte = offset, "removed a log that ends here; all of it is in files");
            // What says that it is not needed may itself not be synced, after a crash of the process in that moment.
            File::open(&manifest.file)?.sync_all()?;
            std::fs::remove_file(file)?;
        }
    }
    Ok(())
}
