//! The plugins of this binary: one explicit list.
//!
//! A Cargo feature puts a plugin on the list, `plugins.enabled` switches it on. A binary of one's own with further plugins
//! is [`cli::run`](crate::cli::run) with a longer list; `examples/custom_exchange` and
//! `examples/custom_protocol` are two.

mod command;

use std::fmt;

use leveret_broker::plugin::{Plugin, RegisterError, Registry, Section, Setup};

use crate::config::Config;

pub use command::{Failure, Options, run};

/// In `plugins.enabled`: every plugin there is.
pub const ALL: &str = "all";

/// Plugins that a server may use.
#[derive(Default)]
pub struct Plugins(Vec<Box<dyn Plugin>>);

impl Plugins {
    /// Those that Leveret brings along and this build has.
    #[must_use]
    pub fn compiled_in() -> Self {
        Self(vec![
            #[cfg(feature = "auth-backend-http")]
            Box::new(leveret_auth_backend_http::AuthBackendHttp),
            #[cfg(feature = "consistent-hash-exchange")]
            Box::new(leveret_consistent_hash_exchange::ConsistentHashExchange),
            #[cfg(feature = "delayed-message-exchange")]
            Box::new(leveret_delayed_message_exchange::DelayedMessageExchange),
            #[cfg(feature = "event-exchange")]
            Box::<leveret_event_exchange::EventExchange>::default(),
            #[cfg(feature = "management")]
            Box::new(leveret_management::Management),
            #[cfg(feature = "message-deduplication")]
            Box::new(leveret_message_deduplication::MessageDeduplication),
            #[cfg(feature = "message-interceptors")]
            Box::new(leveret_message_interceptors::MessageInterceptors),
            #[cfg(feature = "modulus-hash-exchange")]
            Box::new(leveret_modulus_hash_exchange::ModulusHashExchange),
            #[cfg(feature = "random-exchange")]
            Box::new(leveret_random_exchange::RandomExchange),
            #[cfg(feature = "recent-history-exchange")]
            Box::new(leveret_recent_history_exchange::RecentHistoryExchange),
        ])
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, plugin: impl Plugin + 'static) -> Self {
        self.0.push(Box::new(plugin));
        self
    }

    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|plugin| plugin.name()).collect()
    }

    /// The plugins, in order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Plugin> {
        self.0.iter().map(|plugin| &**plugin)
    }

    /// Those that `enabled` names.
    #[must_use]
    pub fn enabled(self, enabled: &[String]) -> Self {
        Self(self.0.into_iter().filter(|plugin| is_enabled(plugin.name(), enabled)).collect())
    }

    /// Their sections of the configuration.
    #[must_use]
    pub fn sections(&self) -> Vec<Section> {
        self.iter().filter_map(Plugin::section).collect()
    }

    /// What they add to a server with this configuration.
    ///
    /// # Errors
    /// Where two of them have a name in common, or a section of theirs is wrong.
    pub fn register(&self, config: &Config) -> Result<Registry, RegisterError> {
        Registry::with(setup(config), self.iter())
    }
}

/// What plugins are told of a server with this configuration.
fn setup(config: &Config) -> Setup {
    Setup { node: format!("leveret@{}", host_name()), sections: config.sections.clone() }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".into() } else { name.trim().into() }
}

/// Whether a plugin is switched on.
#[must_use]
pub fn is_enabled(name: &str, enabled: &[String]) -> bool {
    enabled.iter().any(|one| one == name || one == ALL)
}

impl fmt::Debug for Plugins {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.names()).finish()
    }
}
