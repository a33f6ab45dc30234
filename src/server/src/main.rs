//! The binary: everything is in the library, so that tests can start servers in their own process.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    leveret::cli::run(leveret::cli::Cli::parse())
}
