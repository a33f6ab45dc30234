//! Clients that consume, acknowledge in all ways there are, and give a few messages back.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng};

use crate::{history::Answer, scene::Scene, session::Session, subscription::Subscription};

/// Deliveries on the way to one consumer at most.
const PREFETCH_MAX: u16 = 100;

/// How many deliveries are given back.
const REQUEUES: f64 = 0.02;

/// How many batches of acknowledgements outside transactions are followed by a method with an answer.
const ANSWERED: f64 = 0.3;

/// A batch ends when nothing comes for this time.
const QUIET: Duration = Duration::from_millis(20);

/// Consumes on one connection after the other until the run is over.
pub(crate) async fn consume(scene: Arc<Scene>, mut random: StdRng) {
    while !scene.over.is_cancelled() {
        match Session::open(&scene).await {
            Ok(session) => {
                // The end of the connection is what is meant to happen.
                let _ = consume_on(&session, &mut random).await;
                session.close().await;
            }
            Err(_) => scene.pause().await,
        }
    }
}

async fn consume_on(session: &Session, random: &mut StdRng) -> lapin::Result<()> {
    let queue = random.random_range(0..session.scene.options.queues);
    let prefetch = random.random_range(1..=PREFETCH_MAX);
    let answer = if random.random() { Answer::Commit } else { Answer::Later };
    let mut subscription = Subscription::open(session, queue, prefetch, answer).await?;
    while !session.scene.over.is_cancelled() {
        let max = random.random_range(1..=prefetch);
        let (kept, returned): (Vec<_>, Vec<_>) =
            subscription.take(max.into(), QUIET).await?.into_iter().partition(|_| !random.random_bool(REQUEUES));
        for delivery in &returned {
            subscription.requeue(delivery).await?;
        }
        subscription.acknowledge(&kept, random.random()).await?;
        if answer == Answer::Commit || random.random_bool(ANSWERED) {
            subscription.settle().await?;
        }
    }
    subscription.settle().await
}
