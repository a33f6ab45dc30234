//! The test's switches, as the library sees them: the mapped file.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use leveret_faultfs::{Slot, layout, operations};
use libc::c_int;

use crate::raw;

/// The mapped file; its memory stays mapped for ever.
pub(crate) struct Switches {
    slots: &'static [AtomicU64],
    pattern: &'static [AtomicU8],
}

/// An operation fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) errno: c_int,
    /// How much of a write is done before.
    pub(crate) torn_bytes: usize,
    /// How long a write takes before it fails.
    pub(crate) delay: Duration,
}

impl Switches {
    /// Maps the open file `fd`.
    pub(crate) fn map(fd: c_int) -> Option<Self> {
        let (access, length) = (libc::PROT_READ | libc::PROT_WRITE, layout::FILE_BYTES);
        // SAFETY: a new mapping of a file of this length, never unmapped; page-aligned, so also for atomics.
        unsafe {
            let start = raw::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, fd, 0);
            if start == libc::MAP_FAILED {
                return None;
            }
            let slots = std::slice::from_raw_parts(start.cast::<AtomicU64>(), layout::PATTERN_AT / 8);
            let pattern = start.cast::<AtomicU8>().add(layout::PATTERN_AT);
            Some(Self { slots, pattern: std::slice::from_raw_parts(pattern, layout::PATTERN_BYTES) })
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> u64 {
        self.slot(slot).load(SeqCst)
    }

    pub(crate) fn slot(&self, slot: Slot) -> &AtomicU64 {
        &self.slots[slot as usize]
    }

    /// Whether an operation of this kind on `path` fails. Counts it where it may be the one.
    pub(crate) fn failure(&self, operation: u64, path: &str) -> Option<Failure> {
        if operation != operations::READ && self.get(Slot::ReadOnly) != 0 {
            self.slot(Slot::Hits).fetch_add(1, SeqCst);
            return Some(Failure { errno: libc::EROFS, torn_bytes: 0, delay: Duration::ZERO });
        }
        if self.get(Slot::Operations) & operation == 0 || !self.matches(path) {
            return None;
        }
        let countdown = self.slot(Slot::Countdown);
        let before = countdown.fetch_update(SeqCst, SeqCst, |count| Some(count.saturating_sub(1))).unwrap_or_default();
        let is_hit = before == 1 || (before == 0 && self.get(Slot::Lasting) != 0);
        is_hit.then(|| {
            self.slot(Slot::Hits).fetch_add(1, SeqCst);
            Failure {
                errno: self.get(Slot::Errno) as c_int,
                torn_bytes: if before == 1 { self.get(Slot::TornBytes) as usize } else { 0 },
                delay: Duration::from_millis(self.get(Slot::DelayMs)),
            }
        })
    }

    fn matches(&self, path: &str) -> bool {
        let pattern: Vec<u8> =
            self.pattern.iter().map(|byte| byte.load(SeqCst)).take_while(|&byte| byte != 0).collect();
        pattern.is_empty() || path.as_bytes().windows(pattern.len()).any(|part| part == pattern)
    }
}
