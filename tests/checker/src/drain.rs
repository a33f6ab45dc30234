//! Taking what is left when the run is over, until nothing is missing or patience ends.

use std::{sync::Arc, time::Duration};

use lapin::{
    ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::FieldTable,
};
use tokio::time::Instant;

use crate::{Error, MessageId, history::Answer, scene::Scene, session::Session, subscription::Subscription};

const PREFETCH: u16 = 200;

/// A queue may be empty when nothing comes for this time.
const QUIET: Duration = Duration::from_millis(100);

/// Empties all queues, again as long as `missing` tells of messages that could still come: what a connection that was cut
/// had is given back when the broker notices, which is not at once.
pub(crate) async fn drain(
    scene: &Arc<Scene>,
    missing: impl Fn() -> Result<Vec<MessageId>, Error>,
) -> Result<(), Error> {
    let deadline = Instant::now() + scene.patience();
    loop {
        let emptied = empty_all(scene).await;
        let late = Instant::now() > deadline;
        match emptied {
            Ok(()) if late || missing()?.is_empty() => return Ok(()),
            Err(reason) if late => return Err(Error::Drain(reason.to_string())),
            _ => scene.pause().await,
        }
    }
}

async fn empty_all(scene: &Arc<Scene>) -> lapin::Result<()> {
    for queue in 0..scene.options.queues {
        let session = Session::open(scene).await?;
        match empty(&session, queue).await {
            // Nothing more comes out of a queue that is gone. What was in it is lost, and it is for the report to say so.
            Err(error) if !is_not_found(&error) => return Err(error),
            _ => session.close().await,
        }
    }
    Ok(())
}

fn is_not_found(error: &lapin::Error) -> bool {
    let not_found = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == not_found)
}

async fn empty(session: &Session, queue: u32) -> lapin::Result<()> {
    let mut subscription = Subscription::open(session, queue, PREFETCH, Answer::Commit).await?;
    loop {
        let deliveries = subscription.take(PREFETCH.into(), QUIET).await?;
        if deliveries.is_empty() && ready(session, queue).await? == 0 {
            return Ok(());
        }
        subscription.acknowledge(&deliveries, true).await?;
        subscription.settle().await?;
    }
}

async fn ready(session: &Session, queue: u32) -> lapin::Result<u32> {
    let (name, options) = (session.scene.queue(queue), QueueDeclareOptions::default().passive());
    let declared = session.answer(session.channel.queue_declare(name.into(), options, FieldTable::default())).await?;
    Ok(declared.message_count())
}
