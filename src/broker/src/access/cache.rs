//! A channel's memory of what it was allowed.
//!
//! Publishing asks for the same permission over and over. What was allowed is remembered until anything about users or
//! permissions changes; refusals are not, since they end the channel anyway.

use std::sync::Arc;

use super::{Access, Permission, Resource, permissions::TopicGrants};
use crate::Error;

/// Decisions remembered, as many as RabbitMQ keeps: few enough to look through one by one.
const DECISIONS_MAX: usize = 12;

/// Remembered decisions of [`Access`] for one user in one vhost. Owned by one channel.
#[derive(Debug)]
pub struct PermissionCache {
    user: Arc<str>,
    vhost: Arc<str>,
    generation: u64,
    allowed: Vec<Allowed>,
    topics: Vec<(Box<str>, Option<Arc<TopicGrants>>)>,
}

#[derive(Debug)]
struct Allowed {
    permission: Permission,
    queue: bool,
    name: Box<str>,
}

impl PermissionCache {
    /// An empty cache for a user in a vhost.
    #[must_use]
    pub fn new(user: Arc<str>, vhost: Arc<str>) -> Self {
        Self { user, vhost, generation: 0, allowed: Vec::new(), topics: Vec::new() }
    }

    /// [`Access::check`], remembered.
    ///
    /// # Errors
    /// 403 where the user lacks the permission.
    pub fn check(&mut self, access: &Access, permission: Permission, resource: Resource<'_>) -> Result<(), Error> {
        self.follow(access);
        let queue = matches!(resource, Resource::Queue(_));
        let name = resource.name();
        let known = |entry: &Allowed| entry.permission == permission && entry.queue == queue && &*entry.name == name;
        if self.allowed.iter().any(known) {
            return Ok(());
        }
        access.check(&self.user, &self.vhost, permission, resource)?;
        make_room(&mut self.allowed);
        self.allowed.push(Allowed { permission, queue, name: name.into() });
        Ok(())
    }

    /// [`Access::check_topic`], with the exchange's patterns remembered. For topic exchanges only.
    ///
    /// # Errors
    /// 403 where the routing key is not allowed.
    pub fn check_topic(
        &mut self,
        access: &Access,
        permission: Permission,
        exchange: &str,
        routing_key: &[u8],
    ) -> Result<(), Error> {
        self.follow(access);
        if let Some((_, grants)) = self.topics.iter().find(|(name, _)| &**name == exchange) {
            return grants.as_ref().map_or(Ok(()), |grants| grants.check(permission, routing_key));
        }
        let grants = access.topic_grants(&self.user, &self.vhost, exchange);
        let decision = grants.as_ref().map_or(Ok(()), |grants| grants.check(permission, routing_key));
        make_room(&mut self.topics);
        self.topics.push((exchange.into(), grants));
        decision
    }

    /// Forgets everything once anything has changed. The generation is read first: a change in between is seen at the
    /// next call.
    fn follow(&mut self, access: &Access) {
        let generation = access.generation();
        if self.generation != generation {
            self.generation = generation;
            self.allowed.clear();
            self.topics.clear();
        }
    }
}

/// The oldest decision goes.
fn make_room<T>(entries: &mut Vec<T>) {
    if entries.len() >= DECISIONS_MAX {
        entries.remove(0);
    }
}
