//! What plugins are told before they register: the server's name, and their sections of its configuration.
//!
//! A section is plain values, so that a plugin knows no format and no file; what may be in it is the plugin's own type.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::RegisterError;

/// A section of the configuration that is a plugin's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name, such as `event_exchange`; its keys are `event_exchange.…`.
    pub name: &'static str,
    /// Its keys with their defaults. A key without one is null.
    pub defaults: Value,
}

impl Section {
    /// A section of which `T` says what it has: the default of `T` has the defaults.
    ///
    /// # Panics
    /// Where `T` cannot be written as JSON, which only a type that is no plain data does.
    #[must_use]
    pub fn of<T: Default + Serialize>(name: &'static str) -> Self {
        let defaults = serde_json::to_value(T::default());
        Self { name, defaults: defaults.expect("plain data") }
    }
}

/// What plugins are told before they register.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The server's name in listings and headers, as RabbitMQ names nodes: `leveret@host`.
    pub node: String,
    /// Their sections by name, as configured.
    pub sections: BTreeMap<String, Value>,
}

impl Default for Setup {
    /// A server without a name of its own and without a configuration.
    fn default() -> Self {
        Self { node: "leveret@localhost".to_owned(), sections: BTreeMap::new() }
    }
}

impl Setup {
    /// What a section says. One that was not configured is an empty one, which says what `T` has as defaults.
    ///
    /// # Errors
    /// For a key that `T` does not have, and for a value that it cannot take.
    pub(super) fn section<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, RegisterError> {
        let section = self.sections.get(name).cloned().unwrap_or_else(|| Value::Object(Map::new()));
        serde_json::from_value(section).map_err(|reason| RegisterError::Section { name, reason: reason.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        vhost: String,
        limit: Option<u32>,
    }

    impl Default for Settings {
        fn default() -> Self {
            Self { vhost: "/".into(), limit: None }
        }
    }

    fn read(section: Option<Value>) -> Result<Settings, String> {
        let sections = section.into_iter().map(|section| ("sample".to_owned(), section)).collect();
        Setup { sections, ..Setup::default() }.section("sample").map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_configured_is_the_default() {
        assert_eq!(Section::of::<Settings>("sample").defaults, json!({"vhost": "/", "limit": null}));
        assert_eq!(read(None).unwrap(), Settings::default());
        assert_eq!(read(Some(json!({"limit": 5}))).unwrap(), Settings { limit: Some(5), ..Settings::default() });
    }

    #[test]
    fn what_cannot_be_is_named() {
        let error = read(Some(json!({"vhst": "/"}))).unwrap_err();
        assert_eq!(error, "configuration section [sample]: unknown field `vhst`, expected `vhost` or `limit`");
        let error = read(Some(json!({"limit": "all"}))).unwrap_err();
        assert!(error.starts_with("configuration section [sample]: invalid type: string \"all\""), "{error}");
    }
}
