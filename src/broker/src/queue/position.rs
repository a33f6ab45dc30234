//! Where a message stands in a queue.

use smallvec::SmallVec;

/// The place of one message: its priority level and its sequence number within that level.
///
/// A position is given once and never reused; a requeued message keeps it, which is how it returns to its old place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The priority level; 0 in a queue without `x-max-priority`.
    pub level: u8,
    /// The number within the level, contiguous over persistent and transient messages.
    pub seq: u64,
}

/// Messages of one level with contiguous sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The first message.
    pub position: Position,
    /// How many messages.
    pub count: u32,
}

impl Run {
    /// The sequence number after the last message.
    #[must_use]
    pub fn end_seq(&self) -> u64 {
        self.position.seq + u64::from(self.count)
    }
}

/// Runs, in order. Nearly always there is one, which then needs no allocation of its own.
pub type Runs<R> = SmallVec<[R; 1]>;
