//! The memory that messages take, over all queues, and how it is shared when it runs short.
//!
//! While there is room each queue keeps what it likes to keep. When there is none, each may keep an equal share; what
//! is beyond it waits on disk only. During a memory alarm there is room for next to nothing. A queue learns of its share
//! when it next does something; those that do nothing are told by
//! [`Broker::relieve_memory`](crate::Broker::relieve_memory).
//!
//! Counted are records and what is kept about them, for each queue that has them: a message in ten queues counts ten
//! times, though they share it. Not taken: the process's resident memory as the measure. It says too late what is going
//! on, and does not say whose it is.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// During an alarm, a part of what there is room for otherwise.
const ALARM_PART: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct MessageMemory {
    bytes_max: usize,
    is_alarm: AtomicBool,
    bytes: AtomicUsize,
    /// Queues that have any.
    queues: AtomicUsize,
}

impl MessageMemory {
    /// With room for so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, is_alarm: AtomicBool::new(false), bytes: AtomicUsize::new(0), queues: AtomicUsize::new(0) }
    }

    /// A memory alarm begins or ends.
    pub(crate) fn set_alarm(&self, is_alarm: bool) {
        self.is_alarm.store(is_alarm, Relaxed);
    }

    fn bytes_max(&self) -> usize {
        if self.is_alarm.load(Relaxed) { self.bytes_max / ALARM_PART } else { self.bytes_max }
    }

    /// A queue has `now` bytes in memory instead of `was`.
    pub(crate) fn changed(&self, was: usize, now: usize) {
        match (was, now) {
            (0, 1..) => _ = self.queues.fetch_add(1, Relaxed),
            (1.., 0) => _ = self.queues.fetch_sub(1, Relaxed),
            _ => {}
        }
        if now >= was {
            self.bytes.fetch_add(now - was, Relaxed);
        } else {
            self.bytes.fetch_sub(was - now, Relaxed);
        }
    }

    /// Bytes of all queues.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn is_short(&self) -> bool {
        self.bytes() > self.bytes_max()
    }

    /// How much of what publishers usually may have in memory ahead of the disk they may have now: all of it while there
    /// is room, and less and less of it up to twice the limit.
    pub(crate) fn slack(&self) -> f64 {
        let bytes_max = self.bytes_max();
        let over = self.bytes().saturating_sub(bytes_max);
        1.0 - (over as f64 / bytes_max.max(1) as f64).min(1.0)
    }

    /// How much a queue may keep; `usize::MAX` while there is room.
    pub(crate) fn share(&self) -> usize {
        match self.is_short() {
            true => self.bytes_max() / self.queues.load(Relaxed).max(1),
            false => usize::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_shared_by_those_who_have_some() {
        let memory = MessageMemory::new(100);
        memory.changed(0, 60);
        memory.changed(0, 40);
        assert_eq!((memory.bytes(), memory.share()), (100, usize::MAX));
        memory.changed(40, 41);
        assert_eq!(memory.share(), 50);
        memory.changed(60, 0);
        memory.changed(41, 101);
        assert_eq!(memory.share(), 100);
        memory.changed(101, 100);
        assert_eq!(memory.share(), usize::MAX);
    }

    #[test]
    fn an_alarm_takes_nearly_all_room() {
        let memory = MessageMemory::new(1600);
        memory.changed(0, 101);
        assert!(!memory.is_short());
        memory.set_alarm(true);
        assert_eq!(memory.share(), 100);
        memory.set_alarm(false);
        assert_eq!(memory.share(), usize::MAX);
    }

    #[test]
    fn publishers_are_held_back_the_more_the_further_it_is_over() {
        let memory = MessageMemory::new(100);
        memory.changed(0, 100);
        assert_eq!(memory.slack(), 1.0);
        memory.changed(100, 125);
        assert_eq!(memory.slack(), 0.75);
        memory.changed(125, 1000);
        assert_eq!(memory.slack(), 0.0);
    }
}
