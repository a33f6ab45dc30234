//! Message groups: who may have the next message of a group, and what was passed over because nobody may.
//!
//! A group is known while a message of it is with somebody, waits for its next try, or was set aside. Messages of a group
//! go to its holder, who has some of it unsettled; where nobody has, to anybody; and what comes after one that waits, to
//! nobody. What was set aside stands in line by place, one line for each holder and one for all groups without. Of each group only the
//! first is in line, so that a message is looked at twice at most: when it is set aside, and when its turn has come. The
//! line of a holder without room is closed, and costs nothing until there is room.
//!
//! Not taken: a queue for each group (a queue has its memory and its place on disk, and a group may have one message), and
//! putting passed messages back to be looked through again (every settlement would look through all of them).

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use super::{ConsumerId, GroupKey, Position};

/// Who has messages of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    Consumer(ConsumerId),
    /// Somebody who asked with basic.get: a holder who never asks for more.
    Get,
}

/// Who may have the next message of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taker {
    Anybody,
    Only(ConsumerId),
    Nobody,
}

/// A group that is known.
pub(crate) type GroupId = u32;

/// A place in the order of delivery.
pub(crate) type Place = (Reverse<u8>, u64);

/// The place of a position.
pub(crate) fn place(position: Position) -> Place {
    (Reverse(position.level), position.seq)
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Groups {
    key: GroupKey,
    /// Looked up only.
    ids: HashMap<Box<[u8]>, GroupId, ahash::RandomState>,
    groups: Vec<Group>,
    free_ids: Vec<GroupId>,
    /// The messages that are unacked, waiting or set aside, and their groups. Looked up only.
    members: HashMap<Position, GroupId, ahash::RandomState>,
    lines: BTreeMap<Line, Calls>,
    /// The first in each line that is open.
    open: BTreeMap<Place, Line>,
    /// Whether the last search, for consumers and for a get, came to what would have to be set aside and could not be. It
    /// is not looked at again until something has changed: to read it anew would be to let go of what was read since.
    pub(crate) is_full: bool,
    pub(crate) is_full_for_get: bool,
    /// The group read last.
    name: Vec<u8>,
    /// Whether the message read last has a group.
    has_name: bool,
    /// That group, if it is known.
    read: Option<GroupId>,
}

#[derive(Debug, Default)]
struct Group {
    name: Box<[u8]>,
    holder: Option<Holder>,
    unacked: u64,
    waiting: BTreeSet<Place>,
    aside: BTreeSet<Place>,
    /// Where its first message set aside stands in line.
    call: Option<(Line, Place)>,
}

impl Group {
    /// Whether a message that waits comes before this place.
    fn is_held_up(&self, place: Place) -> bool {
        self.waiting.first().is_some_and(|waiting| *waiting < place)
    }
}

/// Whom a line leads to; `None` is anybody.
type Line = Option<Holder>;

#[derive(Debug, Default)]
struct Calls {
    is_closed: bool,
    places: BTreeMap<Place, GroupId>,
}

impl Groups {
    pub(crate) fn new(key: GroupKey) -> Self {
        Self {
            key,
            ids: HashMap::default(),
            groups: Vec::new(),
            free_ids: Vec::new(),
            members: HashMap::default(),
            lines: BTreeMap::new(),
            open: BTreeMap::new(),
            is_full: false,
            is_full_for_get: false,
            name: Vec::new(),
            has_name: false,
            read: None,
        }
    }

    /// Whether a message belongs to a group, which is then the one read last.
    pub(crate) fn read_name(&mut self, record: &[u8]) -> bool {
        self.name.clear();
        self.has_name = self.key.put_group(record, &mut self.name);
        self.read = if self.has_name { self.ids.get(&*self.name).copied() } else { None };
        self.has_name
    }

    /// Who may have the message at `position`, which is of the group read last.
    pub(crate) fn taker(&self, position: Position) -> Taker {
        let Some(group) = self.read.map(|id| &self.groups[id as usize]) else { return Taker::Anybody };
        match group.holder {
            _ if group.is_held_up(place(position)) => Taker::Nobody,
            None => Taker::Anybody,
            Some(Holder::Consumer(id)) => Taker::Only(id),
            Some(Holder::Get) => Taker::Nobody,
        }
    }

    /// The message read last was handed out.
    pub(crate) fn hand_out(&mut self, position: Position, holder: Holder) {
        if !self.has_name {
            return;
        }
        let id = self.enter();
        self.members.insert(position, id);
        self.taken(id, holder);
    }

    /// A message of the group read last was set aside.
    pub(crate) fn set_aside(&mut self, position: Position) {
        let id = self.enter();
        self.members.insert(position, id);
        self.groups[id as usize].aside.insert(place(position));
        self.line_up(id);
    }

    /// A message that was set aside was handed out, and stays unsettled or not.
    pub(crate) fn hand_out_aside(&mut self, position: Position, holder: Option<Holder>) {
        let Some(id) = self.members.get(&position).copied() else { return };
        self.groups[id as usize].aside.remove(&place(position));
        match holder {
            Some(holder) => self.taken(id, holder),
            None => {
                self.members.remove(&position);
                self.line_up(id);
            }
        }
    }

    /// A message that was set aside is gone.
    pub(crate) fn forget_aside(&mut self, position: Position) {
        self.hand_out_aside(position, None);
    }

    /// A message is unacked no more.
    pub(crate) fn settle(&mut self, position: Position) {
        let Some(id) = self.members.remove(&position) else { return };
        self.give_up(id);
    }

    /// An unacked message waits from now on; or, of the group read last, one that was found waiting.
    pub(crate) fn wait(&mut self, position: Position, is_found: bool) {
        let id = match self.members.get(&position).copied() {
            Some(id) if is_found => return self.line_up(id),
            Some(id) => {
                self.groups[id as usize].waiting.insert(place(position));
                return self.give_up(id);
            }
            None if is_found => self.enter(),
            None => return,
        };
        self.members.insert(position, id);
        self.groups[id as usize].waiting.insert(place(position));
        self.line_up(id);
    }

    /// A message waits no more.
    pub(crate) fn end_wait(&mut self, position: Position) {
        let Some(id) = self.members.remove(&position) else { return };
        self.groups[id as usize].waiting.remove(&place(position));
        self.line_up(id);
    }

    /// The message set aside whose turn it is, and to whom it goes: among the groups without a holder only, if
    /// `for_anybody`.
    pub(crate) fn next_call(&self, for_anybody: bool) -> Option<(Position, Taker)> {
        let (first, line) = match for_anybody {
            true => (*self.lines.get(&None)?.places.first_key_value()?.0, None),
            false => self.open.first_key_value().map(|(first, line)| (*first, *line))?,
        };
        let taker = match line {
            None => Taker::Anybody,
            Some(Holder::Consumer(id)) => Taker::Only(id),
            Some(Holder::Get) => Taker::Nobody,
        };
        let (Reverse(level), seq) = first;
        Some((Position { level, seq }, taker))
    }

    /// Something has changed, by which more may be handed out or set aside than the last search has found.
    pub(crate) fn look_again(&mut self) {
        (self.is_full, self.is_full_for_get) = (false, false);
    }

    /// A consumer was found to have no room.
    pub(crate) fn close_line(&mut self, consumer: ConsumerId) {
        self.change_line(Some(Holder::Consumer(consumer)), |calls| calls.is_closed = true);
    }

    /// A consumer may have room again.
    pub(crate) fn open_line(&mut self, consumer: ConsumerId) {
        let line = Some(Holder::Consumer(consumer));
        if self.lines.contains_key(&line) {
            self.change_line(line, |calls| calls.is_closed = false);
        }
    }

    /// Any consumer may have room again.
    pub(crate) fn open_lines(&mut self) {
        let is_closed = |(line, calls): &(&Line, &Calls)| calls.is_closed && **line != Some(Holder::Get);
        let closed: Vec<Line> = self.lines.iter().filter(is_closed).map(|(line, _)| *line).collect();
        for line in closed {
            self.change_line(line, |calls| calls.is_closed = false);
        }
    }

    fn taken(&mut self, id: GroupId, holder: Holder) {
        let group = &mut self.groups[id as usize];
        group.unacked += 1;
        group.holder = Some(holder);
        self.line_up(id);
    }

    fn give_up(&mut self, id: GroupId) {
        let group = &mut self.groups[id as usize];
        group.unacked = group.unacked.saturating_sub(1);
        if group.unacked == 0 {
            group.holder = None;
        }
        self.line_up(id);
    }

    /// The group read last, which is known from now on.
    fn enter(&mut self) -> GroupId {
        if let Some(id) = self.read {
            return id;
        }
        let name: Box<[u8]> = self.name.as_slice().into();
        let id = self.free_ids.pop().unwrap_or_else(|| {
            self.groups.push(Group::default());
            GroupId::try_from(self.groups.len() - 1).unwrap_or(GroupId::MAX)
        });
        self.groups[id as usize].name.clone_from(&name);
        self.ids.insert(name, id);
        self.read = Some(id);
        id
    }

    /// Puts the group's first message set aside into the line where it belongs, or forgets the group.
    fn line_up(&mut self, id: GroupId) {
        let group = &mut self.groups[id as usize];
        let first = group.aside.first().copied().filter(|first| !group.is_held_up(*first));
        let call = first.map(|first| (group.holder, first));
        let is_known = group.unacked > 0 || !group.waiting.is_empty() || !group.aside.is_empty();
        let before = std::mem::replace(&mut group.call, call);
        if before != call {
            self.move_call(id, before, call);
        }
        if !is_known {
            self.forget(id);
        }
    }

    fn move_call(&mut self, id: GroupId, before: Option<(Line, Place)>, after: Option<(Line, Place)>) {
        match (before, after) {
            (Some((line, first)), Some((next_line, next))) if line == next_line => self.change_line(line, |calls| {
                calls.places.remove(&first);
                calls.places.insert(next, id);
            }),
            _ => {
                if let Some((line, first)) = before {
                    self.change_line(line, |calls| _ = calls.places.remove(&first));
                }
                if let Some((line, first)) = after {
                    self.change_line(line, |calls| _ = calls.places.insert(first, id));
                }
            }
        }
    }

    fn forget(&mut self, id: GroupId) {
        let group = std::mem::take(&mut self.groups[id as usize]);
        self.ids.remove(&group.name);
        self.free_ids.push(id);
        self.read = self.read.filter(|read| *read != id);
    }

    fn change_line(&mut self, line: Line, change: impl FnOnce(&mut Calls)) {
        let closed = || Calls { is_closed: line == Some(Holder::Get), ..Calls::default() };
        let calls = self.lines.entry(line).or_insert_with(closed);
        let before = calls.first_if_open();
        change(calls);
        let after = calls.first_if_open();
        if calls.places.is_empty() {
            self.lines.remove(&line);
        }
        if before != after {
            before.into_iter().for_each(|first| _ = self.open.remove(&first));
            after.into_iter().for_each(|first| _ = self.open.insert(first, line));
        }
    }
}

impl Calls {
    fn first_if_open(&self) -> Option<Place> {
        self.places.first_key_value().filter(|_| !self.is_closed).map(|(first, _)| *first)
    }
}

/// For tests.
#[cfg(test)]
impl Groups {
    pub(crate) fn check(&self, unacked: u64, waiting: u64, aside: u64) {
        let (mut lines, mut counts) = (BTreeMap::<Line, BTreeMap<Place, GroupId>>::new(), (0, 0, 0));
        for (name, id) in &self.ids {
            let group = &self.groups[*id as usize];
            assert_eq!((&group.name, group.holder.is_some()), (name, group.unacked > 0));
            if let Some((line, first)) = group.call {
                assert_eq!((line, Some(&first)), (group.holder, group.aside.first()));
                lines.entry(line).or_default().insert(first, *id);
            }
            assert_eq!(group.call.is_some(), group.aside.first().is_some_and(|first| !group.is_held_up(*first)));
            counts.0 += group.unacked;
            counts.1 += group.waiting.len() as u64;
            counts.2 += group.aside.len() as u64;
        }
        let found: BTreeMap<_, _> = self.lines.iter().map(|(line, calls)| (*line, calls.places.clone())).collect();
        assert_eq!(found, lines);
        let open = self.lines.iter().filter(|(_, calls)| !calls.is_closed);
        let open: BTreeMap<_, _> = open.map(|(line, calls)| (*calls.places.keys().next().unwrap(), *line)).collect();
        assert_eq!(open, self.open);
        assert_eq!(self.members.len() as u64, counts.0 + counts.1 + counts.2);
        assert!(counts.0 <= unacked && counts.1 <= waiting, "of groups are no more than there are");
        assert_eq!(counts.2, aside, "only messages of groups are set aside");
    }
}
