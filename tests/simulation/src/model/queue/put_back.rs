//! What becomes of a message that came back: it is given up, waits for its next try, or is ready at once.

use leveret_broker::queue::{Backoff, DelayedRetry, DelayedReturns, QUORUM_DELIVERY_LIMIT};

use super::Queue;
use crate::model::Message;

impl Queue {
    /// The message, if it was tried too often.
    pub(super) fn put_back(&mut self, index: usize, has_failed: bool, now_ms: u64) -> Option<Message> {
        let limit = self.plan.delivery_limit.or(self.plan.quorum.then_some(QUORUM_DELIVERY_LIMIT));
        let message = &mut self.messages[index];
        message.attempts += u32::from(has_failed);
        message.returns += u32::from(limit.is_some() || self.plan.delayed_retry.is_some());
        if has_failed && limit.is_some_and(|limit| message.attempts > limit) {
            return Some(self.messages.remove(index));
        }
        let delay_ms = self.plan.delayed_retry.as_ref().and_then(|retry| delay_ms(retry, has_failed, message));
        message.waits_until_ms = delay_ms.map(|delay_ms| now_ms + delay_ms);
        message.is_ready = delay_ms.is_none();
        None
    }
}

fn delay_ms(retry: &DelayedRetry, has_failed: bool, message: &Message) -> Option<u64> {
    let nth = match (retry.returns, has_failed) {
        (DelayedReturns::All, _) => message.returns,
        (DelayedReturns::Failed, true) => message.attempts,
        (DelayedReturns::Returned, false) => message.returns.saturating_sub(message.attempts),
        _ => return None,
    };
    let nth = u64::from(nth.max(1));
    Some(match &retry.backoff {
        Backoff::Linear { min_ms, max_ms } => (min_ms * nth).min(*max_ms),
        Backoff::Exponential { min_ms, max_ms } => (1..nth).fold(*min_ms, |ms, _| (ms * 2).min(*max_ms)).min(*max_ms),
        Backoff::Steps(steps) => steps[(nth as usize - 1).min(steps.len() - 1)],
    })
}
