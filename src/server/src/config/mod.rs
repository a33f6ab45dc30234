//! What can be configured, with which defaults and bounds.
//!
//! Layers, later ones win: defaults, `config/leveret.toml` (or the file named by `--config`), environment
//! (`LEVERET_AMQP__BIND` is `amqp.bind`), flags. Nothing is guessed: a key that does not exist or a value that cannot be
//! stops the start, see [`load`]. Everything is handed down from here; there is no global configuration.
//!
//! `config/leveret.toml` in the repository states every key with its default; a test keeps the two alike.

mod auth;
mod error;
mod layers;
mod limits;
mod setting;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::plugins;

pub use self::{
    auth::Auth,
    error::ConfigError,
    layers::{DEFAULT_FILE, Sources, load},
    setting::Setting,
};

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the store; created where it is missing.
    pub data_dir: PathBuf,
    /// The name clients see in the server properties, and listings show.
    pub cluster_name: String,
    /// First user of an empty store.
    pub default_user: String,
    /// Its password.
    pub default_pass: Secret,
    /// Users that may connect from this machine only.
    pub loopback_users: Vec<String>,
    /// How long a delivery may stay unsettled before its consumer is cancelled, in milliseconds; 0 is for ever.
    pub consumer_timeout_ms: u64,
    /// Publishers are blocked while the data folder's disk has less than this free, in bytes; 0 is off.
    pub disk_free_limit_bytes: u64,
    /// Publishers are blocked while the server uses more than this part of the machine's memory; 0 is off.
    pub memory_high_watermark: f64,
    /// Bytes of waiting messages that are kept in memory, over all queues; the rest is on disk only.
    pub message_memory_bytes: u64,
    /// AMQP 0-9-1.
    pub amqp: Amqp,
    /// Management.
    pub http: Http,
    /// Who lets users in.
    pub auth: Auth,
    /// Durability.
    pub store: Store,
    /// What is written to standard error.
    pub log: Log,
    /// What is switched on.
    pub plugins: Plugins,
    /// The sections that are plugins' own, by name: what may be in them is theirs to say.
    #[serde(skip)]
    pub sections: BTreeMap<String, serde_json::Value>,
}

/// The AMQP listener, and what one peer may spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amqp {
    /// Address and port to listen on; port 0 takes a free one.
    pub bind: String,
    /// Connections at a time, those of plugins' protocols among them; 0 is no limit.
    pub connection_max: u32,
    /// From accept to connection.open, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Largest frame offered in connection.tune, in bytes.
    pub frame_max: u32,
    /// Channels on a connection offered in connection.tune; 0 is no limit.
    pub channel_max: u16,
    /// Heartbeat suggested in connection.tune, in seconds; the client decides. 0 is off.
    pub heartbeat: u16,
    /// Consumers on a channel; 0 is no limit.
    pub consumer_max_per_channel: u32,
    /// Messages delivered and not settled on a channel, whatever its prefetch; 0 is no limit.
    pub unacked_max_per_channel: u32,
    /// The body of a message, in bytes.
    pub message_bytes_max: u64,
    /// Messages of several frames that are not complete, over all connections, in bytes.
    pub incomplete_bytes_max: u64,
    /// The bodies of one open transaction, in bytes.
    pub transaction_bytes_max: u64,
    /// Deliveries that wait for a slow reader, in bytes for each connection.
    pub outbox_bytes: u64,
}

/// The management listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on; empty is off.
    pub bind: String,
    /// Connections at a time; 0 is no limit.
    pub connection_max: u32,
}

impl Http {
    /// Connections at a time.
    #[must_use]
    pub fn connection_max(&self) -> usize {
        match self.connection_max {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        }
    }
}

/// The store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// When a publisher is told that its message is safe.
    pub sync: Sync,
    /// Start although something that had been stored cannot be read, and go on with what was stored before it.
    pub accept_damage: bool,
    /// Messages that wait in memory to be written to a file, in bytes.
    pub write_buffer_bytes: u64,
    /// The write-ahead log, in bytes; from there on what only the log holds is written to files.
    pub wal_bytes: u64,
}

/// When a publisher is told that its message is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// After the sync: survives a crash of the machine.
    Commit,
    /// After the write: survives a crash of the process only.
    Os,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives of tracing such as `info,leveret_store=debug`.
    pub level: String,
    /// One line of text or of JSON for each event.
    pub format: LogFormat,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Which of the plugins compiled in are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugins {
    /// Their names; `all` is every one there is.
    pub enabled: Vec<String>,
}

/// A text that does not show in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(not shown)")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            cluster_name: "leveret".into(),
            default_user: "guest".into(),
            default_pass: "guest".into(),
            loopback_users: vec!["guest".into()],
            consumer_timeout_ms: 30 * 60 * 1000,
            disk_free_limit_bytes: 256 << 20,
            memory_high_watermark: 0.6,
            message_memory_bytes: 256 << 20,
            amqp: Amqp::default(),
            http: Http::default(),
            auth: Auth::default(),
            store: Store::default(),
            log: Log::default(),
            plugins: Plugins::default(),
            sections: BTreeMap::new(),
        }
    }
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            bind: "0.0.0.0:5672".into(),
            connection_max: 65_535,
            handshake_timeout_ms: 10_000,
            frame_max: 131_072,
            channel_max: 2047,
            heartbeat: 60,
            consumer_max_per_channel: 65_535,
            unacked_max_per_channel: 1_000_000,
            message_bytes_max: 16 << 20,
            incomplete_bytes_max: 256 << 20,
            transaction_bytes_max: 256 << 20,
            outbox_bytes: 1 << 20,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { bind: "127.0.0.1:15672".into(), connection_max: 1024 }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { sync: Sync::Commit, accept_damage: false, write_buffer_bytes: 16 << 20, wal_bytes: 64 << 20 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

impl Default for Plugins {
    fn default() -> Self {
        Self { enabled: vec![plugins::ALL.into()] }
    }
}
