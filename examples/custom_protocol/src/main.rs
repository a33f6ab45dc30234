//! Leveret with one more protocol: every command of `leveret` is there.

mod lines;
mod session;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Parser;
use leveret::{
    cli::{self, Cli},
    plugins::Plugins,
};

fn main() -> ExitCode {
    cli::run(Cli::parse(), Plugins::compiled_in().with(lines::Lines))
}
