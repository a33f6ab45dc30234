//! Class queue: declare, delete, purge, bindings of queues.

use std::sync::Arc;

use leveret_amqp::{FieldTable, ReplyCode, queue};
use leveret_broker::{
    DeclareQueue, Error,
    access::{Permission, Resource},
    exchange::{Binding, Destination},
    queue::Queue,
    topology::RESERVED_PREFIX,
};

use super::{
    Channel,
    exchange::{exchange_argument, refuse_default_exchange},
    names, reply_to,
};
use crate::step::Step;

impl Channel {
    pub(super) fn declare_queue(&mut self, declare: &queue::Declare<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        if reply_to::is_reply_queue(declare.queue) {
            return self.declare_reply_queue(declare, step);
        }
        let queue = match declare.passive {
            true => self.declared_queue(declare, step)?,
            false => self.new_queue(declare, step)?,
        };
        self.last_queue = Some(Arc::clone(&queue.name));
        let counts = queue.counts();
        let declare_ok = queue::DeclareOk {
            queue: &queue.name,
            message_count: wire_count(counts.ready),
            consumer_count: wire_count(counts.consumers),
        };
        self.reply_to_change(declare_ok, declare.no_wait, queue.durable && !declare.passive, step);
        Ok(())
    }

    pub(super) fn delete_queue(&mut self, delete: &queue::Delete<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let name = self.queue_name(delete.queue)?;
        let session = step.session;
        self.permissions.check(session, Permission::Configure, Resource::Queue(&name))?;
        let (message_count, durable) = match session.vhost.queue(&name, session.connection_id) {
            Ok(queue) => {
                let count = session.vhost.delete_queue(step.turn, &queue, delete.if_unused, delete.if_empty)?;
                (count, queue.durable)
            }
            // As in RabbitMQ, deleting what is not there succeeds; it may have been deleted a moment ago, by another
            // connection that has no answer yet.
            Err(error) if error.code == ReplyCode::NotFound => (0, true),
            Err(error) => return Err(error),
        };
        let delete_ok = queue::DeleteOk { message_count: wire_count(message_count) };
        self.reply_to_change(delete_ok, delete.no_wait, durable, step);
        Ok(())
    }

    pub(super) fn purge_queue(&mut self, purge: &queue::Purge<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let queue = self.readable_queue(purge.queue, step)?;
        let purge_ok = queue::PurgeOk { message_count: wire_count(queue.purge(step.turn)) };
        self.reply_to_change(purge_ok, purge.no_wait, queue.durable, step);
        Ok(())
    }

    pub(super) fn bind_queue(&mut self, bind: &queue::Bind<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let binding = self.queue_binding(bind.queue, bind.exchange, bind.routing_key, &bind.arguments, step)?;
        let durable = self.is_durable_binding(&binding, step);
        step.session.vhost.bind(step.turn, binding, step.session.connection_id)?;
        self.reply_to_change(queue::BindOk, bind.no_wait, durable, step);
        Ok(())
    }

    pub(super) fn unbind_queue(&mut self, unbind: &queue::Unbind<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let binding = self.queue_binding(unbind.queue, unbind.exchange, unbind.routing_key, &unbind.arguments, step)?;
        let durable = self.is_durable_binding(&binding, step);
        step.session.vhost.unbind(step.turn, &binding, step.session.connection_id)?;
        self.reply_to_change(queue::UnbindOk, false, durable, step);
        Ok(())
    }

    /// The name, or for an empty one that of the queue declared last on this channel.
    pub(super) fn queue_name(&self, name: &str) -> Result<Arc<str>, Error> {
        if !name.is_empty() {
            return Ok(name.into());
        }
        self.last_queue.clone().ok_or_else(|| Error::not_found("no previously declared queue"))
    }

    /// The answer tells whether the requester is still there.
    fn declare_reply_queue(&mut self, declare: &queue::Declare<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        let name = declare.queue;
        if name != reply_to::REPLY_TO && !step.session.reply_consumers.contains(name) {
            return Err(Error::no_queue(name, &step.session.vhost.name));
        }
        let declare_ok = queue::DeclareOk { queue: name, message_count: 0, consumer_count: 1 };
        self.reply_to_change(declare_ok, declare.no_wait, false, step);
        Ok(())
    }

    fn declared_queue(&mut self, declare: &queue::Declare<'_>, step: &mut Step<'_, '_>) -> Result<Arc<Queue>, Error> {
        let name = self.queue_name(&names::without_line_breaks(declare.queue))?;
        let queue = step.session.vhost.queue(&name, step.session.connection_id)?;
        queue.touch(step.turn);
        Ok(queue)
    }

    fn new_queue(&mut self, declare: &queue::Declare<'_>, step: &mut Step<'_, '_>) -> Result<Arc<Queue>, Error> {
        let session = step.session;
        let name = match declare.queue {
            "" => self.drawn_queue_name(),
            name if name.starts_with(RESERVED_PREFIX) => return Err(Error::reserved_name("queue", name)),
            name => names::without_line_breaks(name).into_owned(),
        };
        self.permissions.check(session, Permission::Configure, Resource::Queue(&name))?;
        self.check_dead_letter_exchange(&name, declare, step)?;
        let new = DeclareQueue {
            name: &name,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            exclusive_to: declare.exclusive.then_some(session.connection_id),
            arguments: &declare.arguments,
        };
        session.vhost.declare_queue(step.turn, &new)
    }

    /// Whoever has a queue's messages dead-lettered reads them there and writes them elsewhere.
    fn check_dead_letter_exchange(
        &mut self,
        name: &str,
        declare: &queue::Declare<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), Error> {
        let key = "x-dead-letter-exchange";
        let Some(exchange) = exchange_argument(key, &declare.arguments, "queue", name, step)? else { return Ok(()) };
        self.permissions.check(step.session, Permission::Read, Resource::Queue(name))?;
        self.permissions.check(step.session, Permission::Write, Resource::Exchange(exchange))
    }

    /// The binding that bind or unbind is about, where the user may have it. An empty queue name and an empty key
    /// together stand for the name of the queue declared last, in both places.
    fn queue_binding(
        &mut self,
        queue: &str,
        exchange: &str,
        routing_key: &[u8],
        arguments: &FieldTable,
        step: &Step<'_, '_>,
    ) -> Result<Binding, Error> {
        let name = self.queue_name(queue)?;
        let routing_key = match (queue, routing_key) {
            ("", b"") => name.as_bytes(),
            _ => routing_key,
        };
        Self::refuse_reply_queue(&name)?;
        refuse_default_exchange(exchange)?;
        self.permissions.check(step.session, Permission::Write, Resource::Queue(&name))?;
        self.permissions.check_source(step.session, exchange, routing_key)?;
        Ok(Binding {
            source: exchange.into(),
            routing_key: routing_key.into(),
            destination: Destination::Queue(name),
            arguments: arguments.clone(),
        })
    }
}

/// A count as replies carry it.
pub(super) fn wire_count(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}
