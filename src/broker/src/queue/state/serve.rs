//! Messages leave from the front: to consumers, to a get, to make room.

use super::{Action, DeadLetterReason, Refusal, State};
use crate::queue::{Got, Kind, Overflow, consumers::Share, level::Head, totals::Totals};

impl State {
    pub(super) fn get(&mut self, now_ms: u64, no_ack: bool, actions: &mut Vec<Action>) {
        if self.nature.kind == Kind::Quorum && self.nature.single_active_consumer {
            actions.push(Action::Refused(Refusal::SingleActiveConsumer));
            return;
        }
        self.unused_since_ms = Some(now_ms);
        self.waiting_get = Some(no_ack);
    }

    /// Answers a get as soon as that is possible.
    pub(super) fn answer_get(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        let Some(no_ack) = self.waiting_get.filter(|_| !self.has_to_read_first(now_ms)) else { return };
        let got = if self.groups.is_some() { self.get_of_groups(no_ack) } else { self.get_front(no_ack) };
        if let Some(got) = got {
            self.waiting_get = None;
            actions.push(Action::Got(got));
        }
    }

    /// Takes what comes next; `None` where that has to be read first.
    fn get_front(&mut self, no_ack: bool) -> Option<Option<Got>> {
        Some(match self.front() {
            Some((_, Head::Absent(_))) => return None,
            Some((number, Head::Ready(stretch))) => {
                let level = &mut self.levels[number];
                let run = level.run(&stretch, 0, 1);
                level.hand_out(stretch.seq, 1);
                if no_ack {
                    level.settle(stretch.seq..stretch.seq + 1);
                }
                let remaining = self.ready().count;
                Some(Got { run, remaining })
            }
            _ => None,
        })
    }

    /// Pairs ready messages with consumers that have room.
    pub(super) fn serve(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        if self.groups.is_some() {
            return self.serve_groups(now_ms, actions);
        }
        while !self.has_to_read_first(now_ms)
            && self.consumers.anyone_waits()
            && let Some((number, Head::Ready(stretch))) = self.front()
        {
            let level = &mut self.levels[number];
            self.shares.clear();
            let deal = |from, count| level.run(&stretch, from, count);
            let dealt = self.consumers.share(&stretch, deal, &mut self.shares);
            if dealt == 0 {
                break;
            }
            level.hand_out(stretch.seq, dealt);
            let mut seq = stretch.seq;
            for Share { count, no_ack } in self.shares.drain(..) {
                let end = seq + u64::from(count);
                if no_ack {
                    level.settle(seq..end);
                }
                seq = end;
            }
        }
        self.consumers.deliver(actions);
    }

    /// Drops from the front until the queue is no longer than it may be; whether it had to.
    pub(super) fn shorten(&mut self, now_ms: u64, actions: &mut Vec<Action>) -> bool {
        // What is over and has yet to be read leaves by itself, and must not push out something that is not.
        let is_expiry_done = !self.has_condemned() && !self.is_overdue_on_disk(now_ms);
        if self.settings.overflow != Overflow::DropHead || !is_expiry_done || !self.is_too_long() {
            return false;
        }
        // Nor must what a consumer gets as soon as it is read. Without groups that is the front, and nothing is dropped.
        if self.consumers.anyone_waits() && self.wanted_in_groups().is_some() {
            return false;
        }
        let keeps_runs = self.settings.dead_letter_exchange.is_some();
        let mut runs = Vec::new();
        while self.is_too_long()
            && let Some((number, Head::Ready(stretch))) = self.first_to_drop()
        {
            let surplus = self.surplus(|index| stretch.body_len(index), stretch.count);
            let level = &mut self.levels[number];
            if keeps_runs {
                runs.push(level.run(&stretch, 0, surplus));
            }
            level.discard(stretch.seq..stretch.seq + u64::from(surplus));
        }
        if !runs.is_empty() {
            let reason = DeadLetterReason::MaxLen;
            actions.push(Action::DeadLetter { reason, runs });
        }
        true
    }

    /// Whether something in memory may be over that waits, for the order of dead letters, until others are read: it could
    /// be at the front. Or what is over holds up others of its group. Or something on disk may have waited long enough, and
    /// belong at the front.
    pub(super) fn has_to_read_first(&self, now_ms: u64) -> bool {
        let is_in_the_way = self.settings.dead_letter_exchange.is_some() || self.groups.is_some();
        self.has_condemned()
            || self.overdue.is_some() && is_in_the_way
            || self.levels.iter().any(|level| level.may_miss_a_retry(now_ms))
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.exceeds_limits(self.ready())
    }

    pub(super) fn exceeds_limits(&self, length: Totals) -> bool {
        self.settings.max_length.is_some_and(|max| length.count > max)
            || self.settings.max_length_bytes.is_some_and(|max| length.bytes > max)
    }

    /// What comes next in the queue, and in which level.
    pub(super) fn front(&mut self) -> Option<(usize, Head)> {
        while let Some(number) = self.top_level() {
            match self.levels[number].head() {
                Head::Nothing => self.levels[number].forget_ready(),
                head => return Some((number, head)),
            }
        }
        None
    }

    /// The oldest ready message of the highest level, also where another comes next because its group is with somebody.
    pub(super) fn first_to_drop(&mut self) -> Option<(usize, Head)> {
        if self.groups.is_none() {
            return self.front();
        }
        while let Some(number) = self.top_level() {
            match self.levels[number].oldest() {
                Head::Nothing => self.levels[number].forget_ready(),
                head => return Some((number, head)),
            }
        }
        None
    }

    /// How many of the next messages, of the given body lengths, have to go.
    fn surplus(&self, body_len: impl Fn(u32) -> u64, available: u32) -> u32 {
        let mut length = self.ready();
        let mut surplus = 0;
        while surplus < available && self.exceeds_limits(length) {
            length -= Totals { count: 1, bytes: body_len(surplus) };
            surplus += 1;
        }
        surplus
    }
}
