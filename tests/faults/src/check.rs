//! What the broker holds after a fault, compared with what it had promised.

mod messages;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ErrorKind};
use leveret_tests::reply;

use crate::ledger::{Emptying, Ledger};
use crate::patience::{PATIENCE, Trouble, within};
use crate::server::Server;
use crate::workload::{Work, connect, count_delayed, current_policy, number};

/// How long a message may take that a queue says it has.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(20);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// What came of a look at everything.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) complaints: Vec<String>,
    /// Confirmed persistent messages that were looked for, or looked for in vain.
    pub(crate) confirmed: usize,
}

/// Looks at everything. `until_ns`: what was done or promised later does not count, because the disk is that of this
/// moment.
///
/// # Errors
/// When the broker goes away meanwhile, or does not answer.
pub(crate) async fn check(server: &Server, works: &[Work], ledger: &Ledger, until_ns: u64) -> Result<Checked, Trouble> {
    let connection = within("a connection", connect(&server.uri)).await?;
    let mut checked = Checked { complaints: ledger.surprises(), confirmed: 0 };
    check_definitions(&connection, ledger, until_ns, &mut checked.complaints).await?;
    if works.contains(&Work::Policy) {
        checked.complaints.extend(check_policy(server, ledger, until_ns).await);
    }
    if works.contains(&Work::Delayed) {
        wait_until_delivered(server).await?;
    }
    for &work in works {
        let mut queues = Vec::new();
        for &queue in work.queues() {
            if work == Work::Expiring && queue == work.queues()[0] {
                wait_until_expired(&connection, queue).await?;
            }
            queues.push(drain(&connection, work, queue, &mut checked.complaints).await?);
        }
        messages::compare(work, ledger, &queues, until_ns, &mut checked);
    }
    // The client may wait for ever for the end of a connection that it has closed itself.
    let _ = tokio::time::timeout(CLOSE_PATIENCE, connection.close(200, "checked".into())).await;
    Ok(checked)
}

/// The number of ready messages, where there is such a queue.
async fn ready(connection: &Connection, queue: &str) -> Result<Option<u32>, Trouble> {
    let channel = within("a channel", connection.create_channel()).await?;
    let passive = QueueDeclareOptions::default().passive();
    let found = channel.queue_declare(queue.into(), passive, FieldTable::default());
    match within(format!("a look at {queue}"), found).await {
        Ok(found) => {
            within("channel.close-ok", channel.close(200, "looked".into())).await?;
            Ok(Some(found.message_count()))
        }
        Err(Trouble::Refused(error))
            if matches!(error.kind(), ErrorKind::ProtocolError(_)) && reply(&error).0 == 404 =>
        {
            Ok(None)
        }
        Err(trouble) => Err(trouble),
    }
}

async fn check_definitions(
    connection: &Connection,
    ledger: &Ledger,
    until_ns: u64,
    complaints: &mut Vec<String>,
) -> Result<(), Trouble> {
    for (queue, definition) in ledger.definitions() {
        let exists = ready(connection, &queue).await?.is_some();
        // Deleted and not yet declared again, at that moment.
        let is_between = ledger
            .emptyings(&queue)
            .iter()
            .any(|(how, change)| *how == Emptying::Delete && change.began_ns <= until_ns && change.ended_ns > until_ns);
        let must = definition.declared_ns <= until_ns && definition.deleting_ns > until_ns && !is_between;
        let must_not = definition.deleted_ns <= until_ns || definition.declaring_ns > until_ns;
        if must && !exists {
            complaints.push(format!("queue {queue} was declared and is lost"));
        }
        if must_not && exists {
            complaints.push(format!("queue {queue} was deleted, exclusive, or never declared, and is there"));
        }
    }
    Ok(())
}

async fn check_policy(server: &Server, ledger: &Ledger, until_ns: u64) -> Option<String> {
    let policies = ledger.policies();
    let last_done = policies.iter().rposition(|change| change.ended_ns <= until_ns);
    match current_policy(&server.data).await {
        Err(error) => Some(error),
        Ok(found) => {
            let may_be_newer = |found: usize| policies.get(found).is_some_and(|change| change.began_ns <= until_ns);
            let is_right = found == last_done || (found > last_done && found.is_some_and(may_be_newer));
            (!is_right).then(|| format!("policy {found:?} is there, {last_done:?} was set last"))
        }
    }
}

async fn wait_until_delivered(server: &Server) -> Result<(), Trouble> {
    let deadline = Instant::now() + PATIENCE;
    while count_delayed(&server.data).await != Ok(0) {
        if Instant::now() > deadline {
            return Err(Trouble::Hangs("the end of all delays".to_owned()));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

async fn wait_until_expired(connection: &Connection, queue: &str) -> Result<(), Trouble> {
    let deadline = Instant::now() + PATIENCE;
    while ready(connection, queue).await?.unwrap_or(0) > 0 {
        if Instant::now() > deadline {
            return Err(Trouble::Hangs(format!("the end of the messages in {queue}, which expire")));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Takes all messages of a queue.
async fn drain(
    connection: &Connection,
    work: Work,
    queue: &str,
    complaints: &mut Vec<String>,
) -> Result<Vec<u32>, Trouble> {
    let Some(count) = ready(connection, queue).await? else { return Ok(Vec::new()) };
    let channel = within("a channel", connection.create_channel()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue.into(), "check".into(), options, FieldTable::default());
    let mut consumer = within(format!("a consumer of {queue}"), consumer).await?;
    let mut numbers = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(DELIVERY_PATIENCE, consumer.next()).await;
        let Ok(next) = next else {
            complaints.push(format!("{queue} says it holds {count} messages and delivers {}", numbers.len()));
            return Ok(numbers);
        };
        let Some(delivery) = next.transpose()? else {
            return Err(lapin::Error::from(ErrorKind::InvalidChannel(0)).into());
        };
        match number(work.name(), &delivery.data) {
            Some(number) => numbers.push(number),
            None => complaints.push(format!("{queue} holds a message that was not published so")),
        }
    }
    within("basic.cancel-ok", channel.basic_cancel("check".into(), BasicCancelOptions::default())).await?;
    if let left @ Some(1..) = ready(connection, queue).await? {
        complaints.push(format!("{queue} said it held {count} messages and holds {left:?} more"));
    }
    Ok(numbers)
}
