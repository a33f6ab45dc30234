//! What the service answers: `allow`, `allow` with tags, `deny`, or `deny` with a reason, in any case of letters.
//!
//! RabbitMQ takes off blanks around it and no other white space, and takes `allowed` for `allow` with the tag `ed`. Here all
//! white space around it is taken off, and what is neither word is an error, which lets nobody in.

use leveret_broker::auth::{BackendError, Login};

/// Characters of a reason that are logged.
const REASON_CHARS_MAX: usize = 200;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Allow { tags: Vec<String> },
    Deny { reason: String },
}

/// The answer to a login.
pub(crate) fn login(body: &str) -> Result<Login, BackendError> {
    Ok(match parse(body)? {
        Answer::Allow { tags } => Login::Accepted { tags },
        Answer::Deny { reason } => Login::Refused(reason),
    })
}

/// The answer to any other question. The reason of a `deny` is for the log, as in RabbitMQ.
pub(crate) fn permission(body: &str, path: &str, user: &str) -> Result<bool, BackendError> {
    match parse(body)? {
        Answer::Allow { tags } if tags.is_empty() => Ok(true),
        Answer::Allow { .. } => Err(neither()),
        Answer::Deny { reason } => {
            tracing::info!(path, user, reason, "a permission is denied");
            Ok(false)
        }
    }
}

fn parse(body: &str) -> Result<Answer, BackendError> {
    let body = body.trim();
    let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    if word.eq_ignore_ascii_case("allow") {
        let tags = rest.split_whitespace().map(str::to_lowercase).collect();
        return Ok(Answer::Allow { tags });
    }
    if word.eq_ignore_ascii_case("deny") {
        return Ok(Answer::Deny { reason: printable(rest.trim()) });
    }
    Err(neither())
}

/// The answer itself is not shown: there is no knowing what is in it.
fn neither() -> BackendError {
    BackendError("the answer is neither allow nor deny".to_owned())
}

/// A reason of somebody else's, fit for one line of the log.
fn printable(reason: &str) -> String {
    if reason.is_empty() {
        return "denied by the HTTP service".to_owned();
    }
    reason.chars().take(REASON_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(body: &str) -> Option<Vec<String>> {
        match login(body) {
            Ok(Login::Accepted { tags }) => Some(tags),
            _ => None,
        }
    }

    #[test]
    fn allow_comes_with_tags_or_without() {
        assert_eq!(tags("allow"), Some(vec![]));
        assert_eq!(tags(" ALLOW \n"), Some(vec![]));
        assert_eq!(tags("Allow  Administrator mine"), Some(vec!["administrator".to_owned(), "mine".to_owned()]));
        assert_eq!(tags("deny"), None);
    }

    #[test]
    fn deny_comes_with_a_reason_or_without() {
        assert_eq!(login("Deny"), Ok(Login::Refused("denied by the HTTP service".to_owned())));
        assert_eq!(login("deny  gone\nfishing "), Ok(Login::Refused("gone fishing".to_owned())));
        let long = login(&format!("deny {}", "x".repeat(1000)));
        assert_eq!(long, Ok(Login::Refused("x".repeat(200))));
        assert_eq!(permission("deny because", "/", "u"), Ok(false));
    }

    #[test]
    fn anything_else_is_an_error() {
        for body in ["", "allowed", "denied", "yes", "<html>allow</html>", "deny-allow"] {
            assert_eq!(login(body), Err(neither()), "{body}");
            assert_eq!(permission(body, "/", "u"), Err(neither()), "{body}");
        }
        assert_eq!(permission("allow", "/", "u"), Ok(true));
        assert_eq!(permission("allow administrator", "/", "u"), Err(neither()), "only a login has tags");
    }
}
