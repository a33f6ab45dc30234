//! Which open descriptors belong to watched files. Asked at every read and write of the program, so without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use libc::c_int;

/// Descriptors above this are not watched.
const DESCRIPTOR_MAX: usize = 1 << 16;

/// Of each descriptor the handle of its opening; 0: not watched.
pub(crate) struct Descriptors(Vec<AtomicU64>);

impl Descriptors {
    pub(crate) fn new() -> Self {
        Self((0..DESCRIPTOR_MAX).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn get(&self, fd: c_int) -> Option<u64> {
        let handle = self.slot(fd)?.load(Relaxed);
        (handle != 0).then_some(handle)
    }

    pub(crate) fn set(&self, fd: c_int, handle: u64) {
        if let Some(slot) = self.slot(fd) {
            slot.store(handle, Relaxed);
        }
    }

    /// Forgets it, and gives what it was.
    pub(crate) fn take(&self, fd: c_int) -> Option<u64> {
        let handle = self.slot(fd)?.swap(0, Relaxed);
        (handle != 0).then_some(handle)
    }

    fn slot(&self, fd: c_int) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(fd).ok()?)
    }
}
