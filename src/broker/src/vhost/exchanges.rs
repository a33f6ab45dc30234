//! Declaring, finding, binding and deleting exchanges.

use std::sync::Arc;

use super::VHost;
use crate::{
    Error, Turn,
    exchange::{Binding, Destination},
    topology::{DeclareExchange, Exchange},
};

/// The type of exchange whose routing keys have permissions of their own.
const TOPIC: &str = "topic";

impl VHost {
    /// Declares an exchange, or finds that an equivalent one exists.
    ///
    /// # Errors
    /// 403 for reserved names, 406 for an unknown type, bad or inequivalent arguments.
    pub fn declare_exchange(&self, turn: &mut Turn<'_>, declare: &DeclareExchange<'_>) -> Result<(), Error> {
        let rule = self.exchange_rule(turn, declare)?;
        self.change(turn, |topology| {
            self.check_not_deleted()?;
            let change = topology.declare_exchange(declare)?;
            self.add_timeline(turn, topology, declare.name);
            self.add_exchange_cache(turn, topology, declare.name, rule);
            Ok(((), change))
        })?;
        self.apply_policies_to_exchange(turn, declare.name);
        Ok(())
    }

    /// The exchange of that name.
    ///
    /// # Errors
    /// 404.
    pub fn exchange(&self, name: &str) -> Result<Arc<Exchange>, Error> {
        self.topology.read().exchange(name).cloned()
    }

    /// Whether routing keys of the exchange have permissions of their own, as those of topic exchanges have. That it may not
    /// exist is for routing to say.
    #[must_use]
    pub fn has_topic_permissions(&self, exchange: &str) -> bool {
        self.topology.read().exchange(exchange).is_ok_and(|exchange| &*exchange.kind == TOPIC)
    }

    /// Deletes an exchange with its bindings, and with what it holds back. One that is not there is a success.
    ///
    /// # Errors
    /// 403 for the pre-declared ones, 406 where `if_unused` and it has bindings or holds messages back.
    pub fn delete_exchange(&self, turn: &mut Turn<'_>, name: &str, if_unused: bool) -> Result<(), Error> {
        let waiting = self.timeline(name).map_or(0, |timeline| timeline.counts().messages);
        if if_unused && waiting > 0 {
            return Err(Error::holds_messages(name, &self.name, waiting));
        }
        self.change(turn, |topology| Ok(((), topology.delete_exchange(name, if_unused)?)))
    }

    /// Adds a binding. `connection_id` is who asks, since a queue may be exclusive. Where the source keeps its last messages,
    /// the destination gets them.
    ///
    /// # Errors
    /// 404 where an end is missing, 405 where the queue is another connection's, 403 for the default exchange.
    pub fn bind(&self, turn: &mut Turn<'_>, binding: Binding, connection_id: u64) -> Result<(), Error> {
        self.check_destination(&binding.destination, connection_id)?;
        let (source, destination) = (Arc::clone(&binding.source), binding.destination.clone());
        let is_new = self.change(turn, |topology| {
            self.check_not_deleted()?;
            let change = topology.bind(binding)?;
            Ok((!change.is_empty(), change))
        })?;
        if is_new {
            self.replay(turn, &source, &destination);
        }
        Ok(())
    }

    /// Removes a binding. One that is not there is a success.
    ///
    /// # Errors
    /// 405 where the queue is another connection's, 403 for the default exchange.
    pub fn unbind(&self, turn: &mut Turn<'_>, binding: &Binding, connection_id: u64) -> Result<(), Error> {
        self.check_destination(&binding.destination, connection_id)?;
        self.change(turn, |topology| Ok(((), topology.unbind(binding)?)))
    }

    fn check_destination(&self, destination: &Destination, connection_id: u64) -> Result<(), Error> {
        match destination {
            Destination::Queue(name) if self.find_queue(name).is_some() => self.queue(name, connection_id).map(|_| ()),
            // A missing end is the topology's to refuse.
            Destination::Queue(_) | Destination::Exchange(_) => Ok(()),
        }
    }
}
