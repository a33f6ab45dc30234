//! Declaring exchanges: the checks in RabbitMQ's order, and the exchanges that are always there.

use std::sync::Arc;

use leveret_amqp::{FieldTable, FieldValue};

use super::{
    Change, RESERVED_PREFIX, TRACE_EXCHANGE, Topology, check_not_default,
    exchange::{ALTERNATE_EXCHANGE, DeclareExchange, Entry, Exchange},
};
use crate::{
    Error, deduplication,
    exchange::{ExchangeType, Router},
};

/// Of the exchanges that every vhost has: durable, without arguments, never deleted.
pub(super) struct Predeclared {
    name: &'static str,
    kind: &'static str,
    internal: bool,
}

pub(super) const PREDECLARED: [Predeclared; 7] = [
    Predeclared { name: super::DEFAULT_EXCHANGE, kind: "direct", internal: false },
    Predeclared { name: "amq.direct", kind: "direct", internal: false },
    Predeclared { name: "amq.fanout", kind: "fanout", internal: false },
    Predeclared { name: "amq.headers", kind: "headers", internal: false },
    Predeclared { name: "amq.match", kind: "headers", internal: false },
    Predeclared { name: "amq.topic", kind: "topic", internal: false },
    Predeclared { name: TRACE_EXCHANGE, kind: "topic", internal: true },
];

static NO_ARGUMENTS: FieldTable = FieldTable::new();

impl Predeclared {
    pub(super) fn declaration(&self) -> DeclareExchange<'static> {
        DeclareExchange {
            name: self.name,
            kind: self.kind,
            durable: true,
            auto_delete: false,
            internal: self.internal,
            arguments: &NO_ARGUMENTS,
        }
    }
}

impl<Q, T> Topology<Q, T> {
    /// Declares an exchange. One that is there already and is alike is a success without a change.
    ///
    /// # Errors
    /// 403 for the default exchange and for names that start with `amq.`; 406 for an unknown type, arguments that it
    /// refuses, and an exchange of that name that is not alike.
    pub fn declare_exchange(&mut self, declaration: &DeclareExchange<'_>) -> Result<Change, Error> {
        let kind = self.types.find(declaration.kind).ok_or_else(|| Error::unknown_exchange_type(declaration.kind))?;
        check_not_default(declaration.name)?;
        if let Some(entry) = self.find_entry(declaration.name) {
            self.check_equivalent(&entry.exchange, declaration, &**kind)?;
            return Ok(Change::default());
        }
        let router = self.new_router(declaration, &**kind)?;
        let kind = Arc::clone(kind);
        let exchange = self.add_exchange(declaration, Ok(router), Some(&*kind));
        Ok(Change { added_exchanges: vec![exchange], ..Change::default() })
    }

    /// Adds an exchange that was there before a restart. It is kept whatever has become of its type: without one, it
    /// keeps its bindings and refuses to route.
    pub fn restore_exchange(&mut self, declaration: &DeclareExchange<'_>) {
        let missing = || Error::missing_exchange_type(declaration.name, &self.vhost, declaration.kind);
        let kind = self.types.find(declaration.kind).map(Arc::clone);
        let router =
            kind.as_ref().ok_or_else(missing).and_then(|kind| kind.router_among(declaration.arguments, &self.types));
        self.add_exchange(declaration, router, kind.as_deref());
    }

    fn add_exchange(
        &mut self,
        declaration: &DeclareExchange<'_>,
        router: Result<Box<dyn Router>, Error>,
        kind: Option<&dyn ExchangeType>,
    ) -> Arc<Exchange> {
        let exchange = Arc::new(Exchange::of(declaration));
        let hold = kind.and_then(|kind| kind.hold(declaration.arguments));
        let history = kind.and_then(|kind| kind.history(declaration.arguments)).filter(|_| hold.is_none());
        let entry = Entry { exchange: Arc::clone(&exchange), router, hold, history, timeline: None, cache: None };
        self.exchanges.insert(Arc::clone(&exchange.name), entry);
        self.generation += 1;
        exchange
    }

    fn new_router(&self, declaration: &DeclareExchange<'_>, kind: &dyn ExchangeType) -> Result<Box<dyn Router>, Error> {
        if declaration.name.starts_with(RESERVED_PREFIX) {
            return Err(Error::reserved_name("exchange", declaration.name));
        }
        self.check_alternate(declaration)?;
        kind.validate(declaration.arguments)?;
        kind.router_among(declaration.arguments, &self.types)
    }

    /// The alternate exchange need not exist, now or ever; but it must be a name.
    fn check_alternate(&self, declaration: &DeclareExchange<'_>) -> Result<(), Error> {
        match declaration.arguments.get(ALTERNATE_EXCHANGE) {
            None | Some(FieldValue::LongString(_)) => Ok(()),
            Some(other) => {
                Err(Error::argument_type(ALTERNATE_EXCHANGE, "exchange", declaration.name, &self.vhost, other))
            }
        }
    }

    fn check_equivalent(
        &self,
        current: &Exchange,
        received: &DeclareExchange<'_>,
        kind: &dyn ExchangeType,
    ) -> Result<(), Error> {
        self.check_kind(current, received)?;
        self.check_flag("durable", current, received.durable, current.durable)?;
        self.check_flag("auto_delete", current, received.auto_delete, current.auto_delete)?;
        self.check_flag("internal", current, received.internal, current.internal)?;
        for key in [ALTERNATE_EXCHANGE].iter().chain(kind.compared_arguments()).chain(&deduplication::ARGUMENTS) {
            let (received, present) = (received.arguments.get(key), current.arguments.get(key));
            Error::check_equivalent_arg(key, "exchange", &current.name, &self.vhost, received, present)?;
        }
        Ok(())
    }

    fn check_kind(&self, current: &Exchange, received: &DeclareExchange<'_>) -> Result<(), Error> {
        if *received.kind == *current.kind {
            return Ok(());
        }
        let (received, present) = (erlang_atom(received.kind), erlang_atom(&current.kind));
        Err(Error::inequivalent_property("type", "exchange", &current.name, &self.vhost, received, present))
    }

    fn check_flag(&self, key: &str, exchange: &Exchange, received: bool, current: bool) -> Result<(), Error> {
        if received == current {
            return Ok(());
        }
        Err(Error::inequivalent_property(key, "exchange", &exchange.name, &self.vhost, received, current))
    }
}

/// A type's name as Erlang prints an atom: in quotes where it is more than a word.
fn erlang_atom(name: &str) -> String {
    let is_word = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '@');
    if is_word { name.to_owned() } else { format!("'{name}'") }
}
