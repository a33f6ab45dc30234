//! The messages of one kind of work: what was found, and what must and must not be.

use std::collections::BTreeMap;

use super::Checked;
use crate::ledger::{Change, Emptying, Ledger, Message};
use crate::workload::Work;

/// Messages named in a complaint.
const NAMED_MAX: usize = 8;

/// Compares what the work's queues hold with what is known of its messages.
pub(super) fn compare(work: Work, ledger: &Ledger, queues: &[Vec<u32>], until_ns: u64, checked: &mut Checked) {
    let messages = ledger.messages(work.name());
    let emptied: Vec<_> = work.queues().iter().flat_map(|queue| ledger.emptyings(queue)).collect();
    let promised = |message: &Message| message.is_persistent && message.confirmed_ns <= until_ns;
    checked.confirmed += messages.values().filter(|message| promised(message)).count();
    let mut complain = |what: &str, numbers: Vec<u32>| {
        if !numbers.is_empty() {
            let named = &numbers[..numbers.len().min(NAMED_MAX)];
            checked.complaints.push(format!("{}: {} {what}: {named:?} …", work.name(), numbers.len()));
        }
    };
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    queues.iter().flatten().for_each(|&number| *counts.entry(number).or_default() += 1);
    let found = |is_wrong: &dyn Fn(&Message) -> bool| -> Vec<u32> {
        counts.keys().filter(|number| messages.get(number).is_some_and(is_wrong)).copied().collect()
    };
    let times = |is_wrong: &dyn Fn(usize) -> bool| -> Vec<u32> {
        counts.iter().filter(|&(_, &count)| is_wrong(count)).map(|(&number, _)| number).collect()
    };
    let copies = if work == Work::Pair { 2 } else { 1 };
    complain("are there more often than published", times(&|count| count > copies));
    complain("are there in part of a transaction", times(&|count| count < copies));
    let unknown = counts.keys().filter(|number| !messages.contains_key(number)).copied();
    complain("are there though never published", unknown.collect());
    complain("are there though not published yet", found(&|message| message.sent_ns > until_ns));
    complain("were settled for good and are back", found(&|message| message.settled_ns <= until_ns));
    complain(
        "were in a queue that was deleted and are back",
        found(&|message| emptied.iter().any(|(how, change)| must_be_gone(message, *how, *change, until_ns))),
    );
    if work == Work::Dead {
        let is_wrong = |number: &u32| messages.get(number).is_some_and(|message| message.settling_ns > until_ns);
        let dead = queues[1].iter().copied().filter(is_wrong);
        complain("are dead letters though nobody had rejected them", dead.collect());
    }
    let may_be_gone = |message: &Message| {
        (work.is_consumed() && message.settling_ns <= until_ns)
            || emptied.iter().any(|(_, change)| change.began_ns <= until_ns && change.ended_ns >= message.sent_ns)
    };
    let lost = messages
        .iter()
        .filter(|(number, message)| promised(message) && !may_be_gone(message) && !counts.contains_key(number));
    complain("were confirmed and are lost", lost.map(|(&number, _)| number).collect());
    for (queue, numbers) in work.queues().iter().zip(queues) {
        // Dead letters come as they were settled, which clients and the clock do in an order of their own.
        if !queue.ends_with(".target") {
            complain(&format!("are out of order in {queue}"), out_of_order(work, numbers));
        }
    }
}

/// Deleting is for good, once it is answered.
fn must_be_gone(message: &Message, how: Emptying, change: Change, until_ns: u64) -> bool {
    how == Emptying::Delete && change.ended_ns <= until_ns && message.confirmed_ns <= change.began_ns
}

/// What came behind a later one of its publisher and priority, or behind one of lower priority.
fn out_of_order(work: Work, numbers: &[u32]) -> Vec<u32> {
    let mut last_of: BTreeMap<(u32, u8), u32> = BTreeMap::new();
    let mut lowest = u8::MAX;
    let mut wrong = Vec::new();
    for &number in numbers {
        let (publisher, priority) = (number % work.publishers().max(1), work.priority(number));
        let last = last_of.insert((publisher, priority), number);
        if priority > lowest || last.is_some_and(|last| last > number) {
            wrong.push(number);
        }
        lowest = priority;
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::NEVER;

    /// What the checker says to a queue of 3 messages, all confirmed, that holds `found`.
    fn complaints(work: Work, found: &[u32]) -> Vec<String> {
        let ledger = Ledger::default();
        for number in 0..3 {
            ledger.sends(work.name(), number, true);
            ledger.confirmed(work.name(), number);
        }
        let mut checked = Checked::default();
        compare(work, &ledger, &[found.to_vec()], NEVER - 1, &mut checked);
        assert_eq!(checked.confirmed, 3);
        checked.complaints
    }

    #[test]
    fn what_is_all_there_in_order_is_well() {
        assert!(complaints(Work::Queue, &[0, 1, 2]).is_empty());
        assert!(complaints(Work::Priority, &[2, 1, 0]).is_empty());
        assert!(complaints(Work::Shared, &[1, 0, 2]).is_empty());
    }

    #[test]
    fn what_is_amiss_is_named() {
        assert_eq!(complaints(Work::Queue, &[0, 2]), ["queue: 1 were confirmed and are lost: [1] …"]);
        assert_eq!(complaints(Work::Queue, &[0, 2, 1]), ["queue: 1 are out of order in queue: [1] …"]);
        assert_eq!(complaints(Work::Priority, &[1, 2, 0]), ["priority: 1 are out of order in priority: [2] …"]);
        assert_eq!(complaints(Work::Shared, &[1, 2, 0]), ["shared: 1 are out of order in shared: [0] …"]);
        assert_eq!(complaints(Work::Queue, &[0, 1, 2, 7]), ["queue: 1 are there though never published: [7] …"]);
        let twice = complaints(Work::Queue, &[0, 1, 1, 2]);
        assert_eq!(twice, ["queue: 1 are there more often than published: [1] …"]);
    }

    #[test]
    fn what_a_deleted_queue_held_must_not_come_back_and_what_was_purged_may() {
        for (how, complaints) in [(Emptying::Delete, 1), (Emptying::Purge, 0)] {
            let ledger = Ledger::default();
            ledger.sends("emptied", 0, true);
            ledger.confirmed("emptied", 0);
            ledger.empties("emptied", how);
            ledger.emptied("emptied");
            let mut checked = Checked::default();
            compare(Work::Emptied, &ledger, &[vec![0]], NEVER - 1, &mut checked);
            assert_eq!(checked.complaints.len(), complaints, "{checked:?}");
            let mut checked = Checked::default();
            compare(Work::Emptied, &ledger, &[vec![]], NEVER - 1, &mut checked);
            assert!(checked.complaints.is_empty(), "{checked:?}");
        }
    }
}
