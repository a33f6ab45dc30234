//! Policies: what they say of queues, and how that and what the queues were declared with become one.

use std::sync::Arc;

use leveret_broker::queue::{Backoff, DelayedRetry, Overflow};
use rand::{RngExt, rngs::StdRng};

use super::{ExchangePlan, Features, Name, QueuePlan, draw::draw_queue};

/// A policy as it is set.
#[derive(Clone, Debug)]
pub struct PolicyPlan {
    /// Unique.
    pub name: Name,
    /// The queue that it is for; `None` is all.
    pub queue: Option<Name>,
    /// Of several that match, the highest holds; among equals the first by name.
    pub priority: i64,
    /// What a policy can say of a queue is taken from here.
    pub settings: QueuePlan,
}

impl PolicyPlan {
    pub(super) fn draw(
        number: usize,
        queues: &[QueuePlan],
        exchanges: &[ExchangePlan],
        features: &Features,
        rng: &mut StdRng,
    ) -> Self {
        let queue = &queues[rng.random_range(0..queues.len())].name;
        Self {
            name: format!("p{number}").into(),
            queue: rng.random_bool(0.6).then(|| Arc::clone(queue)),
            priority: rng.random_range(0..2),
            settings: draw_queue(0, queues.len(), features, exchanges, rng),
        }
    }

    /// Whether it is for this queue.
    #[must_use]
    pub fn is_for(&self, queue: &str) -> bool {
        self.queue.as_deref().is_none_or(|name| name == queue)
    }
}

impl QueuePlan {
    /// The queue under a policy: of two limits the lower one holds, and else what it was declared with.
    #[must_use]
    pub fn under(&self, policy: Option<&PolicyPlan>) -> Self {
        let Some(PolicyPlan { settings, .. }) = policy else { return self.clone() };
        let lower = |declared: Option<u64>, of_policy: Option<u64>| declared.into_iter().chain(of_policy).min();
        let or = |declared: &Option<Name>, of_policy: &Option<Name>| declared.as_ref().or(of_policy.as_ref()).cloned();
        let overflow = match (self.overflow, settings.overflow) {
            (Overflow::DropHead, Overflow::RejectPublishDlx) if self.quorum => Overflow::DropHead,
            (Overflow::DropHead, of_policy) => of_policy,
            (declared, _) => declared,
        };
        Self {
            ttl_ms: lower(self.ttl_ms, settings.ttl_ms),
            expires_ms: lower(self.expires_ms, settings.expires_ms),
            max_length: lower(self.max_length, settings.max_length),
            max_length_bytes: lower(self.max_length_bytes, settings.max_length_bytes),
            overflow,
            dead_letter_exchange: or(&self.dead_letter_exchange, &settings.dead_letter_exchange),
            dead_letter_key: or(&self.dead_letter_key, &settings.dead_letter_key),
            delayed_retry: delayed_retry(self.delayed_retry.as_ref(), settings.delayed_retry.as_ref()),
            ..self.clone()
        }
    }
}

/// What was declared holds, but no delay is longer than the greatest of the policy.
fn delayed_retry(declared: Option<&DelayedRetry>, of_policy: Option<&DelayedRetry>) -> Option<DelayedRetry> {
    let (Some(declared), Some(of_policy)) = (declared, of_policy) else { return declared.or(of_policy).cloned() };
    let limit_ms = match of_policy.backoff {
        Backoff::Linear { max_ms, .. } | Backoff::Exponential { max_ms, .. } => max_ms,
        Backoff::Steps(_) => u64::MAX,
    };
    let backoff = match &declared.backoff {
        Backoff::Linear { min_ms, max_ms } => Backoff::Linear { min_ms: *min_ms, max_ms: limit_ms.min(*max_ms) },
        Backoff::Exponential { min_ms, max_ms } => {
            Backoff::Exponential { min_ms: *min_ms, max_ms: limit_ms.min(*max_ms) }
        }
        Backoff::Steps(steps) => Backoff::Steps(steps.iter().map(|step_ms| *step_ms.min(&limit_ms)).collect()),
    };
    Some(DelayedRetry { returns: declared.returns, backoff })
}
