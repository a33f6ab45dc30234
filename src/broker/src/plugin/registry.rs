//! What plugins have added.

use std::{collections::BTreeSet, sync::Arc};

use serde::de::DeserializeOwned;

use super::{HttpRoute, Observer, Plugin, Setup};
use crate::{
    exchange::{DuplicateExchangeType, ExchangeType, ExchangeTypes},
    topology::DeclareExchange,
};

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
    /// Its observer is there already.
    #[error("the observer '{0}' is registered twice")]
    DuplicateObserver(String),
    /// Its exchange is there already.
    #[error("the exchange '{exchange}' in vhost '{vhost}' is registered twice")]
    DuplicateExchange {
        /// The exchange's name.
        exchange: &'static str,
        /// The vhost's name.
        vhost: Arc<str>,
    },
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

/// An exchange that a plugin needs to be there.
#[derive(Clone, Debug)]
pub struct Predeclared {
    /// The vhost that has it, whenever there is one of that name.
    pub vhost: Arc<str>,
    /// What it is. It is kept by its being declared with each start, so it is gone with the plugin.
    pub exchange: DeclareExchange<'static>,
}

/// What plugins have added to a broker, beside what every broker has.
#[derive(Default)]
pub struct Registry {
    plugins: BTreeSet<&'static str>,
    exchange_types: ExchangeTypes,
    http_routes: Vec<HttpRoute>,
    setup: Setup,
    sections: BTreeSet<&'static str>,
    observers: Vec<Arc<dyn Observer>>,
    exchanges: Vec<Predeclared>,
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

    /// Has somebody told what happens in the broker.
    ///
    /// # Errors
    /// Where its name is taken.
    pub fn observer(&mut self, observer: Arc<dyn Observer>) -> Result<(), RegisterError> {
        if self.observers.iter().any(|other| other.name() == observer.name()) {
            return Err(RegisterError::DuplicateObserver(observer.name().to_owned()));
        }
        self.observers.push(observer);
        Ok(())
    }

    /// Those who are told, in the order in which they were added.
    #[must_use]
    pub fn observers(&self) -> &[Arc<dyn Observer>] {
        &self.observers
    }

    /// Has an exchange be there, as the broker's own are that every vhost has. Its name may be one of theirs (`amq.…`).
    ///
    /// # Errors
    /// Where another plugin has it be there.
    pub fn exchange(&mut self, exchange: Predeclared) -> Result<(), RegisterError> {
        let is_same =
            |other: &Predeclared| other.vhost == exchange.vhost && other.exchange.name == exchange.exchange.name;
        if self.exchanges.iter().any(is_same) {
            let Predeclared { vhost, exchange } = exchange;
            return Err(RegisterError::DuplicateExchange { exchange: exchange.name, vhost });
        }
        self.exchanges.push(exchange);
        Ok(())
    }

    /// Those exchanges, in the order in which they were added.
    #[must_use]
    pub fn exchanges(&self) -> &[Predeclared] {
        &self.exchanges
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
        plugin::{Event, HttpMethod, HttpResponse, Section},
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

    impl Observer for Kind {
        fn name(&self) -> &str {
            self.0
        }

        fn observe(&self, _event: &Event) {}
    }

    /// A plugin that has one thing of each sort.
    struct Sample {
        name: &'static str,
        kind: &'static str,
        path: &'static str,
        section: &'static str,
        observer: &'static str,
        exchange: &'static str,
    }

    static NO_ARGUMENTS: FieldTable = FieldTable::new();

    impl Sample {
        fn of(name: &'static str, kind: &'static str, path: &'static str) -> Self {
            Self { name, kind, path, section: name, observer: name, exchange: name }
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
            registry.observer(Arc::new(Kind(self.observer)))?;
            let exchange = DeclareExchange {
                name: self.exchange,
                kind: "fanout",
                durable: true,
                auto_delete: false,
                internal: true,
                arguments: &NO_ARGUMENTS,
            };
            registry.exchange(Predeclared { vhost: "/".into(), exchange })?;
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
        assert_eq!(registry.observers().iter().map(|observer| observer.name()).collect::<Vec<_>>(), ["two", "one"]);
        assert_eq!(registry.exchanges().iter().map(|one| one.exchange.name).collect::<Vec<_>>(), ["two", "one"]);
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
            (Sample { observer: "one", ..other() }, "the observer 'one' is registered twice"),
            (Sample { exchange: "one", ..other() }, "the exchange 'one' in vhost '/' is registered twice"),
        ] {
            assert_eq!(refused(taken).unwrap(), text);
        }
        assert!(refused(other()).is_none());
    }
}
