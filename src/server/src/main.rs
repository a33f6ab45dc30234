//! The binary: everything is in the library, so that tests can start servers in their own process.

use std::process::ExitCode;

use clap::Parser;
use leveret::{cli, plugins::Plugins};

// As fast here as mimalloc and the system's allocator, and the one that gives back what a burst of traffic took. Its
// settings are in .cargo/config.toml.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse(), Plugins::compiled_in())
}
