//! The course of a run: start, declare, publish and consume under faults, take what is left, judge.

use std::{path::Path, sync::Arc, time::Duration};

use lapin::{
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::task::JoinSet;

use crate::{
    Error, Options, Report, broker::Broker, check, consumer::consume, drain::drain, history::Recorder,
    nemesis::torment, producer::produce, scene::Scene, session::Session,
};

/// The parts of the run that make choices, beside producers and consumers.
const NEMESIS: u64 = 0;

/// Runs as the options say, with the broker's data in `folder`, and judges what happened. The history is in
/// [`Options::history`], or else in `history.jsonl` in the folder.
///
/// # Errors
///
/// Where the run could not be done. What the broker did wrong is in the report.
pub async fn run(options: &Options, folder: &Path) -> Result<Report, Error> {
    let mut broker = start(folder, options)?;
    let uri = match (&broker, &options.uri) {
        (Some(broker), _) => broker.uri(),
        (None, uri) => uri.clone().unwrap_or_default(),
    };
    let history = options.history.clone().unwrap_or_else(|| folder.join("history.jsonl"));
    let scene = Arc::new(Scene::new(options, &uri, Recorder::create(&history)?).await?);
    scene.until_reachable(broker.as_mut()).await?;
    declare(&scene).await?;
    let broker = perform(&scene, broker).await?;
    drain(&scene, || Ok(check(&scene.recorder.events(&history)?).lost)).await?;
    delete(&scene).await?;
    drop(broker);
    Ok(check(&scene.recorder.events(&history)?))
}

/// The broker of the run, unless there is one already.
fn start(folder: &Path, options: &Options) -> Result<Option<Broker>, Error> {
    if options.uri.is_some() {
        return Ok(None);
    }
    let command = match &options.start {
        Some(command) => command.clone(),
        None => leveret().map_err(Error::Start)?,
    };
    Broker::start(&command, options.port, folder).map(Some)
}

/// The command for the leveret in the folder of this program, or the one above it where tests are.
fn leveret() -> std::io::Result<String> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join("leveret")).find(|path| path.is_file());
    let binary = found.ok_or_else(|| std::io::Error::other("no leveret beside this program; give --start or --uri"))?;
    Ok(format!(
        "'{}' serve --data-dir {{dir}}/data --amqp-bind 127.0.0.1:{{port}} --http-bind '' --log-level warn",
        binary.display()
    ))
}

/// Everybody at work until the time is over; the broker runs then.
async fn perform(scene: &Arc<Scene>, broker: Option<Broker>) -> Result<Option<Broker>, Error> {
    let (producers, consumers) = (u64::from(scene.options.producers), u64::from(scene.options.consumers));
    let mut clients = JoinSet::new();
    for part in NEMESIS + 1..=producers {
        clients.spawn(produce(Arc::clone(scene), scene.random(part)));
    }
    for part in producers + 1..=producers + consumers {
        clients.spawn(consume(Arc::clone(scene), scene.random(part)));
    }
    let nemesis = torment(Arc::clone(scene), broker, scene.random(NEMESIS));
    let time = async {
        tokio::time::sleep(Duration::from_secs(scene.options.seconds)).await;
        scene.over.cancel();
    };
    let (broker, ()) = tokio::join!(nemesis, time);
    let broker = broker?;
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    Ok(broker)
}

/// Declares the queues, anew where an earlier run of the same seed has left them.
async fn declare(scene: &Arc<Scene>) -> Result<(), Error> {
    delete(scene).await?;
    let session = Session::open(scene).await.map_err(Error::refused("opening a channel"))?;
    for queue in 0..scene.options.queues {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(scene.options.queue_type.name().into()));
        let (name, options) = (scene.queue(queue), QueueDeclareOptions::durable());
        let declared = session.answer(session.channel.queue_declare(name.into(), options, arguments)).await;
        declared.map_err(Error::refused("declaring a queue"))?;
    }
    session.close().await;
    Ok(())
}

async fn delete(scene: &Arc<Scene>) -> Result<(), Error> {
    let session = Session::open(scene).await.map_err(Error::refused("opening a channel"))?;
    for queue in 0..scene.options.queues {
        let (name, options) = (scene.queue(queue), QueueDeleteOptions::default());
        let deleted = session.answer(session.channel.queue_delete(name.into(), options)).await;
        deleted.map_err(Error::refused("deleting a queue"))?;
    }
    session.close().await;
    Ok(())
}
