//! A loss of power at `store.sync = "os"`: takes the latest, and never leaves half of anything.

use leveret_faultfs::now_ns;
use leveret_tests::{Broker, Loss, with_test_time};

use super::power_loss::record;
use super::scene::{ConfirmedMessages, Scene, each_scene};

each_scene!(run);

/// Losses that leave some of what was not synced.
const SEEDS: u64 = 6;

async fn run<S: Scene>() {
    let (recording, moments) = record::<S>("os").await;
    let (moment_ns, scene) = moments.last().unwrap();
    let findings = scene.look(&recording.after_power_loss(*moment_ns, Loss::Everything).await).await;
    assert!(findings.wrong.is_empty(), "{findings:?}");
    assert!(!findings.broken.is_empty(), "nothing is lost");
    for seed in 0..SEEDS {
        let findings = scene.look(&recording.after_power_loss(*moment_ns, Loss::Seed(seed)).await).await;
        assert!(findings.wrong.is_empty(), "seed {seed}: {findings:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_syncs_everything() {
    with_test_time(async {
        let mut broker = Broker::start_on_faulty_disk(&["--sync", "os"], |_| ()).await;
        let scene = ConfirmedMessages::play(&broker).await;
        broker.restart().await;
        let moment_ns = now_ns();
        let recording = broker.into_recording();
        scene.look(&recording.after_power_loss(moment_ns, Loss::Everything).await).await.must_be_none();
    })
    .await;
}
