//! A queue: a list of messages, looked through from the front.
//!
//! Which of several consumers gets a message is not foretold. What was seen is judged instead: a delivery must be of
//! the message whose turn it was, to a consumer that had room for it, and nothing may wait that somebody has room for.

mod follow_up;
mod groups;
mod put_back;

use std::{collections::VecDeque, sync::Arc};

use leveret_broker::queue::{ConsumerId, DeadLetterReason, Overflow, Position, Window};

use super::{message::Message, seen::Seen};
use crate::plan::QueuePlan;

/// A queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// As declared.
    pub(crate) declared: QueuePlan,
    /// The same under its policy.
    pub(crate) plan: QueuePlan,
    /// How many messages it looks past whose group is with somebody else.
    pub(crate) set_aside_max: u64,
    /// The connection that alone may use it.
    pub(crate) owner: Option<u64>,
    /// In the order of arrival.
    pub(crate) messages: Vec<Message>,
    /// Higher priority first, then in order of arrival.
    pub(crate) consumers: Vec<Consumer>,
    /// Who is served where only one is.
    pub(crate) active: Option<ConsumerId>,
    /// Since when nobody has used it.
    pub(crate) unused_since_ms: u64,
}

/// A consumer.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    /// Unique in the broker.
    pub(crate) id: ConsumerId,
    /// Deliveries count as acknowledged.
    pub(crate) no_ack: bool,
    /// It is alone by right.
    pub(crate) exclusive: bool,
    /// `x-priority`
    pub(crate) priority: i32,
    /// 0 is unlimited.
    pub(crate) prefetch: u32,
    /// With it and not settled.
    pub(crate) unacked: u32,
    /// What it shares with others, looked at only where nothing is under way.
    pub(crate) windows: Vec<Arc<Window>>,
}

/// What follows from a command beyond the queue itself, in order.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Messages that died.
    DeadLetters(DeadLetterReason, Vec<Message>),
    /// The queue deletes itself.
    Delete,
}

/// What a command is given and gives back.
pub(crate) struct Act<'a> {
    /// The time, in milliseconds since the Unix epoch.
    pub(crate) now_ms: u64,
    /// Deliveries from the queue that were seen and are not explained yet.
    pub(crate) seen: &'a mut VecDeque<Seen>,
    /// See there.
    pub(crate) work: Vec<Work>,
    /// What should not have been.
    pub(crate) violation: Option<String>,
}

impl Queue {
    /// Whether it, and persistent messages in it, survive a restart.
    pub(crate) fn is_kept(&self) -> bool {
        self.plan.is_kept()
    }

    /// Takes new messages; those that it refuses.
    pub(crate) fn publish(&mut self, messages: Vec<Message>, is_granted: bool, act: &mut Act<'_>) -> Vec<Message> {
        self.follow_up(act);
        let mut refused = Vec::new();
        let added: u64 = messages.iter().map(|message| message.content.bytes).sum();
        let (count, bytes) = self.ready();
        let may_refuse = self.plan.overflow != Overflow::DropHead && !is_granted;
        if may_refuse && self.exceeds(count + messages.len() as u64, bytes + added) {
            for message in messages {
                let copy = message.copy;
                self.messages.push(message);
                self.expire(act.now_ms, act);
                self.serve(act);
                let (count, bytes) = self.ready();
                if self.exceeds(count, bytes) {
                    refused.extend(self.messages.pop_if(|last| last.copy == copy && last.is_ready));
                }
            }
            if self.plan.overflow == Overflow::RejectPublishDlx && !refused.is_empty() {
                self.bury(DeadLetterReason::MaxLen, refused.clone(), act);
            }
        } else {
            self.messages.extend(messages);
            self.expire(act.now_ms, act);
            self.serve(act);
        }
        self.follow_up(act);
        refused
    }

    /// Whether it has no room for so much more.
    pub(crate) fn refuses(&self, added: u64, added_bytes: u64) -> bool {
        let (count, bytes) = self.ready();
        self.plan.overflow != Overflow::DropHead && self.exceeds(count + added, bytes + added_bytes)
    }

    /// A message was asked for, and `got` came, with so many behind it.
    pub(crate) fn get(&mut self, no_ack: bool, got: Option<(Seen, u64)>, act: &mut Act<'_>) {
        self.unused_since_ms = act.now_ms;
        self.follow_up(act);
        let (ready, _) = self.ready();
        match got {
            None if self.is_neglected(&[None]) => {
                act.violation = Some(format!("get found nothing where {ready} messages are ready"));
            }
            None => {}
            Some((seen, remaining)) => {
                act.violation = self.hand_out(&seen, no_ack).err();
                if act.violation.is_none() && remaining != ready - 1 {
                    act.violation = Some(format!("get tells of {remaining} more messages where {} are", ready - 1));
                }
            }
        }
        self.follow_up(act);
    }

    /// A consumer comes, unless another is in its way.
    pub(crate) fn consume(&mut self, consumer: Consumer, act: &mut Act<'_>) -> bool {
        let in_the_way = |other: &Consumer| other.exclusive || consumer.exclusive;
        let is_refused = self.consumers.iter().any(in_the_way);
        if !is_refused {
            let place = self.consumers.iter().position(|other| other.priority < consumer.priority);
            if self.plan.single_active {
                self.active.get_or_insert(consumer.id);
            }
            self.consumers.insert(place.unwrap_or(self.consumers.len()), consumer);
        }
        self.follow_up(act);
        !is_refused
    }

    /// A consumer goes.
    pub(crate) fn cancel(&mut self, id: ConsumerId, act: &mut Act<'_>) {
        let before = self.consumers.len();
        self.consumers.retain(|consumer| consumer.id != id);
        if self.active == Some(id) {
            self.active = self.consumers.first().map(|first| first.id);
        }
        if before > 0 && self.consumers.is_empty() {
            self.unused_since_ms = act.now_ms;
            if self.plan.auto_delete {
                act.work.push(Work::Delete);
            }
        }
        self.follow_up(act);
    }

    /// Messages are settled; `how` says what becomes of each.
    pub(crate) fn settle(
        &mut self,
        consumer: Option<ConsumerId>,
        places: &[Position],
        how: Settled,
        act: &mut Act<'_>,
    ) {
        let (mut rejected, mut over_limit) = (Vec::new(), Vec::new());
        for place in places {
            let of_place = |message: &Message| message.place == Some(*place) && message.is_held();
            let Some(index) = self.messages.iter().position(of_place) else { continue };
            if let Some(consumer) = self.consumers.iter_mut().find(|other| Some(other.id) == consumer) {
                consumer.unacked -= 1;
            }
            match how {
                Settled::Acked => _ = self.messages.remove(index),
                Settled::Rejected => rejected.push(self.messages.remove(index)),
                Settled::Undelivered => self.messages[index].is_ready = true,
                Settled::Requeued => over_limit.extend(self.put_back(index, false, act.now_ms)),
                Settled::RequeuedCounted => over_limit.extend(self.put_back(index, true, act.now_ms)),
            }
        }
        self.bury(DeadLetterReason::Rejected, rejected, act);
        self.bury(DeadLetterReason::DeliveryLimit, over_limit, act);
        self.follow_up(act);
    }

    /// All ready and waiting messages go; how many.
    pub(crate) fn purge(&mut self, act: &mut Act<'_>) -> u64 {
        let purged = self.messages.extract_if(.., |message| !message.is_held()).count();
        self.follow_up(act);
        purged as u64
    }

    /// It was declared again, or brought back.
    pub(crate) fn touch(&mut self, act: &mut Act<'_>) {
        self.unused_since_ms = act.now_ms;
        self.follow_up(act);
    }

    /// It was woken.
    pub(crate) fn tick(&mut self, act: &mut Act<'_>) {
        let is_unused = self.consumers.is_empty();
        if self.plan.expires_ms.is_some_and(|expires_ms| is_unused && self.unused_since_ms + expires_ms <= act.now_ms) {
            self.unused_since_ms = act.now_ms;
            act.work.push(Work::Delete);
        }
        self.follow_up(act);
    }

    /// Ready messages, their number and body bytes.
    pub(crate) fn ready(&self) -> (u64, u64) {
        sum(self.messages.iter().filter(|message| message.is_ready))
    }

    /// Those with somebody.
    pub(crate) fn unacked(&self) -> (u64, u64) {
        sum(self.messages.iter().filter(|message| message.is_held()))
    }

    /// Those that wait for their next try.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        sum(self.messages.iter().filter(|message| message.waits_until_ms.is_some()))
    }

    fn exceeds(&self, count: u64, bytes: u64) -> bool {
        self.plan.max_length.is_some_and(|max| count > max) || self.plan.max_length_bytes.is_some_and(|max| bytes > max)
    }

    fn bury(&self, reason: DeadLetterReason, messages: Vec<Message>, act: &mut Act<'_>) {
        if self.plan.dead_letter_exchange.is_some() && !messages.is_empty() {
            act.work.push(Work::DeadLetters(reason, messages));
        }
    }
}

/// How messages are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Gone.
    Acked,
    /// Back to their places.
    Requeued,
    /// As before, and counted as an attempt.
    RequeuedCounted,
    /// They reached nobody.
    Undelivered,
    /// Dead.
    Rejected,
}

fn sum<'m>(messages: impl Iterator<Item = &'m Message>) -> (u64, u64) {
    messages.fold((0, 0), |(count, bytes), message| (count + 1, bytes + message.content.bytes))
}
