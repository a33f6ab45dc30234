//! What can go wrong in changing users, and why a login is refused.

use std::sync::Arc;

use super::user::{USER_NAME_BYTES_MAX, USER_TAGS_MAX};
use crate::{Error, pattern::PatternError};

/// Why users or permissions cannot be changed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// To be added, but there.
    #[error("user '{0}' already exists")]
    UserExists(String),
    /// To be changed, but not there.
    #[error("user '{0}' does not exist")]
    NoSuchUser(String),
    /// An empty or overlong name.
    #[error("a user name must have 1 to {USER_NAME_BYTES_MAX} bytes")]
    UserName,
    /// An empty password, with which nobody could log in.
    #[error("the password of user '{0}' must not be empty; a user without a password has none set")]
    BlankPassword(String),
    /// More tags than a user may have.
    #[error("a user cannot have more than {USER_TAGS_MAX} tags")]
    TooManyTags,
    /// A permission's pattern that does not compile.
    #[error("{permission} {reason}")]
    Pattern {
        /// `configure`, `write` or `read`.
        permission: &'static str,
        /// What is wrong with it.
        #[source]
        reason: PatternError,
    },
}

/// Why somebody is not let in. The text is for the log; the peer is told [`Refusal::to_error`] only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such user, no password, or another one. Which of them is nobody's business.
    #[error("user '{0}' - invalid credentials")]
    Credentials(String),
    /// An empty password.
    #[error("user '{0}' attempted to log in with a blank password, which is prohibited by the internal authN backend")]
    BlankPassword(String),
    /// A user that may connect from this machine only, from another one.
    #[error("user '{0}' can only connect via localhost")]
    LoopbackOnly(String),
    /// A plugin's backend does not let the user in.
    #[error("user '{user}' - refused by backend {backend}: {reason}")]
    Backend {
        /// As the client has it.
        user: String,
        /// Which.
        backend: Arc<str>,
        /// Why, in its words.
        reason: String,
    },
    /// A plugin's backend could not say, so the user is not let in.
    #[error("backend {backend} failed authenticating user '{user}': {reason}")]
    BackendFailed {
        /// As the client has it.
        user: String,
        /// Which.
        backend: Arc<str>,
        /// What went wrong.
        reason: String,
    },
}

impl Refusal {
    /// What the peer is told, whatever the reason was. `mechanism` is the SASL mechanism, such as `PLAIN`.
    #[must_use]
    pub fn to_error(&self, mechanism: &str) -> Error {
        Error::access_refused(format!(
            "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
        ))
    }
}
