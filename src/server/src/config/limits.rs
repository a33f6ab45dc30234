//! Bounds that a type cannot state. Each says why it is there.

use figment::Figment;
use leveret_amqp::FRAME_MIN_SIZE;

use super::{Config, ConfigError};
use crate::plugins::ALL;

/// A frame's length is 32 bits wide, but nobody's client allocates more than this.
const FRAME_MAX_MAX: u32 = 1 << 30;

/// A record's positions within its chunk are 32 bits wide; a body must leave room beside it.
const MESSAGE_BYTES_MAX_MAX: u64 = 512 << 20;

/// Less than a page or two would have every message read back from disk.
const MESSAGE_MEMORY_BYTES_MIN: u64 = 1 << 20;

/// A smaller buffer is a file for every chunk.
const WRITE_BUFFER_BYTES_MIN: u64 = 64 << 10;

/// A larger one would take the memory of a small machine, several times over.
const WRITE_BUFFER_BYTES_MAX: u64 = 1 << 30;

/// Less is written out all the time; 0 would leave the size to the engine.
const WAL_BYTES_MIN: u64 = 1 << 20;

/// Less than the smallest frame twice over would stop deliveries after each message.
const OUTBOX_BYTES_MIN: u64 = 16 * 1024;

/// Checks what the types leave open.
pub(super) fn check(config: &Config, layers: &Figment) -> Result<(), ConfigError> {
    let require = |holds: bool, key: &str, allowed: &str| {
        if holds { Ok(()) } else { Err(ConfigError::value(layers, key, allowed)) }
    };
    let amqp = &config.amqp;
    require(!config.data_dir.as_os_str().is_empty(), "data_dir", "the path of a folder")?;
    require(is_name(&config.cluster_name), "cluster_name", "1 to 255 bytes of text")?;
    require(is_name(&config.default_user), "default_user", "1 to 255 bytes of text")?;
    require(
        (0.0..=1.0).contains(&config.memory_high_watermark),
        "memory_high_watermark",
        "a part of the memory from 0.0 (off) to 1.0",
    )?;
    require(
        config.message_memory_bytes >= MESSAGE_MEMORY_BYTES_MIN,
        "message_memory_bytes",
        &format!("{MESSAGE_MEMORY_BYTES_MIN} or more"),
    )?;
    require(is_address(&amqp.bind), "amqp.bind", ADDRESS)?;
    require(
        config.http.bind.is_empty() || is_address(&config.http.bind),
        "http.bind",
        &format!("empty (off) or {ADDRESS}"),
    )?;
    require(amqp.handshake_timeout_ms > 0, "amqp.handshake_timeout_ms", "1 or more")?;
    require(
        (FRAME_MIN_SIZE..=FRAME_MAX_MAX).contains(&amqp.frame_max),
        "amqp.frame_max",
        &format!("from {FRAME_MIN_SIZE} (AMQP 0-9-1's least) to {FRAME_MAX_MAX}"),
    )?;
    require(
        (1..=MESSAGE_BYTES_MAX_MAX).contains(&amqp.message_bytes_max),
        "amqp.message_bytes_max",
        &format!("from 1 to {MESSAGE_BYTES_MAX_MAX}"),
    )?;
    require(
        amqp.incomplete_bytes_max >= amqp.message_bytes_max,
        "amqp.incomplete_bytes_max",
        "at least amqp.message_bytes_max",
    )?;
    require(
        amqp.transaction_bytes_max >= amqp.message_bytes_max,
        "amqp.transaction_bytes_max",
        "at least amqp.message_bytes_max",
    )?;
    require(amqp.outbox_bytes >= OUTBOX_BYTES_MIN, "amqp.outbox_bytes", &format!("{OUTBOX_BYTES_MIN} or more"))?;
    require(
        (WRITE_BUFFER_BYTES_MIN..=WRITE_BUFFER_BYTES_MAX).contains(&config.store.write_buffer_bytes),
        "store.write_buffer_bytes",
        &format!("from {WRITE_BUFFER_BYTES_MIN} to {WRITE_BUFFER_BYTES_MAX}"),
    )?;
    require(config.store.wal_bytes >= WAL_BYTES_MIN, "store.wal_bytes", &format!("{WAL_BYTES_MIN} or more"))?;
    require(is_log_level(&config.log.level), "log.level", LEVELS)
}

/// Checks that the plugins to be used are there.
pub(super) fn check_plugins(config: &Config, names: &[&str], layers: &Figment) -> Result<(), ConfigError> {
    let is_known = |name: &String| name == ALL || names.contains(&name.as_str());
    if config.plugins.enabled.iter().all(is_known) {
        return Ok(());
    }
    Err(ConfigError::value(layers, "plugins.enabled", format!("[\"{ALL}\"] or a list of names out of {names:?}")))
}

const ADDRESS: &str = "HOST:PORT, such as \"127.0.0.1:5672\" or \"[::]:5672\"";
const LEVELS: &str =
    "\"error\", \"warn\", \"info\", \"debug\", \"trace\" or directives such as \"info,leveret_store=debug\"";

fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// A bare word is a level; tracing would take any other word for the name of a module and log nothing else.
fn is_log_level(text: &str) -> bool {
    let is_level = |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let mut directives = text.split(',').map(str::trim);
    directives.all(|directive| match directive.split_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(directive),
    })
}
