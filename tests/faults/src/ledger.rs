//! What clients did and were told, and when.
//!
//! Times are of the disk's journal ([`leveret_faultfs::now_ns`]): what was done is noted before, what was answered after
//! it happened. So at any point of the journal one can say what the broker had promised by then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leveret_faultfs::now_ns;

/// Not in the time of this run.
pub(crate) const NEVER: u64 = u64::MAX;

/// What is known of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) is_persistent: bool,
    /// Before it was published.
    pub(crate) sent_ns: u64,
    /// Confirmed, or the transaction was.
    pub(crate) confirmed_ns: u64,
    /// Before it was acknowledged or rejected.
    pub(crate) settling_ns: u64,
    /// The broker has promised that this is for good.
    pub(crate) settled_ns: u64,
}

/// What is known of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) declaring_ns: u64,
    pub(crate) declared_ns: u64,
    pub(crate) deleting_ns: u64,
    pub(crate) deleted_ns: u64,
}

impl Definition {
    fn begins() -> Self {
        Self { declaring_ns: now_ns(), declared_ns: NEVER, deleting_ns: NEVER, deleted_ns: NEVER }
    }
}

/// A change with one answer, from before it was asked for to the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) began_ns: u64,
    pub(crate) ended_ns: u64,
}

impl Change {
    fn begins() -> Self {
        Self { began_ns: now_ns(), ended_ns: NEVER }
    }
}

/// What was done with a queue as a whole while clients worked with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emptying {
    Purge,
    /// Deleted and declared again.
    Delete,
}

/// The messages of one kind of work, by their numbers.
pub(crate) type Messages = BTreeMap<u32, Message>;

#[derive(Debug, Default)]
struct Facts {
    messages: BTreeMap<&'static str, Messages>,
    definitions: BTreeMap<String, Definition>,
    emptied: BTreeMap<&'static str, Vec<(Emptying, Change)>>,
    /// Each set the policy to its own number.
    policies: Vec<Change>,
    unexpected: Vec<String>,
}

/// Shared by all clients of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Facts>>);

impl Ledger {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is about to be published.
    pub(crate) fn sends(&self, work: &'static str, number: u32, is_persistent: bool) {
        let never = (NEVER, NEVER, NEVER);
        let (confirmed_ns, settling_ns, settled_ns) = never;
        let message = Message { is_persistent, sent_ns: now_ns(), confirmed_ns, settling_ns, settled_ns };
        self.facts().messages.entry(work).or_default().insert(number, message);
    }

    pub(crate) fn confirmed(&self, work: &'static str, number: u32) {
        let now = now_ns();
        self.change(work, number, |message| message.confirmed_ns = now);
    }

    /// It was delivered.
    pub(crate) fn delivered(&self, work: &'static str, number: u32) {
        let mut is_back = false;
        self.change(work, number, |message| is_back = message.settled_ns != NEVER);
        if is_back {
            self.unexpected(format!("{work}: {number} was settled for good and is delivered again"));
        }
    }

    /// They are about to be acknowledged or rejected.
    pub(crate) fn settles(&self, work: &'static str, numbers: &[u32]) {
        let now = now_ns();
        for &number in numbers {
            self.change(work, number, |message| message.settling_ns = message.settling_ns.min(now));
        }
    }

    pub(crate) fn settled(&self, work: &'static str, numbers: &[u32]) {
        let now = now_ns();
        for &number in numbers {
            self.change(work, number, |message| message.settled_ns = now);
        }
    }

    fn change(&self, work: &'static str, number: u32, change: impl FnOnce(&mut Message)) {
        let mut facts = self.facts();
        match facts.messages.entry(work).or_default().get_mut(&number) {
            Some(message) => change(message),
            None => facts.unexpected.push(format!("{work}: {number} was never published")),
        }
    }

    /// A queue is about to be declared, perhaps again.
    pub(crate) fn declares(&self, queue: &str) {
        self.facts().definitions.entry(queue.to_owned()).or_insert_with(Definition::begins);
    }

    /// A queue is about to be declared that must not survive its connection.
    pub(crate) fn declares_exclusive(&self, queue: &str) {
        let gone = Definition { deleting_ns: 0, deleted_ns: 0, ..Definition::begins() };
        self.facts().definitions.insert(queue.to_owned(), gone);
    }

    pub(crate) fn define(&self, queue: &str, change: impl FnOnce(&mut Definition, u64)) {
        let now = now_ns();
        if let Some(definition) = self.facts().definitions.get_mut(queue) {
            change(definition, now);
        }
    }

    /// A queue is about to be emptied.
    pub(crate) fn empties(&self, queue: &'static str, how: Emptying) {
        self.facts().emptied.entry(queue).or_default().push((how, Change::begins()));
    }

    /// The last one of that is done.
    pub(crate) fn emptied(&self, queue: &'static str) {
        let now = now_ns();
        if let Some((_, change)) = self.facts().emptied.entry(queue).or_default().last_mut() {
            change.ended_ns = now;
        }
    }

    /// The policy is about to be set to what this gives.
    pub(crate) fn sets_policy(&self) -> usize {
        let mut facts = self.facts();
        facts.policies.push(Change::begins());
        facts.policies.len() - 1
    }

    pub(crate) fn policy_set(&self, number: usize) {
        let now = now_ns();
        if let Some(change) = self.facts().policies.get_mut(number) {
            change.ended_ns = now;
        }
    }

    /// A client saw what must not be.
    pub(crate) fn unexpected(&self, what: String) {
        self.facts().unexpected.push(what);
    }

    pub(crate) fn messages(&self, work: &str) -> Messages {
        self.facts().messages.get(work).cloned().unwrap_or_default()
    }

    pub(crate) fn definitions(&self) -> BTreeMap<String, Definition> {
        self.facts().definitions.clone()
    }

    pub(crate) fn emptyings(&self, queue: &str) -> Vec<(Emptying, Change)> {
        self.facts().emptied.get(queue).cloned().unwrap_or_default()
    }

    pub(crate) fn policies(&self) -> Vec<Change> {
        self.facts().policies.clone()
    }

    pub(crate) fn surprises(&self) -> Vec<String> {
        self.facts().unexpected.clone()
    }
}
