//! Class exchange: declare, delete, bindings between exchanges.

use leveret_amqp::{FieldTable, exchange};
use leveret_broker::{
    Error,
    access::{Permission, Resource},
    exchange::{Binding, Destination},
    topology::{DeclareExchange, RESERVED_PREFIX},
};

use super::{Channel, names};
use crate::step::Step;

impl Channel {
    pub(super) fn declare_exchange(
        &mut self,
        declare: &exchange::Declare<'_>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Error> {
        let name = &*names::without_line_breaks(declare.exchange);
        refuse_default_exchange(name)?;
        let vhost = &step.session.vhost;
        if declare.passive {
            // Without permission, as for queues: RabbitMQ 4.3 asks for configure here, but programs of today look
            // with users that may only write.
            vhost.exchange(name)?;
            self.reply_to_change(exchange::DeclareOk, declare.no_wait, false, step);
            return Ok(());
        }
        self.permissions.check(step.session, Permission::Configure, Resource::Exchange(name))?;
        if vhost.exchange(name).is_err() {
            self.check_new_exchange(declare, step)?;
        }
        let new = DeclareExchange {
            name,
            kind: declare.kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: &declare.arguments,
        };
        vhost.declare_exchange(step.turn, &new)?;
        self.reply_to_change(exchange::DeclareOk, declare.no_wait, declare.durable, step);
        Ok(())
    }

    pub(super) fn delete_exchange(
        &mut self,
        delete: &exchange::Delete<'_>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Error> {
        let name = delete.exchange;
        refuse_default_exchange(name)?;
        self.permissions.check(step.session, Permission::Configure, Resource::Exchange(name))?;
        let vhost = &step.session.vhost;
        // What is not there may have been deleted a moment ago, and be there again after a crash.
        let durable = vhost.exchange(name).map_or(true, |exchange| exchange.durable);
        vhost.delete_exchange(step.turn, name, delete.if_unused)?;
        self.reply_to_change(exchange::DeleteOk, delete.no_wait, durable, step);
        Ok(())
    }

    pub(super) fn bind_exchange(&mut self, bind: &exchange::Bind<'_>, step: &mut Step<'_, '_>) -> Result<(), Error> {
        self.check_exchange_binding(bind.source, bind.destination, bind.routing_key, step)?;
        let binding = exchange_binding(bind.source, bind.destination, bind.routing_key, &bind.arguments);
        let durable = self.is_durable_binding(&binding, step);
        step.session.vhost.bind(step.turn, binding, step.session.connection_id)?;
        self.reply_to_change(exchange::BindOk, bind.no_wait, durable, step);
        Ok(())
    }

    pub(super) fn unbind_exchange(
        &mut self,
        unbind: &exchange::Unbind<'_>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Error> {
        self.check_exchange_binding(unbind.source, unbind.destination, unbind.routing_key, step)?;
        let binding = exchange_binding(unbind.source, unbind.destination, unbind.routing_key, &unbind.arguments);
        let durable = self.is_durable_binding(&binding, step);
        step.session.vhost.unbind(step.turn, &binding, step.session.connection_id)?;
        self.reply_to_change(exchange::UnbindOk, unbind.no_wait, durable, step);
        Ok(())
    }

    /// Whether a binding outlives a restart: both of its ends do.
    pub(super) fn is_durable_binding(&self, binding: &Binding, step: &Step<'_, '_>) -> bool {
        let vhost = &step.session.vhost;
        // What is not there may have been deleted a moment ago, and be there again after a crash.
        let is_durable = |name: &str| vhost.exchange(name).map_or(true, |exchange| exchange.durable);
        is_durable(&binding.source)
            && match &binding.destination {
                Destination::Exchange(name) => is_durable(name),
                Destination::Queue(name) => {
                    vhost.queue(name, step.session.connection_id).map_or(true, |queue| queue.durable)
                }
            }
    }

    /// What is asked of an exchange that is not there yet.
    fn check_new_exchange(&mut self, declare: &exchange::Declare<'_>, step: &Step<'_, '_>) -> Result<(), Error> {
        let name = declare.exchange;
        if name.starts_with(RESERVED_PREFIX) {
            return Err(Error::reserved_name("exchange", name));
        }
        let key = "alternate-exchange";
        let Some(alternate) = exchange_argument(key, &declare.arguments, "exchange", name, step)? else {
            return Ok(());
        };
        self.permissions.check(step.session, Permission::Read, Resource::Exchange(name))?;
        self.permissions.check(step.session, Permission::Write, Resource::Exchange(alternate))
    }

    fn check_exchange_binding(
        &mut self,
        source: &str,
        destination: &str,
        key: &[u8],
        step: &Step<'_, '_>,
    ) -> Result<(), Error> {
        refuse_default_exchange(source)?;
        refuse_default_exchange(destination)?;
        self.permissions.check(step.session, Permission::Write, Resource::Exchange(destination))?;
        self.permissions.check_source(step.session, source, key)
    }
}

/// Nothing is declared, deleted or bound by hand at the default exchange.
pub(super) fn refuse_default_exchange(name: &str) -> Result<(), Error> {
    if name.is_empty() { Err(Error::default_exchange()) } else { Ok(()) }
}

/// The exchange that an argument names.
pub(super) fn exchange_argument<'a>(
    key: &str,
    arguments: &'a FieldTable,
    kind: &str,
    name: &str,
    step: &Step<'_, '_>,
) -> Result<Option<&'a str>, Error> {
    let Some(value) = arguments.get(key) else { return Ok(None) };
    let wrong_type = || Error::argument_type(key, kind, name, &step.session.vhost.name, value);
    value.as_str().map(Some).ok_or_else(wrong_type)
}

fn exchange_binding(source: &str, destination: &str, routing_key: &[u8], arguments: &FieldTable) -> Binding {
    Binding {
        source: source.into(),
        destination: Destination::Exchange(destination.into()),
        routing_key: routing_key.into(),
        arguments: arguments.clone(),
    }
}
