//! The command line: `run` against a broker, `judge` an earlier history.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use leveret_checker::{Error, Options, Report, check, history, run};

/// Tries to make a broker lose, double or reorder messages, and tells whether it did.
#[derive(Parser)]
#[command(name = "leveret-checker", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run against a broker and judge what happened
    Run(Options),
    /// Judge the history of an earlier run
    Judge {
        /// The history
        file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match report(Cli::parse().command).await {
        Ok(report) => {
            println!("{report}");
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("leveret-checker: {error}");
            ExitCode::from(2)
        }
    }
}

async fn report(command: Command) -> Result<Report, Error> {
    match command {
        Command::Run(options) => run_and_keep(&options).await,
        Command::Judge { file } => Ok(check(&history::read(&file)?)),
    }
}

/// Runs in a folder that is kept when the broker has failed, or the run. Says how it can be repeated.
async fn run_and_keep(options: &Options) -> Result<Report, Error> {
    let folder = tempfile::Builder::new().prefix("leveret-checker-").tempdir().map_err(Error::Start)?;
    eprintln!("--seed {}", options.seed);
    let outcome = run(options, folder.path()).await;
    if !matches!(&outcome, Ok(report) if report.passed()) {
        eprintln!("history, data and log of the broker are kept in {}", folder.keep().display());
    }
    outcome
}
