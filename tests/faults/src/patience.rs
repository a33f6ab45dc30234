//! Waiting with a limit, so that what hangs is named.

use std::fmt::{self, Display};
use std::future::Future;
use std::time::Duration;

/// Longer than anything takes on a busy machine; what takes longer has hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Why a client could not do what it wanted.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The broker refused it or is gone.
    Refused(lapin::Error),
    /// Nothing has happened for [`PATIENCE`]; what was waited for.
    Hangs(String),
}

impl From<lapin::Error> for Trouble {
    fn from(error: lapin::Error) -> Self {
        Self::Refused(error)
    }
}

impl Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(formatter, "{error}"),
            Self::Hangs(what) => write!(formatter, "waited in vain for {what}"),
        }
    }
}

/// Waits for what a client asked for.
///
/// # Errors
/// What the broker says; or `what` was waited for in vain.
pub(crate) async fn within<T>(
    what: impl Display,
    future: impl Future<Output = lapin::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Trouble::Hangs(what.to_string())),
    }
}
