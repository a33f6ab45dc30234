//! Where the broker's binary is.

use std::path::PathBuf;

/// The binary under test: `LEVERET_BINARY`, or `leveret` in the folder above the test's own binary.
///
/// # Panics
///
/// When there is none: `cargo test` alone does not build it, `make test` does.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LEVERET_BINARY") {
        return path.into();
    }
    let own = std::env::current_exe().expect("the path of the running test");
    let folder = own.ancestors().nth(2).expect("a target folder");
    let binary = folder.join("leveret");
    assert!(binary.is_file(), "{} is missing: run `make test`, which builds it", binary.display());
    binary
}
