//! Authentication backend `http`: a web service of one's own says who comes in and what they may do.
//!
//! It is asked as RabbitMQ's `rabbitmq_auth_backend_http` asks, so that a service written for that serves here unchanged:
//! one URL each for logins, vhosts, resources and topics ([`Settings`]), parameters as of a form ([`form`]), and `allow`
//! with tags or `deny` for an answer ([`answer`]).
//!
//! Not taken: https (no other part of the server needs a TLS library yet; a proxy beside the server does it), redirects
//! (a password goes to where the configuration says and nowhere else), and the logging of URLs (with GET they hold the
//! password).

mod answer;
mod backend;
mod client;
mod form;
mod settings;

#[cfg(test)]
mod tests;

use leveret_broker::plugin::{Plugin, RegisterError, Registry, Section};

use backend::HttpBackend;
pub use settings::{HttpMethod, Settings};

/// The plugin's name.
pub const NAME: &str = "auth-backend-http";

/// The backend's name in `auth.backends`.
pub const BACKEND: &str = "http";

const SECTION: &str = "auth_http";

/// The plugin.
pub struct AuthBackendHttp;

impl Plugin for AuthBackendHttp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn description(&self) -> &'static str {
        "authentication backend http: a web service says who comes in and what they may do"
    }

    fn section(&self) -> Option<Section> {
        Some(Section::of::<Settings>(SECTION))
    }

    fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
        let settings = registry.section::<Settings>(SECTION)?;
        settings.check().map_err(|wrong| RegisterError::Section { name: SECTION, reason: wrong.to_string() })?;
        let backend = HttpBackend::new(settings);
        registry.authenticator(backend.clone())?;
        registry.authorizer(backend)
    }
}
