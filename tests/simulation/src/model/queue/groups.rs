//! Message groups: who may have which messages, and which of them comes first.

use std::collections::BTreeMap;

use leveret_broker::queue::ConsumerId;

use super::{Queue, follow_up::Order};
use crate::model::Message;

/// Who wants a message; `None` is basic.get.
type Taker = Option<ConsumerId>;

/// Whether somebody may have a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// He may not: somebody else has its group, or one that waits comes before it.
    No,
    /// One of its group waits of which it is not known whether it comes before.
    Perhaps,
    /// He may.
    Yes,
}

/// What is known of a group.
#[derive(Debug, Default)]
struct Group {
    /// Who has something of it.
    holder: Option<Taker>,
    /// The first of it that waits.
    waiting: Option<Order>,
}

/// By name.
type Groups = BTreeMap<u8, Group>;

impl Queue {
    /// The ready message whose turn it is, for this taker; several where their order is not known, and not which of them
    /// had come when another was delivered. Where the queue may not look past all that others have, the first of each level.
    pub(super) fn candidates(&self, taker: Taker) -> Vec<usize> {
        let groups = self.groups();
        let ready = self.in_order();
        let looks_past_all = self.looks_past_all();
        let may = |index: &usize| self.may_take(&groups, taker, &self.messages[*index]);
        let order = |index: &usize| self.order(&self.messages[*index]);
        let part = |index: &usize| (!looks_past_all).then_some(order(index).0);
        let mut firsts = BTreeMap::new();
        for index in ready.iter().filter(|index| may(index) == May::Yes) {
            firsts.entry(part(index)).or_insert(order(index));
        }
        let is_its_turn = |index: &usize| {
            let (order, first) = (order(index), firsts.get(&part(index)));
            first.is_none_or(|first| order <= *first || order.1 == first.1)
        };
        ready.iter().copied().filter(|index| may(index) != May::No && is_its_turn(index)).collect()
    }

    /// Whether the queue may set aside all that is ready, and so finds whatever anybody may have.
    pub(super) fn looks_past_all(&self) -> bool {
        let ready = self.messages.iter().filter(|message| message.is_ready);
        ready.count() as u64 <= self.set_aside_max
    }

    /// Whether something is ready that surely one of these may have, and was not given to him. Not where the queue may have
    /// set aside as much as it may of what they may not have.
    pub(super) fn is_neglected(&self, takers: &[Taker]) -> bool {
        let groups = self.groups();
        let is_for_them =
            |message: &&Message| takers.iter().any(|taker| self.may_take(&groups, *taker, message) == May::Yes);
        let ready = self.messages.iter().filter(|message| message.is_ready);
        let (for_them, for_others): (Vec<_>, Vec<_>) = ready.partition(is_for_them);
        let looks_past_all = for_others.is_empty() || (for_others.len() as u64) < self.set_aside_max;
        !for_them.is_empty() && looks_past_all
    }

    fn may_take(&self, groups: &Groups, taker: Taker, message: &Message) -> May {
        let Some(group) = self.group(message).and_then(|group| groups.get(&group)) else { return May::Yes };
        let is_with_another = group.holder.is_some_and(|holder| holder.is_none() || holder != taker);
        match group.waiting {
            _ if is_with_another => May::No,
            Some(waiting) if waiting < self.order(message) => May::No,
            Some(waiting) if waiting == self.order(message) => May::Perhaps,
            _ => May::Yes,
        }
    }

    fn groups(&self) -> Groups {
        let mut groups = Groups::new();
        for message in self.messages.iter().filter(|message| !message.is_ready) {
            let Some(name) = self.group(message) else { continue };
            let group = groups.entry(name).or_default();
            if message.is_held() {
                group.holder = Some(message.holder);
            } else {
                let order = self.order(message);
                group.waiting = Some(group.waiting.map_or(order, |first| first.min(order)));
            }
        }
        groups
    }

    fn group(&self, message: &Message) -> Option<u8> {
        message.content.group.filter(|_| self.plan.group_key.is_some())
    }
}
