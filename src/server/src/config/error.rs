//! Why a configuration is refused: the key, its value, where that came from, and what is allowed.

use figment::{Figment, error::Kind};

/// The start stops with this.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A value that cannot be.
    #[error("{key} = {value} ({origin}): must be {allowed}")]
    Value {
        /// The key, such as `amqp.frame_max`.
        key: String,
        /// The value as given; not that of a secret.
        value: String,
        /// File, environment variable or flag.
        origin: String,
        /// What would do.
        allowed: String,
    },
    /// A key that does not exist.
    #[error("{key} ({origin}): there is no such key; allowed here: {allowed}")]
    Key {
        /// The key as given.
        key: String,
        /// File, environment variable or flag.
        origin: String,
        /// The keys there are.
        allowed: String,
    },
    /// The file that was named cannot be read, or is not TOML.
    #[error("configuration file {file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Anything else, in figment's words.
    #[error("{0}")]
    Other(String),
}

impl ConfigError {
    /// The value of `key` is not what `allowed` says.
    pub(super) fn value(layers: &Figment, key: &str, allowed: impl Into<String>) -> Self {
        Self::Value {
            key: key.into(),
            value: shown_value(layers, key),
            origin: origin(layers, key),
            allowed: allowed.into(),
        }
    }

    /// Puts figment's first error into one line.
    pub(super) fn from_figment(layers: &Figment, error: &figment::Error) -> Self {
        let key = error.path.join(".");
        match &error.kind {
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                Self::value(layers, &key, plain(expected))
            }
            Kind::UnknownVariant(_, expected) => Self::value(layers, &key, one_of(expected)),
            Kind::UnknownField(_, expected) => {
                Self::Key { origin: origin(layers, &key), allowed: expected.join(", "), key }
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

/// What `values` allow, for people: `"commit" or "os"`.
fn one_of(values: &[&str]) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" or ")
}

/// Serde's names of types in words that do not need a Rust programmer.
fn plain(expected: &str) -> String {
    match expected {
        "u16" => "a number from 0 to 65535".into(),
        "u32" => "a number from 0 to 4294967295".into(),
        "u64" => "a number, 0 or more".into(),
        "f64" => "a number".into(),
        "a sequence" => "a list of texts".into(),
        "a string" | "path string" => "a text".into(),
        text if text.starts_with("struct ") => "a section of keys".into(),
        other => other.into(),
    }
}

/// The configured value as TOML would have it, or how it is secret.
fn shown_value(layers: &Figment, key: &str) -> String {
    if key == "default_pass" {
        return "(not shown)".into();
    }
    let value = layers.find_value(key).ok();
    value.map_or_else(|| "(nothing)".into(), |value| show(&value))
}

fn show(value: &figment::value::Value) -> String {
    use figment::value::Value;
    match value {
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Char(_, letter) => letter.to_string(),
        Value::Num(_, number) => number
            .to_i128()
            .map(|whole| whole.to_string())
            .or_else(|| number.to_f64().map(|float| float.to_string()))
            .unwrap_or_else(|| "a number".into()),
        Value::Array(_, values) => format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Dict(..) => "a section".into(),
        Value::Empty(..) => "nothing".into(),
    }
}

/// Where the value of `key` was given.
fn origin(layers: &Figment, key: &str) -> String {
    let Some(metadata) = layers.find_metadata(key) else { return "somewhere".into() };
    match metadata.source.as_ref().and_then(|source| source.file_path()) {
        Some(path) => path.display().to_string(),
        None => metadata.name.to_string(),
    }
}
