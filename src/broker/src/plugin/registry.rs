//! What plugins have added.

use std::{collections::BTreeSet, sync::Arc};

use serde::de::DeserializeOwned;

use super::{Draft, HttpRoute, IncomingMessage, Interceptor, Observer, Plugin, Protocol, Setup};
use crate::{
    Error,
    auth::{Authenticator, Authorizer, BackendChoice, Backends, ChoiceError, INTERNAL, Named, Terms},
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
    /// There is one of that name already; of backends, the broker's own may have it.
    #[error("the {kind} '{name}' is registered twice")]
    Duplicate {
        /// Such as `observer`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
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
    interceptors: Vec<Arc<dyn Interceptor>>,
    protocols: Vec<Arc<dyn Protocol>>,
    authenticators: Named<dyn Authenticator>,
    authorizers: Named<dyn Authorizer>,
    backends: Backends,
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
        check_free("observer", observer.name(), self.observers.iter().map(|other| other.name()))?;
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

    /// Has somebody see messages when they come in.
    ///
    /// # Errors
    /// Where its name is taken.
    pub fn interceptor(&mut self, interceptor: Arc<dyn Interceptor>) -> Result<(), RegisterError> {
        check_free("interceptor", interceptor.name(), self.interceptors.iter().map(|other| other.name()))?;
        self.interceptors.push(interceptor);
        Ok(())
    }

    /// Those who see messages, in the order in which they do.
    #[must_use]
    pub fn interceptors(&self) -> &[Arc<dyn Interceptor>] {
        &self.interceptors
    }

    /// Has them see a message that a client publishes; its raw properties, where they have changed them.
    ///
    /// # Errors
    /// What one of them refuses the message with; those after it do not see it.
    pub fn intercept(&self, message: &IncomingMessage<'_>) -> Result<Option<Vec<u8>>, Error> {
        let mut draft = Draft::new(message.properties);
        self.interceptors.iter().try_for_each(|interceptor| interceptor.intercept(message, &mut draft))?;
        Ok(draft.into_raw())
    }

    /// Adds a front end beside AMQP.
    ///
    /// # Errors
    /// Where its name is taken.
    pub fn protocol(&mut self, protocol: Arc<dyn Protocol>) -> Result<(), RegisterError> {
        check_free("protocol", protocol.name(), self.protocols.iter().map(|other| other.name()))?;
        self.protocols.push(protocol);
        Ok(())
    }

    /// The front ends beside AMQP, in the order in which they were added.
    #[must_use]
    pub fn protocols(&self) -> &[Arc<dyn Protocol>] {
        &self.protocols
    }

    /// Adds a backend that checks passwords. It is asked where `auth.backends` names it.
    ///
    /// # Errors
    /// Where its name is taken.
    pub fn authenticator(&mut self, backend: impl Authenticator + 'static) -> Result<(), RegisterError> {
        check_free("authenticator", backend.name(), self.authenticators().chain([INTERNAL]))?;
        self.authenticators.insert(backend.name().to_owned(), Arc::new(backend));
        Ok(())
    }

    /// Adds a backend that decides on permissions. It is asked where `auth.backends` names it.
    ///
    /// # Errors
    /// Where its name is taken.
    pub fn authorizer(&mut self, backend: impl Authorizer + 'static) -> Result<(), RegisterError> {
        check_free("authorizer", backend.name(), self.authorizers().chain([INTERNAL]))?;
        self.authorizers.insert(backend.name().to_owned(), Arc::new(backend));
        Ok(())
    }

    /// Says which backends are asked, in which order. Without it that is the internal one alone.
    ///
    /// # Errors
    /// Where one is named that is not there, or none at all.
    pub fn choose_backends(&mut self, order: &[BackendChoice], terms: Terms) -> Result<(), ChoiceError> {
        self.backends = Backends::new(order, &self.authenticators, &self.authorizers, terms)?;
        Ok(())
    }

    /// The backends that are asked, in their order.
    #[must_use]
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The names of the authenticators that plugins have added, sorted.
    pub fn authenticators(&self) -> impl Iterator<Item = &str> {
        self.authenticators.keys().map(String::as_str)
    }

    /// The names of the authorizers that plugins have added, sorted.
    pub fn authorizers(&self) -> impl Iterator<Item = &str> {
        self.authorizers.keys().map(String::as_str)
    }
}

fn check_free<'a>(
    kind: &'static str,
    name: &str,
    mut taken: impl Iterator<Item = &'a str>,
) -> Result<(), RegisterError> {
    match taken.any(|other| other == name) {
        true => Err(RegisterError::Duplicate { kind, name: name.to_owned() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
