//! Why a run could not be done or judged. What the broker did wrong is no error but a report.

use std::path::{Path, PathBuf};

/// Why a run could not be done or judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history cannot be written or read.
    #[error("the history {}: {reason}", path.display())]
    History {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// A line of the history is none.
    #[error("the history {}, line {number}: {reason}", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        number: usize,
        /// Why.
        reason: serde_json::Error,
    },
    /// The broker's command cannot be run, or a file for it cannot be made.
    #[error("starting the broker: {0}")]
    Start(std::io::Error),
    /// The broker's command has ended.
    #[error("the broker has ended by itself, with {status}; its output is in {}", log.display())]
    Ended {
        /// How.
        status: std::process::ExitStatus,
        /// What it said.
        log: PathBuf,
    },
    /// The broker does not take connections.
    #[error("the broker at {address} takes no connections: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// The last attempt's.
        reason: Box<lapin::Error>,
    },
    /// The URI is none.
    #[error("the URI '{uri}': {reason}")]
    Uri {
        /// As given.
        uri: String,
        /// Why.
        reason: String,
    },
    /// The broker refuses what the run needs.
    #[error("{doing}: {reason}")]
    Refused {
        /// What for.
        doing: &'static str,
        /// What the broker said.
        reason: Box<lapin::Error>,
    },
    /// The queues were not empty in time.
    #[error("the queues cannot be emptied: {0}")]
    Drain(String),
    /// A part of the checker panicked.
    #[error("internal error: {0}")]
    Internal(#[from] tokio::task::JoinError),
}

impl Error {
    pub(crate) fn history(path: &Path, reason: std::io::Error) -> Self {
        Self::History { path: path.to_owned(), reason }
    }

    pub(crate) fn refused(doing: &'static str) -> impl FnOnce(lapin::Error) -> Self {
        move |reason| Self::Refused { doing, reason: Box::new(reason) }
    }
}
