//! Where the service is, and how it is asked.

use std::time::Duration;

use hyper::Uri;
use serde::{Deserialize, Serialize};

/// Section `auth_http` of the configuration; the names are RabbitMQ's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How it is asked.
    pub http_method: HttpMethod,
    /// The URL for logins.
    pub user_path: String,
    /// The URL for entering vhosts.
    pub vhost_path: String,
    /// The URL for permissions on queues and exchanges.
    pub resource_path: String,
    /// The URL for permissions on routing keys.
    pub topic_path: String,
    /// For a whole answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// For a connection to the service, in milliseconds.
    pub connection_timeout_ms: u64,
}

/// How the parameters go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpMethod {
    /// In the query, where web servers log them. RabbitMQ's default.
    Get,
    /// In the body.
    Post,
}

/// A setting that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} must be {allowed}")]
pub(crate) struct WrongSetting {
    /// Its key in the section.
    pub(crate) key: &'static str,
    /// What would do.
    pub(crate) allowed: &'static str,
}

impl Settings {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// For the first URL that is none, or time that is zero.
    pub(crate) fn check(&self) -> Result<(), WrongSetting> {
        let require = |holds: bool, key, allowed| if holds { Ok(()) } else { Err(WrongSetting { key, allowed }) };
        for (key, url) in [
            ("user_path", &self.user_path),
            ("vhost_path", &self.vhost_path),
            ("resource_path", &self.resource_path),
            ("topic_path", &self.topic_path),
        ] {
            require(is_url(url), key, "a URL such as \"http://localhost:8000/auth/user\"; https is not supported")?;
        }
        require(self.request_timeout_ms > 0, "request_timeout_ms", "1 or more")?;
        require(self.connection_timeout_ms > 0, "connection_timeout_ms", "1 or more")
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn connection_timeout(&self) -> Duration {
        Duration::from_millis(self.connection_timeout_ms)
    }
}

impl Default for Settings {
    /// RabbitMQ's URLs. Its timeouts are 15 s each, longer than the handshake of the client that waits.
    fn default() -> Self {
        let path = |name| format!("http://localhost:8000/auth/{name}");
        Self {
            http_method: HttpMethod::Post,
            user_path: path("user"),
            vhost_path: path("vhost"),
            resource_path: path("resource"),
            topic_path: path("topic"),
            request_timeout_ms: 5_000,
            connection_timeout_ms: 2_000,
        }
    }
}

/// A name and a password before the host would not be sent, and would be logged.
fn is_url(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else { return false };
    let is_host = |authority: &str| !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@');
    url.scheme_str() == Some("http") && url.authority().is_some_and(|authority| is_host(authority.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_named_by_a_url() {
        assert_eq!(Settings::default().check(), Ok(()));
        let with = |url: &str| Settings { topic_path: url.to_owned(), ..Settings::default() }.check();
        for url in ["http://auth", "http://127.0.0.1:80/topic?key=1", "http://[::1]:8000/"] {
            assert_eq!(with(url), Ok(()), "{url}");
        }
        for url in
            ["", "auth", "/topic", "https://auth/topic", "http://", "http://:80/", "http://u:p@auth/", "http://a b/"]
        {
            assert_eq!(with(url).map_err(|wrong| wrong.key), Err("topic_path"), "{url}");
        }
    }

    #[test]
    fn time_there_must_be() {
        let none = Settings { request_timeout_ms: 0, ..Settings::default() };
        assert_eq!(none.check().unwrap_err().to_string(), "request_timeout_ms must be 1 or more");
    }
}
