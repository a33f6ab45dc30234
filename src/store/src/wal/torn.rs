//! Cuts off what a loss of power left unfinished at the end of the manifest.
//!
//! The engine appends entries to its manifest and syncs it. Of what was not synced, a loss of power leaves any sectors of
//! the disk; in place of the others there are zeros, because the file had ended before them. An entry that is cut short the
//! engine takes for one that was being written; one with such a hole it takes for damage, and would refuse to open.
//!
//! Nothing that was synced is cut. A sync covers the whole file, so a sector that was never written says that there was no
//! sync since the entry with the hole was begun: neither it nor anything behind it ever was synced. And what an entry makes
//! superfluous, the engine removes only after its sync: the logs and files from before it are all there.
//!
//! Damage leaves no hole, is not touched and refuses the start. For no entry holds a sector of zeros, and none ends in more
//! than one: before a number that is zero stands its tag or its length.
//!
//! Not taken: cutting whatever cannot be read at the end. A bit that flips in the last entry looks like that too; but that
//! entry was synced, and what it had made superfluous is gone.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::{manifest, records};

const SECTOR_BYTES: usize = 512;
/// More than an entry has at its end by itself.
const HOLE_BYTES_MIN: usize = 2;

/// See the module. Nobody else may have the store open.
///
/// # Errors
/// When the manifest cannot be changed.
pub(crate) fn cut_torn_manifest(directory: &Path) -> std::io::Result<()> {
    // Where it cannot be read, the engine says what is wrong.
    let Some(file) = manifest::file(directory) else { return Ok(()) };
    let Ok(bytes) = std::fs::read(&file) else { return Ok(()) };
    let Some(torn) = records::unreadable(&bytes).map(|stretch| stretch.bytes) else { return Ok(()) };
    if !has_hole(&bytes, &torn) {
        return Ok(());
    }
    tracing::warn!(
        file = %file.display(),
        byte = torn.start,
        cut_bytes = bytes.len() - torn.start,
        "cut off what a loss of power left unfinished; it had not been synced"
    );
    let file = File::options().write(true).open(file)?;
    file.set_len(torn.start as u64)?;
    file.sync_all()
}

/// Whether a sector, as far as it is in this stretch, holds only zeros.
fn has_hole(bytes: &[u8], stretch: &Range<usize>) -> bool {
    let sectors = (stretch.start / SECTOR_BYTES..stretch.end.div_ceil(SECTOR_BYTES)).map(|sector| {
        let start = sector * SECTOR_BYTES;
        &bytes[start.max(stretch.start)..(start + SECTOR_BYTES).min(stretch.end)]
    });
    sectors.into_iter().any(|part| part.len() >= HOLE_BYTES_MIN && part.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_a_sector_of_zeros_as_far_as_it_is_in_the_stretch() {
        let mut bytes = [7; 3 * SECTOR_BYTES];
        let whole = 100..bytes.len() - 100;
        assert!(!has_hole(&bytes, &whole));
        bytes[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0);
        assert!(has_hole(&bytes, &whole));
        bytes[SECTOR_BYTES + 9] = 7;
        assert!(!has_hole(&bytes, &whole));
        assert!(has_hole(&bytes, &(100..SECTOR_BYTES + 2)), "the file ends here");
        assert!(!has_hole(&bytes, &(100..SECTOR_BYTES + 1)), "an entry may end like this");
        assert!(has_hole(&bytes, &(SECTOR_BYTES + 10..3 * SECTOR_BYTES)));
    }
}
