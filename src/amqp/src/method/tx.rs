//! Class 90, tx: publishes and settlements of a channel taken together.

use super::macros::{Class, Fields, class, fields};
use crate::{
    WireError,
    wire::{Reader, Writer},
};

class! {
    /// The methods of class tx.
    90 "tx" Tx Method;

    /// Client: makes the channel transactional.
    10 "select" Select {}

    /// Server: it is.
    11 "select-ok" SelectOk {}

    /// Client: do what was held back.
    20 "commit" Commit {}

    /// Server: done.
    21 "commit-ok" CommitOk {}

    /// Client: forget what was held back.
    30 "rollback" Rollback {}

    /// Server: forgotten.
    31 "rollback-ok" RollbackOk {}
}
