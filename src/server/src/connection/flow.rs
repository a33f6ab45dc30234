//! How far one connection may publish ahead of the disk.
//!
//! Messages wait in memory until their commit. A publisher that is faster than the disk would fill it; it is held back
//! by not reading its socket while too much of what it sent awaits a commit. What nobody would lose need not be
//! committed, and waits in memory as long as there is room. Where that is short the same holds for it, and for all
//! publishers together: the further over, the less each may be ahead.
//!
//! Not taken: credit between connection and queues as RabbitMQ has it: the disk is the one thing that everybody waits
//! for. And an equal share of what is left for each connection: most of them do not publish.

/// With so many bytes not yet reported back, reading stops.
const AHEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The same where memory is as short as can be.
const AHEAD_BYTES_MIN: u64 = 16 * 1024;

/// For each such part of it the commit is asked to report back, so that reading goes on during a commit.
const MARKS: u64 = 8;

/// The bytes of a connection that a commit has not yet covered.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes_max: u64,
    unmarked: u64,
    marked: u64,
}

impl Default for Ahead {
    fn default() -> Self {
        Self { bytes_max: AHEAD_BYTES_MAX, unmarked: 0, marked: 0 }
    }
}

impl Ahead {
    /// Counts content read, with so much `slack` in message memory (1.0 is all). Gives the size of a mark when one is due:
    /// to be given to [`Self::committed`] once everything up to here is committed.
    pub(super) fn read(&mut self, bytes: u64, slack: f64) -> Option<u64> {
        self.bytes_max = ((AHEAD_BYTES_MAX as f64 * slack) as u64).max(AHEAD_BYTES_MIN);
        self.unmarked += bytes;
        if self.unmarked < self.bytes_max / MARKS {
            return None;
        }
        self.marked += self.unmarked;
        Some(std::mem::take(&mut self.unmarked))
    }

    /// A mark has come back.
    pub(super) fn committed(&mut self, mark: u64) {
        self.marked = self.marked.saturating_sub(mark);
    }

    /// Whether reading has to stop.
    pub(super) fn is_too_far(&self) -> bool {
        self.marked >= self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_when_too_much_awaits_its_commit() {
        let mut ahead = Ahead::default();
        let mark_bytes = AHEAD_BYTES_MAX / MARKS;
        assert_eq!(ahead.read(mark_bytes - 1, 1.0), None);
        let mark = ahead.read(1, 1.0);
        assert_eq!(mark, Some(mark_bytes));
        assert!(!ahead.is_too_far());
        assert_eq!(ahead.read(AHEAD_BYTES_MAX, 1.0), Some(AHEAD_BYTES_MAX));
        assert!(ahead.is_too_far());
        ahead.committed(AHEAD_BYTES_MAX);
        assert!(!ahead.is_too_far());
        ahead.committed(mark_bytes);
        assert_eq!(ahead.marked, 0);
    }

    #[test]
    fn stops_earlier_the_shorter_memory_is() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.read(AHEAD_BYTES_MAX / 2, 0.5), Some(AHEAD_BYTES_MAX / 2));
        assert!(ahead.is_too_far());
        assert_eq!(ahead.read(0, 1.0), None);
        assert!(!ahead.is_too_far());
        ahead.committed(AHEAD_BYTES_MAX / 2);
        assert_eq!(ahead.read(AHEAD_BYTES_MIN - 1, 0.0), Some(AHEAD_BYTES_MIN - 1));
        assert!(!ahead.is_too_far(), "something must always be let in");
    }
}
