//! `leveret perf`: drives a broker with messages and measures it.
//!
//! Speaks AMQP 0-9-1 to any broker, so that Leveret and others are measured by the same client. Each producer and each
//! consumer is one connection with one channel and one task; they meet only in the counters of [`shared`]. Not taken: a
//! general client library (it would be the bottleneck, and what is measured), and a separate tool (a user who has the
//! broker should be able to measure it).

mod confirms;
mod consumer;
mod error;
mod latency;
mod options;
mod pace;
mod producer;
mod progress;
mod report;
mod run;
mod shared;
mod stamp;
mod topology;
mod uri;
mod verify;
mod wire;

pub use error::Error;
pub use latency::Percentiles;
pub use options::{Format, Options, Pattern};
pub use report::Report;
pub use uri::{Uri, UriError};
pub use verify::Verdict;

/// Runs the load, shows progress on standard error and prints the result on standard output.
///
/// Makes its own tokio runtime: to be called outside of one.
///
/// # Errors
///
/// When the broker cannot be reached or ends a connection, when nothing arrives for `--patience` seconds, or when
/// `--verify` finds a fault; in the last two cases the result has been printed.
pub fn run(options: &Options) -> Result<(), Error> {
    let report = measure(options)?;
    report.print(options.format)?;
    report.verdict()
}

/// Runs the load and gives the result; shows progress on standard error. Makes its own tokio runtime.
///
/// # Errors
///
/// When the broker cannot be reached or ends a connection.
pub fn measure(options: &Options) -> Result<Report, Error> {
    if options.producers == 0 && options.consumers == 0 {
        return Err(Error::Options("nothing to do without producers and consumers"));
    }
    if options.producers > usize::from(u16::MAX) {
        return Err(Error::Options("at most 65535 producers"));
    }
    if options.verify && options.producers == 0 {
        return Err(Error::Options("--verify needs producers: it checks the messages of its own run"));
    }
    if options.verify && options.consumers == 0 {
        return Err(Error::Options("--verify needs consumers"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run::drive(options))
}
