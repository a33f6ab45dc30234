//! What was delivered on a channel and is not yet settled: delivery tags on one side, places in queues on the other.
//!
//! Deliveries come in runs, so the map holds runs: a consumer with ten thousand messages in flight costs a few entries.
//! A run is cut from its front and its back in place; only a settlement from its middle splits it in two.
//!
//! Not taken: a deque in order of tags, in which a settlement from the middle moves everything behind it, and one entry
//! per message, which is what makes an unlimited prefetch expensive elsewhere.

use std::{collections::BTreeMap, ops::Range};

use leveret_broker::queue::{Position, Run};
use smallvec::SmallVec;

/// Deliveries this close in time, in milliseconds, may share an entry, and so the time at which they were delivered.
const SAME_TIME_MS: u64 = 1000;

/// Tag ranges remembered as taken back by the server. What falls out is answered as unknown, as it would be anyway.
const TAKEN_BACK_MAX: usize = 256;

/// Consecutive delivery tags that stand for consecutive places of one origin (a queue and its consumer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<O> {
    /// The first delivery tag.
    pub(super) first_tag: u64,
    /// The places in the queue, one for each tag.
    pub(super) run: Run,
    /// Where they came from.
    pub(super) origin: O,
    /// When they were delivered, milliseconds since the Unix epoch, to within a second.
    pub(super) delivered_ms: u64,
}

/// Entries in the order of their tags. What is settled at once is nearly always in one, which then needs no allocation.
pub(super) type Entries<O> = SmallVec<[Entry<O>; 1]>;

/// The unsettled deliveries of a channel, in the order of their tags.
#[derive(Debug)]
pub(super) struct Unacked<O> {
    /// By the first tag at insertion; an entry that was cut at its front stays under its old key, which still orders it.
    entries: BTreeMap<u64, Entry<O>>,
    /// Behind all of these. A message that is settled before the next one is delivered never gets into the map.
    newest: Option<Entry<O>>,
    count: u64,
    taken_back: Vec<Range<u64>>,
}

impl<O: Clone + PartialEq> Unacked<O> {
    /// Nothing unsettled.
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), newest: None, count: 0, taken_back: Vec::new() }
    }

    /// How many deliveries are unsettled.
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Adds a run whose tags follow all that were ever added.
    pub(super) fn push(&mut self, entry: Entry<O>) {
        self.count += u64::from(entry.run.count);
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.continues_with(&entry)) {
            newest.run.count += entry.run.count;
            return;
        }
        self.shelve();
        self.newest = Some(entry);
    }

    /// From now on everything is in the map.
    fn shelve(&mut self) {
        if let Some(newest) = self.newest.take() {
            self.entries.insert(newest.first_tag, newest);
        }
    }

    /// Puts back what one of the `take` methods gave.
    pub(super) fn restore(&mut self, entry: Entry<O>) {
        self.shelve();
        self.count += u64::from(entry.run.count);
        // The key of an entry cut at its front may stand before or at the place that is wanted back.
        let before = self.entries.range(..=entry.first_tag).next_back();
        let in_the_way = before.filter(|(_, before)| before.first_tag > entry.first_tag).map(|(key, _)| *key);
        if let Some(moved) = in_the_way.and_then(|key| self.entries.remove(&key)) {
            self.entries.insert(moved.first_tag, moved);
        }
        self.entries.insert(entry.first_tag, entry);
    }

    /// Takes one delivery; `None` where that tag is not unsettled.
    pub(super) fn take_one(&mut self, tag: u64) -> Option<Entry<O>> {
        if let Some(newest) = self.newest.take_if(|newest| newest.first_tag == tag && newest.run.count == 1) {
            self.count -= 1;
            return Some(newest);
        }
        if self.newest.as_ref().is_some_and(|newest| newest.has(tag)) {
            self.shelve();
        }
        let (key, entry) = self.entries.range_mut(..=tag).next_back()?;
        if !entry.has(tag) {
            return None;
        }
        let key = *key;
        let taken = entry.part(tag..tag + 1);
        let behind = entry.part(tag + 1..entry.end_tag());
        if tag == entry.first_tag {
            *entry = behind;
            if entry.run.count == 0 {
                self.entries.remove(&key);
            }
        } else {
            entry.run.count = to_count(entry.first_tag..tag);
            if behind.run.count > 0 {
                self.entries.insert(behind.first_tag, behind);
            }
        }
        self.count -= 1;
        Some(taken)
    }

    /// Takes everything up to and with `tag`, in order; `None`, and nothing changed, where `tag` itself is not unsettled.
    pub(super) fn take_through(&mut self, tag: u64) -> Option<Entries<O>> {
        self.shelve();
        let (_, entry) = self.entries.range(..=tag).next_back()?;
        entry.has(tag).then(|| self.take_before(tag + 1))
    }

    /// Takes everything, in order.
    pub(super) fn take_all(&mut self) -> Entries<O> {
        self.shelve();
        self.count = 0;
        std::mem::take(&mut self.entries).into_values().collect()
    }

    /// Takes, in order, everything whose origin is chosen, and remembers that the server took it: a settlement of it
    /// may be under way.
    pub(super) fn take_back(&mut self, chosen: impl Fn(&O) -> bool) -> Entries<O> {
        self.shelve();
        let taken: Entries<O> =
            self.entries.extract_if(.., |_, entry| chosen(&entry.origin)).map(|(_, entry)| entry).collect();
        for entry in &taken {
            self.count -= u64::from(entry.run.count);
            self.remember_taken_back(entry.first_tag..entry.end_tag());
        }
        taken
    }

    /// Takes everything up to and with `tag` where the server has taken back that very delivery; `None` where not.
    pub(super) fn take_late(&mut self, tag: u64, multiple: bool) -> Option<Entries<O>> {
        if !self.taken_back.iter().any(|range| range.contains(&tag)) {
            return None;
        }
        self.shelve();
        Some(if multiple { self.take_before(tag + 1) } else { Entries::new() })
    }

    /// The first entry delivered at or before `until_ms` whose origin is not to be passed over.
    pub(super) fn overdue(&self, until_ms: u64, mut is_overdue: impl FnMut(&Entry<O>) -> bool) -> Option<&Entry<O>> {
        self.entries
            .values()
            .chain(&self.newest)
            .take_while(|entry| entry.delivered_ms <= until_ms)
            .find(|entry| is_overdue(entry))
    }

    fn take_before(&mut self, end_tag: u64) -> Entries<O> {
        let mut taken = Entries::new();
        while let Some(mut first) = self.entries.first_entry() {
            let entry = first.get_mut();
            if entry.first_tag >= end_tag {
                break;
            }
            if entry.end_tag() <= end_tag {
                taken.push(first.remove());
            } else {
                taken.push(entry.part(entry.first_tag..end_tag));
                *entry = entry.part(end_tag..entry.end_tag());
            }
        }
        self.count -= taken.iter().map(|entry| u64::from(entry.run.count)).sum::<u64>();
        taken
    }

    fn remember_taken_back(&mut self, tags: Range<u64>) {
        match self.taken_back.last_mut() {
            Some(last) if last.end == tags.start => last.end = tags.end,
            _ => self.taken_back.push(tags),
        }
        if self.taken_back.len() > TAKEN_BACK_MAX {
            self.taken_back.remove(0);
        }
    }
}

impl<O: Clone + PartialEq> Entry<O> {
    fn end_tag(&self) -> u64 {
        self.first_tag + u64::from(self.run.count)
    }

    fn has(&self, tag: u64) -> bool {
        self.first_tag <= tag && tag < self.end_tag()
    }

    /// The entry for some of its tags, none included.
    fn part(&self, tags: Range<u64>) -> Self {
        let position =
            Position { level: self.run.position.level, seq: self.run.position.seq + (tags.start - self.first_tag) };
        Self {
            first_tag: tags.start,
            run: Run { position, count: to_count(tags) },
            origin: self.origin.clone(),
            delivered_ms: self.delivered_ms,
        }
    }

    fn continues_with(&self, next: &Self) -> bool {
        let (here, there) = (self.run.position, next.run.position);
        self.end_tag() == next.first_tag
            && here.level == there.level
            && here.seq + u64::from(self.run.count) == there.seq
            && next.delivered_ms.saturating_sub(self.delivered_ms) < SAME_TIME_MS
            && self.run.count.checked_add(next.run.count).is_some()
            && self.origin == next.origin
    }
}

/// The length of a part of an entry, which no count of a run exceeds.
fn to_count(tags: Range<u64>) -> u32 {
    u32::try_from(tags.end.saturating_sub(tags.start)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push { count: u32, origin: u8, gap: bool, later_ms: u64 },
        One { tag: u64, restore: bool },
        Through { tag: u64, restore: bool },
        All,
        TakeBack { origin: u8 },
        Late { tag: u64, multiple: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..20u32, 0..3u8, any::<bool>(), 0..700u64).prop_map(|(count, origin, gap, later_ms)| Step::Push { count, origin, gap, later_ms }),
            6 => (0..200u64, any::<bool>()).prop_map(|(tag, restore)| Step::One { tag, restore }),
            2 => (0..200u64, any::<bool>()).prop_map(|(tag, restore)| Step::Through { tag, restore }),
            1 => Just(Step::All),
            1 => (0..3u8).prop_map(|origin| Step::TakeBack { origin }),
            1 => (0..200u64, any::<bool>()).prop_map(|(tag, multiple)| Step::Late { tag, multiple }),
        ]
    }

    /// One entry per delivery.
    #[derive(Default)]
    struct Naive {
        messages: BTreeMap<u64, (u8, u64)>,
        taken_back: std::collections::BTreeSet<u64>,
        next_tag: u64,
        next_seq: u64,
        now_ms: u64,
    }

    impl Naive {
        fn take(&mut self, tags: Vec<u64>) -> Vec<(u64, u8, u64)> {
            tags.into_iter()
                .filter_map(|tag| self.messages.remove(&tag).map(|(origin, seq)| (tag, origin, seq)))
                .collect()
        }

        fn through(&mut self, tag: u64) -> Vec<(u64, u8, u64)> {
            let tags = self.messages.range(..=tag).map(|(tag, _)| *tag).collect();
            self.take(tags)
        }

        fn give(&mut self, taken: &[(u64, u8, u64)]) {
            self.messages.extend(taken.iter().map(|(tag, origin, seq)| (*tag, (*origin, *seq))));
        }
    }

    fn flat(entries: &[Entry<u8>]) -> Vec<(u64, u8, u64)> {
        let each = |entry: &Entry<u8>| {
            let (tag, origin, seq) = (entry.first_tag, entry.origin, entry.run.position.seq);
            (0..u64::from(entry.run.count)).map(move |index| (tag + index, origin, seq + index))
        };
        entries.iter().flat_map(each).collect()
    }

    fn apply(step: &Step, unacked: &mut Unacked<u8>, naive: &mut Naive) -> Result<(), TestCaseError> {
        let mut restored = (false, Entries::new());
        let (taken, expected) = match *step {
            Step::Push { count, origin, gap, later_ms } => {
                naive.next_seq += u64::from(gap);
                naive.now_ms += later_ms;
                let position = Position { level: 0, seq: naive.next_seq };
                unacked.push(Entry {
                    first_tag: naive.next_tag,
                    run: Run { position, count },
                    origin,
                    delivered_ms: naive.now_ms,
                });
                for _ in 0..count {
                    naive.messages.insert(naive.next_tag, (origin, naive.next_seq));
                    naive.next_tag += 1;
                    naive.next_seq += 1;
                }
                return Ok(());
            }
            Step::One { tag, restore } => {
                let taken: Entries<_> = unacked.take_one(tag).into_iter().collect();
                restored = (restore, taken.clone());
                (taken, naive.take(vec![tag]))
            }
            Step::Through { tag, restore } => {
                let known = naive.messages.contains_key(&tag);
                let taken = unacked.take_through(tag);
                prop_assert_eq!(taken.is_some(), known);
                let taken = taken.unwrap_or_default();
                restored = (restore, taken.clone());
                (taken, if known { naive.through(tag) } else { Vec::new() })
            }
            Step::All => (unacked.take_all(), naive.through(u64::MAX)),
            Step::TakeBack { origin } => {
                let tags = naive.messages.iter().filter(|(_, (of, _))| *of == origin).map(|(tag, _)| *tag);
                let tags: Vec<_> = tags.collect();
                naive.taken_back.extend(&tags);
                (unacked.take_back(|of| *of == origin), naive.take(tags))
            }
            Step::Late { tag, multiple } => {
                let known = naive.taken_back.contains(&tag);
                let taken = unacked.take_late(tag, multiple);
                prop_assert_eq!(taken.is_some(), known);
                (taken.unwrap_or_default(), if known && multiple { naive.through(tag) } else { Vec::new() })
            }
        };
        prop_assert_eq!(flat(&taken), expected);
        if restored.0 {
            naive.give(&flat(&restored.1));
            restored.1.into_iter().for_each(|entry| unacked.restore(entry));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn behaves_like_one_entry_per_delivery(steps in proptest::collection::vec(step(), 0..80)) {
            let mut unacked = Unacked::new();
            let mut naive = Naive { next_tag: 1, ..Naive::default() };
            for step in &steps {
                apply(step, &mut unacked, &mut naive)?;
                prop_assert_eq!(unacked.len(), naive.messages.len() as u64);
            }
            let rest: Vec<_> = naive.messages.iter().map(|(tag, (origin, seq))| (*tag, *origin, *seq)).collect();
            prop_assert_eq!(flat(&unacked.take_all()), rest);
        }
    }

    fn run_of(first_tag: u64, count: u32, delivered_ms: u64) -> Entry<u8> {
        let position = Position { level: 0, seq: first_tag };
        Entry { first_tag, run: Run { position, count }, origin: 0, delivered_ms }
    }

    fn entries_of(unacked: &Unacked<u8>) -> usize {
        unacked.entries.len() + unacked.newest.iter().len()
    }

    #[test]
    fn adjacent_runs_share_an_entry() {
        let mut unacked = Unacked::new();
        for tag in 1..=1000 {
            unacked.push(run_of(tag, 1, 0));
        }
        assert_eq!(entries_of(&unacked), 1);
        unacked.take_one(1).unwrap();
        unacked.take_one(1000).unwrap();
        assert_eq!(entries_of(&unacked), 1);
        unacked.take_one(500).unwrap();
        assert_eq!(entries_of(&unacked), 2);
    }

    #[test]
    fn what_is_settled_before_the_next_delivery_stays_out_of_the_map() {
        let mut unacked = Unacked::new();
        for tag in 1..=10 {
            unacked.push(run_of(tag, 1, 0));
            assert!(unacked.entries.is_empty());
            unacked.take_one(tag).unwrap();
            assert_eq!(entries_of(&unacked), 0);
        }
    }

    #[test]
    fn overdue_finds_the_oldest_first() {
        let mut unacked = Unacked::new();
        unacked.push(run_of(1, 2, 0));
        unacked.push(run_of(3, 2, 5000));
        assert_eq!(unacked.overdue(4999, |_| true).map(|entry| entry.first_tag), Some(1));
        unacked.take_through(2).unwrap();
        assert!(unacked.overdue(4999, |_| true).is_none());
        assert_eq!(unacked.overdue(5000, |_| true).map(|entry| entry.first_tag), Some(3));
    }
}
