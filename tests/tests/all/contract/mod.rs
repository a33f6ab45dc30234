//! What README's section "What a confirm means" says, sentence by sentence.
//!
//! The section has a table: rows are what is promised, each a [`scene::Scene`]; columns are faults, each a module here,
//! with a test for each row. Sentences beside the table have tests of their own. [`readme`] sees to it that the section
//! and this room name the same tests.
//!
//! A loss of power is made from a recording: the broker runs on a disk whose every operation is written down, and is
//! started again on what the disk would be certain to hold at a moment, or might hold ([`leveret_tests::Recording`]). At
//! `store.sync = "os"` the same set-up must break promises: so these tests see a loss where there is one.

mod scene;

// Faults: the columns of the table.
mod crash;
mod failing_disk;
mod full_disk;
mod power_loss;
mod power_loss_at_os;
// When a confirm is sent.
mod confirms;
// The section itself.
mod readme;
