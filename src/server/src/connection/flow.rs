//! How far one connection may publish ahead of the disk.
//!
//! Messages wait in memory until their commit. A publisher that is faster than the disk would fill it; it is held back
//! by not reading its socket while too much of what it sent awaits a commit. Not taken: credit between connection and
//! queues as RabbitMQ has it: the disk is the one thing that everybody waits for.

/// After so many bytes read the commit is asked to report back.
const MARK_BYTES: u64 = 2 * 1024 * 1024;

/// With so many bytes not yet reported back, reading stops. A few marks, so that reading goes on during a commit.
const AHEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The bytes of a connection that a commit has not yet covered.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    unmarked: u64,
    marked: u64,
}

impl Ahead {
    /// Counts content read. Gives the size of a mark when one is due: to be given to [`Self::committed`] once everything
    /// up to here is committed.
    pub(super) fn read(&mut self, bytes: u64) -> Option<u64> {
        self.unmarked += bytes;
        if self.unmarked < MARK_BYTES {
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
        self.marked >= AHEAD_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_when_too_much_awaits_its_commit() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.read(MARK_BYTES - 1), None);
        let mark = ahead.read(1);
        assert_eq!(mark, Some(MARK_BYTES));
        assert!(!ahead.is_too_far());
        assert_eq!(ahead.read(AHEAD_BYTES_MAX), Some(AHEAD_BYTES_MAX));
        assert!(ahead.is_too_far());
        ahead.committed(AHEAD_BYTES_MAX);
        assert!(!ahead.is_too_far());
        ahead.committed(MARK_BYTES);
        assert_eq!(ahead.marked, 0);
    }
}
