//! A few fixed seeds of each kind of fault; `make faults` runs as many as one likes.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use leveret_faults::{Kind, Outcome, Sync, run};

/// Two runs, of up to twelve rounds each.
const SEEDS: [u64; 2] = [1, 2];
/// Runs of which one at least must find that a loss of power has lost something, where it may: seeds 1 to 4 each did alone.
const SEEDS_WITH_LOSS: std::ops::Range<u64> = 1..13;

async fn rounds(kind: Kind) {
    for seed in SEEDS {
        let rounds = run(seed, kind, Sync::Commit, Path::new(env!("CARGO_TARGET_TMPDIR"))).await.unwrap();
        let failed: Vec<_> = rounds.iter().filter(|round| matches!(round.outcome, Outcome::Failed(_))).collect();
        assert!(failed.is_empty(), "make faults ARGS=\"--kind {} --seed {seed}\": {failed:#?}", kind.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losses_of_power_are_found_to_lose_what_was_not_synced() {
    let kept = tempfile::tempdir().unwrap();
    for seed in SEEDS_WITH_LOSS {
        let rounds = run(seed, Kind::PowerLoss, Sync::Os, kept.path()).await.unwrap();
        let is_lost = |round: &&leveret_faults::Round| match &round.outcome {
            Outcome::Failed(complaints) => complaints.contains("were confirmed and are lost"),
            _ => false,
        };
        if rounds.iter().any(|round| is_lost(&round)) {
            return;
        }
    }
    panic!("nothing is ever found to be lost");
}

macro_rules! kinds {
    ($($name:ident: $kind:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                rounds(Kind::$kind).await;
            }
        )*
    };
}

kinds! {
    kill: Kill,
    power_loss: PowerLoss,
    power_loss_at_start: PowerLossAtStart,
    torn_record: TornRecord,
    disk_full: DiskFull,
    disk_full_at_start: DiskFullAtStart,
    write_error: WriteError,
    write_error_at_start: WriteErrorAtStart,
    sync_error: SyncError,
    sync_error_at_start: SyncErrorAtStart,
    read_error: ReadError,
    read_error_at_start: ReadErrorAtStart,
    read_only: ReadOnly,
    read_only_at_start: ReadOnlyAtStart,
    short_writes: ShortWrites,
    flipped_bit: FlippedBit,
}
