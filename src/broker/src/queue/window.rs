//! Allowances that several queues draw on at once: a channel's global prefetch, a connection's outbox.
//!
//! One atomic word holds what is in use and whether somebody was turned away, so that no wake-up is lost between a
//! queue that finds no room and a channel that gives some back. Not taken: a semaphore, which would need a waiter per
//! queue; queues are resumed by the window's owner instead.

use std::sync::atomic::{AtomicU64, Ordering};

/// Set while somebody who found no room has not been told that there is some again.
const TURNED_AWAY: u64 = 1 << 63;

/// A shared allowance of messages or bytes.
#[derive(Debug)]
pub struct Window {
    limit: AtomicU64,
    /// What is in use, with [`TURNED_AWAY`] in the highest bit.
    used: AtomicU64,
}

impl Window {
    /// An allowance of `limit`; 0 is unlimited.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit: AtomicU64::new(limit), used: AtomicU64::new(0) }
    }

    /// What is left; 0 also where more than the limit is in use. Remembers that somebody found nothing.
    pub fn room(&self) -> u64 {
        self.take_with(|_| 0)
    }

    /// What is left, for somebody who only looks.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.limit().saturating_sub(self.used())
    }

    /// Takes up to `wanted`; what was granted. Remembers that somebody got nothing.
    pub fn take(&self, wanted: u64) -> u64 {
        let mut granted = 0;
        self.take_with(|room| {
            granted = room.min(wanted);
            granted
        });
        granted
    }

    /// Takes `wanted` whole if there is any room at all: for what cannot be cut, at the price of going over the limit
    /// by one such take.
    pub fn take_whole(&self, wanted: u64) -> bool {
        self.take_with(|_| wanted) > 0
    }

    /// Takes without asking: for what [`Self::room`] was found for before.
    pub fn charge(&self, amount: u64) {
        self.used.fetch_add(amount, Ordering::AcqRel);
    }

    /// Gives back. True if somebody was turned away before and now has room: the caller has the queues resumed.
    pub fn give(&self, returned: u64) -> bool {
        let limit = self.limit();
        let mut current = self.used.load(Ordering::Relaxed);
        loop {
            let used = (current & !TURNED_AWAY).saturating_sub(returned);
            let resumes = current & TURNED_AWAY != 0 && used < limit;
            let next = if resumes { used } else { used | (current & TURNED_AWAY) };
            match self.used.compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return resumes,
                Err(actual) => current = actual,
            }
        }
    }

    /// Changes the limit (basic.qos on a channel in use). True as for [`Self::give`].
    pub fn resize(&self, limit: u64) -> bool {
        self.limit.store(limit, Ordering::Release);
        self.give(0)
    }

    /// What is in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed) & !TURNED_AWAY
    }

    fn limit(&self) -> u64 {
        match self.limit.load(Ordering::Acquire) {
            0 => TURNED_AWAY,
            limit => limit,
        }
    }

    /// Adds what `choose` makes of the room; without room marks that somebody was turned away. The room there was.
    fn take_with(&self, mut choose: impl FnMut(u64) -> u64) -> u64 {
        let limit = self.limit();
        let mut current = self.used.load(Ordering::Relaxed);
        loop {
            let room = limit.saturating_sub(current & !TURNED_AWAY);
            let next = if room == 0 { current | TURNED_AWAY } else { current + choose(room) };
            if next == current {
                return room;
            }
            match self.used.compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return room,
                Err(actual) => current = actual,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn grants_up_to_the_limit() {
        let window = Window::new(10);
        assert_eq!(window.take(6), 6);
        assert_eq!(window.take(6), 4);
        assert_eq!(window.take(6), 0);
        assert_eq!(window.used(), 10);
    }

    #[test]
    fn giving_back_resumes_only_those_who_were_turned_away() {
        let window = Window::new(2);
        assert_eq!(window.take(2), 2);
        assert!(!window.give(1), "nobody had asked in vain");
        assert_eq!(window.take(2), 1);
        assert_eq!(window.take(1), 0);
        assert!(window.give(1));
        assert!(!window.give(1), "once told is enough");
    }

    #[test]
    fn a_whole_take_may_go_over_and_then_blocks_until_back_under() {
        let window = Window::new(10);
        assert!(window.take_whole(25));
        assert!(!window.take_whole(1));
        assert!(!window.give(15), "still full");
        assert!(window.give(1));
        assert!(window.take_whole(1));
    }

    #[test]
    fn zero_is_unlimited() {
        let window = Window::new(0);
        assert_eq!(window.take(1 << 40), 1 << 40);
        assert!(window.room() > 0);
    }

    #[test]
    fn a_larger_limit_resumes() {
        let window = Window::new(1);
        assert_eq!(window.take(1), 1);
        assert_eq!(window.room(), 0);
        assert!(window.resize(2));
        assert_eq!(window.take(5), 1);
    }

    #[test]
    fn no_wake_up_is_lost_between_threads() {
        let window = Window::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let granted = window.take(2);
                        if granted > 0 {
                            window.give(granted);
                        }
                    }
                });
            }
        });
        assert_eq!(window.used(), 0);
        assert_eq!(window.take(3), 3);
    }
}
