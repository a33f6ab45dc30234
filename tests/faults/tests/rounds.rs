//! A few fixed seeds of each kind of fault; `make faults` runs as many as one likes.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use leveret_faults::{Kind, Outcome, run};

/// Two runs, of up to twelve rounds each.
const SEEDS: [u64; 2] = [1, 2];

async fn rounds(kind: Kind) {
    for seed in SEEDS {
        let rounds = run(seed, Some(kind), Path::new(env!("CARGO_TARGET_TMPDIR"))).await.unwrap();
        let failed: Vec<_> = rounds.iter().filter(|round| matches!(round.outcome, Outcome::Failed(_))).collect();
        assert!(failed.is_empty(), "make faults ARGS=\"--kind {} --seed {seed}\": {failed:#?}", kind.name());
    }
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
    torn_record: TornRecord,
    disk_full: DiskFull,
    disk_full_at_start: DiskFullAtStart,
    write_error: WriteError,
    sync_error: SyncError,
    read_error: ReadError,
    read_only: ReadOnly,
    short_writes: ShortWrites,
    flipped_bit: FlippedBit,
}
