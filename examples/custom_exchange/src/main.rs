//! Leveret with one more plugin: every command of `leveret` is there.

mod longest_prefix;

use std::process::ExitCode;

use clap::Parser;
use leveret::{
    cli::{self, Cli},
    plugins::Plugins,
};

fn main() -> ExitCode {
    cli::run(Cli::parse(), Plugins::compiled_in().with(longest_prefix::LongestPrefix))
}
