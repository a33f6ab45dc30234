//! The watch over one folder: set up before the program's `main`, asked by every hook.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use leveret_faultfs::journal::{Entry, Operation, encode};
use leveret_faultfs::{CONTROL, JOURNAL, ROOT, Slot, now_ns};
use libc::{c_char, c_int};

use crate::descriptors::Descriptors;
use crate::raw;
use crate::space::Taken;
use crate::switches::Switches;

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Runs before `main`; until then, and without the variables, everything passes through.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    if let Some(watch) = Watch::from_environment() {
        watch.files().note(Operation::Start);
        let _ = WATCH.set(watch);
    }
}

/// The watch, if there is one.
pub(crate) fn watch() -> Option<&'static Watch> {
    WATCH.get()
}

/// See the module.
pub(crate) struct Watch {
    root: PathBuf,
    pub(crate) switches: Switches,
    pub(crate) descriptors: Descriptors,
    files: Mutex<Files>,
}

/// What an operation and its entry in the journal are done under.
pub(crate) struct Files {
    journal: c_int,
    buffer: Vec<u8>,
    opened: HashMap<u64, Opened>,
    last_number: u64,
}

/// One opening of a file.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) path: String,
    pub(crate) appends: bool,
}

impl Watch {
    fn from_environment() -> Option<Self> {
        let root = PathBuf::from(std::env::var_os(ROOT)?);
        let journal = open(&std::env::var_os(JOURNAL)?, libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND)?;
        let switches = Switches::map(open(&std::env::var_os(CONTROL)?, libc::O_RDWR)?)?;
        switches.slot(Slot::UsedBytes).store(used_bytes(&root), std::sync::atomic::Ordering::SeqCst);
        // Processes that continue a journal must not name alike what they open.
        let last_number = u64::from(std::process::id()) << 32;
        let files = Files { journal, buffer: Vec::new(), opened: HashMap::new(), last_number };
        Some(Self { root, switches, descriptors: Descriptors::new(), files: Mutex::new(files) })
    }

    pub(crate) fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The path from the root, where it is inside of it. `folder` is that of the functions that end in `at`.
    pub(crate) fn inside(&self, folder: c_int, path: *const c_char) -> Option<String> {
        // SAFETY: the program hands over a text that ends in a zero.
        let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
        let base = match folder {
            _ if path.is_absolute() => PathBuf::new(),
            libc::AT_FDCWD => std::env::current_dir().ok()?,
            folder => self.root.join(&self.files().opened.get(&self.descriptors.get(folder)?)?.path),
        };
        let path = plain(&base.join(path));
        Some(path.strip_prefix(&self.root).ok()?.to_str()?.to_owned())
    }
}

impl Files {
    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(crate) fn opened(&self, handle: u64) -> Opened {
        self.opened.get(&handle).cloned().unwrap_or(Opened { path: String::new(), appends: false })
    }

    pub(crate) fn open(&mut self, opened: Opened) -> u64 {
        let handle = self.number();
        self.opened.insert(handle, opened);
        handle
    }

    /// Appends an entry to the journal. Without it the run is worth nothing, so the program ends when that fails.
    pub(crate) fn note(&mut self, operation: Operation<'_>) {
        self.buffer.clear();
        encode(&mut self.buffer, &Entry { time_ns: now_ns(), operation });
        // SAFETY: the buffer's own memory.
        let written = unsafe { raw::write(self.journal, self.buffer.as_ptr().cast(), self.buffer.len()) };
        if usize::try_from(written) != Ok(self.buffer.len()) {
            std::process::abort();
        }
    }
}

fn open(path: &OsStr, flags: c_int) -> Option<c_int> {
    let path = CString::new(path.as_bytes()).ok()?;
    // SAFETY: a text that ends in a zero.
    let fd = unsafe { raw::openat(libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, 0o644) };
    (fd >= 0).then_some(fd)
}

/// Without `.` and `..`, by the text alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

fn used_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let used = entries.map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return used_bytes(&path);
        }
        CString::new(path.as_os_str().as_bytes()).map_or(0, |path| Taken::by_name(&path).bytes)
    });
    used.sum()
}
