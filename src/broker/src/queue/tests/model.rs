//! What a queue should do, written as plainly as possible: one list of messages, looked through from the front.

use std::collections::{BTreeMap, VecDeque};

use super::rig::{Id, Message, Output, Seen};
use crate::queue::{Backoff, ConsumerId, DelayedRetry, DelayedReturns, Kind, Nature, Outcome, Overflow, Settings};

/// A message and what has become of it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) message: Message,
    pub(super) level: u8,
    pub(super) timestamp_ms: u64,
    pub(super) is_ready: bool,
    pub(super) was_delivered: bool,
    pub(super) delivery_count: u32,
    pub(super) acquired_count: u32,
    /// It came back and is not to be tried again before this time.
    pub(super) waits_until_ms: Option<u64>,
}

impl Kept {
    fn is_held(&self) -> bool {
        !self.is_ready && self.waits_until_ms.is_none()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) id: ConsumerId,
    pub(super) no_ack: bool,
    pub(super) priority: i32,
    pub(super) prefetch: u64,
    pub(super) unacked: u64,
    pub(super) uses_window: bool,
}

/// A limit shared by the consumers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) limit: u64,
    pub(super) used: u64,
}

impl Limit {
    pub(super) fn has_room(self) -> bool {
        self.limit == 0 || self.used < self.limit
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nature: Nature,
    pub(super) settings: Settings,
    /// In the order of publishing, which within a level is the order of ids.
    pub(super) messages: Vec<Kept>,
    pub(super) consumers: Vec<Consumer>,
    lines: BTreeMap<i32, VecDeque<ConsumerId>>,
    /// Turned away by window or outbox.
    held: VecDeque<ConsumerId>,
    active: Option<ConsumerId>,
    pub(super) window: Limit,
    pub(super) outbox: Limit,
    pub(super) now_ms: u64,
}

/// The length of a record around its body, as the rig makes them.
const RECORD_OVERHEAD: u64 = 22 + 3 + 2;

impl Model {
    pub(super) fn new(nature: Nature, settings: Settings, window: u64, outbox: u64, now_ms: u64) -> Self {
        Self {
            nature,
            settings,
            messages: Vec::new(),
            consumers: Vec::new(),
            lines: BTreeMap::new(),
            held: VecDeque::new(),
            active: None,
            window: Limit { limit: window, used: 0 },
            outbox: Limit { limit: outbox, used: 0 },
            now_ms,
        }
    }

    pub(super) fn publish(&mut self, messages: &[Message], out: &mut Output) {
        if self.settings.overflow != Overflow::DropHead && self.would_exceed(messages) {
            for (index, message) in (0..).zip(messages) {
                self.append(message);
                self.serve(out);
                if self.is_too_long()
                    && self.messages.last().is_some_and(|last| last.message.id == message.id && last.is_ready)
                {
                    self.messages.pop();
                    out.rejected.push(index);
                    if self.settings.overflow == Overflow::RejectPublishDlx {
                        self.bury("maxlen", message.id, out);
                    }
                }
            }
        } else {
            messages.iter().for_each(|message| self.append(message));
            self.serve(out);
        }
        self.follow_up(out);
    }

    pub(super) fn get(&mut self, no_ack: bool, out: &mut Output) {
        self.expire(out);
        self.end_waits();
        let got = self.front().map(|index| {
            let seen = self.hand_out(index, no_ack);
            (seen, self.ready().0)
        });
        out.got.push(got);
        self.follow_up(out);
    }

    pub(super) fn consume(&mut self, consumer: Consumer, out: &mut Output) {
        let id = consumer.id;
        let place = self.consumers.iter().position(|other| other.priority < consumer.priority);
        self.consumers.insert(place.unwrap_or(self.consumers.len()), consumer);
        if self.nature.single_active_consumer && self.active.is_none() {
            self.activate(Some(id), out);
        }
        self.join(id);
        self.follow_up(out);
    }

    pub(super) fn cancel(&mut self, id: ConsumerId, out: &mut Output) {
        self.consumers.retain(|consumer| consumer.id != id);
        self.lines.values_mut().for_each(|line| line.retain(|other| *other != id));
        self.held.retain(|other| *other != id);
        if self.active == Some(id) {
            self.activate(self.consumers.first().map(|first| first.id), out);
        }
        out.unused = self.consumers.is_empty();
        self.follow_up(out);
    }

    pub(super) fn settle(&mut self, consumer: Option<ConsumerId>, ids: &[Id], outcome: Outcome, out: &mut Output) {
        let mut settled = 0;
        for id in ids {
            let Some(index) = self.messages.iter().position(|kept| kept.message.id == *id && kept.is_held()) else {
                continue;
            };
            settled += 1;
            self.settle_one(index, outcome, out);
        }
        if let Some(id) = consumer
            && let Some(consumer) = self.consumers.iter_mut().find(|consumer| consumer.id == id)
        {
            consumer.unacked -= settled;
            if !self.held.contains(&id) {
                self.join(id);
            }
        }
        self.follow_up(out);
    }

    pub(super) fn resume(&mut self, out: &mut Output) {
        std::mem::take(&mut self.held).into_iter().for_each(|id| self.join(id));
        self.follow_up(out);
    }

    pub(super) fn purge(&mut self, out: &mut Output) {
        out.purged = Some(self.ready().0 + self.waiting().0);
        self.messages.retain(Kept::is_held);
        self.follow_up(out);
    }

    pub(super) fn follow_up(&mut self, out: &mut Output) {
        self.expire(out);
        self.end_waits();
        self.serve(out);
        while self.settings.overflow == Overflow::DropHead && self.is_too_long() {
            let Some(index) = self.front() else { break };
            let dropped = self.messages.remove(index);
            self.bury("maxlen", dropped.message.id, out);
        }
    }

    /// What comes back after a crash, if everything so far is on disk.
    pub(super) fn snapshot(&self) -> Vec<Kept> {
        let Nature { durable, kind, .. } = self.nature;
        let survives = |kept: &&Kept| durable && (kept.message.persistent || kind == Kind::Quorum);
        let ready = |kept: &Kept| Kept { is_ready: kept.waits_until_ms.is_none(), ..kept.clone() };
        self.messages.iter().filter(survives).map(ready).collect()
    }

    pub(super) fn crash(&mut self, snapshot: Vec<Kept>) {
        self.messages = snapshot;
        self.consumers.clear();
        self.lines.clear();
        self.held.clear();
        self.active = None;
        self.window.used = 0;
        self.outbox.used = 0;
    }

    /// Number and bytes of ready messages.
    pub(super) fn ready(&self) -> (u64, u64) {
        Self::sum(self.messages.iter().filter(|kept| kept.is_ready))
    }

    pub(super) fn unacked(&self) -> (u64, u64) {
        Self::sum(self.messages.iter().filter(|kept| kept.is_held()))
    }

    pub(super) fn waiting(&self) -> (u64, u64) {
        Self::sum(self.messages.iter().filter(|kept| kept.waits_until_ms.is_some()))
    }

    pub(super) fn sum<'a>(messages: impl Iterator<Item = &'a Kept>) -> (u64, u64) {
        messages.fold((0, 0), |(count, bytes), kept| (count + 1, bytes + body_len(&kept.message)))
    }

    fn settle_one(&mut self, index: usize, outcome: Outcome, out: &mut Output) {
        match outcome {
            Outcome::Ack => {
                self.messages.remove(index);
            }
            Outcome::Reject => {
                let dead = self.messages.remove(index);
                self.bury("rejected", dead.message.id, out);
            }
            Outcome::Undelivered => self.messages[index].is_ready = true,
            Outcome::Requeue { count_attempt } => self.put_back(index, count_attempt, out),
        }
    }

    fn put_back(&mut self, index: usize, has_failed: bool, out: &mut Output) {
        let kept = &mut self.messages[index];
        kept.delivery_count += u32::from(has_failed);
        kept.acquired_count += u32::from(self.settings.counts_returns(self.nature.kind));
        if has_failed && self.settings.delivery_limit.is_some_and(|limit| kept.delivery_count > limit) {
            let dead = self.messages.remove(index);
            return self.bury("delivery_limit", dead.message.id, out);
        }
        let delay_ms = self.settings.delayed_retry.as_ref().and_then(|retry| delay_ms(retry, has_failed, kept));
        kept.waits_until_ms = delay_ms.map(|delay_ms| self.now_ms + delay_ms);
        kept.is_ready = delay_ms.is_none();
    }

    fn end_waits(&mut self) {
        for kept in &mut self.messages {
            if kept.waits_until_ms.is_some_and(|until_ms| until_ms <= self.now_ms) {
                (kept.is_ready, kept.waits_until_ms) = (true, None);
            }
        }
    }

    fn append(&mut self, message: &Message) {
        self.messages.push(Kept {
            message: *message,
            level: message.priority.min(self.nature.max_priority.unwrap_or(0)),
            timestamp_ms: self.now_ms,
            is_ready: true,
            was_delivered: false,
            delivery_count: 0,
            acquired_count: 0,
            waits_until_ms: None,
        });
    }

    fn expire(&mut self, out: &mut Output) {
        let (now_ms, ttl_ms) = (self.now_ms, self.settings.ttl_ms);
        let (gone, kept) = self.messages.drain(..).partition(|kept| !kept.is_held() && due_ms(kept, ttl_ms) <= now_ms);
        self.messages = kept;
        let gone: Vec<Kept> = gone;
        gone.iter().for_each(|kept| self.bury("expired", kept.message.id, out));
    }

    fn serve(&mut self, out: &mut Output) {
        while let Some(index) = self.front() {
            let Some(line) = self.lines.iter_mut().rev().map(|(_, line)| line).find(|line| !line.is_empty()) else {
                return;
            };
            let Some(id) = line.pop_front() else { return };
            let consumer = self.consumers.iter_mut().find(|consumer| consumer.id == id).expect("in line, so there");
            let has_prefetch = consumer.no_ack || consumer.unacked < consumer.prefetch;
            let has_window = !consumer.uses_window || self.window.has_room();
            if !has_prefetch {
                continue;
            }
            if !has_window || !self.outbox.has_room() {
                self.held.push_back(id);
                continue;
            }
            line.push_back(id);
            self.outbox.used += body_len(&self.messages[index].message) + RECORD_OVERHEAD;
            let no_ack = consumer.no_ack;
            if !no_ack {
                consumer.unacked += 1;
                self.window.used += u64::from(consumer.uses_window);
            }
            let seen = self.hand_out(index, no_ack);
            out.delivered.entry(id).or_default().push(seen);
        }
    }

    fn hand_out(&mut self, index: usize, no_ack: bool) -> Seen {
        let kept = &mut self.messages[index];
        let seen = Seen {
            id: kept.message.id,
            redelivered: kept.was_delivered,
            delivery_count: kept.delivery_count,
            acquired_count: kept.acquired_count,
        };
        kept.is_ready = false;
        kept.was_delivered = true;
        if no_ack {
            self.messages.remove(index);
        }
        seen
    }

    fn front(&self) -> Option<usize> {
        let ready = self.messages.iter().enumerate().filter(|(_, kept)| kept.is_ready);
        ready.min_by_key(|(_, kept)| (u8::MAX - kept.level, kept.message.id)).map(|(index, _)| index)
    }

    fn would_exceed(&self, messages: &[Message]) -> bool {
        let (count, bytes) = self.ready();
        let bytes = bytes + messages.iter().map(body_len).sum::<u64>();
        self.exceeds(count + messages.len() as u64, bytes)
    }

    fn is_too_long(&self) -> bool {
        let (count, bytes) = self.ready();
        self.exceeds(count, bytes)
    }

    fn exceeds(&self, count: u64, bytes: u64) -> bool {
        self.settings.max_length.is_some_and(|max| count > max)
            || self.settings.max_length_bytes.is_some_and(|max| bytes > max)
    }

    fn bury(&self, reason: &'static str, id: Id, out: &mut Output) {
        if self.settings.dead_letter_exchange.is_some() {
            out.dead.entry(reason).or_default().push(id);
        }
    }

    fn activate(&mut self, id: Option<ConsumerId>, out: &mut Output) {
        self.active = id;
        out.active.push(id);
        if let Some(id) = id {
            self.join(id);
        }
    }

    fn join(&mut self, id: ConsumerId) {
        let Some(consumer) = self.consumers.iter().find(|consumer| consumer.id == id) else { return };
        if self.nature.single_active_consumer && self.active != Some(id) {
            return;
        }
        let line = self.lines.entry(consumer.priority).or_default();
        if !line.contains(&id) {
            line.push_back(id);
        }
    }
}

pub(super) fn due_ms(kept: &Kept, ttl_ms: Option<u64>) -> u64 {
    let own_ms = kept.message.expiration_ms.map_or(u64::MAX, |expiration_ms| kept.timestamp_ms + expiration_ms);
    own_ms.min(ttl_ms.map_or(u64::MAX, |ttl_ms| kept.timestamp_ms + ttl_ms))
}

fn delay_ms(retry: &DelayedRetry, has_failed: bool, kept: &Kept) -> Option<u64> {
    let (failed, all) = (u64::from(kept.delivery_count), u64::from(kept.acquired_count));
    let nth = match (retry.returns, has_failed) {
        (DelayedReturns::All, _) => all,
        (DelayedReturns::Failed, true) => failed,
        (DelayedReturns::Returned, false) => all.saturating_sub(failed),
        _ => return None,
    };
    let nth = nth.max(1);
    Some(match &retry.backoff {
        Backoff::Linear { min_ms, max_ms } => (min_ms * nth).min(*max_ms),
        Backoff::Exponential { min_ms, max_ms } => (1..nth).fold(*min_ms, |ms, _| (ms * 2).min(*max_ms)).min(*max_ms),
        Backoff::Steps(steps) => steps[(nth as usize - 1).min(steps.len() - 1)],
    })
}

fn body_len(message: &Message) -> u64 {
    message.body_len.max(8) as u64
}
