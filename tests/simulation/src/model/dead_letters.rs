//! Dead letters: from the queue where they died to where its dead-letter exchange leads.

use std::sync::Arc;

use leveret_broker::queue::DeadLetterReason;

use super::{Content, Message, Model, QueueId, Way, Work};
use crate::plan::QueuePlan;

/// Messages that died by one command, each with the reason.
pub(super) type Letters = Vec<(DeadLetterReason, Message)>;

/// Which command of which queue has caused follow-up work.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) queue: QueueId,
    pub(super) plan: QueuePlan,
    pub(super) command: u64,
}

impl Model {
    /// The letters and all others of the command that let them die.
    pub(super) fn with_those_of_command(
        &mut self,
        source: &Source,
        reason: DeadLetterReason,
        messages: Vec<Message>,
    ) -> Letters {
        let with_reason = |reason| move |message| (reason, message);
        let mut letters: Letters = messages.into_iter().map(with_reason(reason)).collect();
        for (other, work) in &mut self.work {
            if let Work::DeadLetters(reason, messages) = work
                && other.command == source.command
            {
                letters.extend(std::mem::take(messages).into_iter().map(with_reason(*reason)));
            }
        }
        letters
    }

    /// Letters of one command.
    pub(super) fn move_dead(&mut self, plan: &QueuePlan, letters: Letters, order: &impl Fn(&Content) -> Vec<QueueId>) {
        let Some(exchange) = &plan.dead_letter_exchange else { return };
        let rank = self.next_rank + 1;
        for (reason, dead) in letters {
            let mut content = dead.content.died(dead.copy, &plan.name, reason, self.now_ms);
            content.exchange = Arc::clone(exchange);
            content.is_promised &= plan.keeps(content.persistent);
            if let Some(key) = &plan.dead_letter_key {
                content.key = Arc::clone(key);
                content.copies = Vec::new();
            }
            let Way { queues, held } = self.targets(&content, order);
            let content = Arc::new(content);
            held.iter().for_each(|exchange| self.hold(exchange, &content));
            for id in queues {
                let mut message = self.message(Arc::clone(&content));
                if !self.keeps_order {
                    message.rank = rank;
                }
                self.act(id, |queue, act| queue.publish(vec![message], false, act));
            }
        }
    }

    /// Where a dead letter goes, queues in the order in which the broker takes them.
    fn targets(&self, content: &Content, order: &impl Fn(&Content) -> Vec<QueueId>) -> Way<Vec<QueueId>> {
        let Way { queues, held } = self.topology.route(content, None).unwrap_or_default();
        let wanted = queues.iter().filter(|name| !content.goes_round(name)).filter_map(|name| self.queue_id(name));
        let mut wanted: Vec<_> = wanted.collect();
        let order = order(content);
        wanted.sort_by_key(|id| order.iter().position(|other| other == id));
        Way { queues: wanted, held }
    }
}
