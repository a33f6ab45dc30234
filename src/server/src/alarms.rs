//! Resource alarms: while memory or disk runs short, publishers wait (`connection.blocked`) and consumers go on.
//!
//! Memory is this process's resident set against the machine's or the container's memory (Linux; elsewhere it is not
//! watched). Free disk is what the file system of the data folder leaves to users without privileges.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::MissedTickBehavior;

use crate::{config::Config, registry::Connections};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// What is watched, and from where on it is an alarm.
#[derive(Clone, Debug)]
pub(crate) struct Thresholds {
    data_dir: PathBuf,
    memory_bytes_max: Option<u64>,
    disk_free_bytes_min: u64,
}

impl Thresholds {
    /// As configured, for this machine.
    pub(crate) fn new(config: &Config) -> Self {
        let part = config.memory_high_watermark;
        let memory_bytes_max = (part > 0.0).then(memory_bytes).flatten();
        Self {
            data_dir: config.data_dir.clone(),
            // A part of a number of bytes: what is lost in precision does not matter.
            memory_bytes_max: memory_bytes_max.map(|bytes| (bytes as f64 * part) as u64),
            disk_free_bytes_min: config.disk_free_limit_bytes,
        }
    }

    fn reason(&self, memory_bytes: Option<u64>, disk_free_bytes: Option<u64>) -> Option<&'static str> {
        let is_memory_low = memory_bytes.zip(self.memory_bytes_max).is_some_and(|(used, max)| used > max);
        let is_disk_low = disk_free_bytes.is_some_and(|free| free < self.disk_free_bytes_min);
        match (is_memory_low, is_disk_low) {
            (false, false) => None,
            (true, false) => Some("low on memory"),
            (false, true) => Some("low on disk"),
            (true, true) => Some("low on memory & disk"),
        }
    }

    fn look(&self) -> Option<&'static str> {
        let disk_free_bytes = if self.disk_free_bytes_min > 0 { self.disk_free_bytes() } else { None };
        self.reason(resident_bytes(), disk_free_bytes)
    }

    fn disk_free_bytes(&self) -> Option<u64> {
        match disk_free_bytes(&self.data_dir) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(data_dir = %self.data_dir.display(), %error, "cannot tell the free disk space: no alarm");
                None
            }
        }
    }
}

/// Looks at memory and disk for as long as it is polled, and tells the connections.
pub(crate) async fn watch(thresholds: Thresholds, connections: Arc<Connections>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let thresholds = thresholds.clone();
        let Ok(reason) = tokio::task::spawn_blocking(move || thresholds.look()).await else { return };
        if connections.alarm().as_deref() != reason {
            match reason {
                Some(reason) => tracing::warn!(reason, "resource alarm: publishers are blocked"),
                None => tracing::info!("resource alarm over: publishers go on"),
            }
            connections.set_alarm(reason);
        }
    }
}

/// What the process holds in memory, in bytes.
fn resident_bytes() -> Option<u64> {
    kib_line(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The memory there is, in bytes: the machine's, or what the container may use of it.
fn memory_bytes() -> Option<u64> {
    let machine = kib_line(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    Some(container.map_or(machine, |container| container.min(machine)))
}

/// The bytes of a line such as `VmRSS:   1234 kB`.
fn kib_line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn disk_free_bytes(folder: &Path) -> std::io::Result<u64> {
    let status = rustix::fs::statvfs(folder)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_what_is_low() {
        let thresholds = Thresholds { data_dir: "data".into(), memory_bytes_max: Some(100), disk_free_bytes_min: 10 };
        assert_eq!(thresholds.reason(Some(100), Some(10)), None);
        assert_eq!(thresholds.reason(Some(101), Some(10)), Some("low on memory"));
        assert_eq!(thresholds.reason(Some(1), Some(9)), Some("low on disk"));
        assert_eq!(thresholds.reason(Some(101), Some(9)), Some("low on memory & disk"));
        assert_eq!(thresholds.reason(None, None), None);
    }

    #[test]
    fn reads_what_the_system_says() {
        assert_eq!(kib_line("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2 << 20));
        let folder = tempfile::tempdir().unwrap();
        assert!(disk_free_bytes(folder.path()).unwrap() > 0);
        assert!(disk_free_bytes(&folder.path().join("missing")).is_err());
    }
}
