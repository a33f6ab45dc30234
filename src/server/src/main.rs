//! The binary: everything is in the library, so that tests can start servers in their own process.

use std::process::ExitCode;

use clap::Parser;

// Many small and short-lived buffers on many threads: where the system's allocator falls behind.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    leveret::cli::run(leveret::cli::Cli::parse())
}
