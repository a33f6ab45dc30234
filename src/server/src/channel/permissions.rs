//! What the channel's user may do, asked once per exchange and remembered until users, permissions or exchanges change.

use std::sync::Arc;

use leveret_broker::{
    Error,
    access::{Permission, PermissionCache, Resource},
    auth::{Authority, Question},
};

use super::asked::Asked;
use crate::session::Session;

/// The permissions of one channel.
pub(super) struct Permissions {
    cache: PermissionCache,
    /// The exchange published to last.
    published_to: String,
    is_topic: bool,
    /// The generations of access and of topology in which the two above hold.
    generations: Option<(u64, u64)>,
    /// Where a backend decides that must be waited for. The generations are never known then: each publish looks here.
    pub(super) asked: Option<Box<Asked>>,
}

impl Permissions {
    /// Nothing asked yet.
    pub(super) fn new(session: &Session) -> Self {
        Self {
            cache: PermissionCache::new(Arc::clone(&session.username), Arc::clone(&session.vhost.name)),
            published_to: String::new(),
            is_topic: false,
            generations: None,
            asked: match session.identity.authority() {
                Authority::Internal => None,
                Authority::External(external) => Some(Box::new(Asked::new(Arc::clone(external)))),
            },
        }
    }

    /// Whether the user may do something to a queue or exchange.
    ///
    /// # Errors
    /// 403 where not.
    pub(super) fn check(
        &mut self,
        session: &Session,
        permission: Permission,
        resource: Resource<'_>,
    ) -> Result<(), Error> {
        match &mut self.asked {
            None => self.cache.check(session.broker.access(), permission, resource),
            Some(asked) => asked.check(session, Question::Resource { permission, resource }),
        }
    }

    /// Whether the user may bind to an exchange with a key, or take such a binding away.
    ///
    /// # Errors
    /// 403 where not. That the exchange is missing is for the binding to say.
    pub(super) fn check_source(&mut self, session: &Session, exchange: &str, key: &[u8]) -> Result<(), Error> {
        self.check(session, Permission::Read, Resource::Exchange(exchange))?;
        if session.vhost.has_topic_permissions(exchange) {
            self.check_topic(session, Permission::Read, exchange, key)?;
        }
        Ok(())
    }

    /// Whether the user may publish to an exchange with a key.
    ///
    /// # Errors
    /// 403 where not.
    pub(super) fn check_publish(&mut self, session: &Session, exchange: &str, key: &[u8]) -> Result<(), Error> {
        let generations = (session.broker.access().generation(), session.vhost.generation());
        if self.generations != Some(generations) || !is_same(&self.published_to, exchange) {
            self.check(session, Permission::Write, Resource::Exchange(exchange))?;
            self.is_topic = session.vhost.has_topic_permissions(exchange);
            if self.asked.is_some() {
                return match self.is_topic {
                    true => self.check_topic(session, Permission::Write, exchange, key),
                    false => Ok(()),
                };
            }
            exchange.clone_into(&mut self.published_to);
            self.generations = Some(generations);
        }
        if self.is_topic {
            self.cache.check_topic(session.broker.access(), Permission::Write, exchange, key)?;
        }
        Ok(())
    }

    fn check_topic(
        &mut self,
        session: &Session,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), Error> {
        match &mut self.asked {
            None => self.cache.check_topic(session.broker.access(), permission, exchange, routing_key),
            Some(asked) => asked.check(session, Question::Topic { permission, exchange, routing_key }),
        }
    }
}

/// Whether two names are the same. Nothing is compared with nothing for each message to the default exchange: a string that
/// was never filled points nowhere, and a C library that compares by masked vectors takes a hundred nanoseconds over it.
fn is_same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}
