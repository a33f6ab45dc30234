//! Signs of life: when one is due, and when the peer has been silent for too long.
//!
//! Any traffic counts. A heartbeat is sent after half an interval without writing, so that the peer sees something in
//! every interval; the peer is given up after two intervals without a byte. Times are handed in.

use std::time::Duration;

use tokio::time::Instant;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// A heartbeat is to be sent.
    Send,
    /// The peer is gone.
    Dead,
}

/// The times of a connection's last traffic.
#[derive(Debug)]
pub(super) struct Heartbeat {
    interval: Option<Duration>,
    read_at: Instant,
    written_at: Instant,
}

impl Heartbeat {
    /// `interval_s` 0 switches it off.
    pub(super) fn new(interval_s: u16, now: Instant) -> Self {
        Self {
            interval: (interval_s > 0).then(|| Duration::from_secs(interval_s.into())),
            read_at: now,
            written_at: now,
        }
    }

    /// Something came from the peer; also to be called while nothing is read on purpose, which is not the peer's
    /// silence.
    pub(super) fn heard(&mut self, now: Instant) {
        self.read_at = now;
    }

    /// Something went to the peer.
    pub(super) fn wrote(&mut self, now: Instant) {
        self.written_at = now;
    }

    /// What is due.
    pub(super) fn due(&self, now: Instant) -> Due {
        match self.interval {
            Some(interval) if now >= self.read_at + interval * 2 => Due::Dead,
            Some(interval) if now >= self.written_at + interval / 2 => Due::Send,
            _ => Due::Nothing,
        }
    }

    /// When to ask again.
    pub(super) fn next(&self) -> Option<Instant> {
        let interval = self.interval?;
        Some((self.read_at + interval * 2).min(self.written_at + interval / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_after_half_an_interval_and_gives_up_after_two() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heartbeat = Heartbeat::new(10, start);
        assert_eq!(heartbeat.due(at(4)), Due::Nothing);
        assert_eq!(heartbeat.next(), Some(at(5)));
        assert_eq!(heartbeat.due(at(5)), Due::Send);
        heartbeat.wrote(at(5));
        assert_eq!(heartbeat.due(at(9)), Due::Nothing);
        heartbeat.wrote(at(19));
        assert_eq!(heartbeat.next(), Some(at(20)));
        assert_eq!(heartbeat.due(at(20)), Due::Dead);
        heartbeat.heard(at(20));
        assert_eq!(heartbeat.due(at(23)), Due::Nothing);
    }

    #[test]
    fn zero_is_off() {
        let start = Instant::now();
        let heartbeat = Heartbeat::new(0, start);
        assert_eq!(heartbeat.due(start + Duration::from_secs(1_000_000)), Due::Nothing);
        assert_eq!(heartbeat.next(), None);
    }
}
