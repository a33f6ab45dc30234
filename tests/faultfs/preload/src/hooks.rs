//! The functions that are replaced, under the C library's names.
//!
//! Each one passes on what is not watched. `open` takes its mode as a plain argument: where it is not given, what is
//! there instead is not looked at.

use std::ffi::CStr;
use std::sync::OnceLock;

use leveret_faultfs::journal::Operation;
use leveret_faultfs::{Slot, operations};
use libc::{AT_FDCWD, FILE, c_char, c_int, c_uint, c_void, iovec, off_t, size_t, ssize_t};

use crate::raw;
use crate::space::Taken;
use crate::watch::{Files, Opened, Watch, watch};

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    unsafe { openat(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    unsafe { openat(AT_FDCWD, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    unsafe { openat(folder, path, flags, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn creat(path: *const c_char, mode: c_uint) -> c_int {
    unsafe { openat(AT_FDCWD, path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    let inside = watch().and_then(|watch| Some((watch, watch.inside(folder, path)?)));
    let Some((watch, name)) = inside else { return unsafe { raw::openat(folder, path, flags, mode) } };
    let mut files = watch.files();
    let is_new = flags & libc::O_CREAT != 0;
    if let Some(failure) = is_new.then(|| watch.switches.failure(operations::NAME, &name)).flatten() {
        return raw::fail(failure.errno);
    }
    let truncates = flags & libc::O_TRUNC != 0;
    let before = if truncates { Taken::by_name(unsafe { CStr::from_ptr(path) }).bytes } else { 0 };
    let fd = unsafe { raw::openat(folder, path, flags, mode) };
    if fd < 0 {
        return fd;
    }
    if truncates {
        watch.switches.account(before, Taken::by_descriptor(fd).bytes);
    }
    let handle = files.open(Opened { path: name.clone(), appends: flags & libc::O_APPEND != 0 });
    watch.descriptors.set(fd, handle);
    files.note(Operation::Open { handle, path: &name, truncates });
    fd
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    if let Some(watch) = watch() {
        watch.descriptors.take(fd);
    }
    unsafe { raw::close(fd) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dup(fd: c_int) -> c_int {
    let copy = unsafe { raw::dup(fd) };
    if let Some((watch, handle)) = watched(fd).filter(|_| copy >= 0) {
        watch.descriptors.set(copy, handle);
    }
    copy
}

/// The watch and the handle of a watched descriptor.
fn watched(fd: c_int) -> Option<(&'static Watch, u64)> {
    let watch = watch()?;
    Some((watch, watch.descriptors.get(fd)?))
}

/// Writes at most `limit` bytes and tells how many it were.
type Write<'a> = &'a dyn Fn(usize) -> ssize_t;

/// A write of `data` at `offset`, or where the file's own position is.
fn write_watched(
    watch: &Watch,
    handle: u64,
    fd: c_int,
    data: &[u8],
    offset: Option<off_t>,
    write: Write<'_>,
) -> ssize_t {
    let mut files = watch.files();
    let opened = files.opened(handle);
    let before = Taken::by_descriptor(fd);
    // SAFETY: asks for the position only.
    let position = || unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) }.unsigned_abs();
    let offset = match offset {
        _ if opened.appends => before.size,
        Some(offset) => offset.unsigned_abs(),
        None => position(),
    };
    let mut done = |limit: usize| {
        let written = write(limit);
        watch.switches.account(before.bytes, Taken::by_descriptor(fd).bytes);
        if let Some(data) = usize::try_from(written).ok().and_then(|written| data.get(..written)) {
            files.note(Operation::Write { handle, offset, data });
        }
        written
    };
    if let Some(failure) = watch.switches.failure(operations::WRITE, &opened.path) {
        if failure.torn_bytes > 0 {
            done(failure.torn_bytes.min(data.len()));
        }
        drop(files);
        std::thread::sleep(failure.delay);
        return raw::fail(failure.errno) as ssize_t;
    }
    let room = watch.switches.room(before, offset, data.len() as u64) as usize;
    if room == 0 && !data.is_empty() {
        watch.switches.slot(Slot::Hits).fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        return raw::fail(libc::ENOSPC) as ssize_t;
    }
    done(room.min(cut_short(watch, data.len())))
}

/// The length of a write, or half of it where the switch says so.
fn cut_short(watch: &Watch, length: usize) -> usize {
    static WRITES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let every = watch.switches.get(Slot::ShortWrites);
    let number = WRITES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    if every > 0 && number.is_multiple_of(every) && length > 1 { length / 2 } else { length }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, data: *const c_void, length: size_t) -> ssize_t {
    let Some((watch, handle)) = watched(fd) else { return unsafe { raw::write(fd, data, length) } };
    // SAFETY: the program vouches for its buffer.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast(), length) };
    write_watched(watch, handle, fd, bytes, None, &|limit| unsafe { raw::write(fd, data, limit) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(fd: c_int, data: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    let Some((watch, handle)) = watched(fd) else { return unsafe { raw::pwrite(fd, data, length, offset) } };
    // SAFETY: as above.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast(), length) };
    write_watched(watch, handle, fd, bytes, Some(offset), &|limit| unsafe { raw::pwrite(fd, data, limit, offset) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, data: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { pwrite(fd, data, length, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if watched(fd).is_none() {
        return unsafe { raw::writev(fd, parts, count) };
    }
    // SAFETY: the program vouches for its buffers.
    let parts = unsafe { std::slice::from_raw_parts(parts, usize::try_from(count).unwrap_or(0)) };
    let whole: Vec<u8> = parts
        .iter()
        .flat_map(|part| unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) })
        .copied()
        .collect();
    unsafe { write(fd, whole.as_ptr().cast(), whole.len()) }
}

/// Whether a read of this descriptor fails; then errno is set.
fn read_fails(fd: c_int) -> bool {
    let failure = watched(fd).and_then(|(watch, handle)| {
        // Asked first, because it needs no lock.
        let is_on = watch.switches.get(Slot::Operations) & operations::READ != 0;
        let path = is_on.then(|| watch.files().opened(handle).path)?;
        watch.switches.failure(operations::READ, &path)
    });
    failure.is_some_and(|failure| raw::fail(failure.errno) < 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, data: *mut c_void, length: size_t) -> ssize_t {
    if read_fails(fd) { -1 } else { unsafe { raw::read(fd, data, length) } }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pread(fd: c_int, data: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    if read_fails(fd) { -1 } else { unsafe { raw::pread(fd, data, length, offset) } }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pread64(fd: c_int, data: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { pread(fd, data, length, offset) }
}

type FRead = unsafe extern "C" fn(*mut c_void, size_t, size_t, *mut FILE) -> size_t;

/// How files are read from front to back: the C library's buffered files.
#[unsafe(no_mangle)]
unsafe extern "C" fn fread_unlocked(data: *mut c_void, size: size_t, count: size_t, file: *mut FILE) -> size_t {
    static NEXT: OnceLock<FRead> = OnceLock::new();
    if read_fails(unsafe { libc::fileno(file) }) {
        return 0;
    }
    // SAFETY: the C library's function of this name has this type.
    let next = NEXT.get_or_init(|| unsafe { std::mem::transmute(next(c"fread_unlocked")) });
    unsafe { next(data, size, count, file) }
}

/// The function that would be called without this library.
fn next(name: &CStr) -> *mut c_void {
    // SAFETY: a look-up by a text that ends in a zero.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync_watched(fd, || unsafe { raw::fsync(fd) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync_watched(fd, || unsafe { raw::fdatasync(fd) })
}

fn sync_watched(fd: c_int, sync: impl Fn() -> c_int) -> c_int {
    let Some((watch, handle)) = watched(fd) else { return sync() };
    let number = {
        let mut files = watch.files();
        let number = files.number();
        files.note(Operation::SyncBegin { handle, sync: number });
        if let Some(failure) = watch.switches.failure(operations::SYNC, &files.opened(handle).path) {
            files.note(Operation::SyncEnd { sync: number, succeeded: false });
            return raw::fail(failure.errno);
        }
        number
    };
    let result = sync();
    watch.files().note(Operation::SyncEnd { sync: number, succeeded: result == 0 });
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate(fd: c_int, size: off_t) -> c_int {
    let Some((watch, handle)) = watched(fd) else { return unsafe { raw::ftruncate(fd, size) } };
    let change = Operation::Resize { handle, size: size.unsigned_abs() };
    resize_watched(watch, handle, fd, Some(change), 0, || unsafe { raw::ftruncate(fd, size) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(fd: c_int, size: off_t) -> c_int {
    unsafe { ftruncate(fd, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    let Some((watch, handle)) = watched(fd) else { return unsafe { raw::fallocate(fd, mode, offset, length) } };
    let end = (offset + length).unsigned_abs();
    let extends = mode & libc::FALLOC_FL_KEEP_SIZE == 0 && end > Taken::by_descriptor(fd).size;
    let change = extends.then_some(Operation::Resize { handle, size: end });
    resize_watched(watch, handle, fd, change, end, || unsafe { raw::fallocate(fd, mode, offset, length) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    unsafe { fallocate(fd, mode, offset, length) }
}

/// Answers as fallocate, and gives the error instead of setting it.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    match unsafe { fallocate(fd, 0, offset, length) } {
        0 => 0,
        // SAFETY: the address of this thread's errno.
        _ => unsafe { *libc::__errno_location() },
    }
}

/// A change of the room a file has, up to `end`.
fn resize_watched(
    watch: &Watch,
    handle: u64,
    fd: c_int,
    change: Option<Operation<'_>>,
    end: u64,
    resize: impl Fn() -> c_int,
) -> c_int {
    let mut files = watch.files();
    if let Some(failure) = watch.switches.failure(operations::WRITE, &files.opened(handle).path) {
        return raw::fail(failure.errno);
    }
    let before = Taken::by_descriptor(fd);
    if watch.switches.room(before, 0, end) < end {
        return raw::fail(libc::ENOSPC);
    }
    let result = resize();
    if result == 0 {
        watch.switches.account(before.bytes, Taken::by_descriptor(fd).bytes);
        if let Some(change) = change {
            files.note(change);
        }
    }
    result
}

/// A change of names: fails, or is done and noted.
fn name_watched(watch: &Watch, name: &str, operation: Operation<'_>, freed: u64, change: impl Fn() -> c_int) -> c_int {
    let mut files: std::sync::MutexGuard<'_, Files> = watch.files();
    if let Some(failure) = watch.switches.failure(operations::NAME, name) {
        return raw::fail(failure.errno);
    }
    let result = change();
    if result == 0 {
        watch.switches.account(freed, 0);
        files.note(operation);
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let inside = watch().and_then(|watch| Some((watch, watch.inside(AT_FDCWD, from)?, watch.inside(AT_FDCWD, to)?)));
    let change = || unsafe { raw::rename(from, to) };
    let Some((watch, old, new)) = inside else { return change() };
    let freed = Taken::by_name(unsafe { CStr::from_ptr(to) }).freed_by_removal();
    name_watched(watch, &new, Operation::Rename { from: &old, to: &new }, freed, change)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    let inside = watch().and_then(|watch| Some((watch, watch.inside(AT_FDCWD, from)?, watch.inside(AT_FDCWD, to)?)));
    let change = || unsafe { raw::link(from, to) };
    let Some((watch, old, new)) = inside else { return change() };
    name_watched(watch, &new, Operation::Link { from: &old, to: &new }, 0, change)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    unsafe { unlinkat(AT_FDCWD, path, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    unsafe { unlinkat(AT_FDCWD, path, libc::AT_REMOVEDIR) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    let inside = watch().and_then(|watch| Some((watch, watch.inside(folder, path)?)));
    let change = || unsafe { raw::unlinkat(folder, path, flags) };
    let Some((watch, name)) = inside else { return change() };
    let taken = if folder == AT_FDCWD { Taken::by_name(unsafe { CStr::from_ptr(path) }) } else { Taken::default() };
    let freed = if taken.is_folder { 0 } else { taken.freed_by_removal() };
    name_watched(watch, &name, Operation::Remove { path: &name }, freed, change)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: c_uint) -> c_int {
    let inside = watch().and_then(|watch| Some((watch, watch.inside(AT_FDCWD, path)?)));
    let change = || unsafe { raw::mkdir(path, mode) };
    // The root itself is taken for granted.
    let Some((watch, name)) = inside.filter(|(_, name)| !name.is_empty()) else { return change() };
    name_watched(watch, &name, Operation::MakeFolder { path: &name }, 0, change)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    let writes = protection & libc::PROT_WRITE != 0 && flags & libc::MAP_SHARED != 0;
    if writes && flags & libc::MAP_ANONYMOUS == 0 && watched(fd).is_some() {
        raw::fail(libc::ENODEV);
        return libc::MAP_FAILED;
    }
    unsafe { raw::mmap(address, length, protection, flags, fd, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    unsafe { mmap(address, length, protection, flags, fd, offset) }
}

type StatVfs = unsafe extern "C" fn(*const c_char, *mut libc::statvfs) -> c_int;

#[unsafe(no_mangle)]
unsafe extern "C" fn statvfs(path: *const c_char, found: *mut libc::statvfs) -> c_int {
    static NEXT: OnceLock<StatVfs> = OnceLock::new();
    // SAFETY: the C library's function of this name has this type.
    let next = NEXT.get_or_init(|| unsafe { std::mem::transmute(next(c"statvfs")) });
    let result = unsafe { next(path, found) };
    if let (0, Some(watch)) = (result, watch().filter(|watch| watch.inside(AT_FDCWD, path).is_some())) {
        // SAFETY: filled in when the call succeeds.
        let found = unsafe { &mut *found };
        let free = watch.switches.free_bytes() / found.f_frsize.max(1);
        found.f_bavail = found.f_bavail.min(free);
        found.f_bfree = found.f_bfree.min(free);
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn statvfs64(path: *const c_char, found: *mut libc::statvfs) -> c_int {
    unsafe { statvfs(path, found) }
}
