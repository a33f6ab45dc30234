//! Putting the layers over each other.

use std::path::{Path, PathBuf};

use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use leveret_broker::plugin::Section;

use super::{Config, ConfigError, Setting, limits};

/// Read when no file is named and it exists.
pub const DEFAULT_FILE: &str = "config/leveret.toml";

/// Where a configuration comes from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must exist; without one [`DEFAULT_FILE`] is read where it exists.
    pub file: Option<PathBuf>,
    /// From [`Setting::from_environment`].
    pub environment: Vec<Setting>,
    /// From the command line.
    pub flags: Vec<Setting>,
    /// The names that `plugins.enabled` may have; any, where nobody says.
    pub plugins: Option<Vec<&'static str>>,
    /// The sections that plugins have.
    pub sections: Vec<Section>,
}

/// The configuration that the sources make.
///
/// # Errors
/// At the first thing that is wrong: a named file that cannot be read, a key that does not exist, a value that cannot be.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut layers = Figment::from(Serialized::defaults(Config::default()));
    for section in &sources.sections {
        layers = layers.join(Serialized::default(section.name, &section.defaults));
    }
    let defaults = layers.clone();
    if let Some(file) = file_to_read(sources)? {
        layers = layers.merge(Toml::file_exact(&file));
        check_syntax(&layers, &file)?;
    }
    for setting in sources.environment.iter().chain(&sources.flags) {
        layers = layers.merge(setting.over(&defaults));
    }
    let mut config = read(&layers, &sources.sections)?;
    limits::check(&config, &layers)?;
    if let Some(names) = &sources.plugins {
        limits::check_plugins(&config, names, &layers)?;
    }
    for name in sources.sections.iter().map(|section| section.name) {
        let values = layers.extract_inner(name).map_err(|error| ConfigError::from_figment(&layers, &error))?;
        config.sections.insert(name.to_owned(), values);
    }
    Ok(config)
}

/// What is not a plugin's own.
fn read(layers: &Figment, sections: &[Section]) -> Result<Config, ConfigError> {
    let refused = |error| ConfigError::from_figment(layers, &error);
    let mut values: Dict = layers.extract().map_err(refused)?;
    values.retain(|key, _| sections.iter().all(|section| section.name != key));
    Value::from(values).deserialize().map_err(refused)
}

fn file_to_read(sources: &Sources) -> Result<Option<PathBuf>, ConfigError> {
    let Some(file) = &sources.file else {
        return Ok(Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    };
    match std::fs::metadata(file) {
        Ok(_) => Ok(Some(file.clone())),
        Err(error) => Err(file_error(file, &error)),
    }
}

/// A file that is no TOML shows as an error of every look-up; say it once, with the file's name.
fn check_syntax(layers: &Figment, file: &Path) -> Result<(), ConfigError> {
    match layers.find_value("data_dir") {
        Ok(_) => Ok(()),
        Err(error) => Err(file_error(file, &error.kind)),
    }
}

fn file_error(file: &Path, reason: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::File { file: file.display().to_string(), reason: reason.to_string() }
}
