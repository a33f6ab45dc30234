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

/// What is known of a queue that was declared on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) declaring_ns: u64,
    pub(crate) declared_ns: u64,
    pub(crate) deleting_ns: u64,
    pub(crate) deleted_ns: u64,
}

/// The messages of one kind of work, by their numbers.
pub(crate) type Messages = BTreeMap<u32, Message>;

#[derive(Debug, Default)]
struct Facts {
    messages: BTreeMap<&'static str, Messages>,
    definitions: BTreeMap<String, Definition>,
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
        let (declared_ns, deleting_ns, deleted_ns) = (NEVER, NEVER, NEVER);
        let definition = Definition { declaring_ns: now_ns(), declared_ns, deleting_ns, deleted_ns };
        self.facts().definitions.entry(queue.to_owned()).or_insert(definition);
    }

    pub(crate) fn define(&self, queue: &str, change: impl FnOnce(&mut Definition, u64)) {
        let now = now_ns();
        if let Some(definition) = self.facts().definitions.get_mut(queue) {
            change(definition, now);
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

    pub(crate) fn surprises(&self) -> Vec<String> {
        self.facts().unexpected.clone()
    }

    /// How many messages are confirmed.
    pub(crate) fn confirmed_count(&self) -> usize {
        let facts = self.facts();
        facts.messages.values().flat_map(Messages::values).filter(|message| message.confirmed_ns != NEVER).count()
    }
}
