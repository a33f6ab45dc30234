//! The first bytes of each body: whose message it is, which one, and when it was sent.

use std::time::Instant;

/// Bytes a stamp takes, the least size of a message.
pub(super) const STAMP_BYTES: usize = 16;

/// Nanoseconds since the run began; producers and consumers live in one process and so share it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The instant `at_ns` after the beginning.
    pub(super) fn instant(self, at_ns: u64) -> Instant {
        self.0 + std::time::Duration::from_nanos(at_ns)
    }
}

/// What identifies a message. Sequence numbers count from 0 for each producer and queue (fan-out: for each producer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Tells the messages of this run from those of another that share a queue.
    pub(super) run: u16,
    pub(super) producer: u16,
    pub(super) sequence: u32,
    pub(super) sent_ns: u64,
}

impl Stamp {
    /// Writes the stamp over the beginning of `body`, which holds at least [`STAMP_BYTES`].
    pub(super) fn write(self, body: &mut [u8]) {
        let head = u64::from(self.run) << 48 | u64::from(self.producer) << 32 | u64::from(self.sequence);
        body[..8].copy_from_slice(&head.to_be_bytes());
        body[8..STAMP_BYTES].copy_from_slice(&self.sent_ns.to_be_bytes());
    }

    /// Reads a stamp; `None` when the body is too short to be ours.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<8>()?;
        let (sent, _) = rest.split_first_chunk::<8>()?;
        let head = u64::from_be_bytes(*head);
        Some(Self {
            run: (head >> 48) as u16,
            producer: (head >> 32) as u16,
            sequence: head as u32,
            sent_ns: u64::from_be_bytes(*sent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp { run: 0xfedc, producer: 0xba98, sequence: 0x7654_3210, sent_ns: u64::MAX - 1 };
        let mut body = [0; 20];
        stamp.write(&mut body);
        assert_eq!(Stamp::read(&body), Some(stamp));
        assert_eq!(Stamp::read(&body[..15]), None);
    }
}
