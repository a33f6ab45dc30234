//! Serving a queue whose messages belong to groups: what comes next is offered to whom it may go to, and set aside where
//! he has no room.

use std::{cmp::Ordering, ops::Range};

use super::{Action, State};
use crate::queue::{
    Got, GroupKey, Position,
    groups::{Groups, Holder, Taker, place},
    level::{Head, Noted},
    segment::Stretch,
};

/// What comes next.
struct Next {
    position: Position,
    /// `None` where it has to be read first, from the position on.
    stretch: Option<Stretch>,
    /// Where it was set aside: to whom it may go.
    aside: Option<Taker>,
}

/// What came of an offer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// It was taken, or set aside.
    Done,
    /// Nobody has room.
    Refused,
    /// It would have to be set aside, and too much was already.
    Full,
}

impl State {
    /// The same queue, with groups if there is a key for them.
    #[must_use]
    pub fn with_groups(mut self, key: Option<GroupKey>) -> Self {
        self.groups = key.map(|key| Box::new(Groups::new(key)));
        if self.groups.is_some() {
            self.levels.iter_mut().for_each(crate::queue::level::Level::take_notes);
        }
        self
    }

    /// Pairs messages with consumers that have room, group by group.
    pub(super) fn serve_groups(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        self.note_groups();
        let mut is_full = self.groups.as_ref().is_some_and(|groups| groups.is_full);
        while !self.has_to_read_first(now_ms)
            && self.consumers.anyone_waits()
            && let Some(next) = self.next_in_groups(false, is_full)
            && let Some(stretch) = next.stretch
        {
            match self.offer(next.position, &stretch, next.aside) {
                // What was set aside and is taken makes room for more.
                Offer::Done => is_full &= next.aside.is_none(),
                Offer::Full => is_full = true,
                Offer::Refused => break,
            }
        }
        if let Some(groups) = &mut self.groups {
            groups.is_full = is_full;
        }
        self.consumers.deliver(actions);
    }

    /// Answers a get with the first message whose group nobody has. `None` where that has to be read first.
    pub(super) fn get_of_groups(&mut self, no_ack: bool) -> Option<Option<Got>> {
        self.note_groups();
        let mut is_full = self.groups.as_ref().is_some_and(|groups| groups.is_full_for_get);
        while let Some(next) = self.next_in_groups(true, is_full) {
            if let Some(groups) = &mut self.groups {
                groups.is_full_for_get = is_full;
            }
            let (stretch, position) = (next.stretch?, next.position);
            if next.aside.is_some() || self.may_anybody_take(position, &stretch) {
                let run = self.levels[usize::from(position.level)].run_of_one(&stretch);
                self.hand_out_of_group(position, &stretch, next.aside.is_some(), no_ack, Holder::Get);
                return Some(Some(Got { run, remaining: self.ready().count }));
            }
            is_full = !self.set_aside(position);
        }
        Some(None)
    }

    /// Where what comes next has to be read first.
    pub(super) fn wanted_in_groups(&mut self) -> Option<(u8, u64)> {
        let for_get = self.waiting_get.is_some();
        let groups = self.groups.as_ref()?;
        let is_full = if for_get { groups.is_full_for_get } else { groups.is_full };
        let next = self.next_in_groups(for_get, is_full)?;
        next.stretch.is_none().then_some((next.position.level, next.position.seq))
    }

    /// Unacked messages are with nobody any more.
    pub(super) fn release(&mut self, number: usize, part: Range<u64>) {
        let Some(groups) = &mut self.groups else { return };
        let level = u8::try_from(number).unwrap_or(u8::MAX);
        part.for_each(|seq| groups.settle(Position { level, seq }));
    }

    /// Tells the groups what has become of their messages.
    pub(super) fn note_groups(&mut self) {
        let Some(groups) = &mut self.groups else { return };
        for (number, level) in (0..=u8::MAX).zip(&mut self.levels) {
            for noted in level.noted() {
                groups.look_again();
                let position = |seq| Position { level: number, seq };
                match noted {
                    Noted::Waits(seq) => groups.wait(position(seq), false),
                    Noted::WaitEnded(seq) => groups.end_wait(position(seq)),
                    Noted::AsideGone(seq) => groups.forget_aside(position(seq)),
                    Noted::ReadyGone => {}
                    Noted::FoundWaiting(seq) => {
                        let record = level.unsettled(seq);
                        if record.is_some_and(|found| groups.read_name(found.records.record(found.first as usize))) {
                            groups.wait(position(seq), true);
                        }
                    }
                }
            }
        }
    }

    /// The first of what stands in line and of what comes next in the queue; of the latter nothing that was never handed
    /// out, if `is_full`.
    fn next_in_groups(&mut self, for_get: bool, is_full: bool) -> Option<Next> {
        loop {
            let call = self.groups.as_ref()?.next_call(for_get);
            let is_first = call.is_some_and(|(called, _)| self.lies_before_all_in_turn(called));
            let head = if is_first { None } else { self.head_in_turn(is_full) };
            let head = head.and_then(|(level, head)| Some((Position { level, seq: head.seq()? }, head)));
            let (position, taker) = match (call, head) {
                (Some((called, taker)), Some((position, _))) if place(called) < place(position) => (called, taker),
                (Some(call), None) => call,
                (_, head) => return head.map(|(position, head)| Next::new(position, head, None)),
            };
            let level = self.levels.get_mut(usize::from(position.level))?;
            match level.aside_at(position.seq) {
                Head::Nothing => {
                    level.lose_aside(position.seq);
                    self.note_groups();
                }
                head => return Some(Next::new(position, head, Some(taker))),
            }
        }
    }

    /// Whether a message that stands in line surely comes before what comes next in the queue.
    fn lies_before_all_in_turn(&self, called: Position) -> bool {
        let top = self.levels.iter().rposition(|level| level.in_turn_count() > 0);
        let Some(top) = top else { return true };
        match top.cmp(&usize::from(called.level)) {
            Ordering::Less => true,
            Ordering::Equal => called.seq < self.levels[top].in_turn_from(),
            Ordering::Greater => false,
        }
    }

    fn head_in_turn(&mut self, is_full: bool) -> Option<(u8, Head)> {
        for (number, level) in self.levels.iter_mut().enumerate().rev() {
            // What waits on disk may hold up what comes behind it, here and in lower levels.
            while level.in_turn_count() > 0 || level.has_waiting_on_disk() {
                match level.head() {
                    Head::Nothing if level.in_turn_count() == 0 => break,
                    Head::Nothing => level.forget_ready(),
                    _ if is_full && !level.has_requeued() => break,
                    head => return Some((u8::try_from(number).unwrap_or(u8::MAX), head)),
                }
            }
        }
        None
    }

    fn offer(&mut self, position: Position, stretch: &Stretch, aside: Option<Taker>) -> Offer {
        let Some(groups) = &mut self.groups else { return Offer::Refused };
        let record = stretch.records.record(stretch.first as usize);
        let taker = match aside {
            Some(taker) => taker,
            None if groups.read_name(record) => groups.taker(position),
            None => Taker::Anybody,
        };
        let level = &self.levels[usize::from(position.level)];
        let run = || level.run_of_one(stretch);
        let given = match taker {
            Taker::Anybody => self.consumers.give(None, record.len() as u64, run),
            Taker::Only(id) => self.consumers.give(Some(id), record.len() as u64, run),
            Taker::Nobody => None,
        };
        if let Some((id, no_ack)) = given {
            self.hand_out_of_group(position, stretch, aside.is_some(), no_ack, Holder::Consumer(id));
            return Offer::Done;
        }
        if taker == Taker::Anybody {
            return Offer::Refused;
        }
        let is_set_aside = aside.is_some() || self.set_aside(position);
        if let (Taker::Only(id), Some(groups)) = (taker, &mut self.groups) {
            groups.close_line(id);
        }
        if is_set_aside { Offer::Done } else { Offer::Full }
    }

    fn may_anybody_take(&mut self, position: Position, stretch: &Stretch) -> bool {
        let Some(groups) = &mut self.groups else { return true };
        !groups.read_name(stretch.records.record(stretch.first as usize)) || groups.taker(position) == Taker::Anybody
    }

    /// The message at `position`, whose group was the last to be read unless it was set aside, goes to somebody.
    fn hand_out_of_group(
        &mut self,
        position: Position,
        stretch: &Stretch,
        is_aside: bool,
        no_ack: bool,
        holder: Holder,
    ) {
        let level = &mut self.levels[usize::from(position.level)];
        let Some(groups) = &mut self.groups else { return };
        let holder = Some(holder).filter(|_| !no_ack);
        if is_aside {
            level.hand_out_aside(stretch);
            groups.hand_out_aside(position, holder);
        } else {
            level.hand_out(position.seq, 1);
            holder.into_iter().for_each(|holder| groups.hand_out(position, holder));
        }
        if no_ack {
            level.settle(position.seq..position.seq + 1);
        }
    }

    /// Sets the next message aside, whose group was the last to be read. What was handed out before always is: it may lie
    /// before others of its group that were set aside. False where too much was already.
    fn set_aside(&mut self, position: Position) -> bool {
        let count: u64 = self.levels.iter().map(|level| level.aside.count()).sum();
        let level = &mut self.levels[usize::from(position.level)];
        if count >= self.sizing.set_aside_max && !level.has_requeued() {
            return false;
        }
        level.set_aside(position.seq);
        if let Some(groups) = &mut self.groups {
            groups.set_aside(position);
        }
        true
    }
}

impl Next {
    fn new(position: Position, head: Head, aside: Option<Taker>) -> Self {
        match head {
            Head::Ready(stretch) => Self { position, stretch: Some(stretch), aside },
            Head::Absent(seq) => Self { position: Position { seq, ..position }, stretch: None, aside },
            Head::Nothing => Self { position, stretch: None, aside },
        }
    }
}

/// For tests.
#[cfg(test)]
impl State {
    pub(crate) fn aside_count(&self) -> u64 {
        self.levels.iter().map(|level| level.aside.count()).sum()
    }

    pub(crate) fn check_groups(&self) {
        let Some(groups) = &self.groups else { return };
        let sum = |of: &dyn Fn(&crate::queue::level::Level) -> u64| self.levels.iter().map(of).sum();
        groups.check(
            sum(&|level| level.unacked.count),
            sum(&|level| level.waiting.totals.count),
            sum(&|level| level.aside.count()),
        );
    }
}
