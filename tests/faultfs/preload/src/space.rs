//! How much of the disk is used, where a test has said how large it is.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::SeqCst;

use leveret_faultfs::Slot;
use libc::c_int;

use crate::switches::Switches;

/// `st_blocks` counts these.
const BLOCK_BYTES: u64 = 512;

/// What a file takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) size: u64,
    pub(crate) bytes: u64,
    links: u64,
    pub(crate) is_folder: bool,
}

impl Taken {
    /// The open file's.
    pub(crate) fn by_descriptor(fd: c_int) -> Self {
        let mut status = MaybeUninit::uninit();
        // SAFETY: fstat fills the structure in when it succeeds.
        unsafe {
            if libc::fstat(fd, status.as_mut_ptr()) == 0 { Self::of(&status.assume_init()) } else { Self::default() }
        }
    }

    /// The file's of this name; nothing where there is none.
    pub(crate) fn by_name(path: &CStr) -> Self {
        let mut status = MaybeUninit::uninit();
        // SAFETY: as above.
        unsafe {
            if libc::lstat(path.as_ptr(), status.as_mut_ptr()) == 0 {
                Self::of(&status.assume_init())
            } else {
                Self::default()
            }
        }
    }

    fn of(status: &libc::stat) -> Self {
        Self {
            size: status.st_size.unsigned_abs(),
            bytes: status.st_blocks.unsigned_abs() * BLOCK_BYTES,
            links: status.st_nlink,
            is_folder: status.st_mode & libc::S_IFMT == libc::S_IFDIR,
        }
    }

    /// What is free again once one name of it is gone.
    pub(crate) fn freed_by_removal(&self) -> u64 {
        if self.links == 1 { self.bytes } else { 0 }
    }
}

impl Switches {
    /// How much of a write of `length` bytes at `offset` finds room.
    pub(crate) fn room(&self, taken: Taken, offset: u64, length: u64) -> u64 {
        let growth = (offset + length).saturating_sub(taken.bytes.max(taken.size.next_multiple_of(BLOCK_BYTES)));
        length - growth.saturating_sub(self.free_bytes()).min(length)
    }

    /// What is free; without a size, without end.
    pub(crate) fn free_bytes(&self) -> u64 {
        match self.get(Slot::CapacityBytes) {
            0 => u64::MAX,
            capacity => capacity.saturating_sub(self.get(Slot::UsedBytes)),
        }
    }

    /// What took `before` takes `after` now.
    pub(crate) fn account(&self, before: u64, after: u64) {
        let used = |used: u64| Some((used + after).saturating_sub(before));
        let _ = self.slot(Slot::UsedBytes).fetch_update(SeqCst, SeqCst, used);
        self.slot(Slot::MostUsedBytes).fetch_max(self.get(Slot::UsedBytes), SeqCst);
    }
}
