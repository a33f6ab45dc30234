//! The operations themselves: system calls, past all functions that could be replaced. Results are the C library's: -1,
//! and the reason in errno.

use libc::{c_char, c_int, c_long, c_uint, c_void, off_t, ssize_t};

pub(crate) fn fail(errno: c_int) -> c_int {
    // SAFETY: the address of this thread's errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// Small results of system calls.
fn int(result: c_long) -> c_int {
    result as c_int
}

pub(crate) unsafe fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_openat, folder, path, flags, mode) })
}

pub(crate) unsafe fn close(fd: c_int) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_close, fd) })
}

pub(crate) unsafe fn dup(fd: c_int) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_dup, fd) })
}

pub(crate) unsafe fn write(fd: c_int, data: *const c_void, length: usize) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_write, fd, data, length) as ssize_t }
}

pub(crate) unsafe fn pwrite(fd: c_int, data: *const c_void, length: usize, offset: off_t) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, data, length, offset) as ssize_t }
}

pub(crate) unsafe fn writev(fd: c_int, parts: *const libc::iovec, count: c_int) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_writev, fd, parts, count) as ssize_t }
}

pub(crate) unsafe fn read(fd: c_int, data: *mut c_void, length: usize) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_read, fd, data, length) as ssize_t }
}

pub(crate) unsafe fn pread(fd: c_int, data: *mut c_void, length: usize, offset: off_t) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_pread64, fd, data, length, offset) as ssize_t }
}

pub(crate) unsafe fn fsync(fd: c_int) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_fsync, fd) })
}

pub(crate) unsafe fn fdatasync(fd: c_int) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_fdatasync, fd) })
}

pub(crate) unsafe fn ftruncate(fd: c_int, size: off_t) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_ftruncate, fd, size) })
}

pub(crate) unsafe fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_fallocate, fd, mode, offset, length) })
}

pub(crate) unsafe fn rename(from: *const c_char, to: *const c_char) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_renameat, libc::AT_FDCWD, from, libc::AT_FDCWD, to) })
}

pub(crate) unsafe fn link(from: *const c_char, to: *const c_char) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_linkat, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) })
}

pub(crate) unsafe fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_unlinkat, folder, path, flags) })
}

pub(crate) unsafe fn mkdir(path: *const c_char, mode: c_uint) -> c_int {
    int(unsafe { libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode) })
}

pub(crate) unsafe fn mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    unsafe { libc::syscall(libc::SYS_mmap, address, length, protection, flags, fd, offset) as *mut c_void }
}
