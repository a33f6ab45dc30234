//! What plugins have added.

use std::{collections::BTreeSet, sync::Arc};

use serde::de::DeserializeOwned;

use super::{HttpRoute, Plugin, Setup};
use crate::exchange::{DuplicateExchangeType, ExchangeType, ExchangeTypes};

/// Why a plugin cannot be added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Two plugins have the same name.
    #[error("there are two plugins of the name '{0}'")]
    DuplicatePlugin(&'static str),
    /// Its exchange type is there already.
    #[error(transparent)]
    DuplicateExchangeType(#[from] DuplicateExchangeType),
    /// Its HTTP route is there already.
    #[error("the HTTP route {0} is registered twice")]
    DuplicateRoute(String),
    /// Two plugins have a section of the configuration of the same name.
    #[error("the configuration section [{0}] belongs to two plugins")]
    DuplicateSection(&'static str),
    /// Its section of the configuration has a wrong key or value.
    #[error("configuration section [{name}]: {reason}")]
    Section {
        /// The section's name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// What plugins have added to a broker, beside what every broker has.
#[derive(Default)]
pub struct Registry {
    plugins: BTreeSet<&'static str>,
    exchange_types: ExchangeTypes,
    http_routes: Vec<HttpRoute>,
    setup: Setup,
    sections: BTreeSet<&'static str>,
}

impl Registry {
    /// Has each plugin register, in order.
    ///
    /// # Errors
    /// As for [`Self::with`].
    pub fn of<'a>(plugins: impl IntoIterator<Item = &'a dyn Plugin>) -> Result<Self, RegisterError> {
        Self::with(Setup::default(), plugins)
    }

    /// As [`Self::of`], in a server that has a name and a configuration.
    ///
    /// # Errors
    /// Where a name is taken, or a plugin's section of the configuration is wrong.
    pub fn with<'a>(setup: Setup, plugins: impl IntoIterator<Item = &'a dyn Plugin>) -> Result<Self, RegisterError> {
        let mut registry = Self { setup, ..Self::default() };
        for plugin in plugins {
            if !registry.plugins.insert(plugin.name()) {
                return Err(RegisterError::DuplicatePlugin(plugin.name()));
            }
            if let Some(section) = plugin.section()
                && !registry.sections.insert(section.name)
            {
                return Err(RegisterError::DuplicateSection(section.name));
            }
            plugin.register(&mut registry)?;
        }
        Ok(registry)
    }

    /// Adds an exchange type.
    ///
    /// # Errors
    /// Where its name is taken.
    pub fn exchange_type(&mut self, kind: impl ExchangeType + 'static) -> Result<(), RegisterError> {
        Ok(self.exchange_types.register(Arc::new(kind))?)
    }

    /// Adds a route to the management API.
    ///
    /// # Errors
    /// Where there is one of the same method and path.
    pub fn http_route(&mut self, route: HttpRoute) -> Result<(), RegisterError> {
        if self.http_routes.iter().any(|other| other.method == route.method && other.path == route.path) {
            return Err(RegisterError::DuplicateRoute(route.to_string()));
        }
        self.http_routes.push(route);
        Ok(())
    }

    /// The names of the plugins that have registered, sorted.
    pub fn plugins(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().copied()
    }

    /// All exchange types, built-in ones among them.
    #[must_use]
    pub fn exchange_types(&self) -> &ExchangeTypes {
        &self.exchange_types
    }

    /// The routes, in the order in which they were added.
    #[must_use]
    pub fn http_routes(&self) -> &[HttpRoute] {
        &self.http_routes
    }

    /// The server's name in listings and headers, `leveret@host`.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.setup.node
    }

    /// What a plugin's section of the configuration says. `T` is to refuse keys that it does not have
    /// (`#[serde(default, deny_unknown_fields)]`).
    ///
    /// # Errors
    /// For a key that `T` does not have, and for a value that it cannot take.
    pub fn section<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, RegisterError> {
        self.setup.section(name)
    }
}

#[cfg(test)]
mod tests {
    use leveret_amqp::FieldTable;
    use serde_json::json;

    use super::*;
    use crate::{
        Error,
        exchange::{Fanout, Router},
        plugin::{HttpMethod, HttpResponse, Section},
    };

    struct Kind(&'static str);

    impl ExchangeType for Kind {
        fn name(&self) -> &str {
            self.0
        }

        fn router(&self, _arguments: &FieldTable) -> Result<Box<dyn Router>, Error> {
            Ok(Box::new(Fanout::default()))
        }
    }

    /// A plugin that has one thing of each sort.
    struct Sample {
        name: &'static str,
        kind: &'static str,
        path: &'static str,
        section: &'static str,
    }

    impl Sample {
        fn of(name: &'static str, kind: &'static str, path: &'static str) -> Self {
            Self { name, kind, path, section: name }
        }
    }

    impl Plugin for Sample {
        fn name(&self) -> &'static str {
            self.name
        }

        fn description(&self) -> &'static str {
            "a sample"
        }

        fn section(&self) -> Option<Section> {
            Some(Section { name: self.section, defaults: json!({}) })
        }

        fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
            registry.exchange_type(Kind(self.kind))?;
            registry.http_route(HttpRoute::new(HttpMethod::Get, self.path, "answers", |_| Ok(HttpResponse::NoContent)))
        }
    }

    fn registered(plugins: &[Sample]) -> Result<Registry, RegisterError> {
        Registry::of(plugins.iter().map(|plugin| plugin as &dyn Plugin))
    }

    #[test]
    fn what_plugins_add_is_there() {
        let registry = registered(&[Sample::of("two", "x-two", "/two"), Sample::of("one", "x-one", "/one")]).unwrap();
        assert_eq!(registry.plugins().collect::<Vec<_>>(), ["one", "two"]);
        assert!(registry.exchange_types().find("x-two").is_some() && registry.exchange_types().find("topic").is_some());
        assert_eq!(registry.http_routes().iter().map(|route| route.path).collect::<Vec<_>>(), ["/two", "/one"]);
    }

    #[test]
    fn each_name_is_given_once() {
        let refused =
            |other| registered(&[Sample::of("one", "x-one", "/one"), other]).err().map(|error| error.to_string());
        let other = || Sample::of("other", "x-other", "/other");
        for (taken, text) in [
            (Sample { name: "one", ..other() }, "there are two plugins of the name 'one'"),
            (Sample { kind: "x-one", ..other() }, "exchange type 'x-one' is registered twice"),
            (Sample { kind: "topic", ..other() }, "exchange type 'topic' is registered twice"),
            (Sample { path: "/one", ..other() }, "the HTTP route GET /one is registered twice"),
            (Sample { section: "one", ..other() }, "the configuration section [one] belongs to two plugins"),
        ] {
            assert_eq!(refused(taken).unwrap(), text);
        }
        assert!(refused(other()).is_none());
    }
}
