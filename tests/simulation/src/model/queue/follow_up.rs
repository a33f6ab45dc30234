//! What follows from every command: what is over expires, consumers are served, and what is too much is dropped.

use std::{cmp::Reverse, collections::VecDeque};

use leveret_broker::queue::{DeadLetterReason, Overflow};

use super::{Act, Consumer, Queue, Seen};
use crate::model::Message;

/// Level and rank.
pub(super) type Order = (Reverse<u8>, u64);

impl Queue {
    /// What follows from every command.
    pub(crate) fn follow_up(&mut self, act: &mut Act<'_>) {
        self.expire(act.now_ms + 1, act);
        self.end_waits(act.now_ms);
        self.serve(act);
        self.shorten(act);
    }

    /// Messages that have waited long enough are ready again.
    fn end_waits(&mut self, now_ms: u64) {
        for message in &mut self.messages {
            if message.waits_until_ms.is_some_and(|until_ms| until_ms <= now_ms) {
                (message.is_ready, message.waits_until_ms) = (true, None);
            }
        }
    }

    /// Somebody who has room although a message waits.
    pub(crate) fn neglected(&self) -> Option<&Consumer> {
        let has_room =
            |consumer: &&Consumer| self.may_serve(consumer) && consumer.windows.iter().all(|window| window.left() > 0);
        let with_room: Vec<_> = self.consumers.iter().filter(has_room).collect();
        let takers: Vec<_> = with_room.iter().map(|consumer| Some(consumer.id)).collect();
        with_room.first().copied().filter(|_| self.is_neglected(&takers))
    }

    /// Removes what is due before a time.
    pub(super) fn expire(&mut self, before_ms: u64, act: &mut Act<'_>) {
        let ttl_ms = self.plan.ttl_ms;
        let is_over = |message: &mut Message| {
            !message.is_held() && message.content.due_ms(ttl_ms).is_some_and(|due_ms| due_ms < before_ms)
        };
        let mut expired: Vec<_> = self.messages.extract_if(.., is_over).collect();
        expired.sort_by_key(|message| self.level(message));
        self.bury(DeadLetterReason::Expired, expired, act);
    }

    /// Drops from the front until it is short enough.
    fn shorten(&mut self, act: &mut Act<'_>) {
        let mut dropped = Vec::new();
        while self.plan.overflow == Overflow::DropHead
            && let (count, bytes) = self.ready()
            && self.exceeds(count, bytes)
            && let Some(next) = self.in_order().first().copied()
        {
            dropped.push(self.messages.remove(next));
        }
        self.bury(DeadLetterReason::MaxLen, dropped, act);
    }

    /// Takes the deliveries that were seen for as long as they can have been now. Those of one consumer are in order;
    /// those of another may have been made in between.
    pub(super) fn serve(&mut self, act: &mut Act<'_>) {
        while act.violation.is_none()
            && let Some((place, consumer)) = self.next_served(act.seen)
            && let Some(seen) = act.seen.remove(place)
        {
            let consumer = &mut self.consumers[consumer];
            let no_ack = consumer.no_ack;
            consumer.unacked += u32::from(!no_ack);
            act.violation = self.hand_out(&seen, no_ack).err();
        }
    }

    /// The delivery of the message whose turn it is, and the place of its consumer. Of several, that of the message which
    /// comes first, by its place where it is not known otherwise: what becomes of its group decides about others.
    fn next_served(&self, seen: &VecDeque<Seen>) -> Option<(usize, usize)> {
        if seen.is_empty() {
            return None;
        }
        let first_of = |(place, consumer): (usize, &Consumer)| {
            let first = seen.iter().position(|seen| seen.consumer == Some(consumer.id))?;
            let candidates = if self.may_serve(consumer) { self.candidates(Some(consumer.id)) } else { Vec::new() };
            let message =
                candidates.iter().map(|index| &self.messages[*index]).find(|message| seen[first].is(message))?;
            // A queue that may not look past all that others have may have come to it later. What needs no acknowledgement
            // leaves the group to anybody, so that it is never too early.
            let may_be_later = !consumer.no_ack && !self.looks_past_all();
            Some((may_be_later, self.order(message), seen[first].place.seq, first, place))
        };
        let (.., first, place) = self.consumers.iter().enumerate().filter_map(first_of).min()?;
        Some((first, place))
    }

    fn may_serve(&self, consumer: &Consumer) -> bool {
        let has_room = consumer.no_ack || consumer.prefetch == 0 || consumer.unacked < consumer.prefetch;
        has_room && (!self.plan.single_active || self.active == Some(consumer.id))
    }

    /// Hands out the message that was seen, if it was its turn.
    pub(super) fn hand_out(&mut self, seen: &Seen, no_ack: bool) -> Result<(), String> {
        let candidates = self.candidates(seen.consumer);
        let Some(index) = candidates.iter().copied().find(|index| seen.is(&self.messages[*index])) else {
            let next = candidates.first().map(|first| &self.messages[*first]);
            return Err(format!("{seen:?} was delivered where it was the turn of {next:?}"));
        };
        seen.check(&self.messages[index], self.level(&self.messages[index]))?;
        if no_ack {
            self.messages.remove(index);
        } else {
            let message = &mut self.messages[index];
            (message.is_ready, message.was_delivered, message.place) = (false, true, Some(seen.place));
            message.holder = seen.consumer;
        }
        Ok(())
    }

    /// The ready messages, those that come first in front.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut ready: Vec<usize> = (0..self.messages.len()).filter(|index| self.messages[*index].is_ready).collect();
        ready.sort_by_key(|index| self.order(&self.messages[*index]));
        ready
    }

    /// What it is that messages are ordered by.
    pub(super) fn order(&self, message: &Message) -> Order {
        (Reverse(self.level(message)), message.rank)
    }

    pub(super) fn level(&self, message: &Message) -> u8 {
        message.content.priority.min(self.plan.max_priority.unwrap_or(0))
    }
}
