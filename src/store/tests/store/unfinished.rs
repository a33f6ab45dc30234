//! What was never synced does not keep a store from being opened, whatever a fault has left of it.

use std::fs::File;
use std::io::Write;

use tempfile::TempDir;

use super::support::{counted, fill_a_log, logs, open, open_small};

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
