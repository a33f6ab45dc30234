//! Resource alarms: while memory or disk runs short, publishers wait (`connection.blocked`) and consumers go on. Queues
//! let go of what they have in memory, or of what they have on disk in vain.
//!
//! Memory is this process's resident set against the machine's or the container's memory (Linux; elsewhere it is not
//! watched). Free disk is what the file system of the data folder leaves to users without privileges, less what
//! merging files may take of it.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use leveret_broker::{
    Broker,
    plugin::{Alarm, EventKind, internal_user},
};
use leveret_store::disk_free_bytes;

use crate::{config::Config, registry::Connections};

/// Between two looks, while there is much left of everything: others use the disk too.
const INTERVAL_MAX: Duration = Duration::from_secs(1);
/// Between two looks, close to a threshold. A look takes some microseconds.
const INTERVAL_MIN: Duration = Duration::from_millis(20);
/// Faster than publishers fill memory or disk, so that the next look comes before half of what is left is used up.
const FILLING_BYTES_PER_MS: u64 = 1 << 20;

/// While the disk runs short, what consumers settle is written out so often.
const WRITE_OUT_INTERVAL: Duration = Duration::from_secs(1);

/// What is watched, and from where on it is an alarm.
#[derive(Clone, Debug)]
pub(crate) struct Thresholds {
    data_dir: PathBuf,
    memory_bytes_max: Option<u64>,
    disk_free_bytes_min: u64,
}

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    /// Why there is an alarm, if there is one.
    reason: Option<&'static str>,
    /// Whether memory runs short.
    is_memory_low: bool,
    /// Whether the disk runs short.
    is_disk_low: bool,
    /// When to look again.
    next: Duration,
}

impl Thresholds {
    /// As configured, for this machine.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            memory_bytes_max: memory_bytes_max(config),
            disk_free_bytes_min: config.disk_free_limit_bytes,
        }
    }

    /// `merge_room`: what the store may take of the disk for a while, whether or not publishers go on.
    fn look(&self, merge_room: u64) -> Look {
        let memory_bytes = self.memory_bytes_max.and_then(|_| resident_bytes());
        let disk_free_bytes = if self.disk_free_bytes_min > 0 { self.disk_free_bytes() } else { None };
        self.judge(memory_bytes, disk_free_bytes.map(|free| free.saturating_sub(merge_room)))
    }

    fn judge(&self, memory_bytes: Option<u64>, disk_free_bytes: Option<u64>) -> Look {
        let memory_left = memory_bytes.zip(self.memory_bytes_max).map(|(used, max)| max.checked_sub(used));
        let disk_left = disk_free_bytes.map(|free| free.checked_sub(self.disk_free_bytes_min));
        let (is_memory_low, is_disk_low) = (memory_left == Some(None), disk_left == Some(None));
        let reason = match (is_memory_low, is_disk_low) {
            (false, false) => None,
            (true, false) => Some("low on memory"),
            (false, true) => Some("low on disk"),
            (true, true) => Some("low on memory & disk"),
        };
        let left_bytes = [memory_left, disk_left].into_iter().flatten().map(Option::unwrap_or_default).min();
        let next = Duration::from_millis(left_bytes.unwrap_or(u64::MAX) / 2 / FILLING_BYTES_PER_MS);
        Look { reason, is_memory_low, is_disk_low, next: next.clamp(INTERVAL_MIN, INTERVAL_MAX) }
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
pub(crate) async fn watch(thresholds: Thresholds, connections: Arc<Connections>, broker: Arc<Broker>) {
    let mut written_out = Instant::now();
    let mut alarms = [(Alarm::Memory, false), (Alarm::Disk, false)];
    loop {
        let (thresholds, store) = (thresholds.clone(), Arc::clone(&broker));
        let Ok(Look { reason, is_memory_low, is_disk_low, next }) =
            tokio::task::spawn_blocking(move || thresholds.look(store.store().merge_room())).await
        else {
            return;
        };
        if connections.alarm().as_deref() != reason {
            match reason {
                Some(reason) => tracing::warn!(reason, "resource alarm: publishers are blocked"),
                None => tracing::info!("resource alarm over: publishers go on"),
            }
            connections.set_alarm(reason);
        }
        tell(&broker, &mut alarms, [is_memory_low, is_disk_low]);
        broker.set_memory_alarm(is_memory_low);
        if is_disk_low && written_out.elapsed() >= WRITE_OUT_INTERVAL {
            let broker = Arc::clone(&broker);
            let _ = tokio::task::spawn_blocking(move || write_out(&broker)).await;
            written_out = Instant::now();
        }
        tokio::time::sleep(next).await;
    }
}

/// Tells observers of the resources that run short now and did not, or the other way round.
fn tell(broker: &Broker, alarms: &mut [(Alarm, bool); 2], are_low: [bool; 2]) {
    for ((alarm, was_low), is_low) in alarms.iter_mut().zip(are_low) {
        if std::mem::replace(was_low, is_low) != is_low {
            let kind = if is_low { EventKind::AlarmSet } else { EventKind::AlarmCleared };
            broker.tell(internal_user(), || kind(*alarm));
        }
    }
}

/// How much messages may take in memory: as configured, but no more than a quarter of what would raise an alarm, so that a
/// backlog alone does not.
pub(crate) fn message_memory_bytes(config: &Config) -> u64 {
    let bytes_max = memory_bytes_max(config).map_or(u64::MAX, |bytes| bytes / 4);
    config.message_memory_bytes.min(bytes_max)
}

/// From where on memory is an alarm, if it is watched.
fn memory_bytes_max(config: &Config) -> Option<u64> {
    let part = config.memory_high_watermark;
    // A part of a number of bytes: what is lost in precision does not matter.
    (part > 0.0).then(memory_bytes).flatten().map(|bytes| (bytes as f64 * part) as u64)
}

/// Settled messages give back their space only as further ones are written, and publishers are blocked.
fn write_out(broker: &Broker) {
    if let Err(error) = broker.store().write_out() {
        tracing::warn!(%error, "cannot free disk space");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_what_is_low() {
        let thresholds = Thresholds { data_dir: "data".into(), memory_bytes_max: Some(100), disk_free_bytes_min: 10 };
        let reason = |memory, disk| thresholds.judge(memory, disk).reason;
        assert_eq!(reason(Some(100), Some(10)), None);
        assert_eq!(reason(Some(101), Some(10)), Some("low on memory"));
        assert_eq!(reason(Some(1), Some(9)), Some("low on disk"));
        assert_eq!(reason(Some(101), Some(9)), Some("low on memory & disk"));
        assert_eq!(reason(None, None), None);
    }

    #[test]
    fn the_next_look_comes_before_what_is_left_is_used_up() {
        let thresholds = Thresholds { data_dir: "data".into(), memory_bytes_max: None, disk_free_bytes_min: 10 };
        let next = |free| thresholds.judge(None, free).next;
        assert_eq!(next(Some(10)), INTERVAL_MIN);
        assert_eq!(next(Some(9)), INTERVAL_MIN, "so that publishers go on as soon as they may");
        assert_eq!(next(Some(10 + (200 << 20))), Duration::from_millis(100));
        assert_eq!(next(Some(1 << 40)), INTERVAL_MAX);
        assert_eq!(next(None), INTERVAL_MAX);
    }

    #[test]
    fn reads_what_the_system_says() {
        assert_eq!(kib_line("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2 << 20));
    }
}
