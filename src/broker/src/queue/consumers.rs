//! The consumers of a queue: who is served next, and how much of what there is.
//!
//! Consumers with credit wait in lines, one for each priority. Whoever is served goes to the end of his line; whoever
//! turns out to have no room leaves it, and joins again at the end when there may be room. So a queue with thousands of
//! busy consumers looks at none of them in vain twice. Those for whom a shared window had no room are held, and come
//! back in the order in which they were turned away: otherwise the one who settles would always be first to take what
//! he gave back.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{ConsumerId, DeliveryRun, NewConsumerState, Refusal, Runs, Window, segment::Stretch, state::Action};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    members: BTreeMap<ConsumerId, Member>,
    /// All consumers: higher priority first, then in order of arrival.
    order: Vec<ConsumerId>,
    /// Highest priority first.
    lines: Vec<Line>,
    single_active: bool,
    active: Option<ConsumerId>,
    exclusive: Option<ConsumerId>,
    /// Turned away by a shared window: in that order.
    held: VecDeque<ConsumerId>,
    /// Those with something in `runs`.
    served: Vec<ConsumerId>,
    /// Consumers whose windows have to be told that credit came back.
    resumes: Vec<ConsumerId>,
}

#[derive(Debug)]
struct Line {
    priority: i32,
    waiting: VecDeque<ConsumerId>,
}

#[derive(Debug)]
struct Member {
    no_ack: bool,
    priority: i32,
    prefetch: u64,
    unacked: u64,
    windows: Vec<Arc<Window>>,
    outbox: Arc<Window>,
    place: Place,
    runs: Runs<DeliveryRun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not to be served, or without prefetch left.
    Out,
    InLine,
    /// Waits for room in a shared window.
    Held,
}

/// What a consumer has room for.
struct Grant {
    count: u32,
    /// Credit that was given back on the way has to be announced.
    woke_others: bool,
    /// Where a consumer that got nothing waits.
    otherwise: Place,
}

/// A number of messages for one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) count: u32,
    pub(crate) no_ack: bool,
}

impl Consumers {
    pub(crate) fn new(single_active: bool) -> Self {
        Self { single_active, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether somebody may have room.
    pub(crate) fn anyone_waits(&self) -> bool {
        self.lines.iter().any(|line| !line.waiting.is_empty())
    }

    /// How many messages could be dealt out now, as far as messages are counted.
    pub(crate) fn credit(&self) -> u64 {
        let waiting = self.lines.iter().flat_map(|line| &line.waiting);
        waiting.filter_map(|id| self.members.get(id)).fold(0, |sum: u64, member| sum.saturating_add(member.credit()))
    }

    pub(crate) fn add(&mut self, new: NewConsumerState, actions: &mut Vec<Action>) -> Result<(), Refusal> {
        if self.exclusive.is_some() || new.exclusive && !self.is_empty() {
            return Err(Refusal::ExclusiveUse);
        }
        if new.exclusive {
            self.exclusive = Some(new.id);
        }
        let place = self.order.partition_point(|id| self.members[id].priority >= new.priority);
        self.order.insert(place, new.id);
        let member = Member {
            no_ack: new.no_ack,
            priority: new.priority,
            prefetch: match new.prefetch {
                0 => u64::MAX,
                prefetch => u64::from(prefetch),
            },
            unacked: 0,
            windows: new.windows,
            outbox: new.outbox,
            place: Place::Out,
            runs: Runs::new(),
        };
        self.members.insert(new.id, member);
        if self.single_active && self.active.is_none() {
            self.activate(Some(new.id), actions);
        }
        self.join(new.id);
        Ok(())
    }

    /// Whether the consumer was there.
    pub(crate) fn remove(&mut self, id: ConsumerId, actions: &mut Vec<Action>) -> bool {
        let Some(member) = self.members.remove(&id) else { return false };
        self.order.retain(|other| *other != id);
        for line in self.lines.iter_mut().filter(|line| line.priority == member.priority) {
            line.waiting.retain(|other| *other != id);
        }
        self.held.retain(|other| *other != id);
        if self.exclusive == Some(id) {
            self.exclusive = None;
        }
        if self.active == Some(id) {
            self.activate(self.order.first().copied(), actions);
        }
        true
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.single_active);
    }

    /// Messages of a consumer were settled.
    pub(crate) fn settled(&mut self, id: ConsumerId, count: u64) {
        if let Some(member) = self.members.get_mut(&id) {
            member.unacked = member.unacked.saturating_sub(count);
            if member.place == Place::Out {
                self.join(id);
            }
        }
    }

    /// Those who were turned away by a shared window may have room again.
    pub(crate) fn resume(&mut self) {
        for id in std::mem::take(&mut self.held) {
            self.join(id);
        }
    }

    /// Deals out messages, each with the consumer whose turn it is; `deal` makes a run of them. What was dealt is in
    /// `shares`, in order. Less than everything if nobody has more room.
    pub(crate) fn share(
        &mut self,
        stretch: &Stretch,
        deal: impl Fn(u32, u32) -> DeliveryRun,
        shares: &mut Vec<Share>,
    ) -> u32 {
        let mut dealt = 0;
        while dealt < stretch.count {
            let Some(line) = self.lines.iter_mut().find(|line| !line.waiting.is_empty()) else { break };
            let wanted = if line.waiting.len() == 1 { stretch.count - dealt } else { 1 };
            let Some(id) = line.waiting.pop_front() else { break };
            let Some(member) = self.members.get_mut(&id) else { continue };
            let lens = |index: u32| stretch.records.record((stretch.first + dealt + index) as usize).len() as u64;
            let Grant { count, woke_others, otherwise } = member.grant(wanted, lens);
            if woke_others {
                self.resumes.push(id);
            }
            if count == 0 {
                member.place = otherwise;
                if otherwise == Place::Held {
                    self.held.push_back(id);
                }
                continue;
            }
            line.waiting.push_back(id);
            if member.runs.is_empty() {
                self.served.push(id);
            }
            member.runs.push(deal(dealt, count));
            note_share(shares, count, member.no_ack);
            dealt += count;
        }
        dealt
    }

    /// Gives one message of that length to this consumer, or to whose turn it is; to whom, and whether he needs no ack.
    /// Nobody, if he has no room or nobody has.
    pub(crate) fn give(
        &mut self,
        to: Option<ConsumerId>,
        len: u64,
        run: impl FnOnce() -> DeliveryRun,
    ) -> Option<(ConsumerId, bool)> {
        loop {
            let line = self.lines.iter().find(|line| !line.waiting.is_empty());
            let id = to.or_else(|| line?.waiting.front().copied())?;
            let member = self.members.get_mut(&id).filter(|member| member.place == Place::InLine)?;
            let Grant { count, woke_others, otherwise } = member.grant(1, |_| len);
            if woke_others {
                self.resumes.push(id);
            }
            let line = self.lines.iter_mut().find(|line| line.priority == member.priority)?;
            if to.is_none() {
                line.waiting.pop_front();
            } else if count == 0 {
                line.waiting.retain(|other| *other != id);
            }
            if count > 0 {
                if to.is_none() {
                    line.waiting.push_back(id);
                }
                if member.runs.is_empty() {
                    self.served.push(id);
                }
                member.runs.push(run());
                return Some((id, member.no_ack));
            }
            member.place = otherwise;
            if otherwise == Place::Held {
                self.held.push_back(id);
            }
            to.is_none().then_some(())?;
        }
    }

    /// Emits what was dealt.
    pub(crate) fn deliver(&mut self, actions: &mut Vec<Action>) {
        for id in self.served.drain(..) {
            if let Some(member) = self.members.get_mut(&id) {
                let runs = std::mem::take(&mut member.runs);
                actions.push(Action::Deliver { consumer: id, runs });
            }
        }
        actions.extend(self.resumes.drain(..).map(Action::Resume));
    }

    fn activate(&mut self, id: Option<ConsumerId>, actions: &mut Vec<Action>) {
        self.active = id;
        actions.push(Action::ActiveConsumer(id));
        if let Some(id) = id {
            self.join(id);
        }
    }

    /// Puts a consumer at the end of its line, if it is to be served and not in it.
    fn join(&mut self, id: ConsumerId) {
        if self.single_active && self.active != Some(id) {
            return;
        }
        let Some(member) = self.members.get_mut(&id).filter(|member| member.place != Place::InLine) else { return };
        member.place = Place::InLine;
        let place = self.lines.partition_point(|line| line.priority > member.priority);
        if self.lines.get(place).is_none_or(|line| line.priority != member.priority) {
            let line = Line { priority: member.priority, waiting: VecDeque::with_capacity(1) };
            self.lines.insert(place, line);
        }
        self.lines[place].waiting.push_back(id);
    }
}

impl Member {
    /// Takes credit for up to `wanted` messages of the given lengths. Messages that need no ack take nothing of the
    /// windows, but a window that is used up holds them back too, as RabbitMQ's limiter does.
    fn grant(&mut self, wanted: u32, lens: impl Fn(u32) -> u64) -> Grant {
        let by_prefetch = if self.no_ack { u64::MAX } else { self.prefetch.saturating_sub(self.unacked) };
        if by_prefetch == 0 {
            return Grant { count: 0, woke_others: false, otherwise: Place::Out };
        }
        let wanted = wanted.min(u32::try_from(by_prefetch).unwrap_or(u32::MAX));
        let (wanted, bytes) = fit(wanted, self.outbox.room(), &lens);
        let (count, woke_others) =
            if self.no_ack { (self.pass_windows(wanted), false) } else { self.take_windows(wanted) };
        if count > 0 {
            let bytes = if count == wanted { bytes } else { (0..count).map(lens).sum() };
            self.outbox.charge(bytes);
            self.unacked += if self.no_ack { 0 } else { u64::from(count) };
        }
        Grant { count, woke_others, otherwise: Place::Held }
    }

    fn credit(&self) -> u64 {
        let by_prefetch = if self.no_ack { u64::MAX } else { self.prefetch.saturating_sub(self.unacked) };
        let by_windows = self.windows.iter().map(|window| window.left()).min().unwrap_or(u64::MAX);
        by_prefetch.min(by_windows)
    }

    fn pass_windows(&self, wanted: u32) -> u32 {
        if self.windows.iter().all(|window| window.room() > 0) { wanted } else { 0 }
    }

    fn take_windows(&self, wanted: u32) -> (u32, bool) {
        let mut granted = u64::from(wanted);
        let mut woke_others = false;
        for (index, window) in self.windows.iter().enumerate() {
            let taken = window.take(granted);
            if taken < granted {
                for earlier in &self.windows[..index] {
                    woke_others |= earlier.give(granted - taken);
                }
                granted = taken;
            }
        }
        (u32::try_from(granted).unwrap_or(u32::MAX), woke_others)
    }
}

/// How many messages go into `room` bytes, the last one going over if it must, and their bytes.
fn fit(wanted: u32, room: u64, lens: impl Fn(u32) -> u64) -> (u32, u64) {
    let (mut count, mut bytes) = (0, 0);
    while count < wanted && bytes < room {
        bytes += lens(count);
        count += 1;
    }
    (count, bytes)
}

fn note_share(shares: &mut Vec<Share>, count: u32, no_ack: bool) {
    match shares.last_mut() {
        Some(last) if last.no_ack == no_ack => last.count += count,
        _ => shares.push(Share { count, no_ack }),
    }
}
