//! The judgement of a history: a function of its lines and nothing else.
//!
//! What counts as the broker's fault, and why not more:
//!
//! * **Lost**: confirmed, and neither acknowledged by anybody nor found when the queues were emptied. An acknowledgement
//!   counts from the moment it is sent: whether it arrived nobody knows.
//! * **Doubled**: delivered though it was settled — for good by tx.commit-ok, for the broker's life by the answer to a
//!   later method — or delivered again without the mark that says so. A broker that was killed may have forgotten
//!   what it delivered and which acknowledgements it had not committed; those are counted apart.
//! * **Out of order**: on one channel, of one producer's connection and one queue, among deliveries without the mark.
//!   Elsewhere AMQP promises nothing: two connections race, and what was given back comes when it comes.
//! * **Unexpected**: never published, from another queue than it was published to, or with a body that is damaged.
//!
//! A process writes down what its socket still holds after the other end is gone. So a kill counts as between two events
//! if it came after the first event's process connected; and a delivery that was written down after its connection was
//! cut, or the broker killed, may be older than all that is written before it: it is *late*, and not judged as doubled.

mod ledger;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use ledger::{Confirm, Ledger, Settled};

use crate::{
    MessageId, Report,
    history::{Answer, Event, Operation, Outcome},
    report::{Double, Unexpected},
};

/// Judges a history.
#[must_use]
pub fn check(events: &[Event]) -> Report {
    let mut check = Check::default();
    for (line, event) in events.iter().enumerate() {
        check.event(line, event);
    }
    check.finish()
}

#[derive(Default)]
struct Check {
    ledger: Ledger,
    /// In which line each process began to connect.
    connects: HashMap<u32, usize>,
    last_kill: Option<usize>,
    cut: HashSet<u32>,
    /// The last sequence number by consuming process, queue and producing process.
    order: HashMap<(u32, u32, u32), u32>,
    report: Report,
}

impl Check {
    fn event(&mut self, line: usize, event: &Event) {
        let process = event.process;
        match &event.operation {
            Operation::Connect => {
                self.connects.entry(process).or_insert(line);
            }
            Operation::Publish { id, queue } => self.publish(*id, *queue, event.outcome),
            Operation::Deliver { id, queue, redelivered } => self.deliver(process, *id, *queue, *redelivered),
            Operation::Acknowledge { id, answer, .. } => self.acknowledge(process, *id, *answer, event.outcome),
            Operation::Requeue { .. } => self.report.requeued += 1,
            Operation::Kill => {
                self.last_kill = Some(line);
                self.report.kills += 1;
            }
            Operation::Cut { victim } => {
                self.cut.insert(*victim);
                self.report.cuts += 1;
            }
            Operation::Restart => {}
        }
    }

    fn publish(&mut self, id: MessageId, queue: u32, outcome: Outcome) {
        let message = self.ledger.published(id, queue);
        match outcome {
            Outcome::Started => self.report.published += 1,
            Outcome::Ok => message.confirm = Confirm::Ok,
            Outcome::Fail => message.confirm = Confirm::Refused,
            Outcome::Unknown => message.confirm = Confirm::Unknown,
        }
    }

    fn deliver(&mut self, process: u32, id: Option<MessageId>, queue: u32, redelivered: bool) {
        self.report.delivered += 1;
        let Some(id) = id else { return self.report.unexpected.push(Unexpected::Damaged { queue }) };
        let Some(message) = self.ledger.get(id) else {
            return self.report.unexpected.push(Unexpected::NeverPublished { id, queue });
        };
        if message.queue != queue {
            return self.report.unexpected.push(Unexpected::WrongQueue { id, queue, published_to: message.queue });
        }
        let (settled, last_delivery) = (message.settled, message.last_delivery);
        if self.is_late(process) {
            self.report.late += 1;
        } else {
            self.check_settled(id, settled);
            self.check_mark(id, last_delivery, redelivered);
        }
        self.report.delivered_again += u64::from(last_delivery.is_some());
        self.ledger.delivered(id, process);
        if !redelivered {
            self.check_order(process, id, queue);
        }
    }

    fn check_settled(&mut self, id: MessageId, settled: Option<Settled>) {
        match settled {
            Some(Settled { answer: Answer::Commit, .. }) => self.report.doubled.push(Double::AfterCommit(id)),
            Some(Settled { process, .. }) if self.was_killed_since(process) => self.report.forgotten_acks += 1,
            Some(_) => self.report.doubled.push(Double::AfterAnswer(id)),
            None => {}
        }
    }

    fn check_mark(&mut self, id: MessageId, last_delivery: Option<u32>, redelivered: bool) {
        let Some(process) = last_delivery.filter(|_| !redelivered) else { return };
        if self.was_killed_since(process) {
            self.report.forgotten_marks += 1;
        } else {
            self.report.doubled.push(Double::Unmarked(id));
        }
    }

    fn check_order(&mut self, process: u32, id: MessageId, queue: u32) {
        let last = self.order.entry((process, queue, id.producer)).or_insert(id.sequence);
        if id.sequence < *last {
            let after = MessageId { sequence: *last, ..id };
            self.report.out_of_order.push((id, after));
        }
        *last = id.sequence.max(*last);
    }

    fn acknowledge(&mut self, process: u32, id: MessageId, answer: Answer, outcome: Outcome) {
        match outcome {
            Outcome::Started => {
                self.report.acknowledged += 1;
                self.ledger.acknowledged(id);
            }
            Outcome::Ok => self.ledger.settled(id, Settled { answer, process }),
            Outcome::Fail | Outcome::Unknown => {}
        }
    }

    /// Whether the broker that a process was connected to was killed. A process that nobody saw connecting may have done
    /// so at any time.
    fn was_killed_since(&self, process: u32) -> bool {
        let connected = self.connects.get(&process).copied().unwrap_or(0);
        self.last_kill.is_some_and(|kill| kill >= connected)
    }

    /// Whether the connection of a process had ended already.
    fn is_late(&self, process: u32) -> bool {
        self.cut.contains(&process) || self.was_killed_since(process)
    }

    fn finish(mut self) -> Report {
        for (id, message) in self.ledger.messages() {
            match message.confirm {
                Confirm::Ok => {
                    self.report.confirmed += 1;
                    if !message.acknowledged {
                        self.report.lost.push(id);
                    }
                }
                Confirm::Refused => self.report.refused += 1,
                Confirm::Unknown | Confirm::Missing => {
                    self.report.unknown += 1;
                    self.report.unknown_delivered += u64::from(message.last_delivery.is_some());
                }
            }
        }
        self.report.lost.sort();
        self.report
    }
}
