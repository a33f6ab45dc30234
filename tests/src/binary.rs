//! Where the broker's binary is.

use std::path::PathBuf;

/// The binary under test: `LEVERET_BINARY`, or `leveret` beside the running program or in the folder above: a test's own
/// binary is one folder deeper.
///
/// # Panics
///
/// When there is none: `cargo test` alone does not build it, `make test` does.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LEVERET_BINARY") {
        return path.into();
    }
    let own = std::env::current_exe().expect("the path of the running test");
    let mut folders = own.ancestors().skip(1).take(2).map(|folder| folder.join("leveret"));
    let binary = folders.find(|binary| binary.is_file());
    binary.unwrap_or_else(|| panic!("the broker is missing near {}: run `make test`, which builds it", own.display()))
}
