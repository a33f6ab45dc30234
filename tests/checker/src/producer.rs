//! Clients that publish with confirms, in bursts, with a window of their own for each connection.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use rand::{RngExt, rngs::StdRng};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    MessageId, body,
    history::{Operation, Outcome},
    scene::Scene,
    session::Session,
};

/// Between two bursts.
const TICK: Duration = Duration::from_millis(10);

/// Unconfirmed messages at most.
const WINDOW_MAX: usize = 300;

/// Bytes of most bodies, and of the few large ones, which are chunks of their own in the store.
const BODY_BYTES_MAX: usize = 300;
const LARGE_BODY_BYTES_MAX: usize = 100_000;
const LARGE_BODIES: f64 = 0.01;

const PERSISTENT: u8 = 2;

/// Publishes on one connection after the other until the run is over.
pub(crate) async fn produce(scene: Arc<Scene>, mut random: StdRng) {
    while !scene.over.is_cancelled() {
        match Session::open(&scene).await {
            Ok(session) => {
                let mut producer = Producer::new(&session, &mut random);
                // The end of the connection is what is meant to happen.
                let _ = producer.publish().await;
                producer.finish().await;
                session.close().await;
            }
            Err(_) => scene.pause().await,
        }
    }
}

struct Producer<'s> {
    session: &'s Session,
    random: &'s mut StdRng,
    window: usize,
    burst_max: u32,
    next: u32,
    confirms: FuturesUnordered<BoxFuture<'static, (MessageId, lapin::Result<Confirmation>)>>,
    /// The queues of the messages whose confirms are still to come.
    unanswered: BTreeMap<MessageId, u32>,
}

impl<'s> Producer<'s> {
    fn new(session: &'s Session, random: &'s mut StdRng) -> Self {
        let options = &session.scene.options;
        let per_tick = f64::from(options.rate) / f64::from(options.producers) * TICK.as_secs_f64();
        Self {
            session,
            window: random.random_range(1..=WINDOW_MAX),
            random,
            burst_max: (2.0 * per_tick).ceil() as u32,
            next: 0,
            confirms: FuturesUnordered::new(),
            unanswered: BTreeMap::new(),
        }
    }

    async fn publish(&mut self) -> lapin::Result<()> {
        let session = self.session;
        session.answer(session.channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = session.scene.over.cancelled() => return Ok(()),
                _ = tick.tick(), if self.confirms.len() < self.window => self.burst().await?,
                Some((id, answer)) = self.confirms.next() => self.answered(id, answer)?,
            }
        }
    }

    async fn burst(&mut self) -> lapin::Result<()> {
        for _ in 0..self.random.random_range(0..=self.burst_max) {
            let id = MessageId { producer: self.session.process, sequence: self.next };
            self.next += 1;
            let queue = self.random.random_range(0..self.session.scene.options.queues);
            let bytes_max = if self.random.random_bool(LARGE_BODIES) { LARGE_BODY_BYTES_MAX } else { BODY_BYTES_MAX };
            let len = self.random.random_range(0..=bytes_max);
            self.send(id, queue, len).await?;
        }
        Ok(())
    }

    async fn send(&mut self, id: MessageId, queue: u32, len: usize) -> lapin::Result<()> {
        self.session.record(Operation::Publish { id, queue }, Outcome::Started);
        self.unanswered.insert(id, queue);
        let body = body::encode(id, len);
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let (options, key) = (BasicPublishOptions::default(), self.session.scene.queue(queue));
        let sent = self.session.channel.basic_publish("".into(), key.into(), options, &body, properties);
        let confirm = self.session.answer(sent).await?;
        self.confirms.push(async move { (id, confirm.await) }.boxed());
        Ok(())
    }

    fn answered(&mut self, id: MessageId, answer: lapin::Result<Confirmation>) -> lapin::Result<()> {
        let outcome = if answer?.is_ack() { Outcome::Ok } else { Outcome::Fail };
        if let Some(queue) = self.unanswered.remove(&id) {
            self.session.record(Operation::Publish { id, queue }, outcome);
        }
        Ok(())
    }

    /// Waits for the confirms that can still come, and writes down which did not.
    async fn finish(&mut self) {
        let patience = self.session.scene.patience();
        let all = async {
            while let Some((id, answer)) = self.confirms.next().await {
                // A connection that ended gives errors for what it still had to answer, and confirms among them.
                let _ = self.answered(id, answer);
            }
        };
        // Without an answer after that time there is none.
        let _ = timeout(patience, all).await;
        for (id, queue) in std::mem::take(&mut self.unanswered) {
            self.session.record(Operation::Publish { id, queue }, Outcome::Unknown);
        }
    }
}
