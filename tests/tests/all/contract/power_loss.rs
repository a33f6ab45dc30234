//! A loss of power at `store.sync = "commit"`.

use leveret_faultfs::now_ns;
use leveret_tests::{Broker, Loss, Recording, with_test_time};

use super::scene::{Acknowledgements, Scene, each_scene};

each_scene!(run);

/// Losses that leave some of what was not synced, at the last moment.
const SEEDS: u64 = 3;

/// A broker at work on a recorded disk, and what it had promised at some moments: right after each promise, when nothing
/// that came later can have synced what it is about.
pub(super) async fn record<S: Scene>(sync: &str) -> (Recording, Vec<(u64, S)>) {
    let mut broker = Broker::start_on_faulty_disk(&["--sync", sync], |_| ()).await;
    let mut scene = S::prepare(&broker).await;
    // Syncs everything: what can be lost is what is promised from here on.
    broker.restart().await;
    let mut moments = Vec::new();
    scene.promise_all(&broker, |promised| moments.push((now_ns(), promised.clone()))).await;
    (broker.into_recording(), moments)
}

async fn run<S: Scene>() {
    let (recording, moments) = record::<S>("commit").await;
    for (moment_ns, scene) in &moments {
        scene.look(&recording.after_power_loss(*moment_ns, Loss::Everything).await).await.must_be_none();
    }
    let (moment_ns, scene) = moments.last().unwrap();
    for seed in 0..SEEDS {
        scene.look(&recording.after_power_loss(*moment_ns, Loss::Seed(seed)).await).await.must_be_none();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_without_an_answer_come_back() {
    with_test_time(async {
        let (recording, moments) = record::<Acknowledgements>("commit").await;
        let (moment_ns, scene) = moments.last().unwrap();
        let broker = recording.after_power_loss(*moment_ns, Loss::Everything).await;
        assert_eq!(scene.came_back(&broker).await, 1);
    })
    .await;
}
