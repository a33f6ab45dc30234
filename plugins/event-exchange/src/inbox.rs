//! Events on their way to the plugin's thread.
//!
//! There is room for a limited number of them. What comes while it is full is counted and dropped: who does something in
//! the broker never waits for those who look on.

use std::mem;

use leveret_broker::plugin::Event;
use parking_lot::{Condvar, Mutex};

/// Events that may wait. A restart of a fleet of clients makes a few for each of its connections and channels; an event
/// takes some hundred bytes with what it is about.
pub(crate) const EVENTS_MAX: usize = 64 * 1024;

/// Events that wait to be published.
#[derive(Default)]
pub(crate) struct Inbox {
    content: Mutex<Content>,
    changed: Condvar,
}

#[derive(Default)]
struct Content {
    is_closed: bool,
    events: Vec<Event>,
    dropped: u64,
}

/// What was taken out.
#[derive(Debug)]
pub(crate) struct Taken {
    /// In the order in which they came; at least one.
    pub(crate) events: Vec<Event>,
    /// How many came meanwhile and found no room.
    pub(crate) dropped: u64,
}

impl Inbox {
    /// Takes no more; what is in it can still be taken out.
    pub(crate) fn close(&self) {
        self.content.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Puts an event in, where there is room.
    pub(crate) fn put(&self, event: &Event) {
        let mut content = self.content.lock();
        if content.is_closed {
            return;
        }
        if content.events.len() >= EVENTS_MAX {
            content.dropped += 1;
            return;
        }
        content.events.push(event.clone());
        drop(content);
        self.changed.notify_one();
    }

    /// Waits until there is something, and takes all of it; `None` once it is closed and empty.
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut content = self.content.lock();
        while !content.is_closed && content.events.is_empty() {
            self.changed.wait(&mut content);
        }
        if content.events.is_empty() {
            return None;
        }
        Some(Taken { events: mem::take(&mut content.events), dropped: mem::take(&mut content.dropped) })
    }
}

#[cfg(test)]
mod tests {
    use leveret_broker::plugin::{EventKind, internal_user};

    use super::*;

    fn event(at_ms: u64) -> Event {
        Event { at_ms, user: internal_user().clone(), kind: EventKind::VHostDeleted("v".into()) }
    }

    fn times(taken: &Taken) -> Vec<u64> {
        taken.events.iter().map(|event| event.at_ms).collect()
    }

    #[test]
    fn what_was_put_in_comes_out_until_it_is_closed_and_empty() {
        let inbox = Inbox::default();
        inbox.put(&event(1));
        inbox.put(&event(2));
        assert_eq!(times(&inbox.take().unwrap()), [1, 2]);
        inbox.put(&event(3));
        inbox.close();
        inbox.put(&event(4));
        assert_eq!(times(&inbox.take().unwrap()), [3]);
        assert!(inbox.take().is_none());
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let inbox = Inbox::default();
        (0..EVENTS_MAX as u64 + 3).for_each(|at_ms| inbox.put(&event(at_ms)));
        let taken = inbox.take().unwrap();
        assert_eq!((taken.events.len(), taken.dropped), (EVENTS_MAX, 3));
        inbox.put(&event(7));
        let taken = inbox.take().unwrap();
        assert_eq!((times(&taken), taken.dropped), (vec![7], 0));
    }

    #[test]
    fn who_waits_is_woken() {
        let inbox = Inbox::default();
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| (inbox.take(), inbox.take()));
            inbox.put(&event(1));
            inbox.close();
            let (first, second) = taken.join().unwrap();
            assert_eq!(times(&first.unwrap()), [1]);
            assert!(second.is_none());
        });
    }
}
