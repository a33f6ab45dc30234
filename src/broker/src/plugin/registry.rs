//! What plugins have added.

use std::{collections::BTreeSet, sync::Arc};

use super::{HttpRoute, Plugin};
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
}

/// What plugins have added to a broker, beside what every broker has.
#[derive(Default)]
pub struct Registry {
    plugins: BTreeSet<&'static str>,
    exchange_types: ExchangeTypes,
    http_routes: Vec<HttpRoute>,
}

impl Registry {
    /// Has each plugin register, in order.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn of<'a>(plugins: impl IntoIterator<Item = &'a dyn Plugin>) -> Result<Self, RegisterError> {
        let mut registry = Self::default();
        for plugin in plugins {
            if !registry.plugins.insert(plugin.name()) {
                return Err(RegisterError::DuplicatePlugin(plugin.name()));
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
}

#[cfg(test)]
mod tests {
    use leveret_amqp::FieldTable;

    use super::*;
    use crate::{
        Error,
        exchange::{Fanout, Router},
        plugin::{HttpMethod, HttpResponse},
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

    struct Sample {
        name: &'static str,
        kind: &'static str,
        path: &'static str,
    }

    impl Plugin for Sample {
        fn name(&self) -> &'static str {
            self.name
        }

        fn description(&self) -> &'static str {
            "a sample"
        }

        fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
            registry.exchange_type(Kind(self.kind))?;
            registry.http_route(HttpRoute::new(HttpMethod::Get, self.path, "answers", |_| Ok(HttpResponse::NoContent)))
        }
    }

    const ONE: Sample = Sample { name: "one", kind: "x-one", path: "/one" };

    fn registered(plugins: &[Sample]) -> Result<Registry, RegisterError> {
        Registry::of(plugins.iter().map(|plugin| plugin as &dyn Plugin))
    }

    #[test]
    fn what_plugins_add_is_there() {
        let registry = registered(&[Sample { name: "two", kind: "x-two", path: "/two" }, ONE]).unwrap();
        assert_eq!(registry.plugins().collect::<Vec<_>>(), ["one", "two"]);
        assert!(registry.exchange_types().find("x-two").is_some() && registry.exchange_types().find("topic").is_some());
        assert_eq!(registry.http_routes().iter().map(|route| route.path).collect::<Vec<_>>(), ["/two", "/one"]);
    }

    #[test]
    fn each_name_is_given_once() {
        let refused = |other| registered(&[ONE, other]).err().map(|error| error.to_string());
        let other = Sample { name: "other", kind: "x-other", path: "/other" };
        assert_eq!(refused(Sample { name: "one", ..other }).unwrap(), "there are two plugins of the name 'one'");
        assert_eq!(refused(Sample { kind: "x-one", ..other }).unwrap(), "exchange type 'x-one' is registered twice");
        assert_eq!(refused(Sample { kind: "topic", ..other }).unwrap(), "exchange type 'topic' is registered twice");
        assert_eq!(refused(Sample { path: "/one", ..other }).unwrap(), "the HTTP route GET /one is registered twice");
        assert!(refused(other).is_none());
    }
}
