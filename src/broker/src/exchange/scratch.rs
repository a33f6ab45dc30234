//! Working memory of a route, kept per thread so that routing allocates nothing.
//!
//! Marks are stamped with the number of the route that set them, so that nothing need be cleared between routes. The
//! memory grows to what the largest exchange routed by the thread needs and stays: a few bytes for each of its bindings.

use std::cell::Cell;

/// Counters by number, all zero at [`Counters::begin`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    route: u64,
    slots: Vec<(u64, u32)>,
}

impl Counters {
    /// Starts afresh for numbers below `bound`.
    pub(super) fn begin(&mut self, bound: usize) {
        self.route += 1;
        if self.slots.len() < bound {
            self.slots.resize(bound, (0, 0));
        }
    }

    /// Adds to a counter; its new value.
    #[inline]
    pub(super) fn add(&mut self, number: u32, times: u32) -> u32 {
        let (route, count) = &mut self.slots[number as usize];
        if *route != self.route {
            (*route, *count) = (self.route, 0);
        }
        *count += times;
        *count
    }

    /// True the first time for each number.
    #[inline]
    pub(super) fn mark(&mut self, number: u32) -> bool {
        self.add(number, 1) == 1
    }

    /// Whether the number was marked.
    #[inline]
    pub(super) fn is_marked(&self, number: u32) -> bool {
        self.slots[number as usize].0 == self.route
    }
}

/// What the routers of this package share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) destinations: Counters,
    /// Topic: nodes opened by `#`. Headers: names seen.
    pub(super) first: Counters,
    /// Headers: conditions met, by rule.
    pub(super) rules: Counters,
    /// Topic: nodes that the words so far lead to, and those that the next word leads to.
    pub(super) active: Vec<u32>,
    pub(super) next: Vec<u32>,
    /// Topic: `#` nodes reached.
    pub(super) open: Vec<u32>,
    /// Headers: a value's canonical form.
    pub(super) bytes: Vec<u8>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Lends this thread's working memory. A route within a route gets memory of its own.
pub(super) fn with<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = work(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}
