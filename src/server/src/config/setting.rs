//! One key that was set outside a file: by an environment variable or a flag.
//!
//! What the text means follows from the key's default: `12345` is a number for a limit and a text for a password.
//! Figment's own environment provider guesses from the text alone, and so would take the zeros off a password.

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

/// Environment variables start with this; `__` separates the parts of a key.
const PREFIX: &str = "LEVERET_";

/// A key, its value as text, and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    key: String,
    text: String,
    origin: String,
}

impl Setting {
    /// A flag: `--amqp-bind` sets `amqp.bind`.
    #[must_use]
    pub fn flag(flag: &str, key: &str, text: impl Into<String>) -> Self {
        Self { key: key.into(), text: text.into(), origin: format!("flag {flag}") }
    }

    /// The settings among environment variables.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Self> {
        variables.into_iter().filter_map(|(name, text)| Self::from_variable(&name, text)).collect()
    }

    fn from_variable(name: &str, text: String) -> Option<Self> {
        let key = name.strip_prefix(PREFIX)?;
        if is_from_kubernetes(key) {
            return None;
        }
        Some(Self {
            key: key.to_ascii_lowercase().replace("__", "."),
            text,
            origin: format!("environment variable {name}"),
        })
    }

    /// What it sets, in the type of the key's default.
    pub(super) fn over(&self, defaults: &Figment) -> impl Provider {
        Typed { key: self.key.clone(), value: self.value(defaults), origin: self.origin.clone() }
    }

    /// The text in the type of the key's default; a text stays what cannot be read as that, and is refused later. A key
    /// without a default tells nothing: then a text is what does not look like anything else.
    fn value(&self, defaults: &Figment) -> Value {
        let text = || Value::from(self.text.clone());
        let flag = || self.text.parse::<bool>().ok().map(Value::from);
        match defaults.find_value(&self.key) {
            Ok(Value::Num(..)) => number(&self.text).unwrap_or_else(text),
            Ok(Value::Bool(..)) => flag().unwrap_or_else(text),
            Ok(Value::Array(..)) => list(&self.text),
            Ok(Value::Empty(..)) => flag().or_else(|| number(&self.text)).unwrap_or_else(text),
            _ => text(),
        }
    }
}

/// Kubernetes describes every service of a namespace in the environment of every container; one that is named
/// `leveret` would otherwise keep Leveret from starting.
fn is_from_kubernetes(key: &str) -> bool {
    key == "PORT" || key.starts_with("PORT_") || key.starts_with("SERVICE_")
}

fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    let whole = text.parse::<i64>().map(Value::from).ok();
    whole.or_else(|| text.parse::<f64>().map(Value::from).ok())
}

/// Names separated by commas; an empty text is an empty list.
fn list(text: &str) -> Value {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    Value::from(names.map(Value::from).collect::<Vec<_>>())
}

/// A setting whose value has a type.
struct Typed {
    key: String,
    value: Value,
    origin: String,
}

impl Provider for Typed {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}
