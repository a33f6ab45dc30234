//! A queue's consumers as the front end knows them: how they come, how they are listed, how they go. Whose turn it is, is
//! the state's to say.

use std::sync::Arc;

use leveret_amqp::FieldTable;

use super::{Command, ConsumerId, NewConsumerState, Outlet, Queue};
use crate::{Error, Turn};

/// A consumer that wants to be served by a queue.
pub struct NewConsumer {
    /// What decides how it is served.
    pub terms: NewConsumerState,
    /// Where its deliveries go.
    pub outlet: Arc<dyn Outlet>,
    /// The consumer tag, for listings.
    pub tag: Arc<str>,
    /// As given to basic.consume, for listings.
    pub arguments: FieldTable,
}

/// A consumer as listings show it.
#[derive(Clone)]
pub struct ConsumerInfo {
    /// Unique in the broker.
    pub id: ConsumerId,
    /// The consumer tag.
    pub tag: Arc<str>,
    /// Whether deliveries must be acknowledged.
    pub ack_required: bool,
    /// Whether it is alone by right.
    pub exclusive: bool,
    /// Unacked messages at a time; 0 is unlimited.
    pub prefetch: u32,
    /// `x-priority`.
    pub priority: i32,
    /// Whether it is served: false only for those that wait behind a single active consumer.
    pub active: bool,
    /// As given to basic.consume.
    pub arguments: FieldTable,
    /// The name of the channel it belongs to.
    pub channel: String,
}

pub(super) struct Attached {
    pub(super) outlet: Arc<dyn Outlet>,
    info: ConsumerInfo,
}

impl Queue {
    /// The consumers, in the order of their ids.
    #[must_use]
    pub fn consumers(&self) -> Vec<ConsumerInfo> {
        let core = self.core.lock();
        let waits = |id| self.single_active_consumer && core.active != Some(id);
        core.consumers
            .iter()
            .map(|(id, attached)| ConsumerInfo { active: !waits(*id), ..attached.info.clone() })
            .collect()
    }

    /// Attaches a consumer and serves it.
    ///
    /// # Errors
    /// 403 where an exclusive consumer is in the way (RabbitMQ's "in exclusive use").
    pub fn consume(self: &Arc<Self>, turn: &mut Turn<'_>, consumer: NewConsumer) -> Result<(), Error> {
        let NewConsumer { terms, outlet, tag, arguments } = consumer;
        let id = terms.id;
        let info = ConsumerInfo {
            id,
            tag,
            ack_required: !terms.no_ack,
            exclusive: terms.exclusive,
            prefetch: terms.prefetch,
            priority: terms.priority,
            active: true,
            arguments,
            channel: outlet.name(),
        };
        // The outlet stands before the state may deliver to it.
        self.core.lock().consumers.insert(id, Attached { outlet, info });
        match self.apply(turn, Command::Consume(terms)).refusal {
            None => Ok(()),
            Some(refusal) => {
                self.core.lock().consumers.remove(&id);
                Err(self.refused(refusal))
            }
        }
    }

    /// Detaches a consumer. What it has not settled stays unacked until its channel settles it.
    pub fn cancel(self: &Arc<Self>, turn: &mut Turn<'_>, consumer: ConsumerId) {
        self.apply(turn, Command::Cancel(consumer));
        self.core.lock().consumers.remove(&consumer);
    }
}
