//! What listings and metrics say of a channel: written by the channel, read by anyone.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Counters and gauges of one channel. Relaxed throughout: each is exact by itself, no two are read at one instant.
#[derive(Debug, Default)]
pub(crate) struct ChannelStats {
    /// Messages published since the channel was opened.
    pub(crate) published: AtomicU64,
    /// Publisher confirms, positive and negative, since the channel was opened.
    pub(crate) confirmed: AtomicU64,
    /// Mandatory messages returned as unroutable.
    pub(crate) returned_unroutable: AtomicU64,
    /// Messages delivered to consumers that acknowledge.
    pub(crate) delivered: AtomicU64,
    /// Messages delivered to consumers that do not.
    pub(crate) delivered_no_ack: AtomicU64,
    /// Messages handed out by basic.get.
    pub(crate) got: AtomicU64,
    /// Of all messages handed out, those for at least the second time.
    pub(crate) redelivered: AtomicU64,
    /// Messages acknowledged.
    pub(crate) acknowledged: AtomicU64,
    /// Deliveries that await a settlement.
    pub(crate) unacked: AtomicU64,
    /// Publishes that await a confirm.
    pub(crate) unconfirmed: AtomicU64,
    /// Publishes held back by the open transaction.
    pub(crate) uncommitted: AtomicU64,
    /// Settlements held back by the open transaction.
    pub(crate) uncommitted_acks: AtomicU64,
    /// Consumers on the channel.
    pub(crate) consumers: AtomicU32,
    /// Prefetch of consumers to come; 0 is unlimited.
    pub(crate) prefetch: AtomicU32,
    /// Prefetch over the whole channel; 0 is unlimited.
    pub(crate) global_prefetch: AtomicU32,
    /// Whether confirm mode is on.
    pub(crate) confirm: AtomicBool,
    /// Whether the channel is transactional.
    pub(crate) transactional: AtomicBool,
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Sets a gauge.
pub(super) fn set(gauge: &AtomicU64, to: u64) {
    gauge.store(to, Ordering::Relaxed);
}
