//! What the broker holds after a fault, compared with what it had promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, Result};
use leveret_tests::{eventually, reply, within};

use crate::ledger::{Ledger, Messages};
use crate::workload::{Work, connect, number};

/// Messages named in a complaint.
const NAMED_MAX: usize = 8;

const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Looks at everything; the complaints. `until_ns`: what was done or promised later does not count, because the disk is
/// that of this moment.
///
/// # Errors
/// When the broker goes away meanwhile.
pub(crate) async fn check(uri: &str, works: &[Work], ledger: &Ledger, until_ns: u64) -> Result<Vec<String>> {
    let connection = connect(uri).await?;
    let mut complaints = ledger.surprises();
    check_definitions(&connection, ledger, until_ns, &mut complaints).await?;
    for &work in works {
        let mut queues = Vec::new();
        for &queue in work.queues() {
            if work == Work::Expiring && queue == work.queues()[0] {
                wait_until_expired(&connection, queue).await?;
            }
            queues.push(drain(&connection, work, queue, &mut complaints).await?);
        }
        compare(work, &ledger.messages(work.name()), &queues, until_ns, &mut complaints);
    }
    // The client may wait for ever for the end of a connection that it has closed itself.
    let _ = tokio::time::timeout(CLOSE_PATIENCE, connection.close(200, "checked".into())).await;
    Ok(complaints)
}

/// The number of ready messages, where there is such a queue.
async fn ready(connection: &Connection, queue: &str) -> Result<Option<u32>> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions::default().passive();
    match channel.queue_declare(queue.into(), passive, FieldTable::default()).await {
        Ok(found) => {
            channel.close(200, "looked".into()).await?;
            Ok(Some(found.message_count()))
        }
        Err(error) if matches!(error.kind(), lapin::ErrorKind::ProtocolError(_)) && reply(&error).0 == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

async fn check_definitions(
    connection: &Connection,
    ledger: &Ledger,
    until_ns: u64,
    complaints: &mut Vec<String>,
) -> Result<()> {
    for (queue, definition) in ledger.definitions() {
        let exists = ready(connection, &queue).await?.is_some();
        let must = definition.declared_ns <= until_ns && definition.deleting_ns > until_ns;
        let must_not = definition.deleted_ns <= until_ns || definition.declaring_ns > until_ns;
        if must && !exists {
            complaints.push(format!("queue {queue} was declared and is lost"));
        }
        if must_not && exists {
            complaints.push(format!("queue {queue} was deleted, or never declared, and is there"));
        }
    }
    Ok(())
}

async fn wait_until_expired(connection: &Connection, queue: &str) -> Result<()> {
    let expired = async || ready(connection, queue).await.is_ok_and(|ready| ready.unwrap_or(0) == 0);
    eventually("the end of messages that expire", expired).await;
    Ok(())
}

/// Takes all messages of a queue.
async fn drain(connection: &Connection, work: Work, queue: &str, complaints: &mut Vec<String>) -> Result<Vec<u32>> {
    let Some(count) = ready(connection, queue).await? else { return Ok(Vec::new()) };
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut consumer = channel.basic_consume(queue.into(), "check".into(), options, FieldTable::default()).await?;
    let mut numbers = Vec::new();
    for _ in 0..count {
        let next = tokio::time::timeout(Duration::from_secs(20), consumer.next()).await;
        let Ok(next) = next else {
            complaints.push(format!("{queue} says it holds {count} messages and delivers {}", numbers.len()));
            return Ok(numbers);
        };
        let Some(delivery) = next.transpose()? else { return Err(lapin::ErrorKind::InvalidChannel(0).into()) };
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

fn compare(work: Work, messages: &Messages, queues: &[Vec<u32>], until_ns: u64, complaints: &mut Vec<String>) {
    let mut complain = |what: &str, numbers: Vec<u32>| {
        if !numbers.is_empty() {
            let named = &numbers[..numbers.len().min(NAMED_MAX)];
            complaints.push(format!("{}: {} {what}: {named:?} …", work.name(), numbers.len()));
        }
    };
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    queues.iter().flatten().for_each(|&number| *counts.entry(number).or_default() += 1);
    let is_pair = work == Work::Pair;
    let wanted = if is_pair { 2 } else { 1 };
    complain("are there more often than published", some(&counts, |_, count| count > wanted));
    complain("are there in part of a transaction", some(&counts, |_, count| is_pair && count < wanted));
    complain(
        "are there though not published yet",
        some(&counts, |number, _| messages.get(&number).is_none_or(|message| message.sent_ns > until_ns)),
    );
    complain(
        "were settled for good and are back",
        some(&counts, |number, _| messages.get(&number).is_some_and(|message| message.settled_ns <= until_ns)),
    );
    if work == Work::Dead {
        let dead =
            queues[1].iter().copied().filter(|number| messages.get(number).is_some_and(|m| m.settling_ns > until_ns));
        complain("are dead letters though nobody had rejected them", dead.collect());
    }
    let is_kept = |number: &u32| counts.contains_key(number);
    let lost = messages.iter().filter(|(number, message)| {
        let may_be_gone = work == Work::Queue && message.settling_ns <= until_ns;
        message.is_persistent && message.confirmed_ns <= until_ns && !may_be_gone && !is_kept(number)
    });
    complain("were confirmed and are lost", lost.map(|(&number, _)| number).collect());
    for (queue, numbers) in work.queues().iter().zip(queues) {
        // Dead letters come as they were settled, which clients and the clock do in an order of their own.
        if !queue.ends_with(".target") && !numbers.is_sorted() {
            let unsorted = numbers.windows(2).filter(|pair| pair[0] > pair[1]).map(|pair| pair[1]);
            complain(&format!("are out of order in {queue}"), unsorted.collect());
        }
    }
}

fn some(counts: &BTreeMap<u32, usize>, is_wrong: impl Fn(u32, usize) -> bool) -> Vec<u32> {
    let wrong: BTreeSet<u32> =
        counts.iter().filter(|&(&number, &count)| is_wrong(number, count)).map(|(&number, _)| number).collect();
    wrong.into_iter().collect()
}
