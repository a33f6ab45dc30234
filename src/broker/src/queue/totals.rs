//! Counts that go together.

use std::ops::{AddAssign, SubAssign};

/// Messages and their body bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

/// Saturating: counts that come from the disk may disagree with what is found there, and must not bring the server
/// down.
impl SubAssign for Totals {
    fn sub_assign(&mut self, other: Self) {
        self.count = self.count.saturating_sub(other.count);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// The earliest that something may fall due: lower bounds, so that a queue may look in vain but never too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// By the messages' own expiration.
    pub(crate) own_due_ms: u64,
    /// The earliest timestamp, from which a queue's TTL counts. Kept apart from it, so that a TTL may change.
    pub(crate) oldest_ms: u64,
}

impl Expiry {
    pub(crate) const NEVER: Self = Self { own_due_ms: u64::MAX, oldest_ms: u64::MAX };

    /// The earliest due time under a queue's TTL; `u64::MAX` is never.
    pub(crate) fn due_ms(self, ttl_ms: Option<u64>) -> u64 {
        match ttl_ms {
            Some(ttl_ms) => self.own_due_ms.min(self.oldest_ms.saturating_add(ttl_ms)),
            None => self.own_due_ms,
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.own_due_ms = self.own_due_ms.min(other.own_due_ms);
        self.oldest_ms = self.oldest_ms.min(other.oldest_ms);
    }
}
