//! Declaring, finding and deleting queues.

use std::sync::Arc;

use leveret_amqp::FieldTable;
use leveret_store::{LogId, LogState};

use super::{VHost, remember};
use crate::{
    Error, Turn,
    arguments::{self, QueueDeclaration},
    exchange::Destination,
    plugin::EventKind,
    queue::{Blueprint, Nature, Queue, State},
    topology::Change,
};

/// What queue.declare asks for.
#[derive(Clone, Copy, Debug)]
pub struct DeclareQueue<'a> {
    /// The name, made up by the caller where the client left it to the server.
    pub name: &'a str,
    /// Survives a restart.
    pub durable: bool,
    /// Deleted when its last consumer is gone.
    pub auto_delete: bool,
    /// The connection that alone may use it.
    pub exclusive_to: Option<u64>,
    /// As the client sent them.
    pub arguments: &'a FieldTable,
}

impl VHost {
    /// Declares a queue, or finds it where an equivalent one exists.
    ///
    /// # Errors
    /// 405 where it is exclusive to another connection, 406 for bad or inequivalent arguments, and for a new queue where
    /// the vhost has as many as it may.
    pub fn declare_queue(&self, turn: &mut Turn<'_>, declare: &DeclareQueue<'_>) -> Result<Arc<Queue>, Error> {
        let arguments = self.with_queue_type(declare);
        let declare = &DeclareQueue { arguments: &arguments, ..*declare };
        if let Some(existing) = self.find_queue(declare.name) {
            return self.declare_again(turn, &existing, declare);
        }
        let rule = self.queue_rule(declare.name, declare.arguments)?;
        let queue = Arc::new(self.build(turn, declare)?);
        let limits = turn.broker.limits().vhost(&self.name);
        let (queue, created) = self.change(turn, |topology| {
            self.check_not_deleted()?;
            // Somebody else may have been faster since the look above.
            if let Some(existing) = topology.queue(declare.name) {
                return Ok(((Arc::clone(existing), false), Change::default()));
            }
            limits.check_queues(&self.name, declare.name, topology.queues().len() as u64)?;
            let change = topology.add_queue(Arc::clone(&queue.name), Arc::clone(&queue));
            remember::queue(&turn.store, &queue, turn.broker.queue_id_next());
            self.add_queue_cache(turn, &queue, rule);
            Ok(((Arc::clone(&queue), true), change))
        })?;
        if !created {
            return self.declare_again(turn, &queue, declare);
        }
        if let Some(connection_id) = queue.exclusive_to {
            self.exclusive.lock().entry(connection_id).or_default().push(Arc::downgrade(&queue));
        }
        turn.tell(|| EventKind::QueueCreated(Arc::clone(&queue)));
        queue.touch(turn);
        Ok(queue)
    }

    /// The queue of that name, for use by a connection.
    ///
    /// # Errors
    /// 404 where there is none, 405 where it is exclusive to another connection.
    pub fn queue(&self, name: &str, connection_id: u64) -> Result<Arc<Queue>, Error> {
        let queue = self.find_queue(name).ok_or_else(|| Error::no_queue(name, &self.name))?;
        match queue.exclusive_to {
            Some(owner) if owner != connection_id => Err(Error::locked_queue(name, &self.name)),
            _ => Ok(queue),
        }
    }

    /// The queue of that name, whosever it is.
    #[must_use]
    pub fn find_queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.topology.read().queue(name).cloned()
    }

    /// Deletes a queue; how many messages went with it, but for those with consumers.
    ///
    /// # Errors
    /// 406 where it is in use or not empty and that was made a condition.
    pub fn delete_queue(
        &self,
        turn: &mut Turn<'_>,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<u64, Error> {
        let counts = queue.counts();
        if if_unused && counts.consumers > 0 {
            return Err(Error::in_use("queue", &queue.name, &self.name));
        }
        let left = counts.ready + counts.waiting;
        if if_empty && left > 0 {
            return Err(Error::not_empty(&queue.name, &self.name));
        }
        self.remove_queue(turn, queue);
        Ok(left)
    }

    /// Takes a queue out of the topology and ends it. One that is gone already stays gone.
    pub(crate) fn remove_queue(&self, turn: &mut Turn<'_>, queue: &Arc<Queue>) {
        let removed = self.change(turn, |topology| {
            if topology.queue(&queue.name).is_none_or(|current| current.id != queue.id) {
                return Ok((false, Change::default()));
            }
            let change = topology.remove_queue(&queue.name);
            remember::queue_gone(&turn.store, queue);
            if let Some(cache) = queue.cache() {
                let owner = Destination::Queue(Arc::clone(&queue.name));
                remember::cache_gone(&turn.store, &self.name, owner, cache);
            }
            Ok((true, change))
        });
        if matches!(removed, Ok(true)) {
            turn.tell(|| EventKind::QueueDeleted(Arc::clone(queue)));
            queue.close(turn);
            queue.cache().into_iter().for_each(|cache| cache.close());
        }
    }

    fn declare_again(
        &self,
        turn: &mut Turn<'_>,
        existing: &Arc<Queue>,
        declare: &DeclareQueue<'_>,
    ) -> Result<Arc<Queue>, Error> {
        arguments::check_equivalent(&existing.declaration(), &self.declaration(declare))?;
        existing.touch(turn);
        Ok(Arc::clone(existing))
    }

    fn declaration<'a>(&'a self, declare: &DeclareQueue<'a>) -> QueueDeclaration<'a> {
        QueueDeclaration {
            vhost: &self.name,
            name: declare.name,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            exclusive_to: declare.exclusive_to,
            arguments: declare.arguments,
        }
    }

    fn build(&self, turn: &Turn<'_>, declare: &DeclareQueue<'_>) -> Result<Queue, Error> {
        let fixed = arguments::validate_queue_arguments(
            declare.arguments,
            declare.durable,
            declare.exclusive_to.is_some(),
            declare.auto_delete,
            &self.name,
            declare.name,
        )?;
        let settings = self.effective_settings(turn, declare.name, fixed.kind, declare.arguments);
        let nature = Nature {
            queue: turn.broker.next_queue_id(),
            durable: is_kept(declare.durable, declare.exclusive_to),
            kind: fixed.kind,
            max_priority: fixed.max_priority,
            single_active_consumer: fixed.single_active_consumer,
        };
        let state = State::new(nature, settings, turn.broker.sizing()).with_groups(fixed.group_key);
        Ok(Queue::new(Blueprint::of(&self.name, declare, nature), state, Arc::clone(turn.broker.memory())))
    }

    /// Brings back a queue that the catalogue holds, with what its logs say is in it.
    pub(crate) fn restore_queue(
        &self,
        turn: &mut Turn<'_>,
        id: u64,
        declare: &DeclareQueue<'_>,
        logs: Vec<(LogId, LogState)>,
    ) {
        let fixed = arguments::queue_arguments(declare.arguments);
        let nature = Nature {
            queue: id,
            durable: true,
            kind: fixed.kind,
            max_priority: fixed.max_priority,
            single_active_consumer: fixed.single_active_consumer,
        };
        let settings = self.effective_settings(turn, declare.name, fixed.kind, declare.arguments);
        let state = State::recover(nature, settings, turn.broker.sizing(), logs).with_groups(fixed.group_key);
        let memory = Arc::clone(turn.broker.memory());
        let queue = Arc::new(Queue::new(Blueprint::of(&self.name, declare, nature), state, memory));
        self.topology.write().add_queue(Arc::clone(&queue.name), Arc::clone(&queue));
        queue.touch(turn);
    }
}

/// Whether anything of a queue is kept over a restart: an exclusive one ends with its connection, whatever it says.
pub(crate) fn is_kept(durable: bool, exclusive_to: Option<u64>) -> bool {
    durable && exclusive_to.is_none()
}
