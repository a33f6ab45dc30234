//! What the clients of a run do, by its seed.

use rand::RngExt;
use rand::rngs::StdRng;

use super::Work;
use crate::chance::pick;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) works: Vec<Work>,
    /// Of a message.
    pub(crate) body_bytes_max: usize,
    /// Whether messages are acknowledged in transactions.
    pub(crate) is_transactional: bool,
    /// Part of the messages that are persistent.
    pub(crate) persistent: f64,
    /// Of a publisher.
    pub(crate) messages_max: usize,
    /// All bodies of a publisher.
    pub(crate) published_bytes_max: usize,
    /// Whether publishers go on slowly beyond that.
    pub(crate) is_endless: bool,
    /// Messages that a publisher sends without a pause.
    pub(crate) burst_max: u32,
    /// Between bursts, and between a consumer's batches.
    pub(crate) pause_ms_max: u64,
    /// Whether anybody consumes.
    pub(crate) has_consumers: bool,
    /// Keys of the broker's configuration with their values.
    pub(crate) settings: Vec<String>,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        let mut works: Vec<Work> = Work::ALL.into_iter().filter(|_| random.random_bool(0.5)).collect();
        if works.iter().all(|work| work.queues().is_empty()) {
            works.push(Work::Queue);
        }
        Self {
            works,
            // Small ones: many to a chunk and a sector. Large ones: the log is changed for the next, and files are written;
            // the largest are chunks of their own and come in several frames.
            body_bytes_max: pick(random, [40, 400, 4_000, 40_000, 300_000]),
            is_transactional: random.random(),
            persistent: if random.random() { 1.0 } else { 0.7 },
            messages_max: pick(random, [500, 5_000, 20_000]),
            published_bytes_max: 20 << 20,
            is_endless: false,
            burst_max: pick(random, [5, 100, 20_000]),
            pause_ms_max: pick(random, [1, 5, 30]),
            has_consumers: true,
            settings: settings(random),
            seed: random.random(),
        }
    }

    /// For a fault that is to come while clients work: they do not end before it.
    pub(crate) fn goes_on(&mut self) {
        self.is_endless = true;
        self.published_bytes_max = 10 << 20;
    }

    /// For a fault that is to come when files are written: that is all the time.
    pub(crate) fn writes_files(&mut self) {
        self.body_bytes_max = self.body_bytes_max.max(400);
        self.settings.extend(["store.write_buffer_bytes=65536", "store.wal_bytes=1048576"].map(str::to_owned));
    }

    /// For a fault that is to come when messages are read back: more of them than memory is allowed for, and consumers.
    pub(crate) fn leaves_backlog(&mut self) {
        for work in [Work::Queue, Work::Priority] {
            if !self.works.contains(&work) {
                self.works.push(work);
            }
        }
        self.body_bytes_max = self.body_bytes_max.max(4_000);
        self.messages_max = 20_000;
        self.settings.push("message_memory_bytes=1048576".to_owned());
    }
}

/// Little memory: backlogs are on disk only. Small buffers: files are written, and logs changed, all the time.
fn settings(random: &mut StdRng) -> Vec<String> {
    let memory_bytes = pick(random, [1 << 20, 256 << 20]);
    let buffer_bytes = pick(random, [64 << 10, 512 << 10, 16 << 20]);
    let log_bytes = pick(random, [1 << 20, 64 << 20]);
    vec![
        format!("message_memory_bytes={memory_bytes}"),
        format!("store.write_buffer_bytes={buffer_bytes}"),
        format!("store.wal_bytes={log_bytes}"),
    ]
}
