//! Queues, exchanges and bindings come and go.

use std::sync::Arc;

use leveret_amqp::FieldTable;
use leveret_broker::{
    DeclareQueue,
    exchange::{Binding, Destination},
    queue::Queue as BrokerQueue,
    topology::DeclareExchange,
};

use crate::{arguments::arguments, model::Queue, plan::BindingPlan, world::World};

impl World<'_> {
    /// queue.declare
    pub(crate) fn declare_queue(&mut self, channel: usize, queue: usize) {
        let plan = &self.plan.queues[queue];
        let connection = self.connection_id(channel);
        let arguments = arguments(plan);
        self.turn(|world, turn| {
            let declare = DeclareQueue {
                name: &plan.name,
                durable: plan.durable,
                auto_delete: plan.auto_delete,
                exclusive_to: plan.exclusive.then_some(connection),
                arguments: &arguments,
            };
            let declared = world.real.vhost.declare_queue(turn, &declare);
            world.observe();
            let known = world.model.queue_id(&plan.name);
            let owner = plan.exclusive.then_some(connection);
            let is_locked = known.is_some_and(|id| world.model.queues[&id].owner != owner);
            match declared {
                Ok(queue) if !is_locked && known.is_none_or(|id| id == queue.id) => {
                    if known.is_none() {
                        world.model.declare(queue.id, plan, owner);
                    }
                    world.model.act(queue.id, Queue::touch);
                    world.real.queues.insert(queue.id, queue);
                    if plan.durable {
                        world.commits.after_commit(turn);
                    }
                }
                Err(_) if is_locked => {}
                other => {
                    world.model.fail(format!("declare: {other:?}, where the queue is {known:?}, locked {is_locked}"));
                }
            }
        });
    }

    /// queue.delete
    pub(crate) fn delete_queue(&mut self, channel: usize, queue: usize, if_unused: bool, if_empty: bool) {
        let Some(queue) = self.usable_queue(channel, queue) else { return };
        self.turn(|world, turn| {
            let deleted = world.real.vhost.delete_queue(turn, &queue, if_unused, if_empty).ok();
            world.observe();
            let of_model = &world.model.queues[&queue.id];
            let left = of_model.ready().0 + of_model.waiting().0;
            let is_refused = if_unused && !of_model.consumers.is_empty() || if_empty && left > 0;
            let expected = (!is_refused).then_some(left);
            if deleted != expected {
                world.model.fail(format!("delete of a queue: {deleted:?} and should be {expected:?}"));
            }
            if deleted.is_some() {
                world.model.delete_queue(queue.id);
                if queue.durable {
                    world.commits.after_commit(turn);
                }
            }
        });
    }

    /// queue.purge
    pub(crate) fn purge(&mut self, channel: usize, queue: usize) {
        let Some(queue) = self.usable_queue(channel, queue) else { return };
        self.turn(|world, turn| {
            let purged = queue.purge(turn);
            world.observe();
            let expected = world.model.act(queue.id, Queue::purge);
            if Some(purged) != expected {
                world.model.fail(format!("{purged} messages were purged and should be {expected:?}"));
            }
            if queue.durable {
                world.commits.after_commit(turn);
            }
        });
    }

    /// exchange.declare
    pub(crate) fn declare_exchange(&mut self, exchange: usize) {
        let plan = &self.plan.exchanges[exchange];
        let mut arguments = FieldTable::new();
        if let Some(alternate) = &plan.alternate {
            arguments.insert("alternate-exchange", &**alternate);
        }
        if plan.holds {
            arguments.insert("x-delayed-type", plan.kind.name());
        }
        self.turn(|world, turn| {
            let declare = DeclareExchange {
                name: &plan.name,
                kind: if plan.holds { "x-delayed-message" } else { plan.kind.name() },
                durable: plan.durable,
                auto_delete: plan.auto_delete,
                internal: false,
                arguments: &arguments,
            };
            if let Err(error) = world.real.vhost.declare_exchange(turn, &declare) {
                world.model.fail(format!("declare of an exchange: {error}"));
            }
            world.model.topology.declare(plan);
            if plan.durable {
                world.commits.after_commit(turn);
            }
        });
    }

    /// exchange.delete
    pub(crate) fn delete_exchange(&mut self, exchange: usize, if_unused: bool) {
        let plan = &self.plan.exchanges[exchange];
        self.turn(|world, turn| {
            let deleted = world.real.vhost.delete_exchange(turn, &plan.name, if_unused);
            let topology = &world.model.topology;
            let is_refused = if_unused && (topology.is_used(&plan.name) || !topology.held(&plan.name).is_empty());
            if deleted.is_err() != is_refused {
                world.model.fail(format!("delete of an exchange: {deleted:?}, refused should be {is_refused}"));
            }
            if !is_refused {
                world.model.topology.delete(&plan.name);
                world.commits.after_commit(turn);
            }
        });
    }

    /// queue.bind and exchange.bind
    pub(crate) fn bind(&mut self, channel: usize, binding: usize) {
        let plan = &self.plan.bindings[binding];
        let connection = self.connection_id(channel);
        self.turn(|world, turn| {
            let bound = world.real.vhost.bind(turn, on_wire(plan), connection);
            let is_refused = !world.has_ends(plan) || world.is_locked(plan, connection);
            if bound.is_err() != is_refused {
                world.model.fail(format!("bind: {bound:?}, refused should be {is_refused}"));
            }
            if !is_refused {
                world.model.topology.bind(plan);
                world.commits.after_commit(turn);
            }
        });
    }

    /// queue.unbind and exchange.unbind
    pub(crate) fn unbind(&mut self, channel: usize, binding: usize) {
        let plan = &self.plan.bindings[binding];
        let connection = self.connection_id(channel);
        self.turn(|world, turn| {
            let unbound = world.real.vhost.unbind(turn, &on_wire(plan), connection);
            let is_refused = world.is_locked(plan, connection);
            if unbound.is_err() != is_refused {
                world.model.fail(format!("unbind: {unbound:?}, refused should be {is_refused}"));
            }
            if !is_refused {
                world.model.topology.unbind(|other| other == plan);
                world.commits.after_commit(turn);
            }
        });
    }

    /// The queue of the plan, if it is there and this channel may use it.
    pub(crate) fn usable_queue(&mut self, channel: usize, queue: usize) -> Option<Arc<BrokerQueue>> {
        let plan = &self.plan.queues[queue];
        let connection = self.connection_id(channel);
        let found = self.real.vhost.queue(&plan.name, connection).ok();
        let known = self.model.queue_id(&plan.name);
        let expected = known.filter(|id| self.model.queues[id].owner.is_none_or(|owner| owner == connection));
        if found.as_ref().map(|queue| queue.id) != expected {
            self.model.fail(format!("queue {}: {found:?} and should be {expected:?}", plan.name));
        }
        found
    }

    fn connection_id(&self, channel: usize) -> u64 {
        self.real.connections[self.real.channels[channel].connection].id
    }

    fn has_ends(&self, plan: &BindingPlan) -> bool {
        let is_exchange = |name| self.model.topology.exchanges.contains_key(name);
        let has_destination = match plan.to_queue {
            true => self.model.queue_id(&plan.destination).is_some(),
            false => is_exchange(&plan.destination),
        };
        is_exchange(&plan.source) && has_destination
    }

    fn is_locked(&self, plan: &BindingPlan, connection: u64) -> bool {
        let queue = self.model.queue_id(&plan.destination).filter(|_| plan.to_queue);
        queue.is_some_and(|id| self.model.queues[&id].owner.is_some_and(|owner| owner != connection))
    }
}

fn on_wire(plan: &BindingPlan) -> Binding {
    let destination = Arc::clone(&plan.destination);
    Binding {
        source: Arc::clone(&plan.source),
        destination: if plan.to_queue { Destination::Queue(destination) } else { Destination::Exchange(destination) },
        routing_key: plan.key.as_bytes().into(),
        arguments: binding_arguments(plan),
    }
}

/// What it is bound with.
pub(crate) fn binding_arguments(plan: &BindingPlan) -> FieldTable {
    let mut arguments = FieldTable::new();
    for (name, value) in &plan.headers {
        arguments.insert(&**name, *value);
    }
    if plan.any {
        arguments.insert("x-match", "any");
    }
    arguments
}
