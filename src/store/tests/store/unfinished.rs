//! What was never synced does not keep a store from being opened, whatever a fault has left of it.

use std::fs::File;
use std::io::Write;

use tempfile::TempDir;

use super::support::{LOG, commit, copy_files, counted, fill_a_log, logs, manifest, open, open_small, put, seqs};

const SECTOR_BYTES: usize = 512;

/// The first write to a new log has failed, or was lost with the power. What the log before held when it was last used is
/// still behind its own records, and files hold what it has.
#[test]
fn an_empty_log_behind_one_that_was_used_before() {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    let in_new_log = fill_a_log(&store, directory.path(), 0);
    drop(store);
    let mut logs = logs(directory.path());
    let new = logs.pop().unwrap();
    let of_another = std::fs::read(&new).unwrap();
    File::options().write(true).open(new).unwrap().set_len(0).unwrap();
    for before in logs {
        File::options().append(true).open(before).unwrap().write_all(&of_another).unwrap();
    }
    assert_eq!(counted(&open(&directory)), in_new_log);
}

/// As [`an_empty_log_behind_one_that_was_used_before`], where the log before is kept only for families that had nothing in
/// it: they are told so one write-out later.
#[test]
fn a_log_that_only_families_without_anything_in_it_keep() {
    let directory = TempDir::new().unwrap();
    let store = open_small(directory.path());
    let in_new_log = fill_a_log(&store, directory.path(), 0);
    drop(store);
    let new = logs(directory.path()).pop().unwrap();
    let number: u8 = new.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let manifest = manifest(directory.path());
    let content = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, with_lowest_log(&content, number, number - 1)).unwrap();
    std::fs::copy(&new, new.with_file_name(format!("{:06}.log", number - 1))).unwrap();
    assert_eq!(counted(&open(&directory)), in_new_log + 1);
}

/// A manifest whose last entry keeps another log than this.
fn with_lowest_log(manifest: &[u8], log: u8, other: u8) -> Vec<u8> {
    let mut content = manifest.to_vec();
    let mut last = 0;
    let mut next = 0;
    while next < content.len() {
        last = next;
        next += 7 + usize::from(u16::from_le_bytes([content[next + 4], content[next + 5]]));
    }
    let field = (last + 7..next).find(|&at| content[at..].starts_with(&[10, log])).unwrap();
    content[field + 1] = other;
    let checksum = crc32c::crc32c(&content[last + 6..]).rotate_right(15).wrapping_add(0xa282_ead8);
    content[last..last + 4].copy_from_slice(&checksum.to_le_bytes());
    content
}

/// An entry of the manifest that changes nothing: a field that is no longer used, again and again.
fn entry() -> Vec<u8> {
    let data = [9, 0].repeat(180);
    let body = [&[1][..], &data].concat();
    let checksum = crc32c::crc32c(&body).rotate_right(15).wrapping_add(0xa282_ead8);
    [&checksum.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &body].concat()
}

#[test]
fn sectors_missing_at_the_end_of_the_manifest() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    commit(&store, |writes| put(writes, LOG, 0..9));
    drop(store);
    let synced = std::fs::read(manifest(directory.path())).unwrap();
    let written = [synced.clone(), entry().repeat(8)].concat();
    let is_there = |content: &[u8]| {
        let copy = TempDir::new().unwrap();
        copy_files(directory.path(), copy.path());
        std::fs::write(manifest(copy.path()), content).unwrap();
        assert_eq!(seqs(&open(&copy).read(LOG, 0, usize::MAX).unwrap()).concat(), (0..9).collect::<Vec<_>>());
    };
    is_there(&written);
    for sector in synced.len() / SECTOR_BYTES..written.len().div_ceil(SECTOR_BYTES) {
        let start = (sector * SECTOR_BYTES).max(synced.len());
        let end = (start / SECTOR_BYTES + 1) * SECTOR_BYTES;
        let end = end.min(written.len());
        let mut torn = written.clone();
        torn[start..end].fill(0);
        is_there(&torn);
        torn[start..].fill(0);
        is_there(&torn);
        torn.truncate(end);
        is_there(&torn);
        is_there(&written[..end]);
    }
}
