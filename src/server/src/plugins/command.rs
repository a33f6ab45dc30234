//! `leveret plugins`: what can be added, and whether it is.
//!
//! It reads the configuration that `leveret serve` would read, and asks no server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use leveret_broker::{
    exchange::ExchangeTypes,
    plugin::{Plugin, Predeclared, RegisterError, Registry, Section},
};
use serde_json::Value;

use super::{Plugins, is_enabled, setup};
use crate::config::{self, Config, ConfigError, Setting, Sources};

/// What `leveret plugins` takes.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true)]
pub struct Options {
    /// Configuration file [default: config/leveret.toml where it exists]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all plugins of this binary
    List,
    /// Show what a plugin adds
    Info { name: String },
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The plugin cannot be used.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// There is none of that name.
    #[error("there is no plugin '{name}'; there are: {}", names.join(", "))]
    Unknown {
        /// As asked for.
        name: String,
        /// Those there are.
        names: Vec<&'static str>,
    },
}

/// Does what the command line says.
///
/// # Errors
/// Where the configuration is wrong or the plugin is not there.
pub fn run(options: &Options, plugins: &Plugins) -> Result<(), Failure> {
    let config = config::load(&Sources {
        file: options.config.clone(),
        environment: Setting::from_environment(crate::cli::environment()),
        plugins: Some(plugins.names()),
        sections: plugins.sections(),
        ..Sources::default()
    })?;
    let text = match &options.command {
        Command::List => list(plugins, &config),
        Command::Info { name } => info(plugins, name, &config)?,
    };
    print!("{text}");
    Ok(())
}

fn list(plugins: &Plugins, config: &Config) -> String {
    let width = plugins.names().iter().map(|name| name.len()).max().unwrap_or(0);
    plugins.iter().fold(String::new(), |text, plugin| {
        let (name, description) = (plugin.name(), plugin.description());
        text + &format!("{name:width$}  {:8}  {description}\n", state(plugin, config))
    })
}

fn info(plugins: &Plugins, name: &str, config: &Config) -> Result<String, Failure> {
    let unknown = || Failure::Unknown { name: name.to_owned(), names: plugins.names() };
    let plugin = plugins.iter().find(|plugin| plugin.name() == name).ok_or_else(unknown)?;
    let registry = Registry::with(setup(config), [plugin])?;
    let built_in = ExchangeTypes::default();
    let mut text = format!("{} ({})\n{}\n", plugin.name(), state(plugin, config), plugin.description());
    for kind in registry.exchange_types().names().filter(|kind| built_in.find(kind).is_none()) {
        text += &format!("\nexchange type {kind}\n");
    }
    for Predeclared { vhost, exchange } in registry.exchanges() {
        text += &format!("\nexchange {} in vhost {vhost}, of type {}\n", exchange.name, exchange.kind);
    }
    for observer in registry.observers() {
        text += &format!("\nobserver {}\n", observer.name());
    }
    for interceptor in registry.interceptors() {
        text += &format!("\ninterceptor {}\n", interceptor.name());
    }
    for protocol in registry.protocols() {
        text += &format!("\nprotocol {}\n", protocol.name());
    }
    for name in registry.authenticators() {
        text += &format!("\nauthenticator {name}\n");
    }
    for name in registry.authorizers() {
        text += &format!("\nauthorizer {name}\n");
    }
    if let Some(section) = plugin.section() {
        text += &section_text(&section);
    }
    for route in registry.http_routes() {
        text += &format!("\n{} /api{}\n    {}\n", route.method.name(), route.path, route.description);
    }
    Ok(text)
}

/// The keys of a section with their defaults, as they stand in a configuration file.
fn section_text(section: &Section) -> String {
    let mut text = format!("\nconfiguration [{}], by default\n", section.name);
    for (key, default) in leaves(&section.defaults, "") {
        let default = if default.is_null() { "(not set)".to_owned() } else { default.to_string() };
        text += &format!("    {key} = {default}\n");
    }
    text
}

/// Dotted keys and their values.
fn leaves<'a>(value: &'a Value, key: &str) -> Vec<(String, &'a Value)> {
    let below = |(name, value): (&String, &'a Value)| {
        leaves(value, &if key.is_empty() { name.clone() } else { format!("{key}.{name}") })
    };
    match value {
        Value::Object(object) => object.iter().flat_map(below).collect(),
        other => vec![(key.to_owned(), other)],
    }
}

fn state(plugin: &dyn Plugin, config: &Config) -> &'static str {
    if is_enabled(plugin.name(), &config.plugins.enabled) { "enabled" } else { "disabled" }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leveret_broker::plugin::{Client, Event, ListenAddress, Observer, Protocol, Serving};
    use serde_json::json;

    use super::*;

    struct Sample(&'static str);

    impl Plugin for Sample {
        fn name(&self) -> &'static str {
            self.0
        }

        fn description(&self) -> &'static str {
            "does something"
        }

        fn register(&self, _registry: &mut Registry) -> Result<(), RegisterError> {
            Ok(())
        }
    }

    /// A plugin that has something to show.
    struct Rich;

    impl Plugin for Rich {
        fn name(&self) -> &'static str {
            "rich"
        }

        fn description(&self) -> &'static str {
            "has much"
        }

        fn section(&self) -> Option<Section> {
            Some(Section { name: "rich_things", defaults: json!({"depth": {"max": 5, "min": null}, "name": "n"}) })
        }

        fn register(&self, registry: &mut Registry) -> Result<(), RegisterError> {
            registry.observer(Arc::new(Rich))?;
            registry.protocol(Arc::new(Rich))
        }
    }

    impl Observer for Rich {
        fn name(&self) -> &str {
            "onlooker"
        }

        fn observe(&self, _event: &Event) {}
    }

    impl Protocol for Rich {
        fn name(&self) -> &'static str {
            "RICH"
        }

        fn addresses(&self) -> Vec<ListenAddress> {
            Vec::new()
        }

        fn serve(&self, _client: Client) -> Serving {
            Box::pin(async { Ok(()) })
        }
    }

    fn samples() -> (Plugins, Config) {
        let plugins = Plugins::default().with(Sample("one")).with(Sample("another"));
        let mut config = Config::default();
        config.plugins.enabled = vec!["one".to_owned()];
        (plugins, config)
    }

    #[test]
    fn the_list_says_what_is_switched_on() {
        let (plugins, config) = samples();
        let expected = "one      enabled   does something\nanother  disabled  does something\n";
        assert_eq!(list(&plugins, &config), expected);
        assert!(list(&plugins, &Config::default()).lines().all(|line| line.contains(" enabled ")));
    }

    #[test]
    fn what_a_plugin_adds_and_can_be_told_is_shown() {
        let plugins = Plugins::default().with(Rich);
        let expected = "rich (enabled)\nhas much\n\nobserver onlooker\n\nprotocol RICH\n\n\
                        configuration [rich_things], by default\n    depth.max = 5\n    depth.min = (not set)\n    name = \"n\"\n";
        assert_eq!(info(&plugins, "rich", &Config::default()).unwrap(), expected);
    }

    #[test]
    fn a_plugin_that_is_not_there_is_named_with_those_that_are() {
        let (plugins, config) = samples();
        assert_eq!(info(&plugins, "another", &config).unwrap(), "another (disabled)\ndoes something\n");
        let error = info(&plugins, "third", &config).unwrap_err().to_string();
        assert_eq!(error, "there is no plugin 'third'; there are: one, another");
    }
}
