//! What goes wrong: the broker is killed and started again, sockets are dropped.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Error,
    broker::Broker,
    history::{Operation, Outcome},
    scene::Scene,
};

/// The broker is away for at most this time before it is started again.
const AWAY_MS_MAX: u64 = 300;

/// The run itself, as a process of the history.
const RUN: u32 = 0;

/// Does harm until the run is over; the broker runs then.
pub(crate) async fn torment(
    scene: Arc<Scene>,
    mut broker: Option<Broker>,
    mut random: StdRng,
) -> Result<Option<Broker>, Error> {
    let kill_every = if broker.is_some() { scene.options.kill_every } else { 0.0 };
    let mut kills = Moments::new(kill_every, &mut random);
    let mut cuts = Moments::new(scene.options.cut_every, &mut random);
    loop {
        tokio::select! {
            () = scene.over.cancelled() => return Ok(broker),
            () = kills.next() => {
                if let Some(broker) = &mut broker {
                    kill(&scene, broker, &mut random).await?;
                }
                kills.choose(&mut random);
            }
            () = cuts.next() => {
                cut(&scene, &mut random);
                cuts.choose(&mut random);
            }
        }
    }
}

async fn kill(scene: &Scene, broker: &mut Broker, random: &mut StdRng) -> Result<(), Error> {
    scene.recorder.record(RUN, Operation::Kill, Outcome::Ok);
    broker.kill()?;
    sleep(Duration::from_millis(random.random_range(0..=AWAY_MS_MAX))).await;
    broker.start_again()?;
    scene.until_reachable(Some(broker)).await?;
    scene.recorder.record(RUN, Operation::Restart, Outcome::Ok);
    Ok(())
}

fn cut(scene: &Scene, random: &mut StdRng) {
    if let Some((victim, cutter)) = scene.victim(random) {
        scene.recorder.record(RUN, Operation::Cut { victim }, Outcome::Ok);
        cutter.abort();
    }
}

/// Random moments that are so far apart on average.
struct Moments {
    mean_s: f64,
    at: Option<Instant>,
}

impl Moments {
    /// A mean of 0 is never.
    fn new(mean_s: f64, random: &mut StdRng) -> Self {
        let mut moments = Self { mean_s, at: None };
        moments.choose(random);
        moments
    }

    fn choose(&mut self, random: &mut StdRng) {
        let wait = (self.mean_s > 0.0).then(|| Duration::from_secs_f64(self.mean_s * random.random_range(0.0..2.0)));
        self.at = wait.map(|wait| Instant::now() + wait);
    }

    async fn next(&self) {
        match self.at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
