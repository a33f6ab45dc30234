//! Why a command failed.

use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot connect to {}: {reason}. Is the server running? --data-dir says where its data is", socket.display())]
    Connect { socket: PathBuf, reason: std::io::Error },
    #[error("the server did not answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("the server did not answer within {0} seconds")]
    TimedOut(u64),
    #[error("the server's answer cannot be understood: {0}")]
    Answer(serde_json::Error),
    #[error("{reason}")]
    Refused { status: u16, reason: String },
    #[error("{0}")]
    Usage(String),
    #[error("{what}: {reason}")]
    File { what: String, reason: std::io::Error },
    #[error("configuration: {0}")]
    Config(String),
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}

impl Error {
    /// From `sysexits.h`: usage, wrong data, no such object, unavailable, internal, refused, configuration.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Refused { status: 400, .. } => 65,
            Self::File { .. } => 66,
            Self::Refused { status: 404, .. } => 67,
            Self::Connect { .. } => 69,
            Self::TimedOut(_) => 75,
            Self::Refused { status: 401 | 403, .. } => 77,
            Self::Config(_) => 78,
            Self::Http(_) | Self::Answer(_) | Self::Refused { .. } | Self::Runtime(_) => 70,
        }
    }
}
